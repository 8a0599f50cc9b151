# SPDX-License-Identifier: Apache-2.0
"""The service on Open vSwitch, by what passes on the wire: who reaches whom, and that a closed port is closed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from mogan_hil.drivers.switch.base import PARKED as NOTHING
from mogan_hil.drivers.switch.base import PortConfig
from tests import openvswitch, service
from tests.openvswitch import passing, tag
from tests.real.service_openvswitch import SWITCH, ServiceTestCase, add_machine


class TestIsolation(ServiceTestCase):
    """Two projects, three machines each, one switch."""

    def setUp(self) -> None:
        super().setUp()
        self.machines = dict(zip(("r1", "r2", "r3", "b1", "b2", "b3"), self.hosts(6), strict=True))
        for project in ("red", "blue"):
            self.admin.add_project(project)
        self.red, self.blue = self.admin.as_user("red-member"), self.admin.as_user("blue-member")
        for name, host in self.machines.items():
            add_machine(self.admin, name, host.port)
            self.user(name).put(f"nodes/{name}/project", {})

    def user(self, node):
        return self.red if node.startswith("r") else self.blue

    def reached(self, sender: str, *tags: bytes) -> set[str]:
        """The machines at which a broadcast arrives, untagged or with any of these tags."""
        others = [name for name in self.machines if name != sender]
        arrived = passing(
            self.machines[sender], list(enumerate(tags or [b""])), [self.machines[name] for name in others]
        )
        return {name for name, numbers in zip(others, arrived, strict=True) if numbers}

    def pings(self, first: str, second: str, tries: int = 30) -> bool:
        return self.machines[first].pings(self.machines[second], tries)

    def test_projects_are_apart(self) -> None:
        # A network that everybody may use shows that each pair can talk at all.
        self.admin.post("networks", {"name": "lobby", "project_id": None, "public": True})
        for name in self.machines:
            self.user(name).attach(name, "lobby")
        for name in self.machines:
            self.assertEqual(self.machines.keys() - {name}, self.reached(name))
        self.assertTrue(self.pings("r1", "b1"))
        for name in self.machines:
            self.user(name).detach(name, "lobby")
            self.assertEqual(set(), self.reached(name))
        self.assertFalse(self.pings("r1", "b1", 1))

        self.red.post("networks", {"name": "red-net"})
        self.blue.post("networks", {"name": "blue-net"})
        for name in self.machines:
            self.user(name).attach(name, "red-net" if name.startswith("r") else "blue-net")
        tags = [tag(self.vlan(network)) for network in ("red-net", "blue-net", "lobby")]
        for name in self.machines:
            own = {other for other in self.machines if other[0] == name[0]}
            self.assertEqual(own - {name}, self.reached(name))
            # Nor by tagging its frames does a machine get anywhere else.
            self.assertLessEqual(self.reached(name, *tags), own)
        self.assertTrue(self.pings("r1", "r2") and self.pings("r2", "r3") and self.pings("b1", "b3"))
        self.assertFalse(self.pings("r1", "b1", 1) or self.pings("b3", "r3", 1))
        for network, letter in (("red-net", "r"), ("blue-net", "b")):
            report = self.admin.get(f"networks/{network}/isolation")
            self.assertTrue(report["isolated"])
            self.assertEqual({f"{letter}{number}" for number in (1, 2, 3)}, {p["node"] for p in report["ports"]})

    def test_tagged_and_native_together(self) -> None:
        for name in ("first", "second", "third"):
            self.red.post("networks", {"name": name})
        first, second, third = (self.vlan(name) for name in ("first", "second", "third"))
        for node, network, channel in (
            ("r1", "first", "vlan/native"),
            ("r1", "second", f"vlan/{second}"),
            ("r1", "third", f"vlan/{third}"),
            ("r2", "first", f"vlan/{first}"),
            ("r2", "second", "vlan/native"),
            ("r3", "third", f"vlan/{third}"),
        ):
            self.assertTrue(self.red.attach(node, network, channel=channel)["verified"])
        self.assert_columns(self.machines["r1"].port, PortConfig(first, frozenset({second, third})))
        self.assertEqual({"r2"}, self.reached("r1"))
        self.assertEqual({"r2"}, self.reached("r1", tag(second)))
        self.assertEqual({"r3"}, self.reached("r1", tag(third)))
        self.assertEqual({"r1"}, self.reached("r3", tag(third)))
        self.assertEqual(set(), self.reached("r3"))
        # What is native goes, and what is tagged stays.
        self.red.detach("r1", "first")
        self.assert_columns(self.machines["r1"].port, PortConfig(None, frozenset({second, third})))
        self.assertEqual(set(), self.reached("r1"))
        self.assertEqual({"r2"}, self.reached("r1", tag(second)))
        self.red.detach("r1", "second")
        self.assertEqual(set(), self.reached("r1", tag(second)))
        self.assertEqual({"r3"}, self.reached("r1", tag(third)))

    def test_shared_network(self) -> None:
        self.blue.post("networks", {"name": "shared"})
        vlan = self.vlan("shared")
        self.blue.attach("b1", "shared")
        self.red.post("nodes/r1/nics/eth0/attachments", {"network": "shared"}, 404)
        self.blue.put("networks/shared/access/red", status=None)
        self.red.attach("r1", "shared")
        self.red.attach("r2", "shared", channel=f"vlan/{vlan}")
        self.assertEqual({"r1", "r2"}, self.reached("b1"))
        self.assertEqual({"r1", "b1"}, self.reached("r2", tag(vlan)))
        self.assertTrue(self.pings("b1", "r1"))
        self.blue.delete("networks/shared/access/red", 409)
        self.assertTrue(self.pings("b1", "r1"))
        self.red.detach("r1", "shared")
        self.blue.delete("networks/shared/access/red", 409)
        self.red.detach("r2", "shared")
        self.blue.delete("networks/shared/access/red")
        self.red.post("nodes/r1/nics/eth0/attachments", {"network": "shared"}, 404)
        self.assertFalse(self.pings("b1", "r1", 1))
        self.assertEqual(set(), self.reached("b1"))


class ClosedTestCase(ServiceTestCase):
    """A port that is unused, freed or in error passes no frame of any VLAN, tagged or not, in either direction."""

    settings = {("conductor", "driver_timeout"): 30.0, ("conductor", "poll_interval"): 0.3}

    def setUp(self) -> None:
        super().setUp()
        # Two that nobody registered: an uplink with every VLAN, and a port without any configuration.
        self.host, self.uplink, self.bare = self.hosts(3)
        self.switch.set_port(self.uplink.port, "vlan_mode=trunk", "trunks=" + ",".join(map(str, range(1, 4095))))
        self.frames = openvswitch.every_vlan()
        self.admin.add_project("red")
        self.red = self.admin.as_user("red-member")

    def begin(self) -> None:
        """A machine of the project, with two networks, and its port parked."""
        add_machine(self.admin, "n1", self.host.port)
        self.red.put("nodes/n1/project", {})
        self.vlans = []
        for name in ("first", "second"):
            self.red.post("networks", {"name": name})
            self.vlans.append(self.vlan(name))

    def open(self) -> None:
        """Attach both networks, and see them pass: what is asserted to be closed afterwards was open before."""
        first, second = self.vlans
        if "vlan/native" not in self.attachments("n1"):
            self.red.attach("n1", "first")
            self.red.attach("n1", "second", channel=f"vlan/{second}")
        sample = [(0, b""), (second, tag(second))]
        self.assertEqual([{0, second}, {0, second}], passing(self.host, sample, [self.uplink, self.bare]))
        sample = [(first, tag(first)), (second, tag(second))]
        self.assertEqual([{first, second}], passing(self.uplink, sample, [self.host]))

    def assert_closed(self, frames: Sequence[tuple[int, bytes]] | None = None) -> None:
        frames = self.frames if frames is None else frames
        self.switch.revalidate()  # what it decided of thousands of frames takes longer than the driver waits
        self.assertEqual([set(), set()], passing(self.host, frames, [self.uplink, self.bare]))
        self.assertEqual([set()], passing(self.uplink, frames, [self.host]))
        self.assertEqual([set()], passing(self.bare, frames, [self.host]))
        self.assert_columns(self.host.port, NOTHING)

    def sample(self) -> list[tuple[int, bytes]]:
        """Fewer frames: those of the networks, and some others."""
        return openvswitch.every_vlan({*self.vlans, 1, 2, 10, 100, 4094})


class TestFailClosed(ClosedTestCase):
    """Whatever becomes of a port."""

    def test_unused_and_freed(self) -> None:
        everything = {number for number, _tags in self.frames}
        self.assertEqual(everything, passing(self.host, self.frames, [self.bare])[0])
        self.assertEqual([everything], passing(self.bare, self.frames, [self.host]))
        self.begin()
        self.assert_closed()

        self.open()
        self.red.detach("n1", "first")
        self.red.detach("n1", "second")
        self.assert_closed()

        self.open()
        self.red.detach("n1", "second")
        self.red.detach("n1", "first")
        self.red.delete("nodes/n1/project")
        self.assert_closed(self.sample())

        self.red.put("nodes/n1/project", {})
        self.open()
        self.admin.wait(self.admin.post(f"switches/{SWITCH}/ports/{self.host.port}/revert", b"", 202))
        self.assertEqual({}, self.attachments("n1"))
        self.assert_closed()

        # What is not registered any more stays as it was left.
        self.red.delete("nodes/n1/project")
        self.admin.delete(f"switches/{SWITCH}/ports/{self.host.port}/nic")
        self.admin.delete(f"switches/{SWITCH}/ports/{self.host.port}")
        self.assert_closed(self.sample())

    def test_device_is_gone(self) -> None:
        """ovs-vswitchd cannot open the device of the port: nothing is given to it, and it is closed when it is back."""
        self.begin()
        self.open()
        self.red.detach("n1", "first")
        self.red.detach("n1", "second")
        self.rename(self.host.port, "away")
        self.switch.vsctl("del-port", self.host.port)
        with contextlib.suppress(RuntimeError):  # it says that there is no such device
            self.switch.vsctl("add-port", self.switch.bridge, self.host.port)
        failed = self.red.wait(self.posted("n1"), "error")
        self.assertIn("is broken", failed["error"])
        self.assert_columns(self.host.port, NOTHING)
        self.assertEqual({}, self.attachments("n1"))
        self.rename("away", self.host.port)
        self.assert_eventually(lambda: self.switch.vsctl("get", "interface", self.host.port, "error") == "[]\n")
        self.assert_closed(self.sample())
        self.open()

    def test_bad_port_beside_a_good_one(self) -> None:
        """In one batch, the good one is attached and the one that the bridge does not have ends in error."""
        self.begin()
        self.admin.add_node("n2")  # claimed first: a free node with a port that is not proven parked is not given away
        self.red.put("nodes/n2/project", {})
        registered = self.admin.post(f"switches/{SWITCH}/ports", {"name": "ghost"})
        self.admin.wait(registered["operation"], "error")
        self.admin.put(f"switches/{SWITCH}/ports/ghost/nic", {"node": "n2", "nic": "eth0"})
        self.assertEqual(("error", None), (self.port("ghost")["status"], self.port("ghost")["observed"]))
        posted: dict[str, Any] = {}
        end = time.monotonic() + service.WAIT
        while not posted:
            self.assertLess(time.monotonic(), end)
            with self.switch.hung("ovsdb-server"):  # so that they come together
                answer = self.ask("n2")
                if answer.status == 202:  # it is not just being mended, which would not end now
                    posted = {"n2": answer.json, "n1": self.posted("n1")}
            time.sleep(0.3)
        self.assertTrue(self.red.wait(posted["n1"])["verified"])
        self.assertIn("no such port", self.red.wait(posted["n2"], "error")["error"])
        self.assert_columns(self.host.port, PortConfig(self.vlans[0]))
        # The port appears, as ports do: without configuration. It is parked unasked.
        openvswitch.run("ip", "-n", self.switch.namespace, "link", "set", self.bare.port, "name", "ghost")
        self.switch.vsctl("del-port", self.bare.port, "--", "add-port", self.switch.bridge, "ghost")
        self.assert_eventually(lambda: self.port("ghost")["status"] == "ok")
        self.assert_columns("ghost", NOTHING)
        self.assertEqual({}, self.attachments("n2"))
        self.assertEqual([set()], passing(self.uplink, self.sample(), [self.bare]))

    def posted(self, node: str) -> Any:
        """Ask for the first network, as soon as the port of the node is not just being mended."""
        end = time.monotonic() + service.WAIT
        while (answer := self.ask(node)).status == 409 and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(202, answer.status, answer.text)
        return answer.json

    def ask(self, node: str) -> Any:
        return self.red.call("POST", f"nodes/{node}/nics/eth0/attachments", {"network": "first"})

    def rename(self, old: str, new: str) -> None:
        for change in (("down",), ("name", new), ("up",)):
            device = new if change == ("up",) else old
            openvswitch.run("ip", "-n", self.switch.namespace, "link", "set", device, *change)


class TestServerStops(ClosedTestCase):
    """Whatever becomes of the switch."""

    settings = {**ClosedTestCase.settings, ("conductor", "driver_timeout"): 2.5, ("conductor", "max_attempts"): 2}

    def test_server_stops_in_the_middle(self) -> None:
        """The operation ends in error, and the port is parked as soon as the switch is back."""
        self.begin()
        path = "nodes/n1/nics/eth0/attachments"
        for verb in ("attach", "detach"):
            if verb == "detach":
                self.open()
                with self.switch.hung("ovsdb-server"):
                    self.red.wait(self.red.delete(f"{path}/first", 202), "error")
                    self.assertEqual("error", self.port(self.host.port)["status"])
            else:
                with self.switch.hung("ovsdb-server"):
                    self.red.wait(self.red.post(path, {"network": "first"}, 202), "error")
                    self.assertEqual("error", self.port(self.host.port)["status"])
            self.assert_eventually(lambda: self.port(self.host.port)["status"] == "ok")
            if verb == "detach":
                self.red.detach("n1", "second")
            self.assertEqual({}, self.attachments("n1"))
            self.assert_closed()
