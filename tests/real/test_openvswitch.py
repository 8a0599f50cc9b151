# SPDX-License-Identifier: Apache-2.0
"""The Open vSwitch driver against Open vSwitch: frames that pass and frames that do not, and rows."""

import contextlib
import os
import resource
import threading
import time

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.switch.base import PARKED, PortConfig, PortState
from mogan_hil.drivers.switch.openvswitch import REVALIDATION
from tests import openvswitch
from tests.real.openvswitch_base import OvsTestCase


class TestFrames(OvsTestCase):
    """What passes on the wire. Each claim that nothing passes comes after the same frames have passed."""

    def assert_closed(self, parked, others, frames):
        """No frame passes between a parked host and any other, in either direction.

        With what the datapath decided of thousands of frames the driver does not wait long enough, as it says: at once
        is for :meth:`test_nothing_passes_after_the_call`.
        """
        self.switch.revalidate()
        for arrived in openvswitch.passing(parked, frames, others):
            self.assertEqual(set(), arrived)
        for other in others:
            self.assertEqual([set()], openvswitch.passing(other, frames, [parked]))

    def test_parked_port_passes_nothing(self):
        parked, second, carries_all, trunk, access, native = hosts = self.hosts(6)
        frames = openvswitch.every_vlan()
        everything = {number for number, _tags in frames}
        # As the ports come, without configuration, everything passes.
        for arrived in openvswitch.passing(parked, frames, hosts[1:]):
            self.assertEqual(everything, arrived)
        self.assertEqual([everything], openvswitch.passing(carries_all, frames, [parked]))

        self.driver.configure(
            {
                parked.port: PARKED,
                second.port: PARKED,
                trunk.port: PortConfig(None, frozenset(range(1, 4095))),
                access.port: PortConfig(10),
                native.port: PortConfig(10, frozenset({100, 4094})),
            }
        )
        others = [second, carries_all, trunk, access, native]
        self.assert_closed(parked, others, frames)
        self.assertLessEqual(set(range(1, 4095)), openvswitch.passing(carries_all, frames, [trunk])[0])

        # A unicast to an address that was learnt while the port was open finds it closed too.
        for other in others:
            self.assertEqual([set()], openvswitch.passing(other, frames[:300], [parked], to=parked.mac))
            self.assertEqual([set()], openvswitch.passing(parked, frames[:300], [other], to=other.mac))

    def test_reserved_vlan(self):
        """VLAN 4095 does not leave a parked port either, but for a port that was left to carry everything."""
        parked, second, trunk, access, carries_all = hosts = self.hosts(5)
        frames = [
            (1, openvswitch.tag(4095)),
            (2, openvswitch.tag(4095) + openvswitch.tag(10)),
            (3, openvswitch.tag(4095, 0x88A8)),
            (4, openvswitch.tag(4095) + openvswitch.tag(4095)),
        ]
        for arrived in openvswitch.passing(parked, frames, hosts[1:]):
            self.assertEqual({1, 2, 3, 4}, arrived)
        self.driver.configure(
            {
                parked.port: PARKED,
                second.port: PARKED,
                access.port: PortConfig(10),
                trunk.port: PortConfig(None, frozenset(range(1, 4095))),
            }
        )
        self.assert_closed(parked, [second, trunk, access], frames)
        # The limit that the driver's documentation names. Should this ever fail, correct the documentation.
        self.assertNotEqual([set()], openvswitch.passing(parked, frames, [carries_all]))

    def test_parked_whatever_was_before(self):
        """Also from settings that this driver never makes."""
        parked, trunk = self.hosts(2)
        sample = frozenset({10, 20, 4094})
        frames = openvswitch.every_vlan(sample)
        before = [
            ["tag=10"],
            ["tag=10", "vlan_mode=native-untagged", "trunks=10,20"],
            ["trunks=10,20", "vlan_mode=trunk"],
            ["tag=10", "trunks=20", "vlan_mode=native-tagged"],
            ["tag=10", "vlan_mode=dot1q-tunnel", "cvlans=20"],
            ["tag=20", "trunks=10,20", "cvlans=10", "protected=true"],
            [],
        ]
        for settings in before:
            self.driver.configure({trunk.port: PortConfig(None, sample)})
            self.switch.set_port(parked.port, *settings)
            self.assertNotEqual([set()], openvswitch.passing(parked, frames, [trunk]), settings)
            self.driver.configure({parked.port: PARKED})
            self.assertEqual(PortState(enabled=False), self.driver.read([parked.port])[parked.port])
            self.assert_closed(parked, [trunk], frames)

    def test_native_and_tagged_on_the_wire(self):
        first, second = self.hosts(2)
        self.driver.configure(
            {first.port: PortConfig(10, frozenset({20})), second.port: PortConfig(None, frozenset({10, 20, 30}))}
        )
        tagged = [(vlan, openvswitch.tag(vlan)) for vlan in (10, 20, 30)]
        # A frame that is tagged with the native VLAN is taken too: OVS makes no difference.
        self.assert_arrives(first, second, [(1, b""), *tagged], {(1, 10), (10, 10), (20, 20)})
        self.assert_arrives(second, first, [(1, b""), *tagged], {(10, None), (20, 20)})

    def assert_arrives(self, sender, receiver, frames, expected):
        """These frames arrive so, and no others. They are sent again as long as one of them is late."""
        arrived = set()
        for _ in range(20):
            sender.send(frames)
            sender.settle()
            arrived.update(receiver.received())
            if expected <= arrived:
                break
        self.assertEqual(expected, arrived)

    def test_vlans_are_apart(self):
        a, b, c = self.hosts(3)
        self.driver.configure({a.port: PortConfig(10), b.port: PortConfig(10), c.port: PortConfig(20)})
        self.assertTrue(a.pings(b))
        self.assertFalse(a.pings(c, tries=1))  # as long after the change as the pings before took
        self.driver.configure({c.port: PortConfig(10)})
        self.assertTrue(a.pings(c))
        self.driver.configure({b.port: PortConfig(20), c.port: PARKED})
        self.assertFalse(a.pings(b, tries=1))
        self.assertFalse(a.pings(c, tries=1))

    def test_nothing_passes_after_the_call(self):
        """Also of a conversation that is under way, which the datapath forwards by what it decided before."""
        a, b = self.hosts(2)
        self.driver.configure({b.port: PortConfig(10)})
        fastest = 1.0
        for _ in range(60):
            began = time.monotonic()
            self.driver.configure({a.port: PortConfig(10)})
            fastest = min(fastest, time.monotonic() - began)
            b.received()
            with a.talking():
                self.assertTrue(b.wait_for_any())
                self.driver.configure({a.port: PARKED})
                parked = time.monotonic_ns()
                time.sleep(0.03)
            self.assertEqual([], [frame.number - parked for frame in b.received() if frame.number > parked])
        self.assertLess(fastest, REVALIDATION)  # a port that only gains has nothing to wait for


