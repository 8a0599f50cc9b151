# SPDX-License-Identifier: Apache-2.0
"""The Redfish driver, held to the contract by sushy-emulator."""

import time
import unittest

from mogan_hil.common import masking
from mogan_hil.conductor import devices
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.obm import redfish
from mogan_hil.drivers.obm.base import Power, Turning
from mogan_hil.drivers.testing import base
from mogan_hil.drivers.testing import obm as contract
from tests import bmc
from tests.bmc_programs import SYSTEM

GOOD = {"address": "https://bmc.example.org", "username": "root", "password": "secret"}


class TestRedfish(contract.ObmContract, unittest.TestCase):
    driver_class = redfish.Redfish
    bad_options = tuple(
        {**GOOD, **bad}
        for bad in (
            {"address": "bmc.example.org"},
            {"address": "https://user:secret@bmc.example.org"},
            {"address": "https://bmc.example.org/redfish/v1"},
            {"address": "ftp://bmc.example.org"},
            {"system_id": "1"},
            {"username": ""},
            {"verify_ca": "ca.pem"},
            {"auth_type": "none"},
        )
    )

    @classmethod
    def setUpClass(cls):
        cls.bmc = bmc.Redfish()
        cls.addClassCleanup(cls.bmc.cleanUp)
        cls.bmc.setUp()

    def options(self):
        return self.bmc.options

    def unreachable(self):
        return {**self.options(), "address": f"https://127.0.0.1:{bmc.free_port()}"}

    def tearDown(self):
        self.bmc.set_faults()
        super().tearDown()

    def test_boot_devices_are_the_controllers(self):
        self.assertEqual({"pxe", "disk", "cdrom"}, self.driver.boot_devices())

    def test_session_is_ended(self):
        others = set(self.bmc.sessions)  # one that came about as its asker gave up
        for _ in range(2):
            self.driver.power()
            self.assertEqual(1, len(set(self.bmc.sessions) - others))
        self.driver.close()
        self.assertEqual(set(), set(self.bmc.sessions) - others)

    def _fails(self, transient, timeout=20.0, **options):
        driver = redfish.Redfish({**self.options(), **options}, base.environment(None, timeout))
        begin = time.monotonic()
        with self.assertRaises(DriverError) as caught:
            driver.power()
        self.assertLess(time.monotonic() - begin, timeout + 20)
        self.assertEqual(transient, caught.exception.transient, caught.exception.operator)
        self.assert_error_texts(caught.exception)
        self.assertIn("127.0.0.1", caught.exception.operator)
        driver.close()
        return caught.exception

    def test_wrong_password(self):
        for method in ("auto", "basic", "session"):
            self.assertIn("login", self._fails(False, password="wrong-one", auth_type=method).user)

    def test_a_short_password_is_not_told(self):
        """To mask one letter in a text would tell which it is: masking is the service's, which knows that."""
        options = {**self.options(), "address": f"https://127.0.0.1:{bmc.free_port()}", "password": "t"}
        driver = redfish.Redfish(options, base.environment(None))
        self.addCleanup(driver.close)
        guard = devices.Guard("n1", 60.0, hidden=masking.texts({"password": "t"}))
        with self.assertRaises(DriverError) as caught:
            guard.call(driver.power)
        self.assertIn(options["address"], caught.exception.operator)
        self.assertNotIn("***", caught.exception.operator)

    def test_unknown_authority(self):
        self.assertIn("not who it should be", self._fails(False, verify_ca=True).user)

    def test_closed_port(self):
        self._fails(True, address=f"https://127.0.0.1:{bmc.free_port()}")

    def test_black_hole(self):
        hole = bmc.BlackHole()
        self.addCleanup(hole.cleanUp)
        hole.setUp()
        self._fails(True, timeout=0.5, address=f"https://127.0.0.1:{hole.port}")

    def test_unknown_system(self):
        self._fails(False, system_id="/redfish/v1/Systems/none")

    def test_trouble(self):
        for status, body, transient in (
            (503, "{}", True),
            (500, "<html>", True),
            (200, "[]", False),
            (200, "x", False),
        ):
            self.bmc.set_faults(status=status, body=body)
            self._fails(transient)

    def test_slow(self):
        self.bmc.set_faults(delay=0.2)
        self.assertIn(self.driver.power(), (Power.ON, Power.OFF))
        self._fails(True, timeout=0.3)

    def test_on_its_way(self):
        """What is on its way to where it should not be is told to go back, and is neither on nor off until then."""
        self.driver.set_power(Power.OFF)
        self.assert_power(Power.OFF)
        for state, way, target, reset in (
            ("PoweringOn", Turning.POWERING_ON, Power.OFF, "ForceOff"),
            ("PoweringOff", Turning.POWERING_OFF, Power.ON, "On"),
        ):
            self.bmc.set_faults(state=state)
            self.assertEqual(way, self.driver.power())
            before = self.bmc.resets
            self.driver.set_power(target)
            self.assertEqual([*before, reset], self.bmc.resets)
        self.bmc.set_faults()
        self.assert_power(Power.ON)  # the emulator takes a second, in which it heeds no other order

    def test_lost_session_is_opened_again(self):
        self.driver.power()
        session = self.driver._session.login
        self.driver._session.connector.deadline = time.monotonic() + 60
        self.driver._session.connector.delete(session.get_session_resource_id())
        self.assertIn(self.driver.power(), (Power.ON, Power.OFF))

    def test_basic_authentication(self):
        """Without a session, a check of the certificate, or a search for the system."""
        system = f"/redfish/v1/Systems/{SYSTEM}"
        options = {**self.options(), "auth_type": "basic", "verify_ca": False, "system_id": system}
        driver = redfish.Redfish(options, base.environment(None))
        self.addCleanup(driver.close)
        before = self.bmc.sessions
        self.assertIn(driver.power(), (Power.ON, Power.OFF))
        self.assertEqual(before, self.bmc.sessions)
