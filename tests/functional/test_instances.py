# SPDX-License-Identifier: Apache-2.0
"""Instances: from the first request to the last."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
import testtools

from mogan_hil.db import models
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.obm.base import Power
from mogan_hil.drivers.switch import fake as fake_switch
from mogan_hil.objects.instance import Instance
from tests import service


class InstanceCase(testtools.TestCase):
    """A rack of four nodes with controllers, and a flavor that fits them."""

    nodes = 4
    settings: dict[tuple[str, str], Any] = {}

    def setUp(self) -> None:
        super().setUp()
        quick = {("conductor", "power_timeout"): 1.0, ("conductor", "driver_timeout"): service.WAIT}
        settings = {**quick, **self.settings}
        self.service = self.useFixture(service.Embedded(settings))
        self.admin = self.service.admin
        for name in ("red", "blue"):
            self.admin.add_project(name)
        self.red = self.admin.as_user("red-member")
        self.blue = self.admin.as_user("blue-member")
        self.rack = self.admin.add_switch("rack1", [f"p{number}" for number in range(self.nodes)])
        self.node = {
            f"n{number}": self.admin.add_node(f"n{number}", "rack1", f"p{number}", obm={"driver": "fake"})
            for number in range(self.nodes)
        }
        self.admin.post("flavors", {"name": "metal", "resource_class": "baremetal"})
        self.network = self.red.post("networks", {"name": "net"})

    def create(self, name: str = "web", state: str | None = "done", **fields: Any) -> dict[str, Any]:
        body = {"name": name, "flavor": "metal", "networks": [{"network": "net"}], **fields}
        for begun in self.red.post("instances", body, 202)["instances"]:
            self.red.wait(begun["operation"], state)
        return dict(self.red.get("instances?limit=1&sort_key=created_at&sort_dir=desc")["instances"][0])

    def free(self) -> set[str]:
        return {node["name"] for node in self.admin.get("nodes?free=true")["nodes"]}


class TestLife(InstanceCase):
    """Create, use, delete."""

    def test_create_and_delete(self) -> None:
        made = self.create(boot_device="pxe")
        self.assertEqual("active", made["status"])
        node = made["node"]["name"]
        self.assertEqual({"power": "on"}, self.red.get(f"nodes/{node}/power"))
        self.assertEqual("net", self.red.get("instances/web/interfaces")["interfaces"][0]["network"]["name"])
        self.assertTrue(self.red.get("networks/net/isolation")["isolated"])
        self.red.wait(self.red.delete("instances/web", 202))
        self.red.get("instances/web", 404)
        self.assertEqual(4, len(self.free()))
        self.assertEqual([], self.red.get("networks/net/attachments")["attachments"])
        self.assertEqual({"power": "off"}, self.admin.get(f"nodes/{node}/power"))

    def test_many_or_none(self) -> None:
        answer = self.red.call("POST", "instances", {"name": "web", "flavor": "metal", "max_count": 5}, status=409)
        self.assertEqual("claim.not_enough_nodes", answer.json["errors"][0]["code"])
        self.assertEqual(4, len(self.free()))
        found = self.red.post("instances", {"name": "web", "flavor": "metal", "min_count": 2, "max_count": 9}, 202)
        self.assertEqual([f"web-{number}" for number in (1, 2, 3, 4)], [one["name"] for one in found["instances"]])
        for one in found["instances"]:
            self.red.wait(one["operation"])
        self.assertEqual(4, len({one["node"]["uuid"] for one in self.red.get("instances")["instances"]}))

    def test_disabled_flavor(self) -> None:
        """Nobody gets it; who may not see it does not hear why."""
        self.admin.patch("flavors/metal", {"disabled": True})
        wish = {"name": "web", "flavor": "metal"}
        self.red.post("instances", wish, 404)
        refused = self.admin.post("instances", {**wish, "project_id": "red"}, 409)
        self.assertEqual("flavor.disabled", refused["errors"][0]["code"])
        self.assertEqual(4, len(self.free()))

    def test_named_node(self) -> None:
        begun = self.red.post("instances", {"name": "web", "node": "n2"}, 202)["instances"][0]
        self.red.wait(begun["operation"])
        self.assertEqual("n2", self.red.get("instances/web")["node"]["name"])
        self.blue.post("instances", {"name": "web", "node": "n2"}, 404)

    def test_power(self) -> None:
        self.create()
        for target, status, power in (
            ("off", "stopped", "off"),
            ("on", "active", "on"),
            ("reboot", "active", "on"),
            ("soft_reboot", "active", "on"),
            ("soft_off", "stopped", "off"),
        ):
            self.red.wait(self.red.put("instances/web/power", {"target": target}, 202))
            found = self.red.get("instances/web")
            self.assertEqual(status, found["status"])
            self.assertEqual({"power": power}, self.red.get(f"nodes/{found['node']['name']}/power"))
        self.red.put("instances/web/power", {"target": "reboot"}, 409)
        self.red.wait(self.red.put("instances/web/rebuild", {"boot_device": "pxe"}, 202))
        self.assertEqual("active", self.red.get("instances/web")["status"])

    def test_interfaces(self) -> None:
        self.create()
        other = self.red.post("networks", {"name": "other"})
        channel = other["channels"][1]
        self.red.wait(
            self.red.post("instances/web/interfaces", {"network": "other", "nic": "eth0", "channel": channel}, 202)
        )
        found = self.red.get("instances/web/interfaces")["interfaces"]
        self.assertEqual(["net", "other"], [item["network"]["name"] for item in found])
        self.red.wait(self.red.delete(f"instances/web/interfaces/{found[1]['uuid']}", 202))
        self.red.delete(f"instances/web/interfaces/{found[1]['uuid']}", 404)

    def test_node_is_not_given_away_beneath(self) -> None:
        node = self.create()["node"]["name"]
        self.red.detach(node, "net")
        self.red.delete(f"nodes/{node}/project", 409)

    def test_adopt_and_release(self) -> None:
        self.red.put("nodes/n1/project", {})
        self.red.attach("n1", "net")
        self.red.post("instances/adopt", {"name": "old", "node": "n1"}, 403)
        self.admin.post("instances/adopt", {"name": "old", "node": "n1"})
        self.admin.post("instances/adopt", {"name": "again", "node": "n1"}, 409)
        self.assertEqual("active", self.red.get("instances/old")["status"])
        self.admin.call("POST", "instances/old/release", status=204)
        self.assertEqual(1, len(self.red.get("nodes/n1/nics/eth0/attachments")["attachments"]))

    def test_adopt_for_a_project(self) -> None:
        """Which gets a free node, running as it is."""
        fake_obm.set_by_hand(self.service.state_dir, self.node["n1"]["uuid"], power=Power.ON)
        wish = {"name": "old", "node": "n1"}
        self.assertEqual("node.free", self.admin.post("instances/adopt", wish, 409)["errors"][0]["code"])
        self.admin.post("instances/adopt", {**wish, "project_id": "nobody"}, 404)
        self.red.post("instances/adopt", {**wish, "project_id": "red"}, 403)
        made = self.admin.post("instances/adopt", {**wish, "project_id": "red"})
        self.assertEqual(self.red.get("nodes/n1")["project_id"], made["project_id"])
        self.assertEqual({"power": "on"}, self.red.get("nodes/n1/power"))
        taken = self.admin.post("instances/adopt", {**wish, "name": "new", "project_id": "blue"}, 409)
        self.assertEqual("node.claimed", taken["errors"][0]["code"])
        self.admin.put("quotas/blue", {"nodes": 0})
        refused = self.admin.post("instances/adopt", {"name": "i", "node": "n2", "project_id": "blue"}, 403)
        self.assertEqual("quota.exceeded", refused["errors"][0]["code"])
        self.assertIsNone(self.admin.get("nodes/n2")["project_id"])

    def test_strangers(self) -> None:
        uuid = self.create()["uuid"]
        for method, path, body in (
            ("GET", "", None),
            ("PATCH", "", {"description": "x"}),
            ("DELETE", "", None),
            ("PUT", "/power", {"target": "off"}),
            ("PUT", "/lock", {"target": True}),
            ("PUT", "/rebuild", {}),
            ("GET", "/interfaces", None),
        ):
            self.blue.call(method, f"instances/{uuid}{path}", body, status=404)
        self.assertEqual([], self.blue.get("instances")["instances"])


class TestFailures(InstanceCase):
    """What goes wrong is undone, and tried elsewhere."""

    def test_bad_controller_is_passed_over(self) -> None:
        fake_obm.set_faults(self.service.state_dir, self.node["n0"]["uuid"], fail=True)
        fake_obm.set_faults(self.service.state_dir, self.node["n1"]["uuid"], fail=True)
        made = self.create()
        self.assertEqual("active", made["status"])
        self.assertEqual("n2", made["node"]["name"])
        self.assertEqual({"n0", "n1", "n3"}, self.free())
        self.assertEqual(1, len(self.red.get("networks/net/attachments")["attachments"]))

    def test_bad_port_is_passed_over(self) -> None:
        fake_switch.set_faults(self.service.state_dir, self.rack["uuid"], fail=["p0"])
        self.assertEqual("n1", self.create()["node"]["name"])

    def test_all_bad(self) -> None:
        for node in self.node.values():
            fake_obm.set_faults(self.service.state_dir, node["uuid"], fail=True)
        made = self.create(state="error")
        self.assertEqual("error", made["status"])
        self.assertIsNone(made["node"])
        self.assertIn("refused", made["fault"]["message"])
        self.assertEqual(4, len(self.free()))
        self.red.wait(self.red.delete("instances/web", 202))
        self.red.get("instances/web", 404)

    def test_delete_although_the_controller_is_dead(self) -> None:
        node = self.create()["node"]
        fake_obm.set_faults(self.service.state_dir, node["uuid"], fail=True)
        self.red.wait(self.red.delete("instances/web", 202))
        found = self.admin.get(f"nodes/{node['name']}")
        self.assertEqual((None, True), (found["project_id"], found["maintenance"]))


class TestLock(InstanceCase):
    """Who may do what to a locked instance."""

    nodes = 1

    def _lock(self, api: service.Api, target: bool = True, status: int = 202, **fields: Any) -> Any:
        return api.call("PUT", "instances/web/lock", {"target": target, **fields}, status=status).json

    def test_owner_and_admin(self) -> None:
        self.create()
        held = self._lock(self.red, reason="mine")
        self.assertEqual((True, "owner", "mine"), (held["locked"], held["locked_by"], held["lock_reason"]))
        answer = self.red.call("DELETE", "instances/web", status=409)
        self.assertEqual("instance.locked", answer.json["errors"][0]["code"])
        self.assertEqual("admin", self._lock(self.admin, reason="audit")["locked_by"])
        self._lock(self.red, False, 403)
        self.assertEqual("admin", self._lock(self.red)["locked_by"])
        self.assertEqual("owner", self._lock(self.admin, False)["locked_by"])
        self.assertEqual("mine", self.red.get("instances/web")["lock_reason"])
        self.assertFalse(self._lock(self.red, False)["locked"])

    def test_everything_beneath(self) -> None:
        node = self.create()["node"]["name"]
        self._lock(self.red)
        interface = self.red.get("instances/web/interfaces")["interfaces"][0]["uuid"]
        changes = (
            ("PATCH", "instances/web", {"description": "x"}),
            ("DELETE", "instances/web", None),
            ("PUT", "instances/web/power", {"target": "off"}),
            ("PUT", "instances/web/rebuild", {}),
            ("POST", "instances/web/interfaces", {"network": "net", "nic": "eth0"}),
            ("DELETE", f"instances/web/interfaces/{interface}", None),
            ("DELETE", f"nodes/{node}/project", None),
            ("PUT", f"nodes/{node}/power", {"target": "off"}),
            ("PUT", f"nodes/{node}/boot_device", {"device": "pxe"}),
            ("PUT", f"nodes/{node}/obm", {"enabled": False}),
            ("POST", f"nodes/{node}/nics/eth0/attachments", {"network": "net"}),
            ("DELETE", f"nodes/{node}/nics/eth0/attachments/net", None),
            ("DELETE", "networks/net", None),
        )
        for method, path, body in changes:
            self.red.call(method, path, body, status=409)
        self.admin.wait(self.admin.put("instances/web/power", {"target": "off"}, 202))

    def test_not_while_deleting(self) -> None:
        node = self.create()["node"]
        fake_obm.set_faults(self.service.state_dir, node["uuid"], hold=["off"])
        operation = self.red.delete("instances/web", 202)
        self._lock(self.red, True, 409)
        self._lock(self.red, False, 409)
        fake_obm.set_faults(self.service.state_dir, node["uuid"])
        self.red.wait(operation)

    def test_an_object_that_is_being_deleted(self) -> None:
        """Whoever asks, and however old what it knows is."""
        self.create()
        with self.service.database.writer() as session:
            seen = Instance.get(session, "web")
            session.execute(sa.update(models.Instance).values(status="deleting"))
            for holder in ("owner", "admin"):
                self.assertFalse(seen.lock(session, holder, "user", ""))
                self.assertFalse(seen.unlock(session, holder))
            found = Instance.get(session, "web")
            self.assertEqual((None, None), (found.owner_lock, found.admin_lock))

    def test_conductor_asks_again(self) -> None:
        idle = self.useFixture(service.Embedded(conductor=False))
        admin = idle.admin
        admin.add_project("red")
        red = admin.as_user("red-member")
        with idle.conducted():
            admin.add_switch("rack1", ["p1"])
        admin.add_node("n1", "rack1", "p1", obm={"driver": "fake"})
        red.put("nodes/n1/project", {})
        red.post("networks", {"name": "net"})
        admin.post("instances/adopt", {"name": "web", "node": "n1"})
        attach = red.post("nodes/n1/nics/eth0/attachments", {"network": "net"}, 202)
        power = red.put("nodes/n1/power", {"target": "on"}, 202)
        red.put("instances/web/lock", {"target": True}, 202)
        idle.start_conductor()
        for operation in (attach, power):
            self.assertIn("locked", red.wait(operation, "error")["error"])
        self.assertEqual([], red.get("nodes/n1/nics/eth0/attachments")["attachments"])
        red.put("instances/web/lock", {"target": False}, 202)
        red.attach("n1", "net")
        self.assertEqual({"power": "off"}, red.get("nodes/n1/power"))
