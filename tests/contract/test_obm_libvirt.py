# SPDX-License-Identifier: Apache-2.0
"""The libvirt driver, held to the contract by a private libvirt and a qemu without KVM."""

import contextlib
import os
import signal
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mogan_hil.common import exception
from mogan_hil.drivers import loader
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

#: What runs a program, writes or tells a file on this machine, or would if libvirt read it otherwise than this project.
BAD_URIS = (
    "",
    "xen:///",
    "qemu+ext:///system?command=/bin/true",
    "qemu+ssh://host/system?command=/bin/true",
    "qemu+ssh://host/system?no_tty=1;command=/bin/true",
    "qemu+ssh://host/system?no_tty=1&command=/bin/true",
    "qemu+ssh://host/system?%63ommand=/bin/true",
    "qemu+ssh://host/system?Command=/bin/true",
    "qemu+ssh://host/system?socket=/x&netcat=/bin/true",
    "qemu+ssh://host/system?socket=/x;netcat=/bin/true",
    "qemu+ssh://host/system?proxy=native",
    "qemu+ssh://host/system?keyfile=-oProxyCommand=x",
    "qemu+ssh://host/system?authfile=/etc/passwd",
    "qemu+unix:///system?name=qemu+ext:///system",
    "qemu+libssh2://host/system?known_hosts=/etc/cron.d/x&known_hosts_verify=auto",
    "qemu+ssh://-oProxyCommand=x/system",
    "qemu+ssh://-oProxyCommand=x@host/system",
    "qemu+ssh://host$(true)/system",
    "qemu:///embed?root=/tmp/x",
    "qemu:///system#fragment",
    "qemu:///system\n",
    "qemu:///system?",
    "qemu:/// system",
    "test:///etc/passwd",
)
GOOD_URIS = (
    "qemu:///system",
    "qemu:///session",
    "qemu+unix:///system?socket=/run/libvirt/libvirt-sock&mode=direct",
    "qemu://host.example:16514/system?pkipath=/etc/pki/hil&no_verify=1",
    "qemu+tls://[fd00::1]/system?tls_priority=NORMAL:-VERS-TLS1.0",
    "qemu+tcp://192.0.2.1/system",
    "qemu+ssh://root@host/system?keyfile=/etc/hil/id_ed25519&no_tty=1&no_verify=1&socket=/run/sock",
    "qemu+libssh2://hil@host:2222/system?known_hosts=/etc/hil/known&known_hosts_verify=normal&sshauth=privkey,agent",
    "test:///default",
)


class TestLibvirt(contract.ObmContract, unittest.TestCase):
    power_seconds = 90.0
    bad_options = tuple({"uri": uri, "domain": "node"} for uri in BAD_URIS)

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

    def unreachable(self):
        return {**self.options(), "uri": "qemu:///system?socket=/no/such/socket"}

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


@unittest.skipIf(libvirt is None, "libvirt-python is not installed")
class TestUris(unittest.TestCase):
    """No URI runs a program on the conductor."""

    def test_schema(self):
        for uri in GOOD_URIS:
            loader.check_options(libvirt.LibvirtObm, {"uri": uri, "domain": "node"})
        for uri in BAD_URIS:
            with self.assertRaises(exception.BadField, msg=uri):
                loader.check_options(libvirt.LibvirtObm, {"uri": uri, "domain": "node"})

    def test_connect(self):
        """Whoever may have passed the schema by."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        program, mark = Path(directory.name, "program"), Path(directory.name, "mark")
        program.write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n")
        program.chmod(0o755)
        for uri in BAD_URIS:
            driver = libvirt.LibvirtObm(
                {"uri": uri.replace("/bin/true", str(program)), "domain": "node"}, base.environment(None)
            )
            self.addCleanup(driver.close)
            with self.assertRaises(DriverError, msg=uri) as caught:
                driver.power()
            self.assertFalse(mark.exists(), f"{uri} runs a program")
            self.assertFalse(caught.exception.transient)
            self.assertIn("not used", caught.exception.operator)
