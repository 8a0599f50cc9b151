# SPDX-License-Identifier: Apache-2.0
"""The driver of Linux bridges, held to the contract where the kernel filters VLANs, and to its plan everywhere."""

import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.switch import linuxbridge
from mogan_hil.drivers.switch.base import PARKED, PortConfig, PortState
from mogan_hil.drivers.testing import base as contract_base
from mogan_hil.drivers.testing import switch as contract
from tests import openvswitch as ovs

BRIDGE = "br0"
BOTH = linuxbridge.PVID | linuxbridge.UNTAGGED
ETH_P_8021AD = 0x88A8


class Attributes(dict):
    """What netlink answers."""

    get_attr = dict.get


class Namespace:
    """A network namespace with a bridge, and ports on it."""

    def __init__(self, ports):
        self.name = ovs.unique("b")
        self.ports = ports
        ovs.run("ip", "netns", "add", self.name)
        try:
            self.ip("link", "add", BRIDGE, "up", "type", "bridge")
            for port in ports:
                self.ip("link", "add", port, "type", "veth", "peer", "name", f"{port}x")
                self.ip("link", "set", port, "up", "master", BRIDGE)
        except RuntimeError:
            self.remove()
            raise

    def ip(self, *words):
        return ovs.run("ip", "-n", self.name, *words)

    def bridge(self, *words):
        return ovs.run("ip", "netns", "exec", self.name, "bridge", *words)

    def remove(self):
        ovs.run("ip", "netns", "del", self.name)


class TestLinuxBridge(contract.SwitchContract, unittest.TestCase):
    driver_class = linuxbridge.LinuxBridge
    ports = ("p1", "p2", "p3")
    unknown_port = "p9"
    leftovers = (
        PortState(native=7, tagged=frozenset({8, 9})),
        PortState(native=None, tagged=frozenset({8, 9, 10})),
        PortState(native=11),
        PortState(native=11, enabled=False),
    )
    bad_options = tuple(
        {"bridge": BRIDGE, **bad}
        for bad in ({"bridge": ""}, {"bridge": "a b"}, {"bridge": "a" * 16}, {"bridge": 1}, {"namespace": "../x"})
    )
    test_watch_starts_with_every_port = test_watch_reports = test_watch_ends = test_lag = None  # not claimed

    @classmethod
    def setUpClass(cls):
        if reason := ovs.missing():
            raise unittest.SkipTest(reason)
        cls.namespace = Namespace(cls.ports)
        cls.addClassCleanup(cls.namespace.remove)
        try:
            cls.namespace.ip("link", "set", BRIDGE, "type", "bridge", "vlan_filtering", "1", "vlan_default_pvid", "0")
        except RuntimeError as error:
            if "not supported" in str(error).lower():
                raise unittest.SkipTest("the kernel's bridges do not filter VLANs") from None
            raise

    def options(self):
        return {"bridge": BRIDGE, "namespace": self.namespace.name}

    def set_by_hand(self, port, state):
        self.namespace.bridge("vlan", "del", "dev", port, "vid", "1-4094")
        if state.native:
            self.namespace.bridge("vlan", "add", "dev", port, "vid", str(state.native), "pvid", "untagged")
        for vlan in state.tagged:
            self.namespace.bridge("vlan", "add", "dev", port, "vid", str(vlan))
        self.namespace.ip("link", "set", port, "up" if state.enabled else "down")

    def test_frames(self):
        """Two ports in one VLAN reach each other, and no other."""
        for number, port in enumerate(self.ports, 1):
            name = f"{self.namespace.name}{number}"
            ovs.run("ip", "netns", "add", name)
            self.addCleanup(ovs.run, "ip", "netns", "del", name)
            self.namespace.ip("link", "set", f"{port}x", "netns", name)
            self.addCleanup(ovs.run, "ip", "-n", name, "link", "set", f"{port}x", "netns", self.namespace.name)
            ovs.run("ip", "-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", f"{port}x")
            ovs.run("ip", "-n", name, "link", "set", f"{port}x", "up")
        self.driver.configure({"p1": PortConfig(100), "p2": PortConfig(100), "p3": PortConfig(200)})
        self.assertTrue(self.pings(1, 2))
        self.assertFalse(self.pings(1, 3, 3))
        self.driver.configure({"p3": PortConfig(100), "p2": PARKED})
        self.assertTrue(self.pings(1, 3))
        self.assertFalse(self.pings(1, 2, 3))

    def pings(self, sender, receiver, tries=30):
        ping = ["ping", "-q", "-c1", "-W1", f"10.77.0.{receiver}"]
        command = ["ip", "netns", "exec", f"{self.namespace.name}{sender}", *ping]
        done = (subprocess.run(command, capture_output=True, check=False) for _ in range(tries))
        return any(not one.returncode for one in done)


