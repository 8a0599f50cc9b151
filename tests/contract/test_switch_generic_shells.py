# SPDX-License-Identifier: Apache-2.0
"""The driver `generic` with switches that keep what they are told until it is committed. See `tests/sshshells.py`."""

from pathlib import Path
from unittest import mock

import testtools

from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.switch import generic
from mogan_hil.drivers.switch.base import PARKED, PortConfig
from tests import sshserver, sshshells

TIMEOUT = 60.0


class ShellTestCase(testtools.TestCase):
    ports = ("swp1", "swp2")

    def start(self, switch, **options):
        """The switch, and a driver of it that logs in once."""
        self.useFixture(switch)
        for port in self.ports:
            switch.add_port(port)
        patience = mock.patch.object(generic, "PROBE", TIMEOUT)  # else a busy machine has it log in again
        patience.start()
        self.addCleanup(patience.stop)
        driver = generic.Generic(
            {**switch.options(), **options}, Environment("uuid", "sw", Path("/nonexistent"), TIMEOUT)
        )
        self.addCleanup(driver.close)
        return driver

    def refused(self, transient, driver, ports):
        error = self.assertRaises(DriverError, driver.configure, ports)
        self.assertEqual(transient, error.transient, error.operator)
        for hidden in (sshserver.PASSWORD, sshshells.SUDO):
            self.assertNotIn(hidden, error.operator)


class TestCumulus(ShellTestCase):
    """Any login will do: one that becomes root, with and without a password, and root."""

    def prove(self, tool, user=sshserver.USER, asks_sudo=False, **options):
        switch = sshshells.Cumulus(tool, user, asks_sudo)
        driver = self.start(switch, **options)
        one, two = (switch.ports[name] for name in self.ports)
        driver.configure({"swp1": PortConfig(100)})
        driver.configure({"swp1": PARKED, "swp2": PortConfig(200)})
        driver.save()
        driver.configure({"swp2": PortConfig(300)})
        self.assertEqual((100, True, 300, False), (one.access, one.shutdown, two.access, two.shutdown))
        self.assertEqual([tool.save] if tool.save else [], switch.saved)
        self.assertEqual(1, switch.logins)

    def test_sudo_without_a_password(self):
        self.prove(sshshells.Nclu())

    def test_sudo_without_a_password_nvue(self):
        self.prove(sshshells.Nvue())

    def test_sudo_with_a_password(self):
        self.prove(sshshells.Nclu(), asks_sudo=True, enable_password=sshshells.SUDO)

    def test_sudo_with_a_password_nvue(self):
        self.prove(sshshells.Nvue(), asks_sudo=True, enable_password=sshshells.SUDO)

    def test_root(self):
        self.prove(sshshells.Nclu(), user="root")

    def test_root_nvue(self):
        self.prove(sshshells.Nvue(), user="root", enable_password="unused")
