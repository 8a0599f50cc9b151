# SPDX-License-Identifier: Apache-2.0
"""Instances beside what is asked for: nodes switched by hand, maintenance, builds that are given up, deployment."""

from __future__ import annotations

import time
from typing import Any

import fixtures
import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.conductor import power_sync
from mogan_hil.db import models
from mogan_hil.drivers.deploy import fake as fake_deploy
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.obm.base import Power
from mogan_hil.objects.base import Lock
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from mogan_hil.verbs import instances
from mogan_hil.verbs.base import Call
from tests import service
from tests.functional.racks import until
from tests.functional.test_instances import InstanceCase

PATIENCE = service.WAIT


class UpkeepCase(InstanceCase):
    """With what one test alone needs to know of the conductor."""

    def faults(self, node: dict[str, Any], **faults: Any) -> None:
        """Of a node's controller."""
        fake_obm.set_faults(self.service.state_dir, node["uuid"], **faults)

    def by_hand(self, node: dict[str, Any], power: Power) -> None:
        fake_obm.set_by_hand(self.service.state_dir, node["uuid"], power=power)

    def until(self, name: str, **wanted: Any) -> dict[str, Any]:
        """The instance, when it is as it is wanted."""
        end = time.monotonic() + PATIENCE
        while True:
            found = dict(self.red.get(f"instances/{name}"))
            if wanted.items() <= found.items():
                return found
            self.assertLess(time.monotonic(), end, found)
            time.sleep(0.02)

    def sync(self, power: Any = None) -> None:
        """One round."""
        conductor = self.service.conductor
        ask = power or conductor._controllers.power
        power_sync.PowerSync(self.service.database, conductor._locks, ask).round()


class TestPowerSync(UpkeepCase):
    """A node that somebody else switched."""

    settings = {
        ("conductor", "power_sync_interval"): 0
    }  # or a round of the conductor's could keep the test from its own

    def test_found_off_and_on(self) -> None:
        made = self.create()
        self.sync()
        self.assertEqual("active", self.red.get("instances/web")["status"])
        self.by_hand(made["node"], Power.OFF)
        self.sync()
        self.assertEqual("stopped", self.red.get("instances/web")["status"])
        self.assertEqual({"power": "off"}, self.red.get(f"nodes/{made['node']['name']}/power"))
        self.by_hand(made["node"], Power.ON)
        self.sync()
        self.assertEqual("active", self.red.get("instances/web")["status"])

    def test_found_by_the_conductor_itself(self) -> None:
        made = self.create()
        self.by_hand(made["node"], Power.OFF)
        self.service.conductor._rounds.stop()
        self.service.conf.set_override("power_sync_interval", 0.05, group="conductor")
        again = service.Conductor(self.service.conf, self.service.database, self.service.drivers)
        again.start()
        self.addCleanup(again.stop)
        self.until("web", status="stopped")

    def test_a_locked_one_too(self) -> None:
        """What is, is written down, whoever may change it."""
        made = self.create()
        self.red.put("instances/web/lock", {"target": True}, 202)
        self.by_hand(made["node"], Power.OFF)
        self.sync()
        self.assertEqual("stopped", self.red.get("instances/web")["status"])

    def test_an_action_in_flight_is_left_alone(self) -> None:
        """Something is asked for while the node is being asked: whatever it said is not written."""
        made = self.create()

        def begin(node: Node) -> Power:
            self.faults(made["node"], hold=["cycle"])
            self.operation = self.red.put("instances/web/power", {"target": "reboot"}, 202)
            return Power.OFF

        self.sync(begin)
        self.assertEqual("rebooting", self.red.get("instances/web")["status"])
        self.faults(made["node"])
        self.red.wait(self.operation)
        self.assertEqual("active", self.red.get("instances/web")["status"])

    def test_a_node_that_is_being_switched_is_left_alone(self) -> None:
        """What was begun before it was asked may be half done."""
        made = self.create()
        self.faults(made["node"], hold=["cycle"])
        operation = self.red.put(f"nodes/{made['node']['name']}/power", {"target": "cycle"}, 202)
        self.sync(lambda node: Power.OFF)
        self.assertEqual("active", self.red.get("instances/web")["status"])
        self.faults(made["node"])
        self.red.wait(operation)

    def test_an_action_that_ended_meanwhile(self) -> None:
        """The answer is older than what was done since."""
        self.create()

        def act(node: Node) -> Power:
            self.red.wait(self.red.put(f"nodes/{node.name}/power", {"target": "reset"}, 202))
            return Power.OFF

        self.sync(act)
        self.assertEqual("active", self.red.get("instances/web")["status"])

    def test_an_action_that_was_begun_before(self) -> None:
        """The node was asked in the middle of it, and it ended before the answer was written."""
        made = self.create()
        self.faults(made["node"], hold=["cycle"])
        operation = self.red.put(f"nodes/{made['node']['name']}/power", {"target": "cycle"}, 202)

        def ask(_node: Node) -> Power:
            self.faults(made["node"])
            self.red.wait(operation)
            return Power.OFF

        self.sync(ask)
        self.faults(made["node"])
        self.red.wait(operation)
        self.assertEqual("active", self.red.get("instances/web")["status"])

    def test_what_cannot_be_asked(self) -> None:
        made = self.create()
        other = self.create("db")
        self.faults(made["node"], unreadable=True)
        self.by_hand(other["node"], Power.OFF)
        self.sync()
        self.assertEqual("active", self.red.get("instances/web")["status"])
        self.assertEqual("stopped", self.red.get("instances/db")["status"])
        self.red.put(f"nodes/{other['node']['name']}/obm", {"enabled": False})
        self.by_hand(other["node"], Power.ON)
        self.sync()
        self.assertEqual("stopped", self.red.get("instances/db")["status"])


