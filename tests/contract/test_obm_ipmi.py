# SPDX-License-Identifier: Apache-2.0
"""The IPMI driver, held to the contract by OpenIPMI's simulator and by pyghmi's server."""

import functools
import os
import threading
import time
import unittest

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.obm import ipmi
from mogan_hil.drivers.obm.base import Power
from mogan_hil.drivers.testing import base
from mogan_hil.drivers.testing import obm as contract
from tests import bmc

BAD = tuple(
    {"host": "127.0.0.1", "username": "root", "password": "secret", **bad}
    for bad in (
        {"host": ""},
        {"port": 0},
        {"port": "623"},
        {"username": "a" * 17},
        {"password": "a" * 21},
        {"kg": ""},
        {"privilege": "callback"},
        {"efi": 1},
    )
)


class TestIpmiSim(contract.ObmContract, unittest.TestCase):
    driver_class = ipmi.Ipmi
    bad_options = BAD
    power_seconds = 90.0

    @classmethod
    def setUpClass(cls):
        if reason := bmc.IpmiSim.missing():
            raise unittest.SkipTest(reason)
        cls.bmc = bmc.IpmiSim()
        cls.addClassCleanup(cls.bmc.cleanUp)
        cls.bmc.setUp()

    def setUp(self):
        super().setUp()
        # A console is given back some time after it was closed, and there is one.
        self.assertTrue(base.eventually(lambda: self._sessions() == 1, 90), "sessions of another test are open")

    def options(self):
        return self.bmc.options

    def unreachable(self):
        return {**self.options(), "port": bmc.free_port()}

    def write_console(self, text):
        self.bmc.write_console(text)

    def heard_console(self, text):
        return text in self.bmc.heard_console()

    def test_boot_device(self):
        """The simulator never says that its boot flags are valid, so only that they arrive can be seen."""
        for device, seen in (("pxe", "pxe"), ("disk", "default"), ("cdrom", "cdrom"), ("bios", "bios")):
            self.driver.set_boot_device(device, False)
            self.assertEqual(f"boot {seen}", self.bmc.orders[-1])
        self.assertEqual((None, False), self.driver.boot_device())

    def test_clear_boot_device(self):
        """As above."""
        self.driver.set_boot_device("pxe", True)
        self.driver.clear_boot_device()
        self.assertEqual("boot none", self.bmc.orders[-1])

    def test_orders(self):
        self.driver.set_power(Power.OFF)
        self.driver.set_power(Power.ON)
        before = len(self.bmc.orders)
        for target in (Power.ON, Power.RESET, Power.SOFT_OFF, Power.SOFT_OFF, Power.OFF, Power.RESET):
            self.driver.set_power(target)
        self.assertEqual(["reset 1", "shutdown 1", "power 1"], self.bmc.orders[before:])

    def test_sessions_are_ended(self):
        for _ in range(3):
            other = self.make_driver()
            self.assertTrue(base.eventually(functools.partial(self._has_session, other), 90))
            other._drop(wait=90)  # `close` waits a second for the logout
            self.assertEqual(1, self._sessions())

    def _has_session(self, other):
        other.power()
        return self._sessions() == 2

    def _sessions(self):
        """How many are open, with our own. IPMI 2.0, 22.20: it is the third byte of the answer."""
        self.driver.power()  # our own may have ended, idle for so long
        answer = self.driver._session.exchange({"netfn": 6, "command": 0x3D, "data": [0]}, time.monotonic() + 30)
        return answer["data"][2] & 0x3F

    def test_session_ends_when_it_is_idle(self):
        idle = self.make_driver()
        self.assertIn(idle.power(), (Power.ON, Power.OFF))
        link = idle._session.link
        link.settimeout(60)
        self.assertEqual(b"", link.recv(1))
        self.assertIn(idle.power(), (Power.ON, Power.OFF))

    def test_password_is_not_to_be_seen(self):
        console = self.driver.console()
        self.assertTrue(base.eventually(lambda: self._seen_processes() >= 3, 90))
        console.close()

    def _seen_processes(self):
        """How many that talk to controllers were looked at."""
        self.driver.power()  # our own may have ended, idle for so long
        seen = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    command = file.read()
                with open(f"/proc/{pid}/environ", "rb") as file:
                    environment = file.read()
            except OSError:
                continue
            seen += b"ipmi_process" in command
            self.assertNotIn(self.bmc.password.encode(), command + environment)
        return seen

    def test_one_console(self):
        console = self.driver.console()
        with self.assertRaises(DriverError) as caught:
            self.make_driver().console()
        self.assertTrue(caught.exception.transient)
        console.close()
        self.assertTrue(base.eventually(self._has_console, 60))

    def _has_console(self):
        try:
            self.make_driver().console().close()
        except DriverError:
            return False
        return True

    def test_parent_is_replaced(self):
        self.driver.power()
        ipmi._parent._process.kill()
        self.assertIn(self.make_driver().power(), (Power.ON, Power.OFF))

    def test_many_threads(self):
        drivers = [self.make_driver() for _ in range(8)]
        answers = []
        threads = [threading.Thread(target=lambda d=d: answers.extend(d.power() for _ in range(10))) for d in drivers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(80, len(answers))


class TestBootFlags(contract.ObmContract, unittest.TestCase):
    """Against a server that keeps the boot flags as the specification has them, and has no console."""

    driver_class = ipmi.Ipmi
    test_power = test_cycle_and_reset_leave_it_on = test_soft_off = test_works_again_after_close = test_console = None
    test_console_is_typed_on = test_console_is_typed_on_after_its_end = None

    @classmethod
    def setUpClass(cls):
        cls.bmc = bmc.BootFlagsBmc()
        cls.addClassCleanup(cls.bmc.cleanUp)
        cls.bmc.setUp()

    def options(self):
        return self.bmc.options

    def unreachable(self):
        return {**self.options(), "port": bmc.free_port()}

    def test_console_ends(self):
        with self.assertRaises(DriverError) as caught:
            self.driver.console()
        self.assertFalse(caught.exception.transient)
        self.assert_error_texts(caught.exception)


class TestTrouble(unittest.TestCase):
    """Controllers that cannot be talked to."""

    @classmethod
    def setUpClass(cls):
        cls.bmc = bmc.BootFlagsBmc()
        cls.addClassCleanup(cls.bmc.cleanUp)
        cls.bmc.setUp()

    def options(self):
        return self._options

    driver_class = ipmi.Ipmi
    assert_error_texts = base.DriverContract.assert_error_texts

    def _power(self, timeout=10.0, **options):
        self._options = {**self.bmc.options, **options}
        driver = ipmi.Ipmi(self._options, base.environment(None, timeout))
        self.addCleanup(driver.close)
        return driver.power()

    def _fails(self, transient, timeout=10.0, **options):
        begin = time.monotonic()
        with self.assertRaises(DriverError) as caught:
            self._power(timeout, **options)
        self.assertLess(time.monotonic() - begin, timeout + 20)
        self.assertEqual(transient, caught.exception.transient, caught.exception.operator)
        self.assert_error_texts(caught.exception)
        self.assertIn("127.0.0.1", caught.exception.operator)
        return caught.exception

    def _relay(self, *args, **kwargs):
        relay = bmc.Relay(*args, **kwargs)
        self.addCleanup(relay.cleanUp)
        relay.setUp()
        return relay.port

    def test_wrong_password(self):
        self.assertIn("login", self._fails(False, password="not-this-one").user)

    def test_wrong_key(self):
        self._fails(False, kg="another-key")

    def test_closed_port(self):
        self.assertIn("does not answer", self._fails(True, timeout=1.5, port=bmc.free_port()).user)

    def test_black_hole(self):
        self.assertIn("does not answer", self._fails(True, port=self._relay()).user)

    def test_black_hole_in_a_hurry(self):
        self._fails(True, timeout=0.5, port=self._relay())

    def test_garbage(self):
        for garbage in (b"\0" * 100, b"\x06\0\xff\x07\x06\x11" + b"\0" * 3, os.urandom(200)):
            self._fails(True, timeout=1.0, port=self._relay(garbage=garbage))

    def test_slow(self):
        self.assertEqual(Power.OFF, self._power(port=self._relay(self.bmc.port, delay=0.15)))

    def test_a_late_answer_is_no_refusal(self):
        """It does not fit the login that was begun anew meanwhile, though the password is right."""
        line = bmc.LateRelay(self.bmc.port)
        self.addCleanup(line.cleanUp)
        line.setUp()
        self.assertEqual(Power.OFF, self._power(timeout=60.0, port=line.port))
        self.assertTrue(line.came_late)

    def test_black_holes_hold_up_nobody(self):
        hole = self._relay()
        meanwhile = []
        for _ in range(5):  # for whatever else this machine does
            ends = []
            threads = [threading.Thread(target=self._lost, args=(hole, ends)) for _ in range(6)]
            for thread in threads:
                thread.start()
            self._power()
            self._power()
            meanwhile.append(len(ends))
            for thread in threads:
                thread.join(120)
            self.assertEqual(6, len(ends))
            if meanwhile[-1] == 0:
                break
        self.assertIn(0, meanwhile)

    def _lost(self, port, ends):
        driver = ipmi.Ipmi({**self.bmc.options, "port": port}, base.environment(None, 8.0))
        try:
            driver.power()
        except DriverError:
            ends.append(port)
        driver.close()
