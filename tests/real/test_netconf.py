# SPDX-License-Identifier: Apache-2.0
"""The driver of switches that speak NETCONF: real frames through a simulated one, and its faults."""

import dataclasses
import time
from pathlib import Path

import fixtures
import paramiko
import testtools

from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.switch import netconf
from mogan_hil.drivers.switch.base import PARKED, PortConfig, PortState
from tests import netconfswitch, openvswitch, sshserver

MISSING = openvswitch.missing()


class NetconfTestCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(netconfswitch.NetconfSwitch.hurry())

    def make_switch(self, ovs=None):
        self.switch = self.useFixture(netconfswitch.NetconfSwitch(ovs))

    def make_driver(self, timeout=30.0, **options):
        options = {**self.switch.options(), **options}
        driver = netconf.Netconf(
            {name: value for name, value in options.items() if value is not None},
            Environment("uuid", "sw", Path("/nonexistent"), timeout),
        )
        self.addCleanup(driver.close)
        return driver


class TestFrames(NetconfTestCase):
    def test_frames(self):
        if MISSING:
            self.skipTest(MISSING)
        ovs = self.useFixture(openvswitch.OpenVSwitch())
        hosts = [self.useFixture(openvswitch.Host(ovs, number)) for number in (1, 2, 3)]
        self.make_switch(ovs)
        ports = [self.switch.add_port(f"eth{number}", host.port) for number, host in enumerate(hosts, 1)]
        driver = self.make_driver(30.0)
        one, two, three = hosts

        driver.configure({ports[0]: PortConfig(100), ports[1]: PortConfig(100), ports[2]: PortConfig(200)})
        self.assertTrue(one.pings(two))
        self.assertFalse(one.pings(three, 1))
        driver.configure({ports[2]: PortConfig(100), ports[1]: PARKED})
        self.assertTrue(one.pings(three))
        self.assertFalse(one.pings(two, 1))
        trunk = PortConfig(100, frozenset({200, 300}))
        driver.configure({ports[0]: trunk, ports[1]: PortConfig(300), ports[2]: PARKED})
        self.assert_passes(one, two, {300})
        driver.configure(
            {ports[0]: PortConfig(100, frozenset({200})), ports[1]: PortConfig(400, frozenset({200, 300}))}
        )
        self.assert_passes(one, two, {200})
        driver.configure(dict.fromkeys(ports, PARKED))
        self.assert_passes(one, two, set())

    def assert_passes(self, sender, receiver, vlans):
        frames = openvswitch.every_vlan((1, 100, 101, 200, 300, 301, 400, 4094))
        for arrived in openvswitch.passing(sender, frames, [receiver]):
            self.assertEqual(vlans, {number for number in arrived if number < 20_000})