class TestMaintenance(UpkeepCase):
    """A node that is being repaired."""

    def test_seen_at_once_and_not_switched(self) -> None:
        made = self.create()
        self.assertFalse(made["maintenance"])
        node = f"nodes/{made['node']['name']}"
        self.admin.call("PATCH", node, {"maintenance": True, "maintenance_reason": "fan"}, status=200)
        self.assertTrue(self.red.get("instances/web")["maintenance"])
        for path, body in (("power", {"target": "off"}), ("rebuild", {})):
            answer = self.red.call("PUT", f"instances/web/{path}", body, status=409)
            self.assertEqual("node.maintenance", answer.json["errors"][0]["code"])
        self.assertEqual("active", self.red.get("instances/web")["status"])
        self.red.wait(self.admin.put("instances/web/power", {"target": "off"}, 202))
        self.red.wait(self.red.delete("instances/web", 202))
        found = self.admin.get(node)
        self.assertEqual((None, True), (found["project_id"], found["maintenance"]))


class TestGivenUp(UpkeepCase):
    """An instance is deleted while it is being built."""

    def begin(self) -> dict[str, Any]:
        """A build that goes on when it is let go."""
        for node in self.node.values():
            self.faults(node, hold=["off"])
        body = {"name": "web", "flavor": "metal", "networks": [{"network": "net"}]}
        return dict(self.red.post("instances", body, 202)["instances"][0])

    def let_go(self) -> None:
        for node in self.node.values():
            self.faults(node)

    def test_all_is_taken_back(self) -> None:
        begun = self.begin()
        deleting = self.red.delete("instances/web", 202)
        self.assertEqual("deleting", self.red.get("instances/web")["status"])
        self.red.delete("instances/web", 409)
        self.red.put("instances/web/lock", {"target": True}, 409)
        self.let_go()
        self.assertIn("deleted", self.red.wait(begun["operation"], "error")["error"])
        self.red.wait(deleting)
        self.red.get("instances/web", 404)
        self.assertEqual(4, len(self.free()))
        self.assertEqual([], self.red.get("networks/net/attachments")["attachments"])
        for node in self.node:
            self.assertEqual({"power": "off"}, self.admin.get(f"nodes/{node}/power"))

    def test_a_locked_one_is_built(self) -> None:
        begun = self.begin()
        self.red.put("instances/web/lock", {"target": True}, 202)
        self.red.delete("instances/web", 409)
        self.let_go()
        self.red.wait(begun["operation"])
        self.assertEqual("active", self.red.get("instances/web")["status"])

    def test_built_elsewhere_meanwhile(self) -> None:
        """It is deleted where it is, and not where it was when it was looked for."""
        made = self.create()
        other = self.node["n3"]["uuid"]
        real = instances.visible_instance

        def stale(session: orm.Session, call: Call, ident: str, lock: Lock = None) -> Instance:
            seen = real(session, call, ident, lock)
            there = sa.select(models.Node.id).where(models.Node.uuid == other).scalar_subquery()
            session.execute(sa.update(models.Instance).where(models.Instance.id == seen.id).values(node_id=there))
            return seen

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.verbs.instances.visible_instance", stale))
        self.assertNotEqual(other, made["node"]["uuid"])
        self.assertEqual(other, self.red.delete("instances/web", 202)["node"])

    def test_without_a_node(self) -> None:
        """Nothing takes it away from a build. Should something do so, that is no instance."""
        begun = self.begin()
        with self.service.database.writer() as session:
            session.execute(sa.update(models.Instance).values(node_id=None))
        self.let_go()
        self.assertIn("lost its node", self.red.wait(begun["operation"], "error")["error"])
        found = self.red.get("instances/web")
        self.assertEqual("error", found["status"])
        self.assertIn("lost its node", found["fault"]["message"])
        self.red.wait(self.red.delete("instances/web", 202))

    def test_what_cannot_be_taken_back(self) -> None:
        """The build ends first, and the deletion says what is left."""
        begun = self.begin()
        self.red.delete("instances/web", 202)
        for node in self.node.values():
            self.faults(node, fail=node["uuid"] == begun["operation"]["node"])
        self.red.wait(begun["operation"], "error")
        end = time.monotonic() + PATIENCE
        while self.red.call("GET", "instances/web").status != 404:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        self.assertGreaterEqual(len(self.free()), 3)


