# SPDX-License-Identifier: Apache-2.0
"""The contract of a switch driver, as tests."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.switch.base import (
    ADMIN_STATE,
    LAG,
    PARKED,
    READ,
    TAGGED,
    TAGGED_ONLY,
    WATCH,
    PortConfig,
    PortState,
    SwitchDriver,
    Unsupported,
)
from mogan_hil.drivers.testing import base

#: What no switch may have for a port's name: each would be able to change the meaning of a command.
BAD_PORT_NAMES = (
    "",
    " ",
    "a b",
    "a\n",
    "\na",
    "a\tb",
    "a;b",
    "a|b",
    "a&b",
    "a$b",
    "a`b",
    "a'b",
    'a"b',
    "-a",
    "a\0",
    "a" * 65,
    "é",
    "1\u0661",
    "a\u2028b",
)

#: What hands leave behind on a port, to be gone after a driver was there.
LEFTOVERS = (
    PortState(native=0, tagged=frozenset(range(4096))),
    PortState(native=7, tagged=frozenset({8, 9})),
    PortState(native=None, tagged=frozenset({8, 9, 10})),
    PortState(native=11),
)

CONFIGS = (PARKED, PortConfig(100), PortConfig(100, frozenset({200, 4094})), PortConfig(1), PARKED)


class SwitchContract(base.DriverContract):
    """Inherit from this and from `unittest.TestCase`, and fill in what is below."""

    driver_class: ClassVar[type[SwitchDriver]]

    #: At least three ports that the device has, and that are free to be changed.
    ports: ClassVar[tuple[str, ...]]

    #: A name that fits `port_name_pattern` and that the device does not have; None where every name is a port.
    unknown_port: ClassVar[str | None] = None

    #: The name of a link aggregation group that the device has, and of one of its members.
    lag: ClassVar[tuple[str, str] | None] = None

    #: What hands can leave behind on a port of this device.
    leftovers: ClassVar[tuple[PortState, ...]] = LEFTOVERS

    #: Seconds within which a watch reports.
    watch_seconds: ClassVar[float] = 1.0

    def environment(self) -> Environment:
        """Where the driver runs: a fresh directory."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return base.environment(Path(directory.name))

    def set_by_hand(self, port: str, state: PortState) -> None:
        """Change a port behind the driver's back. Tests that need it are skipped where this is not filled in."""
        self.skipTest("set_by_hand is not filled in")

    def make_driver(self) -> SwitchDriver:
        """Another driver object for the device."""
        driver = self.driver_class(self.options(), self._environment)
        self.addCleanup(driver.close)
        return driver

    def setUp(self) -> None:
        super().setUp()
        self._environment = self.environment()
        self.driver = self.make_driver()

    # -- helpers

    def can(self, *capabilities: str) -> None:
        """Skip the test unless the driver can do this."""
        if missing := set(capabilities) - self.driver.capabilities:
            self.skipTest(f"the driver does not claim {', '.join(sorted(missing))}")

    @property
    def configs(self) -> tuple[PortConfig, ...]:
        """Configurations of every kind that the driver can make."""
        return tuple(config for config in CONFIGS if not config.tagged or TAGGED in self.driver.capabilities)

    def state(self, port: str) -> PortState:
        """What a port is, by a driver object that has never seen it."""
        driver = self.make_driver()
        try:
            state = driver.read([port])[port]
        finally:
            driver.close()
        assert state is not None, f"port {port} is unknown"
        return state

    def assert_is(self, config: PortConfig, port: str) -> None:
        self.can(READ)
        state = self.state(port)
        self.assertTrue(state.matches(config), f"port {port} is {state}, not {config}")

    # -- make it so

    def test_constructor_does_nothing(self) -> None:
        """An object for a device that does not exist is made, and closed, without a word."""
        driver = self.driver_class(self.options(), self._environment)
        driver.close()
        driver.close()

    def test_identity_is_no_secret(self) -> None:
        """The service asks for it without the secrets, which it cannot read."""
        secret = self.driver_class.secret_options()
        shown = {name: value for name, value in self.options().items() if name not in secret}
        self.assertEqual(self.driver_class.identity(self.options()), self.driver_class.identity(shown))

    def test_each_configuration_after_each_other(self) -> None:
        for before in self.configs:
            for config in self.configs:
                self.driver.configure({self.ports[0]: before})
                self.driver.configure({self.ports[0]: config})
                self.assert_is(config, self.ports[0])

    def test_tagged_only(self) -> None:
        self.can(TAGGED_ONLY)
        for before in self.configs:
            self.driver.configure({self.ports[0]: before})
            self.driver.configure({self.ports[0]: PortConfig(None, frozenset({100, 4094}))})
            self.assert_is(PortConfig(None, frozenset({100, 4094})), self.ports[0])

    def test_tagged_alone_is_refused(self) -> None:
        """What the driver does not claim it refuses, before it changes anything."""
        before = PortConfig(100)
        for config in (PortConfig(None, frozenset({200})), PortConfig(100, frozenset({200}))):
            if {TAGGED if config.native else TAGGED_ONLY} <= self.driver.capabilities:
                continue
            self.driver.configure({self.ports[0]: before})
            with self.assertRaises(DriverError) as caught:
                self.driver.configure({self.ports[0]: config})
            self.assertFalse(caught.exception.transient)
            self.assert_error_texts(caught.exception)
            if READ in self.driver.capabilities:
                self.assert_is(before, self.ports[0])

    def test_same_again(self) -> None:
        for config in self.configs:
            for _ in range(3):
                self.driver.configure({self.ports[0]: config})
            self.assert_is(config, self.ports[0])

    def test_parked_is_closed(self) -> None:
        self.can(READ, ADMIN_STATE)
        self.driver.configure({self.ports[0]: PortConfig(100)})
        self.driver.configure({self.ports[0]: PARKED})
        self.assertFalse(self.state(self.ports[0]).enabled)

    def test_batch(self) -> None:
        configs = dict(zip(self.ports, self.configs, strict=False))
        self.driver.configure(configs)
        for port, config in configs.items():
            self.assert_is(config, port)

    def test_nothing_to_do(self) -> None:
        self.driver.configure({})

    def test_other_ports_stay(self) -> None:
        first, second = self.ports[:2]
        stays = PortConfig(300, frozenset({301} if TAGGED in self.driver.capabilities else ()))
        self.driver.configure({second: stays})
        for config in self.configs:
            self.driver.configure({first: config})
            self.assert_is(stays, second)

    def test_many_vlans(self) -> None:
        self.can(TAGGED)
        config = PortConfig(1, frozenset(range(2, 4095)))
        self.driver.configure({self.ports[0]: config})
        self.assert_is(config, self.ports[0])

    def test_unknown_port_is_an_error(self) -> None:
        if self.unknown_port is None:
            self.skipTest("every name is a port")
        with self.assertRaises(DriverError) as caught:
            self.driver.configure({self.unknown_port: PARKED})
        self.assertFalse(caught.exception.transient)
        self.assert_error_texts(caught.exception)

    def test_lag(self) -> None:
        """A group is a port like any other; its members are none."""
        if self.lag is None:
            self.skipTest("the device has no link aggregation group")
        self.can(LAG)
        group, member = self.lag
        self.driver_class.check_port_name(group)
        for config in self.configs:
            self.driver.configure({group: config})
            self.assert_is(config, group)
            with self.assertRaises(DriverError) as caught:
                self.driver.configure({member: PortConfig(100)})
            self.assertFalse(caught.exception.transient)
            self.assert_error_texts(caught.exception)
            self.assertIsNone(self.driver.read([member])[member])
            self.assert_is(config, group)

    def test_works_again_after_close(self) -> None:
        self.driver.configure({self.ports[0]: PortConfig(100)})
        self.driver.close()
        self.driver.close()
        self.driver.configure({self.ports[0]: PortConfig(101)})
        self.assert_is(PortConfig(101), self.ports[0])

    def test_save(self) -> None:
        self.driver.configure({self.ports[0]: PortConfig(100)})
        self.driver.save()

    # -- tell what is

    def test_read_unknown_port(self) -> None:
        self.can(READ)
        if self.unknown_port is None:
            self.skipTest("every name is a port")
        read = self.driver.read([self.unknown_port, self.ports[0]])
        self.assertEqual({self.unknown_port, self.ports[0]}, set(read))
        self.assertIsNone(read[self.unknown_port])
        self.assertIsNotNone(read[self.ports[0]])

    def test_read_sees_what_hands_did(self) -> None:
        """At once, and by an object that has just read something else."""
        self.can(READ)
        for state in self.leftovers:
            self.driver.configure({self.ports[0]: PortConfig(100)})
            self.driver.read(self.ports)
            self.set_by_hand(self.ports[0], state)
            self.assertEqual(state, self.driver.read(self.ports)[self.ports[0]])

    def test_leftovers_are_gone(self) -> None:
        self.can(READ)
        for state in self.leftovers:
            for config in self.configs:
                self.set_by_hand(self.ports[0], state)
                self.driver.configure({self.ports[0]: config})
                self.assert_is(config, self.ports[0])

    def test_nothing_claimed_that_is_not_there(self) -> None:
        if READ not in self.driver.capabilities:
            with self.assertRaises(Unsupported):
                self.driver.read(self.ports)
        if WATCH not in self.driver.capabilities:
            with self.assertRaises(Unsupported):
                self.driver.watch(lambda ports: None)

    # -- watch

    def watched(self) -> tuple[list[str], threading.Lock]:
        """Subscribe; returns the names that were reported, and grows."""
        seen: list[str] = []
        lock = threading.Lock()

        def changed(ports: Collection[str]) -> None:
            with lock:
                seen.extend(ports)

        self.watch = self.driver.watch(changed)
        self.addCleanup(self.watch.close)
        return seen, lock

    def assert_reported(self, seen: list[str], port: str) -> None:
        self.assertTrue(base.eventually(lambda: port in seen, self.watch_seconds), f"{port} was not reported")

    def test_watch_starts_with_every_port(self) -> None:
        self.can(WATCH)
        self.driver.configure(dict.fromkeys(self.ports, PARKED))
        seen, _lock = self.watched()
        for port in self.ports:
            self.assert_reported(seen, port)
        self.assertTrue(self.watch.alive)

    def test_watch_reports(self) -> None:
        """What this driver does, what another does, and what hands do."""
        self.can(WATCH)
        port = self.ports[0]
        self.driver.configure(dict.fromkeys(self.ports, PARKED))
        seen, lock = self.watched()
        other = self.make_driver()
        for vlan, change in enumerate((self.driver.configure, other.configure, self._by_hand), 500):
            base.eventually(lambda: False, 0.2)
            with lock:
                seen.clear()
            change({port: PortConfig(vlan)})
            self.assert_reported(seen, port)

    def _by_hand(self, ports: Mapping[str, PortConfig]) -> None:
        for port, config in ports.items():
            self.set_by_hand(port, PortState(config.native, config.tagged))

    def test_watch_ends(self) -> None:
        self.can(WATCH)
        seen, lock = self.watched()
        self.watch.close()
        self.watch.close()
        base.eventually(lambda: False, 0.2)
        with lock:
            seen.clear()
        self.driver.configure({self.ports[0]: PortConfig(600)})
        base.eventually(lambda: False, 0.3)
        self.assertEqual([], seen)
        self.assertFalse(self.watch.alive)

    # -- names

    def test_port_names(self) -> None:
        for port in self.ports:
            self.driver_class.check_port_name(port)
        for name in BAD_PORT_NAMES:
            with self.assertRaises(ValueError, msg=f"{name!r} is accepted"):
                self.driver_class.check_port_name(name)
