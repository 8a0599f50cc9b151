# SPDX-License-Identifier: Apache-2.0
"""What the tests of the service on Open vSwitch share: a switch of its own, registered, and machines on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import testtools

from mogan_hil.drivers.switch.base import PortConfig
from mogan_hil.drivers.switch.openvswitch import columns_of
from tests import openvswitch, service
from tests.said import Said

#: Why these tests are skipped; None if they run.
MISSING = openvswitch.missing()

SWITCH = "ovs"
#: What is observed of a parked port.
PARKED = {"native": None, "tagged": "", "enabled": False}


def register(admin: service.Api, switch: openvswitch.OpenVSwitch) -> None:
    """Register the switch."""
    admin.add_switch(SWITCH, [], "openvswitch", endpoint=switch.endpoint, bridge=switch.bridge)


def add_machine(admin: service.Api, node: str, port: str, state: str | None = "done") -> None:
    """Register a port and a node that is cabled to it.

    :param state: how parking the port must end
    """
    admin.wait(admin.post(f"switches/{SWITCH}/ports", {"name": port})["operation"], state)
    admin.add_node(node, SWITCH, port)


def expected_columns(config: PortConfig) -> dict[str, str]:
    """The VLAN columns that a port with this configuration has, as `OpenVSwitch.get_port` tells them."""
    shown = {}
    for column, value in columns_of(config).items():
        if isinstance(value, bool):
            shown[column] = str(value).lower()
        elif column in ("vlan_mode", "tag"):
            shown[column] = str(value[0]) if value else "[]"
        else:
            shown[column] = str(value)
    return shown


class ServiceTestCase(testtools.TestCase):
    """The service within the test's process, with an Open vSwitch behind it that is registered as `ovs`."""

    settings: Mapping[tuple[str, str], Any] = {}

    def setUp(self) -> None:
        super().setUp()
        if MISSING:
            self.skipTest(MISSING)
        self.logger = self.useFixture(Said("mogan_hil"))
        self.switch = self.useFixture(openvswitch.OpenVSwitch())
        self.service = self.useFixture(service.Embedded(self.settings))
        self.admin = self.service.admin
        register(self.admin, self.switch)

    def hosts(self, count: int) -> list[openvswitch.Host]:
        """Hosts whose ports are not registered."""
        return [self.useFixture(openvswitch.Host(self.switch, number)) for number in range(1, count + 1)]

    def port(self, name: str) -> Any:
        """GET a port."""
        return self.admin.get(f"switches/{SWITCH}/ports/{name}")

    def drift(self) -> list[str]:
        """The ports that GET drift names."""
        return [port["name"] for port in self.admin.get(f"switches/{SWITCH}/drift")["ports"]]

    def vlan(self, network: str) -> int:
        """The VLAN of a network."""
        return int(self.admin.get(f"networks/{network}")["segment_id"])

    def attachments(self, node: str) -> dict[str, str]:
        """Channel to status of what is attached to a node."""
        found = self.admin.get(f"nodes/{node}/nics/eth0/attachments")["attachments"]
        return {item["channel"]: item["status"] for item in found}

    def assert_columns(self, port: str, config: PortConfig) -> None:
        """The port is so on the switch, column by column."""
        self.assert_all_columns({port: config})

    def assert_all_columns(self, ports: Mapping[str, PortConfig]) -> None:
        """The same for several ports."""
        found = self.switch.get_ports(ports)
        for columns in found.values():
            columns.pop("other_config")
        self.assertEqual({port: expected_columns(config) for port, config in ports.items()}, found)

    def assert_eventually(self, what: Callable[[], bool], message: str = "") -> None:
        """Something becomes so in time."""
        end = time.monotonic() + service.WAIT
        while not what():
            if time.monotonic() > end:
                self.fail(f"not within {service.WAIT} s: {message}")
            time.sleep(0.005)
