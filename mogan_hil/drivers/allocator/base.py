# SPDX-License-Identifier: Apache-2.0
"""The contract of an allocator: which segment ids there are, and how one rides on a NIC. Pure: it keeps no state.

What is in use is the database's to know. `choose` only proposes; a unique constraint decides.
"""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence

from mogan_hil.drivers.base import Driver


class Allocator(Driver, abc.ABC):
    """Segment ids of the physical networks of one site.

    :param ranges: the configured pool, a list of ids a physical network, in the allocator's own notation
    :raises ValueError: the configuration is not valid
    """

    @abc.abstractmethod
    def __init__(self, ranges: Sequence[str]) -> None: ...

    @abc.abstractmethod
    def physical_networks(self) -> Sequence[str]:
        """The physical networks that the allocator knows, the default one first."""

    @abc.abstractmethod
    def choose(self, physical_network: str, used: Collection[str]) -> str | None:
        """A free id, or None if there is none. Several askers at once should be likely to get different ones."""

    @abc.abstractmethod
    def check(self, physical_network: str, segment_id: str) -> None:
        """Refuse an id that an administrator named and that cannot be one.

        :raises ValueError: with a reason for the user
        """

    @abc.abstractmethod
    def pooled(self, physical_network: str, segment_id: str) -> bool:
        """Whether `choose` could have given this id."""

    @abc.abstractmethod
    def channels(self, segment_id: str) -> Sequence[str]:
        """Every channel on which this segment may ride, the default one first."""
