# SPDX-License-Identifier: Apache-2.0
"""Of the nodes of a class some have no controller, and some no cable to where a network is. The others are found."""

from __future__ import annotations

from typing import Any

import fixtures
import testtools

from mogan_hil.common import exception
from mogan_hil.conductor.builds import Build
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.objects.node import Node
from tests import service

#: More than are looked at one by one.
MANY = 25


class TestFitting(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        settings = {
            ("network", "segments"): ["default:100-200", "far:300-400"],
            ("conductor", "driver_timeout"): service.WAIT,
            ("conductor", "power_timeout"): service.WAIT,
            ("maintenance", "project"): "repair",
        }
        self.site = self.useFixture(service.Embedded(settings))
        self.admin = self.site.admin
        for name in ("red", "repair"):
            self.admin.add_project(name)
        self.red = self.admin.as_user("red-member")
        self.admin.post("flavors", {"name": "metal", "resource_class": "baremetal"})

    def refused(self, path: str, body: object) -> str:
        return str(self.red.call("POST", path, body, status=409).json["errors"][0]["code"])

    def test_controllers(self) -> None:
        for number in range(MANY):
            self.admin.add_node(f"bare{number}")
        wish = {"name": "web", "flavor": "metal", "boot_device": "pxe"}
        self.assertEqual("obm.unavailable", self.refused("instances", wish))
        first = self.admin.add_node("first", obm={"driver": "fake"})
        self.admin.add_node("second", obm={"driver": "fake"})
        fake_obm.set_faults(self.site.state_dir, first["uuid"], fail=True)
        self.red.wait(self.red.post("instances", wish, 202)["instances"][0]["operation"])
        self.assertEqual("second", self.red.get("instances/web")["node"]["name"])

    def test_cables(self) -> None:
        near = [f"p{number}" for number in range(MANY)]
        self.admin.add_switch("near", [*near, "q1", "q2"])
        self.admin.post("switches", {"name": "far", "driver": "fake", "options": {}, "physical_network": "far"})
        for number in (1, 2):
            self.admin.wait(self.admin.post("switches/far/ports", {"name": f"f{number}"})["operation"])
        for port in near:
            self.admin.add_node(f"on-{port}", "near", port)
        self.admin.post("networks", {"name": "net", "physical_network": "far", "project_id": "red"})
        wire = {"networks": [{"network": "net"}]}
        wish, claim = {"name": "web", "flavor": "metal", **wire}, {"count": 1, **wire}
        self.assertEqual("network.other_physical_network", self.refused("instances", wish))
        self.assertEqual("network.other_physical_network", self.refused("claims", claim))
        for number in (1, 2):
            self.admin.add_node(f"both{number}", "near", f"q{number}")
            self.admin.post(f"nodes/both{number}/nics", {"name": "eth1", "mac": f"52:54:00:00:00:0{number}"})
            self.admin.put(f"switches/far/ports/f{number}/nic", {"node": f"both{number}", "nic": "eth1"})
        twice = {"networks": [{"network": "net"}, {"network": "net"}]}
        self.assertEqual("network.other_physical_network", self.refused("claims", {"count": 1, **twice}))
        self.red.wait(self.red.post("instances", wish, 202)["instances"][0]["operation"])
        self.assertEqual("both1", self.red.get("instances/web")["node"]["name"])
        self.red.wait(self.red.post("claims", claim, 202))
        attached = self.red.get("nodes/both2")["nics"]
        self.assertEqual([0, 1], [len(nic["attachments"]) for nic in attached])

    def elsewhere(self, state: str, **refusals: exception.Conflict) -> tuple[list[str], set[str]]:
        """Build on the first of four nodes in vain, and then on those that a fault does not refuse at that moment.

        Returns the nodes on which it was tried then, and those that went into maintenance.
        """
        for number in range(4):
            node = self.admin.add_node(f"n{number}", obm={"driver": "fake"})
            fake_obm.set_faults(self.site.state_dir, node["uuid"], fail=number == 0)
        wire, tried = Build._wire, []

        def refuse(build: Any, node: Node) -> None:
            tried.append(node.name)
            if node.name in refusals:
                raise refusals[node.name]
            wire(build, node)

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.builds.Build._wire", refuse))
        wish = {"name": "web", "flavor": "metal", "boot_device": "pxe"}
        self.red.wait(self.red.post("instances", wish, 202)["instances"][0]["operation"], state)
        repaired = self.admin.as_user("repair-member").get("nodes")["nodes"]
        return tried, {node["name"] for node in repaired if node["project_id"] is not None}

    def test_passed_over(self) -> None:
        """A node that nobody has used is not sent to maintenance."""
        tried, repaired = self.elsewhere("done", n1=exception.NotCabled(name="eth0"))
        self.assertEqual((["n1", "n2"], {"n0"}), (tried, repaired))
        self.assertEqual("n2", self.red.get("instances/web")["node"]["name"])

    def test_no_other_would_help(self) -> None:
        tried, repaired = self.elsewhere("error", n1=exception.AddressTaken(ip="192.0.2.1"))
        self.assertEqual((["n1"], {"n0"}), (tried, repaired))
        found = self.red.get("instances/web")
        self.assertEqual(("error", None), (found["status"], found["node"]))
        self.assertIn("192.0.2.1", found["fault"]["message"])
        self.assertEqual(3, len(self.admin.get("nodes?free=true")["nodes"]))
