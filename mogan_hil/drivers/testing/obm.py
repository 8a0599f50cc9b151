# SPDX-License-Identifier: Apache-2.0
"""The contract of an OBM driver, as tests."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import ClassVar

from mogan_hil.drivers.base import DriverError, Environment, Options, Unsupported
from mogan_hil.drivers.obm.base import BOOT_DEVICE, CLEAR_BOOT_DEVICE, CONSOLE, SOFT_OFF, Console, ObmDriver, Power
from mogan_hil.drivers.testing import base


class ObmContract(base.DriverContract):
    """Inherit from this and from `unittest.TestCase`, and fill in what is below. The node is switched on and off."""

    driver_class: ClassVar[type[ObmDriver]]

    #: Seconds within which a node is what it was told to be.
    power_seconds: ClassVar[float] = 30.0

    def environment(self) -> Environment:
        """Where the driver runs: a fresh directory."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return base.environment(Path(directory.name))

    def write_console(self, text: str) -> None:
        """Let the node write to its serial console. The test that needs it is skipped where it is not filled in."""
        self.skipTest("write_console is not filled in")

    def heard_console(self, text: str) -> bool:
        """Whether the node has received this text from its serial console. The test is skipped as above."""
        self.skipTest("heard_console is not filled in")

    def unreachable(self) -> Options:
        """Options of a controller that is not there. The test that needs them is skipped where it is not filled in."""
        self.skipTest("unreachable is not filled in")

    def make_driver(self) -> ObmDriver:
        """Another driver object for the node."""
        driver = self.driver_class(self.options(), self._environment)
        self.addCleanup(driver.close)
        return driver

    def setUp(self) -> None:
        super().setUp()
        self._environment = self.environment()
        self.driver = self.make_driver()

    def can(self, *capabilities: str) -> None:
        """Skip the test unless the driver can do this."""
        if missing := set(capabilities) - self.driver.capabilities:
            self.skipTest(f"the driver does not claim {', '.join(sorted(missing))}")

    def assert_power(self, expected: Power) -> None:
        reached = base.eventually(lambda: self.make_driver().power() == expected, self.power_seconds)
        self.assertTrue(reached, f"the node is not {expected}")

    def assert_read(self, console: Console, text: bytes) -> None:
        """This comes out of a console in time, which is closed otherwise."""
        limit = threading.Timer(self.power_seconds, console.close)
        limit.daemon = True
        limit.start()
        read = b""
        while text not in read:
            piece = next(console, None)
            self.assertIsNotNone(piece, f"there was only {read!r}")
            read += piece or b""
        limit.cancel()

    def test_constructor_does_nothing(self) -> None:
        driver = self.driver_class(self.options(), self._environment)
        driver.close()
        driver.close()

    def test_power(self) -> None:
        """Each state, twice, so that one that is so already is fulfilled at once."""
        for target in (Power.ON, Power.ON, Power.OFF, Power.OFF, Power.ON):
            self.driver.set_power(target)
            self.assert_power(target)

    def test_cycle_and_reset_leave_it_on(self) -> None:
        self.driver.set_power(Power.ON)
        self.assert_power(Power.ON)
        for target in (Power.CYCLE, Power.RESET):
            self.driver.set_power(target)
            self.assert_power(Power.ON)

    def test_not_reached_is_undone(self) -> None:
        """A controller that was never told has done nothing, and what is to be done once may be tried again."""
        driver = self.driver_class(self.unreachable(), base.environment(self._environment.state_dir, 3.0))
        self.addCleanup(driver.close)
        for target in (Power.CYCLE, Power.RESET):
            with self.assertRaises(DriverError) as caught:
                driver.set_power(target)
            self.assertEqual((True, True), (caught.exception.transient, caught.exception.undone))

    def test_soft_off(self) -> None:
        self.can(SOFT_OFF)
        self.driver.set_power(Power.ON)
        self.assert_power(Power.ON)
        self.driver.set_power(Power.SOFT_OFF)
        self.assert_power(Power.OFF)

    def test_boot_device(self) -> None:
        self.can(BOOT_DEVICE)
        self.assertTrue(self.driver.boot_devices())
        for device in sorted(self.driver.boot_devices()):
            for persistent in (True, False):
                self.driver.set_boot_device(device, persistent)
                self.driver.set_boot_device(device, persistent)
                self.assertEqual((device, persistent), self.make_driver().boot_device())

    def test_clear_boot_device(self) -> None:
        self.can(BOOT_DEVICE, CLEAR_BOOT_DEVICE)
        device = min(self.driver.boot_devices())
        for persistent in (True, False):
            self.driver.set_boot_device(device, persistent)
            for _ in range(2):
                self.driver.clear_boot_device()
                self.assertEqual((None, False), self.make_driver().boot_device())
        self.driver.set_boot_device(device, True)
        self.assertEqual((device, True), self.make_driver().boot_device())

    def test_unknown_boot_device_is_an_error(self) -> None:
        self.can(BOOT_DEVICE)
        before = self.driver.boot_device()
        with self.assertRaises(DriverError) as caught:
            self.driver.set_boot_device("no-such-device", True)
        self.assertFalse(caught.exception.transient)
        self.assert_error_texts(caught.exception)
        self.assertEqual(before, self.driver.boot_device())

    def test_console(self) -> None:
        self.can(CONSOLE)
        console = self.driver.console()
        self.addCleanup(console.close)
        self.write_console("hello from the node")
        self.assert_read(console, b"hello from the node")

    def test_console_is_typed_on(self) -> None:
        """While another thread reads; in pieces, and in their order."""
        self.can(CONSOLE)
        console = self.driver.console()
        self.addCleanup(console.close)
        threading.Thread(target=lambda: list(console), daemon=True).start()
        for piece in (b"hello ", b"to the", b" node\r"):
            console.write(piece)
        heard = base.eventually(lambda: self.heard_console("hello to the node\r"), self.power_seconds)
        self.assertTrue(heard, "what was typed did not arrive")

    def test_console_is_typed_on_after_its_end(self) -> None:
        self.can(CONSOLE)
        console = self.driver.console()
        console.close()
        console.write(b"too late")

    def test_console_ends(self) -> None:
        """From another thread, while somebody waits for more."""
        self.can(CONSOLE)
        console = self.driver.console()
        reader = threading.Thread(target=lambda: list(console), daemon=True)
        reader.start()
        console.close()
        console.close()
        reader.join(2)
        self.assertFalse(reader.is_alive(), "next() waits on after close()")

    def test_nothing_claimed_that_is_not_there(self) -> None:
        if BOOT_DEVICE not in self.driver.capabilities:
            with self.assertRaises(Unsupported):
                self.driver.boot_device()
        if CONSOLE not in self.driver.capabilities:
            with self.assertRaises(Unsupported):
                self.driver.console()

    def test_works_again_after_close(self) -> None:
        self.driver.set_power(Power.ON)
        self.driver.close()
        self.driver.close()
        self.assert_power(Power.ON)
        self.driver.power()
