# SPDX-License-Identifier: Apache-2.0
"""Channels: how a network rides on a NIC. `vlan/native` is untagged, `vlan/<id>` is tagged with an IEEE 802.1Q id."""

from __future__ import annotations

from collections.abc import Iterable

#: IEEE 802.1Q-2022, 9.6: 0 means "priority only" and 4095 is reserved.
VLAN_MIN = 1
VLAN_MAX = 4094

NATIVE = "vlan/native"


def tagged(vlan: int) -> str:
    """The channel on which a VLAN rides with its tag.

    :param vlan: 1 to 4094
    """
    return f"vlan/{vlan}"


def is_vlan(value: int) -> bool:
    """Whether a number is a VLAN id that a frame may carry."""
    return VLAN_MIN <= value <= VLAN_MAX


def vlans_of(attachments: Iterable[tuple[str, str]]) -> tuple[int | None, frozenset[int]]:
    """What a port must carry for these attachments.

    :param attachments: pairs of channel and segment id
    :returns: the native VLAN or None, and the tagged VLANs. Channels that are not VLANs carry nothing.
    """
    native: int | None = None
    tags: set[int] = set()
    for channel, segment in attachments:
        if channel == NATIVE:
            native = int(segment)
        elif channel.startswith("vlan/"):
            tags.add(int(segment))
    return native, frozenset(tags)


def ranges(vlans: Iterable[int]) -> str:
    """VLAN ids as people write them: `1-4,7`."""
    spans: list[list[int]] = []
    for vlan in sorted(vlans):
        if spans and vlan == spans[-1][1] + 1:
            spans[-1][1] = vlan
        else:
            spans.append([vlan, vlan])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def expand(text: str) -> frozenset[int]:
    """The opposite of :func:`ranges`."""
    found: set[int] = set()
    for span in filter(None, text.split(",")):
        low, _, high = span.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)
