# SPDX-License-Identifier: Apache-2.0
"""The driver of switches with a command line: real frames through a simulated one, and its faults.

The simulated switch does what it is told to a real Open vSwitch, so that what passes is what the lines mean.
"""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import fixtures
import netmiko
import paramiko
import testtools

from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.switch import generic, ngs
from mogan_hil.drivers.switch.base import PARKED, PortConfig, PortState, Unsupported
from tests import openvswitch, sshserver, sshswitch

MISSING = openvswitch.missing()
NAMES = {"cisco_ios": "GigabitEthernet1/0/{}", "arista_eos": "Ethernet{}", "dell_os10": "ethernet1/1/{}"}


class GenericTestCase(testtools.TestCase):
    dialect = sshswitch.Ios()

    def setUp(self):
        super().setUp()
        self.switch = self.useFixture(sshswitch.SshSwitch(self.dialect))
        self.first, self.second = (self.switch.add_port(self.name(number)) for number in (1, 2))

    def name(self, number):
        return NAMES[self.dialect.name].format(number)

    def make_driver(self, timeout=30.0, **options):
        driver = generic.Generic(
            {**self.switch.options(), **options}, Environment("uuid", "sw", Path("/nonexistent"), timeout)
        )
        self.addCleanup(driver.close)
        return driver

    def assert_fails(self, transient, function, *arguments):
        error = self.assertRaises(DriverError, function, *arguments)
        self.assertEqual(transient, error.transient, error.operator)
        for hidden in (sshserver.PASSWORD, sshswitch.ENABLE):
            self.assertNotIn(hidden, error.operator)
        for hidden in ("127.0.0.1", sshserver.USER, self.first):
            self.assertNotIn(hidden, error.user)
        return error


class TestFrames(testtools.TestCase):
    """What passes between hosts, for each proven device type."""

    def setUp(self):
        super().setUp()
        if MISSING:
            self.skipTest(MISSING)
        self.ovs = self.useFixture(openvswitch.OpenVSwitch())
        self.hosts = [self.useFixture(openvswitch.Host(self.ovs, number)) for number in (1, 2, 3)]

    def prove(self, dialect):
        switch = self.useFixture(sshswitch.SshSwitch(dialect, self.ovs))
        ports = [
            switch.add_port(NAMES[dialect.name].format(number), host.port) for number, host in enumerate(self.hosts, 1)
        ]
        driver = generic.Generic(switch.options(), Environment("uuid", "sw", Path("/nonexistent"), 30.0))
        self.addCleanup(driver.close)
        one, two, three = self.hosts

        driver.configure({ports[0]: PortConfig(100), ports[1]: PortConfig(100), ports[2]: PortConfig(200)})
        self.assertTrue(one.pings(two))
        self.assertFalse(one.pings(three, 1))
        driver.configure({ports[2]: PortConfig(100), ports[1]: PARKED})
        self.assertTrue(one.pings(three))
        self.assertFalse(one.pings(two, 1))

        driver.configure(
            {ports[0]: PortConfig(100, frozenset({200, 300})), ports[1]: PortConfig(300), ports[2]: PARKED}
        )
        self.assert_passes(one, [two], {300})
        driver.configure({ports[1]: PortConfig(400, frozenset({200}))})
        self.assert_passes(one, [two], {200})
        driver.configure({ports[0]: PortConfig(100)})
        self.assert_passes(one, [two], set())
        # The list of the trunk that it was is gone, and does not come back with the mode.
        driver.configure({ports[0]: PortConfig(100, frozenset({301}))})
        self.assert_passes(one, [two], set())
        driver.configure(dict.fromkeys(ports, PARKED))
        for host in self.hosts:
            self.assert_passes(host, [other for other in self.hosts if other is not host], set())

    def assert_passes(self, sender, receivers, vlans):
        frames = openvswitch.every_vlan((1, 100, 101, 200, 300, 301, 400, 4094))
        for arrived in openvswitch.passing(sender, frames, receivers):
            self.assertEqual(vlans, {number for number in arrived if number < 20_000})

    def test_cisco_ios(self):
        self.prove(sshswitch.Ios())

    def test_arista_eos(self):
        self.prove(sshswitch.Eos())

    def test_dell_os10(self):
        self.prove(sshswitch.Os10())


