# SPDX-License-Identifier: Apache-2.0
"""The contract of a deploy driver: how the machine of an instance gets its system.

A conductor offers a node its system before the node is booted, and takes the offer away when the instance goes. What is
on the node's disks is not this driver's business.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from mogan_hil.drivers.base import Driver, Environment, Options

#: Capability of a driver that offers a node something. Without it there is nothing to do, and nothing is called.
OFFER = "offer"


@dataclass(frozen=True, slots=True)
class DeployNic:
    """A NIC of the node.

    :param mac: six octets in hexadecimal, lower case, with colons
    :param networks: the uuids of the networks on it, by channel
    """

    name: str
    mac: str
    networks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeploySource:
    """A file that is fetched.

    :param url: http or https, without credentials; a tenant chose it
    :param sha256: what its contents must have, 64 lower-case hexadecimal digits
    """

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DeployImage:
    """What is booted.

    :param arguments: the kernel's, on one line, ready for this instance
    """

    uuid: str
    name: str
    kernel: DeploySource
    initrd: DeploySource
    disk: DeploySource | None
    arguments: str


@dataclass(frozen=True, slots=True)
class DeployFile:
    """A file that the system is given.

    :param path: absolute and plain
    :param contents: base64
    """

    path: str
    contents: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeployConfiguration:
    """What the system is told of itself and by its owner.

    :param hostname: one label, RFC 1123
    :param public_keys: lines of authorized_keys(5), by the names of the keypairs
    :param user_data: base64
    :param password_hash: of the administrator's password, as /etc/shadow has it
    """

    uuid: str
    name: str
    hostname: str
    project: str
    public_keys: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    user_data: str | None = field(default=None, repr=False)
    files: tuple[DeployFile, ...] = ()
    password_hash: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DeploySpec:
    """What a node is to boot, and for whom.

    :param instance: the uuid of the instance
    :param nics: in the order of their names
    :param image: None where the instance was given none
    """

    instance: str
    name: str
    project: str
    nics: tuple[DeployNic, ...]
    image: DeployImage | None = None
    configuration: DeployConfiguration | None = None


class DeployDriver(Driver, abc.ABC):
    """What one node is offered. The constructor does no input or output.

    `boot_device` is what the node has to boot from, the first time, to take what it is offered; None leaves that to
    whoever creates the instance.
    """

    boot_device: ClassVar[str | None] = None

    def __init__(self, options: Options, environment: Environment) -> None:
        self.options = options
        self.environment = environment

    @abc.abstractmethod
    def configure(self, spec: DeploySpec) -> None:
        """Make it so: from now on the node is offered this, and nothing that it was offered before.

        :raises DriverError: the boot service refused or could not be asked
        """

    @abc.abstractmethod
    def remove(self) -> None:
        """Offer the node nothing any more. It is no error if it was offered nothing.

        :raises DriverError: the boot service refused or could not be asked
        """

    @abc.abstractmethod
    def read(self) -> str | None:
        """The uuid of the instance whose system the node is offered, None if it is offered nothing.

        :raises DriverError: the boot service could not be asked
        """

    def close(self) -> None:
        """End the session, if there is one."""
