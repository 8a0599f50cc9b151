# SPDX-License-Identifier: Apache-2.0
"""A lock that was acknowledged holds, whatever was asked for at the same moment through another process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import fixtures
import testtools

from mogan_hil.common import states
from mogan_hil.conductor.lanes import LOCKED, Lanes
from mogan_hil.db import models
from mogan_hil.drivers.fakes import DeviceFile
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.obm.base import Power
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.operation import Operation
from tests import service
from tests.functional.racks import OnProcesses, fresh, rack, until

#: Races of lock against delete, on each of the three databases: a thousand together.
RACES = 334
#: Those of the other pairs.
OTHERS = 20


class LockRaces:
    """The races, whatever the database. Two processes of the API are asked, and a conductor is at work."""

    shape = {"apis": 2, "conductors": 1, "settings": {("conductor", "sweep_interval"): 0.05}}
    site: Any
    api: Any

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.project = cls.site.admin.add_project("red")
        cls.network = cls.site.admin.as_user("red-member").post("networks", {"name": "net"})

    def instances(self, count: int, *, wired: bool = False, **fields: Any) -> list[Instance]:
        """Active instances, each on a node of its own, which is switched on."""
        _, names = rack(self.site, count, project=self.project, **fields)
        for name in names if wired else ():
            self.site.admin.attach(name, "net")
        rows = models.Instance
        with self.site.database.writer() as session:
            nodes = session.query(models.Node).filter(models.Node.name.in_(names)).order_by(models.Node.id).all()
            for node in nodes:
                values = {"name": fresh("i"), "project_id": self.project, "node_id": node.id, "status": "active"}
                session.add(rows(**values))
                fake_obm.set_by_hand(self.site.state_dir, node.uuid, power=Power.ON)
            session.flush()
            return Instance.find(session, rows.node_id.in_([node.id for node in nodes]))

    def race(self, instance: Instance, method: str, path: str, body: Any = None) -> tuple[Any, Any]:
        """Lock it, and at the same moment ask for something else. Each process has one of the two, in turn."""
        red = [self.api(instance.id + number, "red-member") for number in (0, 1)]
        locked, other = self.at_once(
            lambda: red[0].call("PUT", f"instances/{instance.uuid}/lock", {"target": True}),
            lambda: red[1].call(method, path, body),
        )
        return locked, other

    def now(self, instance: Instance) -> Any:
        with self.site.database.reader() as session:
            found = Instance.find(session, models.Instance.id == instance.id)
        return found[0] if found else None

    def power(self, node: str) -> str:
        """Whether a node is on, as somebody before it sees."""
        return str(DeviceFile(self.site.state_dir, fake_obm.KIND, node).read()["power"])

    def code(self, answer: Any) -> str:
        return "" if answer.status < 400 else str(answer.json["errors"][0]["code"])

    def test_delete(self) -> None:
        found = {instance: None for instance in self.instances(RACES)}
        for instance in found:
            locked, deleted = self.race(instance, "DELETE", f"instances/{instance.uuid}")
            found[instance] = (locked.status, deleted.status)
            if locked.status == 202:
                self.assertEqual("instance.locked", self.code(deleted))
            else:
                self.assertIn(self.code(locked), ("instance.state", "not_found"))
        won = Counter(found.values())
        self.assertEqual(RACES, won[202, 409] + won[409, 202] + won[404, 202], won)
        self.check()
        for instance, (locked, _) in found.items():
            left = self.now(instance)
            if locked == 202:
                self.assertEqual(("active", "owner"), (left.status, left.locked_by))
            else:
                self.assertIsNone(left)

    def _settled(self, locked: Any, changed: Any) -> bool:
        """Whether the change was made, which it may only be if it was begun before the lock was laid."""
        self.assertEqual(202, locked.status, locked.text)
        if changed.status == 409:
            self.assertEqual("instance.locked", self.code(changed))
            return False
        done = self.site.admin.wait(changed.json, None)
        if done["state"] == "error":
            self.assertEqual(LOCKED, done["error"])
            return False
        began, laid = (datetime.fromisoformat(when) for when in (done["started_at"], locked.json["locked_at"]))
        self.assertLessEqual(began.replace(tzinfo=None), laid.replace(tzinfo=None))
        return True

    def test_power(self) -> None:
        made = 0
        for instance in self.instances(OTHERS, obm_driver="fake"):
            locked, switched = self.race(instance, "PUT", f"instances/{instance.uuid}/power", {"target": "off"})
            changed = self._settled(locked, switched)
            made += changed
            self.assertEqual(states.Instance.STOPPED if changed else states.Instance.ACTIVE, self.now(instance).status)
            node = self.site.admin.get(f"instances/{instance.uuid}")["node"]["uuid"]
            self.assertEqual("off" if changed else "on", self.power(node))
        self.assertLess(made, OTHERS)
        self.check()

    def test_power_of_the_node(self) -> None:
        for instance in self.instances(OTHERS, obm_driver="fake"):
            node = self.site.admin.get(f"instances/{instance.uuid}")["node"]["uuid"]
            changed = self._settled(*self.race(instance, "PUT", f"nodes/{node}/power", {"target": "off"}))
            self.assertEqual("off" if changed else "on", self.power(node))
        self.check()

    def test_detach(self) -> None:
        for instance in self.instances(OTHERS, wired=True):
            path = f"instances/{instance.uuid}/interfaces"
            uuid = self.site.admin.get(path)["interfaces"][0]["uuid"]
            changed = self._settled(*self.race(instance, "DELETE", f"{path}/{uuid}"))
            left = self.site.admin.get(path)["interfaces"]
            self.assertEqual([] if changed else ["active"], [item["status"] for item in left])
        self.check()

    def test_release_of_the_node(self) -> None:
        for instance in self.instances(OTHERS):
            node = self.site.admin.get(f"instances/{instance.uuid}")["node"]["uuid"]
            locked, released = self.race(instance, "DELETE", f"nodes/{node}/project")
            self.assertEqual((202, 409), (locked.status, released.status))
            self.assertIn(self.code(released), ("instance.locked", "conflict.in_use"))

    def test_unlock(self) -> None:
        """What is unlocked while it is deleted is either deleted or still there, and never refused both."""
        for instance in self.instances(OTHERS):
            self.api(0, "red-member").put(f"instances/{instance.uuid}/lock", {"target": True}, 202)
            red = [self.api(instance.id + number, "red-member") for number in (0, 1)]
            opened, deleted = self.at_once(
                lambda red=red, uuid=instance.uuid: red[0].call("PUT", f"instances/{uuid}/lock", {"target": False}),
                lambda red=red, uuid=instance.uuid: red[1].call("DELETE", f"instances/{uuid}"),
            )
            self.assertEqual(202, opened.status)
            self.assertIn((deleted.status, self.code(deleted)), ((202, ""), (409, "instance.locked")))
        self.check()


class TestLockRacesOnSQLite(LockRaces, OnProcesses):
    kind = "sqlite"


class TestLockRacesOnMariaDB(LockRaces, OnProcesses):
    kind = "mysql"


class TestLockRacesOnPostgreSQL(LockRaces, OnProcesses):
    kind = "postgresql"


class TestSecondLook(testtools.TestCase):
    """A lock that is laid while an operation waits for the conductor."""

    settings = {("conductor", "power_timeout"): 1.0, ("conductor", "poll_interval"): 0.3}

    def setUp(self) -> None:
        super().setUp()
        self.site = self.useFixture(service.Embedded(self.settings, conductor=False))
        self.admin = self.site.admin
        self.admin.add_project("red")
        self.red = self.admin.as_user("red-member")
        with self.site.conducted():
            self.admin.add_switch("rack1", ["p-a", "p-b", "p-c"])
        self.red.post("networks", {"name": "net"})

    def _instance(self, name: str) -> str:
        """An adopted instance `name` on a node; returns the node's uuid."""
        node = self.admin.add_node(f"n-{name}", "rack1", f"p-{name}", obm={"driver": "fake"})
        self.red.put(f"nodes/n-{name}/project", {})
        self.admin.post("instances/adopt", {"name": name, "node": f"n-{name}"})
        fake_obm.set_by_hand(self.site.state_dir, node["uuid"], power=Power.ON)
        return str(node["uuid"])

    def _lock(self, name: str) -> None:
        self.red.put(f"instances/{name}/lock", {"target": True}, 202)

    def test_refused_and_taken_back(self) -> None:
        nodes = {name: self._instance(name) for name in ("a", "b", "c")}
        asked = [
            self.red.put("instances/a/power", {"target": "off"}, 202),
            self.red.put("instances/b/rebuild", {"boot_device": "pxe"}, 202),
            self.red.post("instances/c/interfaces", {"network": "net", "nic": "eth0"}, 202),
        ]
        self.assertEqual("powering-off", self.red.get("instances/a")["status"])
        for name in nodes:
            self._lock(name)
        self.site.start_conductor()
        for operation in asked:
            self.assertEqual(LOCKED, self.red.wait(operation, "error")["error"])
        for name, node in nodes.items():
            self.assertEqual("active", self.red.get(f"instances/{name}")["status"])
            self.assertEqual({"power": "on"}, self.red.get(f"nodes/{node}/power"))
        self.assertEqual([], self.red.get("instances/c/interfaces")["interfaces"])
        self.assertIsNone(self.red.get("nodes/n-b/boot_device")["device"])

    def test_a_port_that_was_not_seen_yet(self) -> None:
        """A heal leaves out what is asked for. When that is refused nobody else would look, and quarantine the node."""
        self._instance("a")
        asked = self.red.post("instances/a/interfaces", {"network": "net", "nic": "eth0"}, 202)
        with self.site.database.writer() as session:
            port = session.query(models.Port).filter_by(name="p-a").one()
            port.status, port.in_sync = states.Port.NEW, None
        self._lock("a")
        self.site.start_conductor()
        self.assertEqual(LOCKED, self.red.wait(asked, "error")["error"])
        until(lambda: self.admin.get("switches/rack1/ports/p-a")["status"] == "ok")

    def test_refused_while_its_first_step_waits(self) -> None:
        """What the step does is what the lock is asked for, however long ago the whole was begun."""
        nodes = {name: self._instance(name) for name in ("a", "b")}
        begin, locked, waiting = Lanes._begin, threading.Event(), threading.Semaphore(0)

        def held(lanes: Lanes, lane: str, operations: Sequence[Operation]) -> None:
            if lane.startswith("node:"):
                waiting.release()
                locked.wait(service.WAIT)
            begin(lanes, lane, operations)

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.lanes.Lanes._begin", held))
        self.addCleanup(locked.set)
        asked = [
            self.red.put("instances/a/power", {"target": "off"}, 202),
            self.red.put("instances/b/rebuild", {"boot_device": "pxe"}, 202),
        ]
        self.site.start_conductor()
        for _ in nodes:
            self.assertTrue(waiting.acquire(timeout=service.WAIT))
        for name in nodes:
            self._lock(name)
        locked.set()
        for operation in asked:
            self.assertEqual(LOCKED, self.red.wait(operation, "error")["error"])
        for name, node in nodes.items():
            self.assertEqual("active", self.red.get(f"instances/{name}")["status"])
            self.assertEqual({"power": "on"}, self.red.get(f"nodes/{node}/power"))
        self.assertIsNone(self.red.get("nodes/n-b/boot_device")["device"])

    def test_admins_operations_go_on(self) -> None:
        self._instance("a")
        asked = self.admin.put("instances/a/power", {"target": "off"}, 202)
        self._lock("a")
        self.site.start_conductor()
        self.admin.wait(asked)
        self.assertEqual("stopped", self.red.get("instances/a")["status"])

    def test_a_build_goes_on(self) -> None:
        self.admin.add_node("n1", "rack1", "p-a", obm={"driver": "fake"})
        begun = self.red.post("instances", {"name": "web", "node": "n1", "networks": [{"network": "net"}]}, 202)
        self._lock("web")
        self.site.start_conductor()
        self.red.wait(begun["instances"][0]["operation"])
        self.assertEqual(
            ("active", "owner"), tuple(self.red.get("instances/web")[key] for key in ("status", "locked_by"))
        )
        self.red.delete("instances/web", 409)
