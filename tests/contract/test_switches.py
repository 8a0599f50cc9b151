# SPDX-License-Identifier: Apache-2.0
"""The switch drivers of this project, held to the contract."""

import itertools
import unittest

from mogan_hil.drivers.switch import fake, openvswitch
from mogan_hil.drivers.testing import switch as contract
from tests import openvswitch as ovs


class TestFakeSwitch(contract.SwitchContract, unittest.TestCase):
    driver_class = fake.FakeSwitch
    ports = ("Ethernet1/1", "Ethernet1/2", "Ethernet1/3")
    unknown_port = "Ethernet9/9"
    lag = ("Port-channel1", "Ethernet1/4")
    bad_options = ({"delay": -1}, {"fail": "p"}, {"password": 1}, {"fail_transient": 1.5}, {"lags": {"a": "b"}})

    def options(self):
        return {"ports": list(self.ports), "password": "hunter2", "lags": {self.lag[0]: [self.lag[1]]}}

    def set_by_hand(self, port, state):
        environment = self.driver.environment
        fake.set_by_hand(environment.state_dir, environment.uuid, port, state)


class TestOpenVSwitch(contract.SwitchContract, unittest.TestCase):
    driver_class = openvswitch.OpenVSwitch
    unknown_port = "no-such-port"
    bad_options = tuple(
        {"endpoint": endpoint, "bridge": "br0"}
        for endpoint in (
            "",
            "unix:",
            "unix:relative",
            "unix:/a b",
            "unix:/a,tcp:evil:1",
            "unix:/a\n",
            "tcp:host",
            "tcp:host:port",
            "tcp:host:1\n",
            "udp:host:1",
            "ptcp:1:host",
            "tcp:-host:1",
            "ssl:host:6640",
            1,
        )
    ) + tuple({"endpoint": "tcp:[::1]:6640", "bridge": bridge} for bridge in ("", "a b", "a\n", "-a", "a" * 64, 1))

    @classmethod
    def setUpClass(cls):
        if reason := ovs.missing():
            raise unittest.SkipTest(reason)
        cls.switch = ovs.OpenVSwitch()
        cls.addClassCleanup(cls.switch.cleanUp)
        cls.switch.setUp()
        cls.ports = tuple(cls.switch.add_dummy_port() for _ in range(3))
        cls.lag = cls.switch.add_bond()

    def setUp(self):
        super().setUp()
        for port in self.ports:
            self.switch.set_port(port)

    def options(self):
        return {"endpoint": self.switch.endpoint, "bridge": self.switch.bridge}

    def set_by_hand(self, port, state):
        settings = []
        if state.native:
            settings.append(f"tag={state.native}")
        if state.tagged and len(state.tagged) < 4096:
            mode = "native-untagged" if state.native else "trunk"
            settings += [f"vlan_mode={mode}", "trunks=" + ",".join(map(str, sorted(state.tagged)))]
        self.switch.set_port(port, *settings)

    def test_states_round_trip(self):
        """What is written is what is read, for each kind of configuration, without a switch in between."""
        for native, tagged in itertools.product((None, 1, 4094), ((), (2,), (2, 4093), range(2, 4094))):
            config = contract.PortConfig(native, frozenset(tagged))
            columns = openvswitch.columns_of(config)
            state = openvswitch.state_of(
                columns["vlan_mode"][0],
                columns["tag"][0] if columns["tag"] else None,
                columns["trunks"],
                columns["protected"],
            )
            self.assertTrue(state.matches(config), (config, state))

    def test_a_protected_port_in_use_is_drift(self):
        for config in (contract.PortConfig(10), contract.PortConfig(10, frozenset({20}))):
            columns = openvswitch.columns_of(config)
            state = openvswitch.state_of(columns["vlan_mode"][0], 10, columns["trunks"], True)
            self.assertFalse(state.matches(config) or state.matches(contract.PARKED), state)
            self.assertTrue(state.carries(10))
