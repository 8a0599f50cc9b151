# SPDX-License-Identifier: Apache-2.0
"""Segment ids that mean nothing to a switch, for sites without one and for tests."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence

from mogan_hil.drivers.allocator import base

#: RFC 9562, 5.4: version 4, variant 10.
_ID = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")

CHANNEL = "null"


class NullAllocator(base.Allocator):
    """Ids are random UUIDs (RFC 9562, version 4) of 32 hexadecimal digits, and there is no end of them.

    :param ranges: the names of the physical networks, `default` if there is none. What follows a colon is ignored, so
        that a configuration for VLANs may stay.
    """

    def __init__(self, ranges: Sequence[str]) -> None:
        self._names = tuple(dict.fromkeys(entry.strip().partition(":")[0] for entry in ranges)) or ("default",)
        if not all(self._names):
            raise ValueError("a physical network has no name")

    def physical_networks(self) -> Sequence[str]:
        return self._names

    def choose(self, physical_network: str, used: Collection[str]) -> str | None:
        """A new id; None for a physical network that is not known."""
        return uuid.uuid4().hex if physical_network in self._names else None

    def check(self, physical_network: str, segment_id: str) -> None:
        if physical_network not in self._names:
            raise ValueError(f"there is no physical network {physical_network!r}")
        if _ID.fullmatch(segment_id) is None:
            raise ValueError(f"{segment_id!r} is not a version 4 UUID of 32 hexadecimal digits")

    def pooled(self, physical_network: str, segment_id: str) -> bool:
        return physical_network in self._names and _ID.fullmatch(segment_id) is not None

    def channels(self, segment_id: str) -> Sequence[str]:
        """The one channel, which carries nothing."""
        return [CHANNEL]
