# SPDX-License-Identifier: Apache-2.0
"""The service on Open vSwitch, with much to do: conductors that are killed, many operations at once, talking hosts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection
from typing import Any

import testtools
from testtools.content import text_content

from mogan_hil.common.channels import vlans_of
from mogan_hil.drivers.switch.base import PortConfig
from tests import openvswitch, service
from tests.functional.traffic import Traffic
from tests.real.service_openvswitch import MISSING, ServiceTestCase, add_machine, expected_columns, register


def wrong_ports(admin: service.Api, switch: openvswitch.OpenVSwitch, nodes: dict[str, str]) -> dict[str, Any]:
    """The ports of nodes that are not, column by column, what the attachments of their NICs say."""
    segments = {network["name"]: network["segment_id"] for network in admin.get("networks")["networks"]}
    wrong = {}
    on_switch = switch.get_ports(nodes.values())
    for node, port in nodes.items():
        found = admin.get(f"nodes/{node}/nics/eth0/attachments")["attachments"]
        unsure = [item for item in found if item["status"] != "active"]
        config = PortConfig(*vlans_of((item["channel"], segments[item["network"]["name"]]) for item in found))
        columns = on_switch[port]
        columns.pop("other_config")
        if unsure or columns != expected_columns(config):
            wrong[port] = (found, columns)
    return wrong


def open_operations(admin: service.Api) -> list[Any]:
    """The operations that are not finished."""
    return [
        operation
        for state in ("pending", "running")
        for operation in admin.get(f"operations?state={state}&limit=1000")["operations"]
    ]


class TestKilledConductor(testtools.TestCase):
    """kill -9 of the conductor, a process of its own, again and again in the middle of attaching and detaching."""

    def test_nothing_is_lost(self) -> None:
        if MISSING:
            self.skipTest(MISSING)
        switch = self.useFixture(openvswitch.OpenVSwitch())
        settings = {
            ("conductor", "sweep_interval"): 0.1,
            ("conductor", "poll_interval"): 1.0,
            ("conductor", "driver_timeout"): 30.0,
        }
        site = self.useFixture(service.Processes("sqlite", settings=settings))
        self.addOnException(lambda _info: self.addDetail("logs", text_content(site.logs()[-20000:])))
        admin = site.admin
        register(admin, switch)
        admin.add_project("red")
        red = admin.as_user("red-member")
        nodes = {f"n{number}": port for number, port in enumerate(switch.add_dummy_ports(16))}
        parking = [admin.post("switches/ovs/ports", {"name": port})["operation"] for port in nodes.values()]
        for operation, (node, port) in zip(parking, nodes.items(), strict=True):
            admin.wait(operation)
            admin.add_node(node, "ovs", port)
            red.put(f"nodes/{node}/project", {})
        networks = [red.post("networks", {"name": name}) for name in ("one", "two", "three-tagged", "four-tagged")]
        traffic = Traffic(
            lambda number: service.Api(site.apis[number % 2]._send, "red-member"), list(nodes), networks, 200
        )
        self.addCleanup(traffic.stop)
        conductor = site.conductors[0]
        for _ in range(3):
            time.sleep(random.uniform(0.05, 0.3))
            site.kill_conductor(conductor)
            conductor = site.start_conductor()
        traffic.join(service.WAIT)
        self.assertEqual([], traffic.failures)
        end = time.monotonic() + service.WAIT
        while open_operations(admin):
            self.assertLess(time.monotonic(), end, "operations do not end")
            time.sleep(0.05)
        self.assertGreaterEqual(len(traffic.accepted), 100)
        for uuid in traffic.accepted:
            self.assertEqual("done", admin.get(f"operations/{uuid}")["state"])
        self.assertEqual({}, wrong_ports(admin, switch, nodes))


class TestBatch(ServiceTestCase):
    """Two hundred NICs, four clients, at once."""

    settings = {("conductor", "driver_timeout"): 30.0}

    def test_two_hundred_at_once(self) -> None:
        ports = self.switch.add_dummy_ports(200)
        posted = [self.admin.post("switches/ovs/ports", {"name": port})["operation"] for port in ports]
        self.admin.add_project("red")
        red = self.admin.as_user("red-member")
        red.post("networks", {"name": "mine"})
        for number, port in enumerate(ports):
            self.admin.wait(posted[number])
            self.admin.add_node(f"n{number}", "ovs", port)
            red.put(f"nodes/n{number}/project", {})
        for verb, config in (("attach", PortConfig(self.vlan("mine"))), ("detach", PortConfig())):
            began = time.monotonic()
            operations = self.at_once(red, verb, range(200))
            self.assertEqual(200, len(operations))
            for operation in operations:
                self.assertTrue(red.wait(operation)["verified"])
            seconds = time.monotonic() - began
            self.addDetail(f"{verb} per second", text_content(f"{200 / seconds:.0f}"))
            self.assert_all_columns(dict.fromkeys(ports, config))

    def at_once(self, red: service.Api, verb: str, numbers: Collection[int]) -> list[Any]:
        operations = []

        def client(first: int) -> None:
            for number in list(numbers)[first::4]:
                path = f"nodes/n{number}/nics/eth0/attachments"
                if verb == "attach":
                    operations.append(red.post(path, {"network": "mine"}, 202))
                else:
                    operations.append(red.delete(f"{path}/mine", 202))

        threads = [threading.Thread(target=client, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return operations


class TestDetached(ServiceTestCase):
    """What a host says in the middle of a conversation does not get through once its detachment is done."""

    def test_nothing_passes_after_done(self) -> None:
        talker, listener = self.hosts(2)
        for node, host in (("n1", talker), ("n2", listener)):
            add_machine(self.admin, node, host.port)
        self.admin.add_project("red")
        red = self.admin.as_user("red-member")
        for node in ("n1", "n2"):
            red.put(f"nodes/{node}/project", {})
        red.post("networks", {"name": "mine"})
        red.attach("n2", "mine")
        last = []
        for _ in range(40):
            red.attach("n1", "mine")
            listener.received()
            with talker.talking():
                self.assertTrue(listener.wait_for_any())
                red.detach("n1", "mine")
                done = time.monotonic_ns()
                time.sleep(0.03)
            last.append((max((frame.number for frame in listener.received()), default=0) - done) / 1e6)
        self.assertEqual([], [milliseconds for milliseconds in last if milliseconds > 0])
