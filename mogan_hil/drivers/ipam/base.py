# SPDX-License-Identifier: Apache-2.0
"""The contract of an IPAM driver: which address of a subnet a NIC is given. Pure: it keeps no state.

What is in use is the database's to know, which also frees an address with its attachment. A driver only proposes; a
unique constraint decides.
"""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mogan_hil.drivers.base import Driver

#: A capability: NICs are given addresses that nobody asked for.
GIVE = "give"

#: How many addresses are proposed at the most.
PROPOSALS = 64


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet as a driver sees it. Addresses are in canonical notation (RFC 5952 for IPv6).

    :param gateway: never given, although a pool may span it
    :param pools: the first and the last address of each range that is given from; no two overlap
    """

    cidr: str
    gateway: str | None
    pools: tuple[tuple[str, str], ...]


class Ipam(Driver, abc.ABC):
    """Chooses addresses. One object serves a process, and every method may be called by several threads at once."""

    @abc.abstractmethod
    def propose(self, subnet: Subnet) -> Sequence[str]:
        """Addresses of the pools that are likely to be free, the best first, `PROPOSALS` at the most.

        They are chosen without knowing which are used, so that a full subnet costs no more than an empty one. Several
        askers at once should be likely to get different ones.
        """

    @abc.abstractmethod
    def choose(self, subnet: Subnet, used: Collection[str]) -> str | None:
        """A free address of the pools, None if there is none. Asked when everything that was proposed is used.

        :param used: every address of the subnet that is in use
        """