class TestDeploy(UpkeepCase):
    """A boot service that offers nodes their systems."""

    settings = {("conductor", "deploy_driver"): "fake"}

    def offers(self) -> dict[str, Any]:
        found = {name: fake_deploy.offered(self.service.state_dir, node["uuid"]) for name, node in self.node.items()}
        return {name: offer for name, offer in found.items() if offer is not None}

    def test_offered_before_it_boots_and_taken_away(self) -> None:
        made = self.create()
        offer = self.offers()[made["node"]["name"]]
        self.assertEqual((made["uuid"], "web"), (offer["instance"], offer["name"]))
        nic = offer["nics"][0]
        self.assertEqual(("eth0", {"vlan/native": self.network["uuid"]}), (nic["name"], nic["networks"]))
        parent = self.admin.get("operations?sort_key=created_at&sort_dir=asc")["operations"]
        steps = [one["verb"] for one in parent if one["node"] == made["node"]["uuid"] and one["verb"] != "attach"]
        self.assertEqual(["instance_create", "deploy", "boot_device", "power", "power"], steps)
        self.red.wait(self.red.put("instances/web/rebuild", {}, 202))
        self.assertEqual({made["node"]["name"]}, set(self.offers()))
        self.red.wait(self.red.delete("instances/web", 202))
        self.assertEqual({}, self.offers())

    def test_refused_offers_are_tried_elsewhere(self) -> None:
        fake_deploy.set_faults(self.service.state_dir, self.node["n0"]["uuid"], fail=True)
        fake_deploy.set_faults(self.service.state_dir, self.node["n1"]["uuid"], fail_transient=1)
        made = self.create()
        self.assertEqual("n1", made["node"]["name"])
        self.assertEqual({"n1"}, set(self.offers()))

    def test_an_offer_that_stays_keeps_the_node(self) -> None:
        """The next tenant must not boot it."""
        made = self.create()
        fake_deploy.set_faults(self.service.state_dir, made["node"]["uuid"], keep=True)
        self.red.wait(self.red.delete("instances/web", 202))
        found = self.admin.get(f"nodes/{made['node']['name']}")
        self.assertEqual((None, True), (found["project_id"], found["maintenance"]))
        self.assertIn("booting", found["maintenance_reason"])
        self.assertNotIn(made["uuid"], found["maintenance_reason"])  # everybody who looks for nodes reads it

    def test_an_offer_goes_though_the_controller_went_first(self) -> None:
        made = self.create()
        self.faults(made["node"], hold=["off"])
        deleting = self.red.delete("instances/web", 202)
        end = time.monotonic() + PATIENCE
        while not any(one["verb"] == "power" for one in self.red.get("operations?state=running")["operations"]):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        self.admin.patch(f"nodes/{made['node']['name']}", {"obm": None})
        self.faults(made["node"])
        self.red.wait(deleting)
        self.assertEqual({}, self.offers())

    def test_an_offer_goes_with_an_instance_that_is_forgotten(self) -> None:
        """Who has the node next must not boot what it was for."""
        made = self.create()
        node = f"nodes/{made['node']['name']}"
        self.admin.call("POST", "instances/web/release", status=204)
        self.until_free(node)
        self.assertEqual({}, self.offers())

    def test_an_offer_of_a_forgotten_instance_that_stays(self) -> None:
        made = self.create()
        node = f"nodes/{made['node']['name']}"
        fake_deploy.set_faults(self.service.state_dir, made["node"]["uuid"], keep=True)
        self.admin.call("POST", "instances/web/release", status=204)
        self.until_free(node)
        found = self.admin.get(node)
        self.assertEqual((None, True), (found["project_id"], found["maintenance"]))
        self.assertIn("booting", found["maintenance_reason"])

    def until_free(self, node: str) -> None:
        """Have the project give a node back as soon as it may."""
        self.red.detach(node.removeprefix("nodes/"), "net")
        end = time.monotonic() + PATIENCE
        while self.red.call("DELETE", f"{node}/project").status != 204:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)


class TestDeployHangs(UpkeepCase):
    """A boot service that does not come back in time."""

    settings = {("conductor", "deploy_driver"): "fake", ("conductor", "driver_timeout"): 4.0}

    def test_a_boot_service_that_hangs(self) -> None:
        fake_deploy.set_faults(self.service.state_dir, self.node["n0"]["uuid"], hold=["configure"])
        self.assertNotEqual("n0", self.create()["node"]["name"])
        fake_deploy.set_faults(self.service.state_dir, self.node["n0"]["uuid"])
        until(self.settled)  # the late call, or it would tell in vain what came of it, in the tests that follow

    def settled(self) -> bool:
        with self.service.database.reader() as session:
            return not Node.find(session, models.Node.unsettled_until.is_not(None))