class TestLines(GenericTestCase):
    """What is sent, and what becomes of what is not liked."""

    def test_as_delivered(self):
        """A port that nobody configured is no isolated one, and becomes one."""
        driver = self.make_driver()
        self.assertTrue(driver.read([self.first])[self.first].carries(4000))
        driver.configure({self.first: PortConfig(100)})
        self.assertEqual(PortState(100), driver.read([self.first])[self.first])

    def test_a_voice_vlan_is_a_tagged_one(self):
        driver = self.make_driver()
        driver.configure({self.first: PortConfig(100)})
        self.switch.ports[self.first].voice = 200
        self.assertEqual(PortState(100, frozenset({200})), driver.read([self.first])[self.first])
        driver.configure({self.first: PortConfig(100)})
        self.assertEqual(PortState(100), driver.read([self.first])[self.first])

    def test_a_routed_port_is_not_parked_nor_wired(self):
        driver = self.make_driver()
        self.switch.ports[self.first].routed = True
        state = driver.read([self.first])[self.first]
        self.assertFalse(state.matches(PARKED) or state.matches(PortConfig(1)))
        driver.configure({self.first: PortConfig(100)})
        self.assertEqual(PortState(100), driver.read([self.first])[self.first])

    def test_every_vlan_tagged_leaves_none_to_be_native(self):
        config = PortConfig(None, frozenset(range(1, 4095)))
        self.assert_fails(False, self.make_driver().configure, {self.first: config})

    def test_one_vlan_more_disturbs_no_other(self):
        driver = self.make_driver()
        driver.configure({self.first: PortConfig(100, frozenset({200, 201}))})
        self.switch.received.clear()
        driver.configure({self.first: PortConfig(100, frozenset({200, 202}))})
        self.assertIn("switchport trunk allowed vlan remove 201", self.switch.received)
        self.assertNotIn("switchport trunk allowed vlan none", self.switch.received)
        self.assertNotIn("shutdown", self.switch.received)

    def test_vlans_are_left_to_others(self):
        self.make_driver(manage_vlans=False).configure({self.first: PortConfig(100)})
        self.assertNotIn("vlan 100", self.switch.received)

    def test_nothing_is_saved_unless_wished(self):
        driver = self.make_driver(save=False)
        driver.configure({self.first: PortConfig(100)})
        driver.save()
        self.assertEqual([], self.switch.saved)

    def test_an_error_stops_the_batch(self):
        """A line after a refused one would be taken in whatever mode the switch is in then."""
        driver = self.make_driver()
        for answer in (
            "% Invalid input detected at '^' marker.",
            'Command rejected: An interface whose trunk encapsulation is "Auto" can not be configured',
            "% Error: something",
            "Error: something",
            "% Incomplete command.",
            '% Ambiguous command:  "switchport"',
            "% Authorization failed.",
            "ERROR: nothing of the kind",
            "syntax error, expecting <vlan>",
        ):
            driver.configure(dict.fromkeys((self.first, self.second), PortConfig(100)))
            self.switch.refuse = {"switchport access vlan 200": answer}
            self.switch.received.clear()
            error = self.assert_fails(
                False, driver.configure, dict.fromkeys((self.first, self.second), PortConfig(200))
            )
            self.assertIn("switchport access vlan 200", error.operator)
            self.assertEqual("switchport access vlan 200", self.switch.received[-1])
            self.switch.heal()
            self.assertEqual(PortState(100), driver.read([self.second])[self.second])

    def test_many_are_read_at_once(self):
        """With one line for all; those that are registered by a short name are asked for alone."""
        names = [self.first, self.second, *(self.switch.add_port(self.name(number)) for number in range(3, 40))]
        driver = self.make_driver()
        wanted = {name: PortConfig(100 + number, frozenset({200})) for number, name in enumerate(names)}
        driver.configure(wanted)
        self.switch.received.clear()
        seen = driver.read([*names, "GigabitEthernet9/0/9"])
        self.assertEqual(
            ["show running-config", "show running-config interface GigabitEthernet9/0/9"], self.switch.received
        )
        self.assertIsNone(seen.pop("GigabitEthernet9/0/9"))
        self.assertEqual({name: PortState(config.native, config.tagged) for name, config in wanted.items()}, seen)

    def test_a_description_may_have_any_words(self):
        driver = self.make_driver()
        driver.configure({self.first: PortConfig(100)})
        self.switch.ports[self.first].description = "% Error: invalid port, permission denied"
        self.assertEqual(PortState(100), driver.read([self.first])[self.first])

    def test_a_login_that_may_not_look(self):
        self.switch.refuse = {"show running-config": "% Authorization failed."}
        self.assert_fails(False, self.make_driver().read, [self.first])

    def test_a_locked_configuration_is_tried_again(self):
        self.switch.refuse = {"vlan 100": "% Error: Configuration is locked by another user, try again later"}
        self.assert_fails(True, self.make_driver().configure, {self.first: PortConfig(100)})

    def test_a_port_that_vanishes_takes_no_lines(self):
        """The lines for a port that is refused are not sent: they would be for the port before it."""
        driver = self.make_driver()
        self.switch.refuse = {f"interface {self.second}": "% Invalid input detected"}
        self.switch.ports[self.second].mode = "access"
        with testtools.ExpectedException(DriverError):
            driver.configure({self.first: PortConfig(100), self.second: PortConfig(200)})
        self.switch.heal()
        self.assertNotEqual(200, self.switch.ports[self.first].access)

    def test_hostile_names(self):
        driver = self.make_driver()
        for name in (
            "Gi1/0/1\nshutdown",
            "Gi1/0/1 ; reload",
            "range Gi1/0/1-48",
            "vlan 1",
            "$(reload)",
            "Gi1/0/1?",
            "",
        ):
            for call in (driver.read, lambda names: driver.configure(dict.fromkeys(names, PARKED))):
                self.assertRaises((ValueError, DriverError), call, [name])
        self.assertEqual([], [line for line in self.switch.received if "reload" in line or "range" in line])