class TestRows(OvsTestCase):
    """What is written into the database, and what is made of what is found there."""

    def test_every_column_is_written(self):
        port = self.switch.add_dummy_port()
        leftovers = [
            "tag=7",
            "trunks=8,9",
            "vlan_mode=dot1q-tunnel",
            "cvlans=11,12",
            "protected=true",
            "other_config:qinq-ethtype=802.1q",
            "other_config:priority-tags=always",
            "other_config:bond-miimon-interval=100",
        ]
        for config, expected in (
            (PARKED, ("trunk", "[]", "[4095]", "true")),
            (PortConfig(10), ("access", "10", "[]", "false")),
            (PortConfig(10, frozenset({20, 30})), ("native-untagged", "10", "[20, 30]", "false")),
            (PortConfig(None, frozenset({20, 30})), ("trunk", "[]", "[20, 30]", "false")),
        ):
            self.switch.set_port(port, *leftovers)
            self.driver.configure({port: config})
            found = self.switch.get_port(port)
            self.assertEqual(
                (*expected, "[]", '{bond-miimon-interval="100"}'),
                (
                    found["vlan_mode"],
                    found["tag"],
                    found["trunks"],
                    found["protected"],
                    found["cvlans"],
                    found["other_config"],
                ),
            )
            self.assertTrue(self.driver.read([port])[port].matches(config))

    def test_nothing_unsound_looks_sound(self):
        port = self.switch.add_dummy_port()
        sound = [PARKED, PortConfig(10), PortConfig(10, frozenset({20})), PortConfig(None, frozenset({20}))]
        for settings in (
            [],
            ["trunks=4095"],
            ["trunks=20,4095", "protected=true"],
            ["tag=10", "protected=true"],
            ["vlan_mode=native-untagged", "tag=10", "trunks=20", "protected=true"],
            ["vlan_mode=trunk", "trunks=20", "protected=true"],
            ["trunks=0,20"],
            ["tag=0"],
            ["tag=4095"],
            ["vlan_mode=access"],
            ["vlan_mode=native-untagged", "tag=10"],
            ["vlan_mode=trunk", "tag=10"],
            ["vlan_mode=native-tagged", "tag=10", "trunks=20"],
            ["vlan_mode=dot1q-tunnel", "tag=10"],
            ["vlan_mode=dot1q-tunnel", "tag=4095", "trunks=4095", "protected=true"],
            ["vlan_mode=native-untagged", "trunks=20"],
        ):
            self.switch.set_port(port, *settings)
            state = self.driver.read([port])[port]
            self.assertFalse([config for config in sound if state.matches(config)], settings)

    def test_bare_port_carries_everything(self):
        port = self.switch.add_dummy_port()
        self.assertEqual(PortState(native=0, tagged=frozenset(range(4096))), self.driver.read([port])[port])

    def test_missing_port_changes_nothing(self):
        port, elsewhere = self.switch.add_dummy_port(), openvswitch.unique("e")
        other = openvswitch.unique("br")
        self.switch.vsctl(
            "add-br",
            other,
            "--",
            "set",
            "bridge",
            other,
            "datapath_type=netdev",
            "--",
            "add-port",
            other,
            elsewhere,
            "--",
            "set",
            "interface",
            elsewhere,
            "type=internal",
        )
        before = self.switch.get_port(port), self.switch.get_port(elsewhere)
        for name in ("nope", elsewhere):
            error = self.assertRaises(DriverError, self.driver.configure, {port: PortConfig(10), name: PARKED})
            self.assertFalse(error.transient)
            self.assertIn(name, error.operator)
            self.assertNotIn(name, error.user)
        self.assertEqual(before, (self.switch.get_port(port), self.switch.get_port(elsewhere)))
        self.assertEqual({"nope": None, elsewhere: None}, self.driver.read(["nope", elsewhere]))

    def test_bridge_that_is_not_there(self):
        driver = self.make_driver(bridge="nope")
        for call in (
            lambda: driver.read(["p"]),
            lambda: driver.configure({"p": PARKED}),
            lambda: driver.watch(lambda ports: None),
        ):
            self.assertFalse(self.assertRaises(DriverError, call).transient)

    def test_broken_port_is_parked_only(self):
        """A port whose device is gone takes no VLAN, and can be parked."""
        port = openvswitch.unique("g")
        with contextlib.suppress(RuntimeError):  # it says that there is no such device
            self.switch.vsctl("add-port", self.switch.bridge, port)
        error = self.assertRaises(DriverError, self.driver.configure, {port: PortConfig(10)})
        self.assertFalse(error.transient)
        self.assertIn(port, error.operator)
        self.driver.configure({port: PARKED})
        self.assertFalse(self.driver.read([port])[port].enabled)

    def test_same_again_writes_nothing(self):
        port = self.switch.add_dummy_port()
        self.driver.configure({port: PortConfig(10)})
        before = self.switch.vsctl("get", "open_vswitch", ".", "next_cfg")
        self.driver.configure({port: PortConfig(10)})
        self.assertEqual(before, self.switch.vsctl("get", "open_vswitch", ".", "next_cfg"))

    def test_many_at_once(self):
        """Two drivers and a person write at the same time; each is heard, and the last word is the same for all."""
        port = self.switch.add_dummy_port()
        drivers = [self.make_driver(timeout=120) for _ in range(2)]
        failures = []

        def work(driver, base):
            try:
                for vlan in range(base, base + 40):
                    driver.configure({port: PortConfig(vlan)})
            except Exception as error:
                failures.append(error)

        threads = [
            threading.Thread(target=work, args=(driver, 100 * number)) for number, driver in enumerate(drivers, 1)
        ]
        for thread in threads:
            thread.start()
        for vlan in range(20):
            self.switch.vsctl("--no-wait", "set", "port", port, f"tag={1000 + vlan}")
        for thread in threads:
            thread.join(180)
        self.assertEqual([], failures)
        self.assertEqual(drivers[0].read([port]), drivers[1].read([port]))

    def test_two_switches_are_two(self):
        second = self.useFixture(openvswitch.OpenVSwitch())
        ports = {switch: switch.add_dummy_port() for switch in (self.switch, second)}
        drivers = {self.switch: self.driver, second: self.make_driver(switch=second)}
        for vlan, switch in enumerate(ports, 10):
            drivers[switch].configure({ports[switch]: PortConfig(vlan)})
        for vlan, switch in enumerate(ports, 10):
            self.assertEqual(str(vlan), switch.get_port(ports[switch])["tag"])

    def test_many_open_files(self):
        """A file descriptor above 1023, the last that select(2) can hold, does no harm."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 4096:
            self.skipTest("the hard limit of open files is too low")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
        self.addCleanup(lambda: [os.close(number) for number in files])
        port = self.switch.add_dummy_port()
        self.driver.configure({port: PortConfig(10)})
        self.assertTrue(self.driver.read([port])[port].matches(PortConfig(10)))
