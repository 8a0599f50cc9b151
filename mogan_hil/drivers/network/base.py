# SPDX-License-Identifier: Apache-2.0
"""The contract of a network driver: what the machines on a network are told and given, beside the wire itself."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mogan_hil.drivers.base import Driver, Environment, Options

#: A capability: it can tell how a network was configured.
READ = "read"
#: A capability: it can tell which addresses were taken.
LEASES = "leases"
#: A capability: there is something to do at all. Without it nothing is ever called.
SERVE = "serve"


@dataclass(frozen=True, slots=True)
class SubnetSpec:
    """A subnet, with addresses in canonical notation.

    :param dhcp: whether machines are to be told their addresses
    """

    cidr: str
    gateway: str | None
    dns_servers: tuple[str, ...] = ()
    dhcp: bool = True


@dataclass(frozen=True, slots=True)
class Reservation:
    """A NIC on the network, and what is kept for it.

    :param mac: six pairs of lower-case hexadecimal digits with colons between
    :param addresses: one of each IP version at the most
    :param hostname: one label of RFC 1123
    :param boot: the address of what it boots over the network; None leaves that to the machine
    :param domain: one label of RFC 1123 for the project that has the machine. Other projects on the network may have
        machines of the same host name: a driver that answers for names has to tell them apart by it, as in
        `<hostname>.<domain>.example.org`, so that no tenant takes another's name. Within it no two machines have one.
    """

    mac: str
    addresses: tuple[str, ...]
    hostname: str
    boot: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """All of a network.

    :param uuid: which one; two networks may have the same subnets
    :param segment_id: in the allocator's notation, a VLAN id for example
    :param mtu: bytes of a packet; None for the default of the medium
    :param subnets: without any nothing is served, and what was is taken away
    :param reservations: only these machines are served
    """

    uuid: str
    physical_network: str = ""
    segment_id: str = ""
    mtu: int | None = None
    subnets: tuple[SubnetSpec, ...] = ()
    reservations: tuple[Reservation, ...] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that a machine was told and has taken.

    :param expires_at: in UTC, without a zone; None for never
    """

    mac: str
    ip: str
    hostname: str | None = None
    expires_at: datetime | None = None


class NetworkDriver(Driver, abc.ABC):
    """Serves the networks of one conductor. The constructor does no input or output.

    One object is used for all networks: calls for different ones may come at once from different threads, calls for one
    network come one after the other.
    """

    def __init__(self, options: Options, environment: Environment) -> None:
        self.options = options
        self.environment = environment

    @abc.abstractmethod
    def configure(self, spec: NetworkSpec) -> None:
        """Make it so: serve the network as the spec says, in place of however it was served before. May be repeated.

        :raises DriverError: it could not be done
        """

    @abc.abstractmethod
    def read(self, network: str) -> NetworkSpec | None:
        """How a network is served, equal to what it was configured with; None for one that is not served.

        :param network: its uuid
        :raises DriverError: that cannot be told now
        """

    @abc.abstractmethod
    def leases(self, network: str) -> Sequence[Lease]:
        """The addresses that machines on a network have taken. Empty for one that is not served.

        :param network: its uuid
        :raises DriverError: that cannot be told now
        """

    def close(self) -> None:
        """End every session. What is served is served on."""
