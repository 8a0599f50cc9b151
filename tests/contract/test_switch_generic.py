# SPDX-License-Identifier: Apache-2.0
"""The driver of switches with a command line, held to the contract by simulated ones. See `tests/sshswitch.py`."""

import unittest
from unittest import mock

from mogan_hil.common import exception
from mogan_hil.drivers import loader
from mogan_hil.drivers.switch import generic, ngs
from mogan_hil.drivers.switch.base import PortConfig, PortState
from mogan_hil.drivers.testing import switch as contract
from tests import sshserver, sshswitch

EVERY = frozenset(range(1, 4095))
GOOD = {
    "device_type": "netmiko_cisco_ios",
    "host": "sw",
    "username": "u",
    "password": "p",
    "host_keys": ["SHA256:" + "a" * 43],
}


class GenericContract(contract.SwitchContract):
    driver_class = generic.Generic
    dialect: sshswitch.Ios
    # No switch of this kind pushes changes.
    test_watch_starts_with_every_port = test_watch_reports = test_watch_ends = None
    leftovers = (
        PortState(native=1, tagged=EVERY - {1}),
        PortState(native=7, tagged=frozenset({8, 9})),
        PortState(native=None, tagged=frozenset({8, 9, 10})),
        PortState(native=11),
    )
    bad_options = tuple(
        {**GOOD, **bad}
        for bad in (
            {"device_type": "netmiko_ovs_linux"},
            {"device_type": "netmiko_huawei"},  # without a VLAN to park in
            {"device_type": "cisco_ios"},
            {"host": "-oProxyCommand=x"},
            {"host": "a b"},
            {"host": ""},
            {"port": 0},
            {"port": "22"},
            {"username": "a\nb"},
            {"password": "a\nb"},
            {"host_keys": []},
            {"host_keys": ["SHA256:a"]},
            {"host_keys": "SHA256:" + "a" * 43},
            {"known_hosts": "relative"},
            {"parking_vlan": 4095},
            {"save": "yes"},
            {"delay_factor": 0},
            {"password": None},
            {"host_keys": None},
        )
    )

    @classmethod
    def setUpClass(cls):
        cls.switch = sshswitch.SshSwitch(cls.dialect)
        cls.addClassCleanup(cls.switch.cleanUp)
        cls.switch.setUp()
        for port in (*cls.ports, cls.lag[0]):
            cls.switch.add_port(port)
        cls.switch.add_port(cls.lag[1], group=1)

    def options(self):
        return self.switch.options()

    def test_secrets_and_host_keys_are_required(self):
        loader.check_options(generic.Generic, GOOD)
        for name in ("password", "host_keys", "username", "device_type"):
            options = {key: value for key, value in GOOD.items() if key != name}
            self.assertRaises(exception.BadField, loader.check_options, generic.Generic, options)

    def test_a_refused_device_type_says_why(self):
        for name, why in ngs.REFUSED.items():
            with self.assertRaises(exception.BadField) as caught:
                loader.check_options(generic.Generic, {**GOOD, "device_type": name})
            self.assertEqual(f"options.device_type: {name} is refused: {why}", caught.exception.detail)

    def test_no_file_of_the_conductor_is_told(self):
        sshserver.assert_file_is_not_told(self, generic.Generic, self.options(), self.ports[0])

    def set_by_hand(self, port, state):
        self.switch.set_by_hand(port, state)

    def test_a_batch_is_one_session(self):
        patience = mock.patch.object(generic, "PROBE", 60.0)  # else a busy machine has it log in again
        patience.start()
        self.addCleanup(patience.stop)
        self.switch.logins = 0
        self.driver.configure(dict.fromkeys(self.ports, PortConfig(100)))
        self.driver.read(self.ports)
        self.driver.save()
        self.assertEqual(1, self.switch.logins)
        self.assertTrue(self.switch.saved)


class TestCiscoIos(GenericContract, unittest.TestCase):
    dialect = sshswitch.Ios()
    ports = ("GigabitEthernet1/0/1", "GigabitEthernet1/0/2", "GigabitEthernet1/0/3")
    unknown_port = "GigabitEthernet9/0/9"
    lag = ("Port-channel1", "GigabitEthernet1/0/4")


class TestAristaEos(GenericContract, unittest.TestCase):
    dialect = sshswitch.Eos()
    ports = ("Ethernet1", "Ethernet2/1", "Ethernet3")
    unknown_port = "Ethernet99"
    lag = ("Port-Channel1", "Ethernet4")


class TestDellOs10(GenericContract, unittest.TestCase):
    dialect = sshswitch.Os10()
    ports = ("ethernet1/1/1", "ethernet1/1/2:1", "ethernet1/1/3")
    unknown_port = "ethernet1/1/99"
    lag = ("port-channel1", "ethernet1/1/4")
    leftovers = tuple(state for state in GenericContract.leftovers if state.native)
    test_tagged_only = None  # it says that it cannot
