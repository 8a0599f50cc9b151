# SPDX-License-Identifier: Apache-2.0
"""Everything that is changed is told, and nothing else."""

from __future__ import annotations

import json
import threading
from collections import Counter

import fixtures
import sqlalchemy as sa
import testtools
from oslo_db import exception as db_exception

from mogan_hil.db import models
from mogan_hil.drivers.switch import base as switch_base
from mogan_hil.drivers.switch import fake
from mogan_hil.objects import changes
from mogan_hil.objects.payloads import PAYLOADS
from mogan_hil.rpc import notifier
from tests import service
from tests.functional import base
from tests.functional.notified import SETTINGS, Told, data, names

#: Changing routes that tell nothing, and why.
SILENT: dict[tuple[str, str], str] = {}


class TestRoutes(base.WorldTestCase):
    """Walks the routes, so that a new one is measured too."""

    settings = SETTINGS

    def setUp(self) -> None:
        super().setUp()
        self.told = Told(self.world.service)

    def test_every_change_is_told(self) -> None:
        silent, loud = [], []
        for key, route in base.ROUTES.items():
            self.told.new()
            answer = self.world.send(self.world.admin, route)
            self.assertEqual(base.EXAMPLES[key].status, answer.status, (key, answer.text))
            found = names(self.told.new())
            if route.method == "GET" and found:
                loud.append((key, found))
            if route.method != "GET" and bool(found) == (key in SILENT):
                silent.append(key)
            self.world.restore()
        self.assertEqual([], silent)
        self.assertEqual([], loud)

    def test_what_is_refused_is_not_told(self) -> None:
        self.world.admin.put("instances/i1/lock", {"target": True}, 202)
        self.told.new()
        self.world.red.patch("instances/i1", {"description": "new"}, 409)
        self.world.red.delete("instances/i1", 409)
        self.world.red.call("POST", "networks", {"name": "red-net"}, status=409)
        self.world.admin.call("POST", "claims", {"count": 9, "project_id": "red"}, status=409)
        self.assertEqual([], names(self.told.new()))

    def test_what_stays_as_it_is_is_not_told(self) -> None:
        self.world.admin.patch("flavors/metal", {"description": ""})
        self.world.red.put("nodes/n1/project", {})
        self.world.red.put("instances/i1/lock", {"target": False}, 202)
        self.assertEqual([], names(self.told.new()))

    def test_locks(self) -> None:
        for caller, target in ((self.world.red, True), (self.world.admin, True), (self.world.admin, False)):
            caller.put("instances/i1/lock", {"target": target, "reason": "why"}, 202)
        self.world.red.put("instances/i1/lock", {"target": False}, 202)
        found = self.told.new()
        self.assertEqual(["instance.lock", "instance.lock", "instance.unlock", "instance.unlock"], names(found))
        self.assertEqual("why", data(found[0])["owner_lock"]["reason"])
        red, admin = data(found[0])["owner_lock"]["by"], data(found[1])["admin_lock"]["by"]
        self.assertEqual([red, admin, admin, red], [data(message)["by_user_id"] for message in found])
        self.assertEqual({"owner_lock"}, set(data(found[3])["changes"]))

    def test_no_secrets(self) -> None:
        admin = self.world.admin
        obm = {"driver": "fake", "options": {"password": "hush-1"}}
        admin.post("switches", {"name": "s", "driver": "fake", "options": {"password": "hush-2"}})
        admin.patch("switches/s", {"options": {"password": "hush-3"}})
        admin.post("nodes", {"name": "n", "obm": obm})
        admin.patch("nodes/n", {"obm": {**obm, "options": {"password": "hush-4"}}})
        admin.put("nodes/n/metadata/key", {"value": "hush-5"}, 201)
        admin.put("users/u", {"password": "hush-6"}, 201)
        admin.patch("users/u", {"password": "hush-7"})
        found = self.told.new()
        self.assertLess(6, len(found))
        self.assertNotIn("hush", json.dumps(found))
        self.assertNotIn("$2b$", json.dumps(found))
        self.assertIn("password_hash", [name for message in found for name in data(message)["changed"]])

    def test_an_operation_tells_only_what_is_named(self) -> None:
        with self.world.service.database.writer() as session:
            session.add(
                models.Operation(verb="new_verb", lane="x", state="pending", payload={"key": "hush", "nic": "e"})
            )
        (message,) = self.told.new()
        self.assertEqual("new.verb.start", message["event_type"])
        self.assertEqual({"nic": "e"}, data(message)["payload"])

    def test_a_verb_that_is_run_again_tells_once(self) -> None:
        left = [2]

        def give_up(_connection: object) -> None:
            if left[0]:
                left[0] -= 1
                raise db_exception.DBDeadlock

        engine = self.world.service.database.engine
        sa.event.listen(engine, "commit", give_up)
        self.addCleanup(sa.event.remove, engine, "commit", give_up)
        self.world.admin.post("flavors", {"name": "again", "resource_class": "x"})
        self.assertEqual(0, left[0])
        self.assertEqual(["flavor.create"], names(self.told.new()))

    def test_what_a_savepoint_takes_back_is_not_told(self) -> None:
        with self.world.service.database.writer() as session:
            nested = session.begin_nested()
            session.add(models.Flavor(name="no", resource_class="x"))
            session.flush()
            session.execute(sa.update(models.Node).values(description="no"))
            nested.rollback()
            session.add(models.Flavor(name="yes", resource_class="x"))
        (message,) = self.told.new()
        self.assertEqual("yes", data(message)["name"])

    def test_a_mistake_in_what_is_told_breaks_nothing(self) -> None:
        self.useFixture(fixtures.FakeLogger())
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.objects.changes._names", None))
        self.world.admin.post("flavors", {"name": "new", "resource_class": "x"})
        self.assertEqual([], self.told.new())


