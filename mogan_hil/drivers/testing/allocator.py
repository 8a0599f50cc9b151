# SPDX-License-Identifier: Apache-2.0
"""The contract of an allocator, as tests."""

from __future__ import annotations

from typing import ClassVar

from mogan_hil.drivers.allocator.base import Allocator
from mogan_hil.drivers.testing import base


class AllocatorContract(base.DriverContract):
    """Inherit from this and from `unittest.TestCase`, and fill in what is below."""

    driver_class: ClassVar[type[Allocator]]

    #: A configuration that is valid, with at least 16 ids for the default physical network.
    ranges: ClassVar[tuple[str, ...]]

    #: Configurations that are not.
    bad_ranges: ClassVar[tuple[tuple[str, ...], ...]] = ()

    #: Ids that cannot be one.
    bad_ids: ClassVar[tuple[str, ...]] = ("", " ", "1\n", "\u0661", "x y")

    def setUp(self) -> None:
        super().setUp()
        self.allocator = self.driver_class(self.ranges)
        self.default = self.allocator.physical_networks()[0]

    def test_configurations_are_checked(self) -> None:
        for ranges in self.bad_ranges:
            with self.assertRaises(ValueError, msg=f"{ranges} is accepted"):
                self.driver_class(ranges)

    def test_choice_is_sound(self) -> None:
        for name in self.allocator.physical_networks():
            chosen = self.allocator.choose(name, ())
            assert chosen is not None
            self.allocator.check(name, chosen)
            self.assertTrue(self.allocator.pooled(name, chosen))

    def test_never_one_that_is_used(self) -> None:
        used: set[str] = set()
        for _ in range(16):
            chosen = self.allocator.choose(self.default, used)
            assert chosen is not None
            self.assertNotIn(chosen, used)
            used.add(chosen)

    def test_keeps_no_state(self) -> None:
        """What was chosen is free until somebody says that it is used."""
        for _ in range(10000):
            self.assertIsNotNone(self.allocator.choose(self.default, ()))

    def test_askers_at_once_get_different_ones(self) -> None:
        self.assertGreater(len({self.allocator.choose(self.default, ()) for _ in range(50)}), 4)

    def test_bad_ids_are_refused(self) -> None:
        for bad in self.bad_ids:
            with self.assertRaises(ValueError, msg=f"{bad!r} is accepted"):
                self.allocator.check(self.default, bad)
            self.assertFalse(self.allocator.pooled(self.default, bad))

    def test_unknown_physical_network(self) -> None:
        chosen = self.allocator.choose(self.default, ())
        assert chosen is not None
        self.assertNotIn("no-such-network", self.allocator.physical_networks())
        self.assertIsNone(self.allocator.choose("no-such-network", ()))
        self.assertFalse(self.allocator.pooled("no-such-network", chosen))
        with self.assertRaises(ValueError):
            self.allocator.check("no-such-network", chosen)

    def test_channels(self) -> None:
        """At least one, none twice, and the same each time."""
        chosen = self.allocator.choose(self.default, ())
        assert chosen is not None
        channels = list(self.allocator.channels(chosen))
        self.assertTrue(channels)
        self.assertEqual(len(channels), len(set(channels)))
        self.assertEqual(channels, list(self.allocator.channels(chosen)))