class TestNoFiltering(unittest.TestCase):
    """A bridge as it is made: every port carries everything, and the driver says so."""

    def setUp(self):
        if reason := ovs.missing():
            self.skipTest(reason)
        self.namespace = Namespace(("p1", "p2"))
        self.addCleanup(self.namespace.remove)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.environment = contract_base.environment(Path(directory.name))

    def make_driver(self, **options):
        return linuxbridge.LinuxBridge(
            {"bridge": BRIDGE, "namespace": self.namespace.name, **options}, self.environment
        )

    def test_it_is_refused(self):
        driver = self.make_driver()
        for config in (PARKED, PortConfig(100)):
            with self.assertRaises(DriverError) as caught:
                driver.configure({"p1": config})
            self.assertFalse(caught.exception.transient)
            self.assertIn("vlan_filtering", caught.exception.operator)

    def test_it_is_seen(self):
        self.namespace.ip("link", "set", "p2", "down")
        seen = self.make_driver().read(["p1", "p2", "p1x"])
        self.assertEqual(linuxbridge.EVERYTHING, seen["p1"])
        self.assertFalse(seen["p2"].enabled)
        self.assertIsNone(seen["p1x"])

    def test_tags_of_802_1ad(self):
        """A bridge that filters by other tags separates no networks of 802.1Q, whatever its ports have."""
        self.namespace.ip("link", "set", "p2", "down")
        with mock.patch.object(linuxbridge._Bridge, "_settings", lambda bridge: (True, ETH_P_8021AD)):
            seen = self.make_driver().read(["p1", "p2"])
            with self.assertRaises(DriverError) as caught:
                self.make_driver().configure({"p1": PortConfig(100)})
        self.assertIn("0x88a8", caught.exception.operator)
        self.assertFalse(caught.exception.transient)
        self.assertEqual(linuxbridge.EVERYTHING, seen["p1"])
        self.assertEqual(linuxbridge.EVERYTHING.tagged, seen["p2"].tagged)
        self.assertFalse(seen["p2"].enabled)

    def test_the_kind_of_tags(self):
        """As the kernel tells it; one that is not told of is that of 802.1Q, which an old kernel has alone."""
        for told, separates in ((ETH_P_8021AD, False), (linuxbridge.ETH_P_8021Q, True), (None, True)):
            data = {"IFLA_BR_VLAN_PROTOCOL": told, "IFLA_BR_VLAN_FILTERING": 1}
            info = {"IFLA_INFO_KIND": "bridge", "IFLA_INFO_DATA": Attributes(data)}
            netlink = mock.Mock()
            netlink.link_lookup.return_value = [7]
            netlink.get_links.return_value = [Attributes({"IFLA_LINKINFO": Attributes(info)})]
            self.assertEqual(separates, linuxbridge._Bridge(netlink, BRIDGE).separates, told)

    def test_a_bridge_that_there_is_not(self):
        for options in ({"bridge": "br9"}, {"bridge": "p1"}, {"namespace": "no-such"}):
            driver = self.make_driver(**options)
            for call, argument in ((driver.read, ["p1"]), (driver.configure, {"p1": PARKED})):
                with self.assertRaises(DriverError) as caught:
                    call(argument)
                self.assertFalse(caught.exception.transient)


class TestPlan(unittest.TestCase):
    """The steps, done to a set of VLANs by the kernel's rules: one has the flag `pvid`, and adding replaces flags."""

    def after(self, entries, steps):
        entries = dict(entries)
        for step in steps:
            low, _, high = step.vlans.partition("-")
            for vlan in range(int(low), int(high or low) + 1):
                if step.flags & linuxbridge.PVID:
                    entries = {other: flags & ~linuxbridge.PVID for other, flags in entries.items()}
                if step.add:
                    entries[vlan] = step.flags
                else:
                    del entries[vlan]  # one that is not there is an error
        return entries

    def test_from_anything_to_anything(self):
        sets = (
            {},
            {1: BOTH},
            {100: BOTH, 200: 0, 4094: 0},
            {100: 0, 200: BOTH},
            dict.fromkeys(range(1, 4095), 0),
            {1: linuxbridge.PVID, 2: linuxbridge.UNTAGGED, 3: linuxbridge.UNTAGGED},
        )
        for entries in sets:
            for config in (*contract.CONFIGS, PortConfig(None, frozenset({100, 200}))):
                after = self.after(entries, linuxbridge.plan(entries, config))
                state = linuxbridge.state_of(after, config.enabled)
                self.assertTrue(state.matches(config), (entries, config, after))
                self.assertEqual([], linuxbridge.plan(after, config))

    def test_one_flag_alone_is_never_sound(self):
        for flags in (linuxbridge.PVID, linuxbridge.UNTAGGED):
            state = linuxbridge.state_of({100: flags}, True)
            self.assertTrue(state.carries(100))
            for config in (PARKED, PortConfig(100), PortConfig(None, frozenset({100}))):
                self.assertFalse(state.matches(config))
