# SPDX-License-Identifier: Apache-2.0
"""Channels and VLANs."""

from __future__ import annotations

import testtools
from hypothesis import given
from hypothesis import strategies as st

from mogan_hil.common import channels

VLANS = st.integers(channels.VLAN_MIN, channels.VLAN_MAX)


class TestChannels(testtools.TestCase):
    """See the module."""

    def test_ranges(self) -> None:
        for vlans, text in (((), ""), ((7,), "7"), ((1, 2), "1-2"), ((4, 1, 3, 2, 7), "1-4,7"), ((1, 3), "1,3")):
            self.assertEqual(text, channels.ranges(vlans))

    @given(st.sets(VLANS))
    def test_ranges_come_back(self, vlans: set[int]) -> None:
        self.assertEqual(vlans, channels.expand(channels.ranges(vlans)))

    def test_limits(self) -> None:
        self.assertEqual([False, True, True, False], [channels.is_vlan(vlan) for vlan in (0, 1, 4094, 4095)])

    @given(VLANS)
    def test_tagged(self, vlan: int) -> None:
        self.assertEqual((None, {vlan}), channels.vlans_of([(channels.tagged(vlan), str(vlan))]))

    def test_what_a_port_carries(self) -> None:
        wanted = [(channels.NATIVE, "10"), ("vlan/20", "20"), ("vlan/30", "30"), ("null", "x")]
        self.assertEqual((10, {20, 30}), channels.vlans_of(wanted))
        self.assertEqual((None, frozenset()), channels.vlans_of([]))