class TestLogin(GenericTestCase):
    def test_wrong_password(self):
        self.assert_fails(False, self.make_driver(password="wrong").read, [self.first])

    def test_unknown_host_key(self):
        error = self.assert_fails(False, self.make_driver(host_keys=["SHA256:" + "A" * 43]).read, [self.first])
        self.assertIn(sshserver.fingerprint(), error.operator)
        self.assertEqual([], self.switch.received)

    def test_known_hosts(self):
        path = Path(self.useFixture(fixtures.TempDir()).path) / "known_hosts"
        where = f"[127.0.0.1]:{self.switch.port}"
        options = {name: value for name, value in self.switch.options().items() if name != "host_keys"}
        for key, right in ((sshserver.HOST_KEY, True), (paramiko.ECDSAKey.generate(), False)):
            path.write_text(f"{where} {key.get_name()} {key.get_base64()}\n")
            driver = generic.Generic(
                {**options, "known_hosts": str(path)}, Environment("uuid", "sw", Path("/nonexistent"), 30.0)
            )
            self.addCleanup(driver.close)
            if right:
                self.assertIn(self.first, driver.read([self.first]))
            else:
                self.assert_fails(False, driver.read, [self.first])
        path.unlink()
        self.assert_fails(False, driver.read, [self.first])

    def test_enable_password(self):
        self.switch.asks_enable = True
        driver = self.make_driver(enable_password=sshswitch.ENABLE)
        driver.configure({self.first: PortConfig(100)})
        self.assertEqual(PortState(100), driver.read([self.first])[self.first])
        for options in ({"enable_password": "wrong"}, {}):
            self.assert_fails(False, self.make_driver(**options).configure, {self.first: PortConfig(101)})

    def test_unreachable(self):
        self.switch.stop()
        self.assert_fails(True, self.make_driver().read, [self.first])

    def test_dropped_between_calls(self):
        """The session is made anew, and nobody notices."""
        driver = self.make_driver()
        driver.read([self.first])
        self.switch.drop()
        driver.configure({self.first: PortConfig(100)})
        self.assertEqual(PortState(100), driver.read([self.first])[self.first])

    def test_dropped_in_a_batch(self):
        driver = self.make_driver(timeout=60.0)
        self.switch.drop_at = "switchport access vlan 200"
        start = time.monotonic()
        self.assert_fails(True, driver.configure, dict.fromkeys((self.first, self.second), PortConfig(200)))
        self.assertLess(time.monotonic() - start, 40)  # noticed, and not waited for
        self.switch.heal()
        driver.configure(dict.fromkeys((self.first, self.second), PortConfig(200)))
        self.assertEqual(PortState(200), driver.read([self.second])[self.second])

    def test_falls_silent(self):
        driver = self.make_driver(timeout=2.0)
        self.switch.deaf_at = "switchport access vlan 200"
        self.assert_fails(True, driver.configure, {self.first: PortConfig(200)})
        self.switch.heal()
        driver.environment = dataclasses.replace(driver.environment, timeout=30.0)
        driver.configure({self.first: PortConfig(200)})

    def test_a_slow_one(self):
        self.switch.delay = 0.05
        driver = self.make_driver()
        driver.configure({self.first: PortConfig(200)})
        self.assertEqual(PortState(200), driver.read([self.first])[self.first])


