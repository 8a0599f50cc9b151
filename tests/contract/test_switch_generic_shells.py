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


class Pending:
    """Lines that are not committed are nobody's but the batch's: they neither stay behind nor take others with them."""

    switch: sshshells.Cumulus | sshshells.Junos

    def prove(self, stop, transient):
        """A batch that ends in the middle changes nothing, then or later."""
        driver = self.start(self.switch)
        driver.configure({"swp1": PortConfig(100), "swp2": PortConfig(100)})
        stop()
        self.refused(transient, driver, {"swp1": PortConfig(666), "swp2": PortConfig(200)})
        self.switch.heal()
        driver.configure({"swp2": PortConfig(300)})
        driver.save()
        self.assertEqual(100, self.switch.ports["swp1"].access)
        self.assertEqual(300, self.switch.ports["swp2"].access)

    def test_refused(self):
        self.prove(lambda: self.switch.refuse.update({" 666": "Error: Invalid parameter"}), False)
        self.assert_nothing_pending()

    def test_refused_after_half_of_it(self):
        self.prove(lambda: self.switch.refuse.update({"swp2": "Error: Invalid parameter"}), False)
        self.assert_nothing_pending()

    def test_cut_off(self):
        self.prove(lambda: setattr(self.switch, "drop_at", "interface swp2"), True)
        self.assert_nothing_pending()

    def assert_nothing_pending(self):
        self.assertEqual([], [line for lines in self.switch.pending.values() for line in lines])


class TestPendingNclu(Pending, ShellTestCase):
    def setUp(self):
        super().setUp()
        self.switch = sshshells.Cumulus(sshshells.Nclu())

    def test_discarded_at_once(self):
        driver = self.start(self.switch)
        self.switch.refuse["swp2"] = "Error: Invalid parameter"
        self.refused(False, driver, {"swp1": PortConfig(666), "swp2": PortConfig(200)})
        self.assert_nothing_pending()

    def test_saving_commits_nothing(self):
        driver = self.start(self.switch)
        self.switch.pending[sshserver.USER] = ["net add interface swp2 bridge access 7"]
        driver.configure({"swp1": PortConfig(100)})
        driver.save()
        self.assertEqual(1, self.switch.ports["swp2"].access)
        self.assertTrue(self.switch.pending[sshserver.USER])


class TestPendingNvue(TestPendingNclu):
    def setUp(self):
        super().setUp()
        self.switch = sshshells.Cumulus(sshshells.Nvue())


class TestPendingJunos(Pending, ShellTestCase):
    def setUp(self):
        super().setUp()
        self.switch = sshshells.Junos()

    def test_cut_off(self):
        self.prove(lambda: setattr(self.switch, "drop_at", "interfaces swp2"), True)
        self.assert_nothing_pending()

    def assert_nothing_pending(self):
        self.assertEqual([], self.switch.candidate)

    def test_discarded_at_once(self):
        driver = self.start(self.switch)
        self.switch.refuse["commit"] = "error: configuration check-out failed"
        self.refused(False, driver, {"swp1": PortConfig(666)})
        self.assertEqual("rollback 0", self.switch.received[-1])

    def test_what_others_have_not_committed(self):
        """It stays theirs; and what is wished is tried again, until they are done."""
        driver = self.start(self.switch)
        self.switch.candidate.append("set interfaces swp2 unit 0 family ethernet-switching vlan members 7")
        self.refused(True, driver, {"swp1": PortConfig(100)})
        self.assertEqual([1, 1], [self.switch.ports[name].access for name in self.ports])
        self.assertEqual(1, len(self.switch.candidate))
        self.switch.candidate.clear()
        driver.configure({"swp1": PortConfig(100)})
        self.assertEqual([100, 1], [self.switch.ports[name].access for name in self.ports])

    def test_may_not_configure(self):
        driver = self.start(self.switch)
        self.switch.refuse["configure"] = "                       ^\nunknown command."
        self.refused(False, driver, {"swp1": PortConfig(100)})

    def test_locked(self):
        driver = self.start(self.switch)
        self.switch.refuse["commit"] = "error: configuration database locked by:\n  root terminal p0 (pid 1)"
        self.refused(True, driver, {"swp1": PortConfig(100)})