class TestTables(testtools.TestCase):
    """Who adds a table says what is told of it."""

    def test_every_table(self) -> None:
        tables = {table.name for table in models.Base.metadata.sorted_tables}
        self.assertEqual(tables, {model.__tablename__ for model in PAYLOADS} | set(changes.UNTOLD))

    def test_the_process_ends_without_a_broker(self) -> None:
        settings = {
            ("oslo_messaging_notifications", "driver"): ["messagingv2"],
            ("oslo_messaging_notifications", "transport_url"): "rabbit://127.0.0.1:1/",
            ("notifications", "stop_timeout"): 0.1,
        }
        served = self.useFixture(service.Embedded(settings, conductor=False))
        self.useFixture(fixtures.FakeLogger())
        served.admin.post("flavors", {"name": "f", "resource_class": "x"})
        ended = threading.Thread(target=notifier.close_all, daemon=True)
        ended.start()
        ended.join(service.WAIT)
        self.assertFalse(ended.is_alive())

    def test_what_one_service_told_is_not_heard_from_the_next(self) -> None:
        with service.Embedded(SETTINGS) as served:
            served.admin.post("flavors", {"name": "metal", "resource_class": "x"})
        with service.Embedded(SETTINGS) as served:
            self.assertNotIn("flavor.create", names(Told(served).all()))

    def test_off(self) -> None:
        served = self.useFixture(service.Embedded(conductor=False))
        self.assertIsNone(served.database.listener)


class TestConductor(testtools.TestCase):
    """What conductors find and do."""

    def setUp(self) -> None:
        super().setUp()
        self.served = self.useFixture(service.Embedded({**SETTINGS, ("conductor", "poll_interval"): 0.2}))
        self.admin = self.served.admin
        self.told = Told(self.served)

    def test_drift(self) -> None:
        switch = self.admin.add_switch("s", ["p"])
        self.admin.add_node("n", "s", "p")
        fake.set_faults(self.served.state_dir, switch["uuid"], fail=["p"])
        fake.set_by_hand(self.served.state_dir, switch["uuid"], "p", switch_base.PortState(native=7))
        drifted = self.told.until("port.drift")
        self.assertEqual(
            ("p", switch["uuid"], 7), (drifted["name"], drifted["switch_uuid"], drifted["observed"]["native"])
        )
        self.assertEqual("n", self.told.until("node.quarantine")["name"])
        self.assertEqual("error", self.told.until("port.fail")["status"])
        fake.set_faults(self.served.state_dir, switch["uuid"])
        self.told.until("port.mend.end")
        self.told.until("port.heal")
        self.told.until("port.recover")
        self.assertEqual("n", self.told.until("node.unquarantine")["name"])
        self.assertIsNone(drifted["by_user_id"])

    def test_ports_that_turn_together(self) -> None:
        """Their node is told of once."""
        self.admin.add_switch("s", ["p", "q"])
        self.admin.add_node("n", "s", "p")
        self.admin.post("nodes/n/nics", {"name": "eth1", "mac": "52:54:00:00:00:01"})
        self.admin.put("switches/s/ports/q/nic", {"node": "n", "nic": "eth1"})
        self.admin.patch("switches/s", {"options": {"delay": 0.01}})
        self.told.until("switch.heal.end")
        self.told.until("node.unquarantine")
        heard = Counter(name for name in names(self.told.all()) if "quarantine" in name)
        self.assertEqual({"node.quarantine": 1, "node.unquarantine": 1}, heard)

    def test_failure(self) -> None:
        self.admin.add_project("red")
        switch = self.admin.add_switch("s", ["p"])
        self.admin.add_node("n", "s", "p")
        self.admin.put("nodes/n/project", {"project_id": "red"})
        self.admin.post("networks", {"name": "net", "project_id": "red"})
        fake.set_faults(self.served.state_dir, switch["uuid"], fail=["p"])
        self.admin.attach("n", "net", state="error")
        failed = self.told.until("attachment.attach.error")
        self.assertEqual(("error", "net"), (failed["state"], failed["payload"]["network"]))

    def test_instances(self) -> None:
        self.admin.add_switch("s", ["p"])
        self.admin.add_node("n", "s", "p", obm={"driver": "fake"})
        project = self.admin.get("projects")["projects"][0]["uuid"]
        body = {"name": "i", "node": "n", "project_id": project}
        self.admin.wait(self.admin.post("instances", body, 202)["instances"][0]["operation"])
        self.admin.wait(self.admin.put("instances/i/power", {"target": "soft_off"}, 202))
        self.admin.wait(self.admin.delete("instances/i", 202))
        for verb in ("create", "power_soft_off", "delete"):
            self.assertEqual("done", self.told.until(f"instance.{verb}.end")["state"])
        moves = [data(message)["changes"] for message in self.told.all() if message["event_type"] == "instance.update"]
        self.assertIn({"status": {"old": "building", "new": "active"}}, [{"status": move["status"]} for move in moves])
        self.assertNotIn("instance.adopt", names(self.told.all()))
        self.assertNotIn("instance.release", names(self.told.all()))
