# SPDX-License-Identifier: Apache-2.0
"""The contract of a headnode driver: the virtual machine that a project has beside its nodes.

All that a driver makes for a headnode is called by the headnode's uuid, so that whoever comes later finds what an
interrupted call has left.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

from mogan_hil.drivers.base import Driver, Environment, Options


@dataclass(frozen=True, slots=True)
class VmNic:
    """A NIC of the machine, on one network.

    :param mac: six pairs of lower-case hexadecimal digits with colons between
    :param bridge: the bridge of the host that reaches the network
    :param segment_id: in the allocator's notation, a VLAN id for example
    """

    mac: str
    bridge: str
    segment_id: str


@dataclass(frozen=True, slots=True)
class VmSpec:
    """A machine.

    :param uuid: the headnode's
    :param name: for people; two projects may have headnodes of one name
    :param image: where the base image is on the host, in the format qcow2; it is never written to
    :param memory: MiB
    :param cpus: how many
    """

    uuid: str
    name: str
    image: str
    memory: int
    cpus: int
    nics: tuple[VmNic, ...] = ()


@dataclass(frozen=True, slots=True)
class VmState:
    """What there is of a machine.

    :param vnc_address: where its screen is shown, None while it is off
    :param vnc_port: 1 to 65535, None while it is off
    """

    running: bool
    vnc_address: str | None = None
    vnc_port: int | None = None


class HeadnodeDriver(Driver, abc.ABC):
    """The machine of one headnode. The constructor does no input or output; the environment has the headnode's uuid."""

    def __init__(self, options: Options, environment: Environment) -> None:
        self.options = options
        self.environment = environment

    @abc.abstractmethod
    def configure(self, spec: VmSpec) -> None:
        """Make it so: a machine that is off, with a disk of its own over the base image. A disk that it has it keeps.

        :raises DriverError: it could not be made; what was made of it :meth:`remove` takes away
        """

    @abc.abstractmethod
    def set_power(self, on: bool) -> None:
        """Switch the machine on or, at once, off. On, it comes back when its host is started; off, it does not.

        :raises DriverError: there is no machine, or it could not be switched
        """

    def keep_off(self) -> None:
        """A machine that has switched itself off does not come back when its host is started; one that is on is left.

        It is no error if there is no machine. A driver whose machines come back by themselves has to do it.

        :raises DriverError: the host could not be asked
        """

    @abc.abstractmethod
    def remove(self) -> None:
        """Take everything away: the machine, on or off, its ports and its disk. It is no error if there is nothing.

        :raises DriverError: something is left
        """

    @abc.abstractmethod
    def read(self) -> VmState | None:
        """What there is; None if there is nothing at all, neither a machine nor a disk.

        :raises DriverError: the host could not be asked
        """

    def close(self) -> None:
        """End the session, if there is one. A later call begins another."""
