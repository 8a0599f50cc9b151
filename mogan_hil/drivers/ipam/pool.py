# SPDX-License-Identifier: Apache-2.0
"""Addresses out of the pools of a subnet, at random."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Collection, Iterable, Iterator, Sequence

from mogan_hil.drivers.ipam import base

#: The number of the first address, and how many there are.
_Span = tuple[int, int]


class Pool(base.Ipam):
    """Random addresses of the subnet's pools.

    So two askers at once seldom want the same one, and one that was just freed, which neighbours may still remember for
    the machine that had it, is seldom given again soon.
    """

    capabilities = frozenset({base.GIVE})

    def propose(self, subnet: base.Subnet) -> Sequence[str]:
        spans = _free(subnet, ())
        total = sum(length for _, length in spans)
        if total <= base.PROPOSALS:
            places = random.sample(range(total), total)
        else:  # not `sample`, which cannot count the addresses of a subnet of IPv6
            places = [random.randrange(total) for _ in range(base.PROPOSALS)]  # noqa: S311 - no secret
        return [_text(subnet, _at(spans, place)) for place in dict.fromkeys(places)]

    def choose(self, subnet: base.Subnet, used: Collection[str]) -> str | None:
        spans = _free(subnet, used)
        total = sum(length for _, length in spans)
        return _text(subnet, _at(spans, random.randrange(total))) if total else None  # noqa: S311 - no secret


def _free(subnet: base.Subnet, used: Iterable[str]) -> list[_Span]:
    """What the pools have besides the gateway and what is used."""
    taken = {int(ipaddress.ip_address(address)) for address in used}
    if subnet.gateway is not None:
        taken.add(int(ipaddress.ip_address(subnet.gateway)))
    return list(_gaps(subnet.pools, sorted(taken)))


def _gaps(pools: Iterable[tuple[str, str]], taken: Sequence[int]) -> Iterator[_Span]:
    for start, end in pools:
        at, last = int(ipaddress.ip_address(start)), int(ipaddress.ip_address(end))
        for number in taken:
            if at <= number <= last:
                if number > at:
                    yield at, number - at
                at = number + 1
        if at <= last:
            yield at, last - at + 1


def _at(spans: Iterable[_Span], place: int) -> int:
    for first, length in spans:
        if place < length:
            return first + place
        place -= length
    raise IndexError(place)


def _text(subnet: base.Subnet, number: int) -> str:
    kind = ipaddress.IPv6Address if ":" in subnet.cidr else ipaddress.IPv4Address
    return str(kind(number))