class TestTransactions(NetconfTestCase):
    def setUp(self):
        super().setUp()
        self.make_switch()
        self.ports = [self.switch.add_port(name) for name in ("eth1", "eth2")]

    def assert_fails(self, transient, function, *arguments):
        error = self.assertRaises(DriverError, function, *arguments)
        self.assertEqual(transient, error.transient, error.operator)
        self.assertNotIn(sshserver.PASSWORD, error.operator)
        for hidden in ("127.0.0.1", sshserver.USER, "eth1"):
            self.assertNotIn(hidden, error.user)
        return error

    def assert_untouched(self, driver):
        """Every port is as it was, and nobody holds a lock."""
        self.switch.heal()
        driver.close()
        deadline = time.monotonic() + 30
        while self.switch.holder is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        with self.switch.lock:  # what ends with a session ends under it
            self.assertIsNone(self.switch.holder)
            self.assertIsNone(self.switch.before)
        self.assertEqual(dict.fromkeys(self.ports, PortState(100)), driver.read(self.ports))

    def test_all_or_nothing(self):
        driver = self.make_driver()
        driver.configure(dict.fromkeys(self.ports, PortConfig(100)))
        wanted = dict.fromkeys(self.ports, PortConfig(200))
        for operation in ("lock", "edit-config", "validate", "commit"):
            for tag, transient in (("operation-failed", False), ("invalid-value", False), ("in-use", True)):
                self.switch.refuse = {operation: netconfswitch.RpcError(tag)}
                error = self.assert_fails(transient, driver.configure, wanted)
                self.assertIn(tag, error.operator)
                self.assert_untouched(driver)

    def test_a_port_that_there_is_not_stops_the_batch(self):
        """OpenConfig would take its configuration, and keep it for the day when there is one."""
        driver = self.make_driver()
        driver.configure(dict.fromkeys(self.ports, PortConfig(100)))
        self.assert_fails(False, driver.configure, {"eth1": PortConfig(200), "eth9": PortConfig(200)})
        self.assertNotIn("eth9", self.switch.running.ports)
        self.assert_untouched(driver)

    def test_what_is_not_as_asked_is_never_confirmed(self):
        driver = self.make_driver()
        driver.configure(dict.fromkeys(self.ports, PortConfig(100)))
        self.switch.lies = True
        self.assert_fails(False, driver.configure, {"eth1": PortConfig(200)})
        self.assertIn("cancel-commit", self.switch.received)
        self.assert_untouched(driver)

    def test_lost_in_the_middle(self):
        """The switch undoes what nobody confirmed."""
        driver = self.make_driver()
        for operation in ("lock", "edit-config", "validate", "commit", "unlock"):
            driver.configure(dict.fromkeys(self.ports, PortConfig(100)))
            self.switch.drop_at = operation
            if operation == "unlock":  # it is done by then
                driver.configure(dict.fromkeys(self.ports, PortConfig(100)))
            else:
                self.assert_fails(True, driver.configure, dict.fromkeys(self.ports, PortConfig(200)))
            self.assert_untouched(driver)

    def test_the_time_to_confirm_covers_the_look(self):
        self.make_driver(60.0).configure({"eth1": PortConfig(100)})
        self.assertGreaterEqual(self.switch.confirms, 60)

    def test_without_confirmed_commits(self):
        self.switch.without = {"capability:confirmed-commit:1.1", "capability:validate:1.1"}
        driver = self.make_driver()
        driver.configure(dict.fromkeys(self.ports, PortConfig(100)))
        self.assertNotIn("validate", self.switch.received)
        self.assert_untouched(driver)

    def test_without_a_candidate(self):
        self.switch.without = {"capability:candidate:1.0", "capability:confirmed-commit:1.1"}
        self.assert_fails(False, self.make_driver().configure, {"eth1": PortConfig(100)})

    def test_somebody_else_has_the_lock(self):
        self.switch.holder = object()
        self.assert_fails(True, self.make_driver().configure, {"eth1": PortConfig(100)})
        self.switch.holder = None

    def test_vlans_are_made_unless_others_do(self):
        driver = self.make_driver(manage_vlans=False)
        driver.configure({"eth1": PortConfig(100, frozenset({200}))})
        self.assertEqual({1}, self.switch.running.vlans)
        driver = self.make_driver()
        driver.configure({"eth1": PortConfig(100, frozenset({200}))})
        self.assertEqual({1, 100, 200}, self.switch.running.vlans)

    def test_save(self):
        self.make_driver().save()
        self.assertIn("copy-config", self.switch.received)
        self.switch.received.clear()
        self.switch.without = {"capability:startup:1.0"}
        self.make_driver().save()
        self.assertEqual([], self.switch.received)

    def test_login(self):
        self.assert_fails(False, self.make_driver(password="wrong").read, self.ports)
        self.assert_fails(False, self.make_driver(host_keys=["SHA256:" + "A" * 43]).read, self.ports)
        self.assertEqual([], self.switch.received)

    def test_known_hosts(self):
        path = Path(self.useFixture(fixtures.TempDir()).path) / "known_hosts"
        for key, right in ((sshserver.HOST_KEY, True), (paramiko.ECDSAKey.generate(), False)):
            path.write_text(f"[127.0.0.1]:{self.switch.port} {key.get_name()} {key.get_base64()}\n")
            driver = self.make_driver(host_keys=None, known_hosts=str(path))
            if right:
                self.assertEqual(set(self.ports), set(driver.read(self.ports)))
            else:
                self.assert_fails(False, driver.read, self.ports)
        path.unlink()
        self.assert_fails(False, self.make_driver(host_keys=None, known_hosts=str(path)).read, self.ports)

    def test_unreachable(self):
        self.switch.stop()
        self.assert_fails(True, self.make_driver().read, self.ports)

    def test_falls_silent(self):
        driver = self.make_driver()
        driver.read(self.ports)
        driver.environment = dataclasses.replace(driver.environment, timeout=1.0)
        self.switch.deaf_at = "edit-config"
        self.assert_fails(True, driver.configure, {"eth1": PortConfig(200)})

    def test_hostile_names(self):
        driver = self.make_driver()
        for name in ("<x/>", "eth1</name>", "a b", "&amp;", "", "eth1\n"):
            self.assertRaises(ValueError, driver.read, [name])
            self.assertRaises(ValueError, driver.configure, {name: PARKED})
