# SPDX-License-Identifier: Apache-2.0
"""The driver of switches that speak NETCONF, held to the contract by a simulated one. See `tests/netconfswitch.py`."""

import unittest

from mogan_hil.drivers.switch import netconf
from mogan_hil.drivers.switch.base import PortState
from mogan_hil.drivers.testing import switch as contract
from tests import netconfswitch, sshserver

GOOD = {"host": "sw", "username": "u", "password": "p", "host_keys": ["SHA256:" + "a" * 43]}


class TestNetconf(contract.SwitchContract, unittest.TestCase):
    driver_class = netconf.Netconf
    ports = ("eth1", "Ethernet1/2", "swp3")
    unknown_port = "eth99"
    lag = ("PortChannel1", "eth4")
    leftovers = (
        PortState(native=0, tagged=netconfswitch.EVERY | {0}),
        PortState(native=7, tagged=frozenset({8, 9, 10})),
        PortState(native=11),
        PortState(native=11, enabled=False),
    )
    bad_options = (
        {},
        *(
            {**GOOD, **bad}
            for bad in (
                {"host": "a b"},
                {"host": ""},
                {"port": 0},
                {"username": "a\nb"},
                {"password": "a\nb"},
                {"host_keys": []},
                {"host_keys": ["SHA256:a"]},
                {"known_hosts": "relative"},
                {"network_instance": "<x/>"},
                {"manage_vlans": 1},
            )
        ),
        {name: value for name, value in GOOD.items() if name != "host_keys"},
        {name: value for name, value in GOOD.items() if name != "password"},
    )
    # Such a switch pushes nothing that is used, and a trunk of OpenConfig has a native VLAN.
    test_watch_starts_with_every_port = test_watch_reports = test_watch_ends = test_tagged_only = None

    @classmethod
    def setUpClass(cls):
        hurry = netconfswitch.NetconfSwitch.hurry()
        cls.addClassCleanup(hurry.cleanUp)
        hurry.setUp()
        cls.switch = netconfswitch.NetconfSwitch()
        cls.addClassCleanup(cls.switch.cleanUp)
        cls.switch.setUp()
        for port in cls.ports:
            cls.switch.add_port(port)
        cls.switch.add_port(cls.lag[0], is_group=True)
        cls.switch.add_port(cls.lag[1], group=cls.lag[0])

    def options(self):
        return self.switch.options()

    def test_no_file_of_the_conductor_is_told(self):
        sshserver.assert_file_is_not_told(self, netconf.Netconf, self.options(), self.ports[0])

    def set_by_hand(self, port, state):
        self.switch.set_by_hand(port, state)
