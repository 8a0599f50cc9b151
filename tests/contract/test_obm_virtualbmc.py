# SPDX-License-Identifier: Apache-2.0
"""The IPMI driver, held to the contract by VirtualBMC and a machine of libvirt."""

import contextlib
import unittest

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.obm import ipmi
from mogan_hil.drivers.obm.base import Power
from mogan_hil.drivers.testing import base
from mogan_hil.drivers.testing import obm as contract
from tests import bmc, libvirtd, virtualbmc


class TestVirtualBmc(contract.ObmContract, unittest.TestCase):
    driver_class = ipmi.Ipmi
    power_seconds = 90.0

    @classmethod
    def setUpClass(cls):
        if reason := virtualbmc.missing():
            raise unittest.SkipTest(reason)
        daemon = libvirtd.Libvirtd()
        cls.addClassCleanup(daemon.cleanUp)
        daemon.setUp()
        cls.machine = libvirtd.Machine(daemon)
        cls.addClassCleanup(cls.machine.cleanUp)
        cls.machine.setUp()
        # Its system, which hears the power button, is on its disk.
        cls.bmc = virtualbmc.VirtualBmc(daemon, cls.machine)
        cls.addClassCleanup(cls.bmc.cleanUp)
        cls.bmc.setUp()

    def options(self):
        return self.bmc.options

    def unreachable(self):
        return {**self.options(), "port": bmc.free_port()}

    def test_the_machine_is_switched(self):
        self.driver.set_power(Power.ON)
        self.assert_power(Power.ON)
        self.assertTrue(self.machine.domain.isActive())
        self.driver.set_power(Power.OFF)
        self.assert_power(Power.OFF)
        self.assertFalse(self.machine.domain.isActive())

    def test_boot_device(self):
        """It knows no boot for one time, and takes the device for good."""
        for device, order in (("pxe", "network"), ("disk", "hd"), ("cdrom", "cdrom")):
            self.driver.set_boot_device(device, True)
            self.assertIn(f"<boot dev='{order}'/>", self.machine.domain.XMLDesc())

        self.driver.set_boot_device("disk", True)

    def test_clear_boot_device(self):
        """It always has a device: it takes that, and keeps the one that it has, which the service then sees."""
        self.driver.set_boot_device("pxe", True)
        self.driver.clear_boot_device()
        self.assertEqual("pxe", self.driver.boot_device()[0])
        self.driver.set_boot_device("disk", True)

    def test_cycle_and_reset_leave_it_on(self):
        """It knows no power cycle, and says so."""
        self.driver.set_power(Power.ON)
        self.assert_power(Power.ON)
        with self.assertRaises(DriverError) as caught:
            self.driver.set_power(Power.CYCLE)
        self.assertFalse(caught.exception.transient)
        self.driver.set_power(Power.RESET)
        self.assert_power(Power.ON)

    def test_soft_off(self):
        """Once its system has begun to hear the power button, which takes it a moment."""
        self.driver.set_power(Power.ON)
        self.assert_power(Power.ON)
        self.assertTrue(base.eventually(self._pressed, 60))

    def _pressed(self):
        with contextlib.suppress(DriverError):  # it may go off at this moment
            self.driver.set_power(Power.SOFT_OFF)
        return base.eventually(lambda: self.driver.power() == Power.OFF, 1)

    def test_wrong_password(self):
        other = ipmi.Ipmi({**self.options(), "password": "wrong"}, self._environment)
        self.addCleanup(other.close)
        with self.assertRaises(DriverError) as caught:
            other.power()
        self.assert_error_texts(caught.exception, "wrong")

    def _no_console(self):
        """It has none, which the driver cannot know before it tries."""
        with self.assertRaises(DriverError):
            next(self.driver.console())

    test_console = test_console_is_typed_on = test_console_ends = test_console_is_typed_on_after_its_end = None
    test_no_console = _no_console