class TestTemplatesOnly(GenericTestCase):
    """Device types that cannot be read. Those here have the command line of the simulated one."""

    def test_with_a_port_that_can_be_closed(self):
        driver = self.make_driver(device_type="netmiko_cisco_nxos")
        self.assertEqual(frozenset(), driver.capabilities)
        driver.configure({self.first: PortConfig(100)})
        self.assertEqual(("access", 100, False), self.port())
        driver.configure({self.first: PARKED})
        self.assertTrue(self.switch.ports[self.first].shutdown)
        driver.configure({self.first: PortConfig(101)})
        self.assertEqual(("access", 101, False), self.port())
        self.assertRaises(Unsupported, driver.read, [self.first])
        self.assert_fails(False, driver.configure, {self.first: PortConfig(100, frozenset({200}))})
        self.assert_fails(False, driver.configure, {"GigabitEthernet9/0/9": PortConfig(100)})

    def test_with_a_parking_vlan(self):
        driver = self.make_driver(device_type="netmiko_cisco_s300", parking_vlan=4000)
        driver.configure({self.first: PortConfig(100)})
        driver.configure({self.first: PARKED})
        self.assertEqual(("access", 4000, False), self.port())
        self.assertIn(4000, self.switch.vlans)
        self.assert_fails(False, driver.configure, {self.first: PortConfig(4000)})

    def port(self):
        port = self.switch.ports[self.first]
        return port.mode, port.access, port.shutdown


class TestLibrary(testtools.TestCase):
    def test_every_device_type_is_judged(self):
        """One that a new version brings is to be looked at, before anybody uses it."""
        self.assertEqual(set(), set(ngs.load()) - set(generic.dialects.DIALECTS) - set(ngs.REFUSED))

    def test_netmiko_knows_them(self):
        for name in generic.dialects.DIALECTS:
            self.assertIn(ngs.load()[name].platform, netmiko.platforms)

    def test_no_template_is_missing(self):
        """What a dialect needs is there: a template that is missing would be an error of each operation."""
        for name, dialect in generic.dialects.DIALECTS.items():
            templates = ngs.load()[name]
            self.assertTrue(templates.has("PLUG_PORT_TO_NETWORK", "DELETE_PORT"), name)
            if name in generic.dialects.TEMPLATES_ONLY:
                self.assertEqual(dialect.parks_in_vlan, not templates.has("ENABLE_PORT", "DISABLE_PORT"), name)
            if dialect.clears:
                self.assertNotIn("{segmentation_id}", "".join(templates.lines["DELETE_PORT"]), name)

    def test_a_missing_template_is_an_error(self):
        self.assertRaises(DriverError, ngs.Templates("x", {}).render, "DISABLE_PORT", port="p")

    def test_the_source_says_what_the_classes_do(self):
        """The library is not imported, and what is read instead is what it would have used."""
        program = (
            "import json, os, sys\n"
            "from mogan_hil.drivers.switch import generic, ngs\n"
            "read = ngs.load()\n"
            "assert not {'eventlet', 'neutron_lib', 'networking_generic_switch'} & set(sys.modules)\n"
            "from importlib import metadata\n"
            "from networking_generic_switch.devices.netmiko_devices import NetmikoSwitch\n"
            "seen = set()\n"
            "for entry in metadata.entry_points(group='generic_switch.devices'):\n"
            "    device = entry.load()\n"
            "    if issubclass(device, NetmikoSwitch):\n"
            "        seen.add(entry.name)\n"
            "        for name in ngs.TEMPLATES:\n"
            "            said = tuple(getattr(device, name) or ())\n"
            "            assert said == read[entry.name].lines.get(name, ()), (entry, name)\n"
            "        said = tuple(pattern.pattern for pattern in device.ERROR_MSG_PATTERNS)\n"
            "        assert said == read[entry.name].errors, entry\n"
            "assert seen == set(read), seen ^ set(read)\n"
            "print('alike', flush=True)\n"
            "os._exit(0)\n"  # threads of the library would be waited for
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=300, check=False
        )
        self.assertEqual("alike", done.stdout.strip(), done.stderr)
