# SPDX-License-Identifier: Apache-2.0
"""The contract of an IPAM driver, as tests."""

from __future__ import annotations

import ipaddress
from typing import ClassVar

from mogan_hil.drivers.ipam.base import GIVE, PROPOSALS, Ipam, Subnet
from mogan_hil.drivers.testing import base

SMALL = Subnet("192.0.2.0/29", "192.0.2.1", (("192.0.2.1", "192.0.2.4"), ("192.0.2.6", "192.0.2.6")))
SMALL_FREE = {"192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.6"}
LARGE = Subnet("10.0.0.0/8", None, (("10.1.0.0", "10.255.255.254"),))
HUGE = Subnet("2001:db8::/32", "2001:db8::1", (("2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),))
FULL = Subnet("192.0.2.0/30", "192.0.2.1", (("192.0.2.1", "192.0.2.1"),))


class IpamContract(base.DriverContract):
    """Inherit from this and from `unittest.TestCase`, and fill in what is below."""

    driver_class: ClassVar[type[Ipam]]

    def setUp(self) -> None:
        super().setUp()
        self.ipam = self.driver_class()

    def _gives(self) -> bool:
        return GIVE in self.ipam.capabilities

    def _pooled(self, subnet: Subnet, address: str) -> bool:
        found = ipaddress.ip_address(address)
        self.assertEqual(str(found), address, "not in canonical notation")
        spans = [(ipaddress.ip_address(start), ipaddress.ip_address(end)) for start, end in subnet.pools]
        inside = any(int(start) <= int(found) <= int(end) and start.version == found.version for start, end in spans)
        return inside and address != subnet.gateway

    def test_proposals_are_sound(self) -> None:
        for subnet in (SMALL, LARGE, HUGE):
            found = list(self.ipam.propose(subnet))
            self.assertEqual(self._gives(), bool(found))
            self.assertLessEqual(len(found), PROPOSALS)
            self.assertEqual(len(found), len(set(found)))
            for address in found:
                self.assertTrue(self._pooled(subnet, address), address)

    def test_choice_is_sound(self) -> None:
        for subnet in (SMALL, LARGE, HUGE):
            chosen = self.ipam.choose(subnet, ())
            self.assertEqual(self._gives(), chosen is not None)
            self.assertTrue(chosen is None or self._pooled(subnet, chosen), chosen)

    def test_to_the_last(self) -> None:
        """Each address of the pools is given once, and no other."""
        used: set[str] = set()
        while (chosen := self.ipam.choose(SMALL, used)) is not None:
            self.assertNotIn(chosen, used)
            used.add(chosen)
        self.assertEqual(SMALL_FREE if self._gives() else set(), used)

    def test_full(self) -> None:
        self.assertEqual([], list(self.ipam.propose(FULL)))
        self.assertIsNone(self.ipam.choose(FULL, ()))

    def test_what_is_used_elsewhere_does_not_count(self) -> None:
        self.assertEqual(self._gives(), self.ipam.choose(SMALL, {"192.0.2.5", "192.0.2.0", "192.0.2.7"}) is not None)

    def test_keeps_no_state(self) -> None:
        """What was chosen is free until somebody says that it is used."""
        for _ in range(1000):
            self.assertEqual(self._gives(), self.ipam.choose(SMALL, SMALL_FREE - {"192.0.2.3"}) == "192.0.2.3")

    def test_askers_at_once_get_different_ones(self) -> None:
        if self._gives():
            self.assertGreater(len({next(iter(self.ipam.propose(LARGE))) for _ in range(50)}), 4)
