# SPDX-License-Identifier: Apache-2.0
"""VLANs out of a pool a physical network."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Sequence

from mogan_hil.common import channels
from mogan_hil.drivers.allocator import base

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_ID = re.compile(r"[1-9][0-9]{0,3}")
_RANGE = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")


def _vlans(text: str) -> Iterator[int]:
    """The VLANs of `100-200,300`.

    :raises ValueError: it is not of this form, or not within 1 to 4094
    """
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part!r} is neither a VLAN nor a range of VLANs")
        low, high = int(match[1]), int(match[2] or match[1])
        if not (channels.is_vlan(low) and channels.is_vlan(high)):
            raise ValueError(f"{part!r} is not within {channels.VLAN_MIN} to {channels.VLAN_MAX}")
        if low > high:
            raise ValueError(f"{part!r} ends before it starts")
        yield from range(low, high + 1)


class VlanPool(base.Allocator):
    """VLAN ids of IEEE 802.1Q, 1 to 4094, a pool for each physical network.

    :param ranges: entries `physical_network:ranges`, such as `default:100-3999` or `physnet2:100-200,300`. A physical
        network may have several entries, which add up; the first entry's is the default one. A VLAN that is named
        twice for one physical network is taken for a slip of the pen, and refused.
    :raises ValueError: there is no entry, or one is not valid
    """

    def __init__(self, ranges: Sequence[str]) -> None:
        self._pools: dict[str, frozenset[int]] = {}
        for entry in ranges:
            name, colon, text = entry.strip().partition(":")
            if not colon or _NAME.fullmatch(name) is None:
                raise ValueError(f"{entry!r} is not of the form physical_network:100-200,300")
            pool = set(self._pools.get(name, ()))
            for vlan in _vlans(text):
                if vlan in pool:
                    raise ValueError(f"{entry!r} names VLAN {vlan} a second time")
                pool.add(vlan)
            self._pools[name] = frozenset(pool)
        if not self._pools:
            raise ValueError("there is no physical network; an entry such as default:100-3999 is missing")

    def physical_networks(self) -> Sequence[str]:
        return tuple(self._pools)

    def choose(self, physical_network: str, used: Collection[str]) -> str | None:
        """A random one of the free ids; None also for a physical network without a pool."""
        free = [str(vlan) for vlan in self._pools.get(physical_network, ())]
        if used:
            taken = frozenset(used)
            free = [vlan for vlan in free if vlan not in taken]
        return random.choice(free) if free else None  # noqa: S311 - a number on a wire, not a secret

    def check(self, physical_network: str, segment_id: str) -> None:
        """Any VLAN may be named, in the pool or not, as a plain decimal number.

        :raises ValueError: it is not one, or the physical network is not known
        """
        if physical_network not in self._pools:
            raise ValueError(f"there is no physical network {physical_network!r}")
        if _ID.fullmatch(segment_id) is None or not channels.is_vlan(int(segment_id)):
            raise ValueError(f"{segment_id!r} is not a VLAN id, {channels.VLAN_MIN} to {channels.VLAN_MAX}")

    def pooled(self, physical_network: str, segment_id: str) -> bool:
        return _ID.fullmatch(segment_id) is not None and int(segment_id) in self._pools.get(physical_network, ())

    def channels(self, segment_id: str) -> Sequence[str]:
        """Native, and tagged with its own id."""
        return [channels.NATIVE, channels.tagged(int(segment_id))]
