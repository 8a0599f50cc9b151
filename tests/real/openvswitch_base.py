# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Open vSwitch driver share: a switch of its own for each, and a driver for it."""

import contextlib
import time
from pathlib import Path

import testtools

from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.switch.openvswitch import OpenVSwitch
from tests import openvswitch

#: Seconds by which a machine that does much else may be late.
PATIENCE = 90.0

#: Why these tests are skipped; None if they run.
MISSING = openvswitch.missing()


class OvsTestCase(testtools.TestCase):
    """A switch of its own and a driver for it."""

    def setUp(self):
        super().setUp()
        if MISSING:
            self.skipTest(MISSING)
        self.switch = self.useFixture(openvswitch.OpenVSwitch())
        self.driver = self.make_driver()

    def make_driver(self, timeout=30.0, switch=None, **options):
        switch = switch or self.switch
        options = {"endpoint": switch.endpoint, "bridge": switch.bridge, **options}
        driver = OpenVSwitch(options, Environment("uuid", "ovs", Path("/nonexistent"), timeout))
        self.addCleanup(driver.close)
        return driver

    def hosts(self, count):
        return [self.useFixture(openvswitch.Host(self.switch, number)) for number in range(1, count + 1)]

    def assert_transient(self, driver, *arguments):
        """The call fails, transiently, and does not wait for ever."""
        start = time.monotonic()
        error = self.assertRaises(DriverError, *arguments)
        self.assertTrue(error.transient)
        self.assertLess(time.monotonic() - start, driver.environment.timeout + PATIENCE)
        self.assertNotIn("/", error.user)
        return error

    def reads(self, driver):
        """Whether the driver can ask the switch."""
        with contextlib.suppress(DriverError):
            driver.read(["p"])
            return True
        return False
