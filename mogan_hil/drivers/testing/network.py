# SPDX-License-Identifier: Apache-2.0
"""The contract of a network driver, as tests."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from mogan_hil.drivers.base import Environment
from mogan_hil.drivers.network.base import LEASES, READ, SERVE, NetworkDriver, NetworkSpec, Reservation, SubnetSpec
from mogan_hil.drivers.testing import base

FIRST = NetworkSpec(
    uuid="0b1f8f6e-57b0-4b2e-8b8e-4f2d8c6f7a10",
    physical_network="default",
    segment_id="142",
    subnets=(
        SubnetSpec("192.0.2.0/24", "192.0.2.1", ("198.51.100.53",)),
        SubnetSpec("2001:db8::/64", None, (), dhcp=False),
    ),
    reservations=(
        Reservation("52:54:00:00:00:01", ("192.0.2.10", "2001:db8::10"), "web", domain="red"),
        Reservation("52:54:00:00:00:02", ("192.0.2.11",), "web", "http://198.51.100.1/boot", "blue"),
    ),
)
#: Another one with the same addresses.
SECOND = replace(FIRST, uuid="6a1de4b8-0c55-4a3e-9c0e-5d6f7a8b9c0d", segment_id="143")
UNKNOWN = "ffffffff-0000-4000-8000-000000000000"


class NetworkContract(base.DriverContract):
    """Inherit from this and from `unittest.TestCase`, and fill in what is below."""

    driver_class: ClassVar[type[NetworkDriver]]

    def environment(self) -> Environment:
        """Where the driver runs: a fresh directory."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return base.environment(Path(directory.name))

    def make_driver(self) -> NetworkDriver:
        """Another driver object for the same networks."""
        driver = self.driver_class(self.options(), self._environment)
        self.addCleanup(driver.close)
        return driver

    def setUp(self) -> None:
        super().setUp()
        self._environment = self.environment()
        self.driver = self.make_driver()
        for spec in (FIRST, SECOND):
            self.addCleanup(self.driver.configure, NetworkSpec(spec.uuid))

    def assert_served(self, spec: NetworkSpec) -> None:
        """As another conductor sees it, too."""
        if READ in self.driver.capabilities:
            self.assertEqual(spec, self.driver.read(spec.uuid))
            self.assertEqual(spec, self.make_driver().read(spec.uuid))

    def assert_not_served(self, network: str) -> None:
        self.assertIsNone(self.driver.read(network))
        self.assertEqual([], list(self.driver.leases(network)))

    def test_constructor_does_nothing(self) -> None:
        driver = self.driver_class(self.options(), self._environment)
        driver.close()
        driver.close()

    def test_whole_and_again(self) -> None:
        for spec in (FIRST, FIRST, replace(FIRST, reservations=FIRST.reservations[1:]), FIRST):
            self.driver.configure(spec)
            self.assert_served(spec)

    def test_every_change_is_taken_up(self) -> None:
        one, other = FIRST.reservations
        for spec in (
            replace(FIRST, reservations=()),
            replace(FIRST, mtu=9000),
            replace(FIRST, subnets=FIRST.subnets[:1], reservations=(other,)),
            replace(FIRST, subnets=(replace(FIRST.subnets[0], gateway=None, dns_servers=(), dhcp=False),)),
            # What one machine had another gets at once.
            replace(FIRST, reservations=(replace(other, addresses=one.addresses, boot=None),)),
        ):
            self.driver.configure(spec)
            self.assert_served(spec)

    def test_networks_do_not_know_of_each_other(self) -> None:
        self.driver.configure(FIRST)
        self.driver.configure(SECOND)
        self.driver.configure(NetworkSpec(FIRST.uuid))
        self.assert_not_served(FIRST.uuid)
        self.assert_served(SECOND)

    def test_nothing_more(self) -> None:
        self.driver.configure(FIRST)
        for _ in range(2):
            self.driver.configure(NetworkSpec(FIRST.uuid))
            self.assert_not_served(FIRST.uuid)

    def test_unknown(self) -> None:
        self.assert_not_served(UNKNOWN)

    def test_leases_are_reserved(self) -> None:
        self.driver.configure(FIRST)
        known = {(item.mac, ip) for item in FIRST.reservations for ip in item.addresses}
        for lease in self.driver.leases(FIRST.uuid):
            self.assertIn((lease.mac, lease.ip), known)

    def test_works_again_after_close(self) -> None:
        self.driver.configure(FIRST)
        self.driver.close()
        self.assert_served(FIRST)

    def test_nothing_claimed_that_is_not_there(self) -> None:
        """Who serves nothing has nothing to tell."""
        if SERVE not in self.driver.capabilities:
            self.assertFalse(self.driver.capabilities & {READ, LEASES})
            self.driver.configure(FIRST)
            self.assert_not_served(FIRST.uuid)
