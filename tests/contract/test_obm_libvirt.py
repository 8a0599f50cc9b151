# SPDX-License-Identifier: Apache-2.0
"""The libvirt driver, held to the contract by a private libvirt and a qemu without KVM."""

import contextlib
import os
import signal
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.obm.base import Power
from mogan_hil.drivers.testing import base
from mogan_hil.drivers.testing import obm as contract
from tests import libvirtd

try:
    from mogan_hil.drivers import libvirt_session
    from mogan_hil.drivers.obm import libvirt
except ImportError:
    libvirt = libvirt_session = None


class TestLibvirt(contract.ObmContract, unittest.TestCase):
    power_seconds = 90.0
    bad_options = tuple(
        {"uri": uri, "domain": "node"}
        for uri in (
            "",
            "xen:///",
            "qemu+ext:///system?command=/bin/true",
            "qemu+ssh://host/system?command=/bin/true",
            "qemu+ssh://host/system?socket=/x&netcat=/bin/true",
            "qemu:/// system",
        )
    )

    @classmethod
    def setUpClass(cls):
        if reason := libvirtd.missing():
            raise unittest.SkipTest(reason)
        cls.driver_class = libvirt.LibvirtObm
        cls.daemon = libvirtd.Libvirtd()
        cls.addClassCleanup(cls.daemon.cleanUp)
        cls.daemon.setUp()

    def setUp(self):
        self.machine = libvirtd.Machine(self.daemon)
        self.addCleanup(self.machine.cleanUp)
        self.machine.setUp()
        super().setUp()

    def options(self):
        return self.machine.options

    def test_a_start_that_was_cut_off(self):
        """See the headnodes' test of the same name."""
        self.machine.domain.create()
        self.daemon.cut_off(self.machine.name)
        driver = self.driver_class(self.options(), base.environment(self._environment.state_dir, 4.0))
        self.addCleanup(driver.close)
        for call in (driver.power, lambda: driver.set_power(Power.ON), lambda: driver.set_power(Power.OFF)):
            with self.assertRaises(DriverError) as caught:
                call()
            self.assertEqual((libvirt_session.CUT_OFF, True), (caught.exception.user, caught.exception.transient))
        self.daemon.clean_up(self.machine.name)
        self.assertEqual(Power.OFF, driver.power())
        driver.set_power(Power.ON)
        self.assertEqual(Power.ON, driver.power())

    def test_somebody_else_starts_it(self):
        """See the headnodes' test of the same name."""
        with self.daemon.starting(self.machine.name) as go_on, ThreadPoolExecutor() as pool:
            asked = pool.submit(self.driver.power)
            with self.assertRaises(TimeoutError):
                asked.result(0.3)
            go_on()
            self.assertEqual(Power.ON, asked.result())

    def write_console(self, text):
        self.machine.domain.create()
        self.talk(text)

    def talk(self, words):
        """The machine writes these, or later ones, again and again: the first may come before somebody listens."""
        self.words = words
        ended = threading.Event()
        thread = threading.Thread(target=self._talk, args=(ended,), daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(ended.set)

    def _talk(self, ended):
        while not ended.wait(0.3):
            with contextlib.suppress(OSError):  # it is off
                self.machine.write_console(self.words)

    def test_soft_off(self):
        """The system needs a moment until it hears the power button."""
        self.driver.set_power(Power.ON)
        self.assertTrue(base.eventually(self._pressed, 60))

    def _pressed(self):
        with contextlib.suppress(DriverError):  # it may go off at this moment
            self.driver.set_power(Power.SOFT_OFF)
        return base.eventually(lambda: self.driver.power() == Power.OFF, 1)

    def test_one_boot(self):
        """A device for one boot is used up by a start, and only the next start has the order of before."""
        self.driver.set_boot_device("disk", True)
        self.driver.set_boot_device("pxe", False)
        self.driver.set_boot_device("cdrom", False)
        self.assertEqual(("cdrom", False), self.driver.boot_device())
        self.driver.set_power(Power.ON)
        self.assertEqual(("disk", True), self.driver.boot_device())
        self.assertIn("<boot dev='cdrom'/>", self.machine.domain.XMLDesc(0))
        self.driver.set_power(Power.RESET)
        self.assertNotIn("<boot dev='cdrom'/>", self.machine.domain.XMLDesc(0))

    def test_console_goes_on_after_a_power_cycle(self):
        console = self.driver.console()
        self.addCleanup(console.close)
        self.driver.set_power(Power.ON)
        self.talk("before")
        self.assert_read(console, b"before")
        self.driver.set_power(Power.CYCLE)
        self.words = "after"
        self.assert_read(console, b"after")

    def test_order_by_device_is_refused(self):
        xml = self.machine.domain.XMLDesc(2)
        xml = xml.replace("<boot dev='hd'/>", "").replace("<target dev='hda'", "<boot order='1'/><target dev='hda'")
        self.machine.domain = self.machine._connection.defineXML(xml)
        self.assertEqual((None, False), self.driver.boot_device())
        with self.assertRaises(DriverError) as caught:
            self.driver.set_boot_device("pxe", True)
        self.assert_error_texts(caught.exception)

    def test_no_such_machine(self):
        self._fails(False, domain="no-such-machine")

    def test_no_daemon(self):
        self._fails(True, uri="qemu:///system?socket=/no/such/socket")

    def _fails(self, transient, **options):
        driver = libvirt.LibvirtObm({**self.options(), **options}, self._environment)
        self.addCleanup(driver.close)
        with self.assertRaises(DriverError) as caught:
            driver.power()
        self.assertEqual(transient, caught.exception.transient, caught.exception.operator)
        self.assert_error_texts(caught.exception, *options.values())

    def test_daemon_falls_silent(self):
        driver = libvirt.LibvirtObm(self.options(), base.environment(None, 4.0))
        self.addCleanup(driver.close)
        driver.power()
        os.killpg(self.daemon.process.pid, signal.SIGSTOP)
        self.addCleanup(os.killpg, self.daemon.process.pid, signal.SIGCONT)
        begin = time.monotonic()
        with self.assertRaises(DriverError) as caught:
            driver.power()
        self.assertLess(time.monotonic() - begin, 24)
        self.assertTrue(caught.exception.transient, caught.exception.operator)
