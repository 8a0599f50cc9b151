# SPDX-License-Identifier: Apache-2.0
"""Claims of many nodes with their networks: all of them, or none, whatever happens in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import fixtures
import sqlalchemy as sa
import testtools

from mogan_hil.db import models
from mogan_hil.drivers.switch import fake
from mogan_hil.drivers.switch.base import DriverError, PortConfig
from mogan_hil.objects.operation import Operation
from tests import service
from tests.functional.racks import OnProcesses, broken, drain, fresh, rack, wrong_ports


class Claims(testtools.TestCase):
    """What claims need first."""

    site: Any

    def setUp(self) -> None:
        super().setUp()
        self.make_site()
        self.red = self.site.admin.add_project(fresh("red"))
        self.member = self.site.admin.as_user(self.site.admin.get(f"projects/{self.red}")["name"] + "-member")
        self.member.post("networks", {"name": "mine"})

    def make_site(self) -> None:
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.claims.PATIENCE", 0.3))
        settings = {("conductor", "max_attempts"): 3, ("conductor", "driver_timeout"): service.WAIT}
        self.site = self.useFixture(service.Embedded(settings))

    def rack(self, nodes: int, **faults: Any) -> tuple[str, list[str]]:
        """A switch whose ports are parked, with nodes."""
        switch, names = rack(self.site, nodes)
        fake.set_faults(self.site.state_dir, switch, **faults)
        return switch, names

    def claim(self, nodes: list[str], **fields: Any) -> Any:
        return self.member.post("claims", {"nodes": nodes, "networks": [{"network": "mine"}], **fields}, 202)

    def owners(self, names: list[str]) -> set[str | None]:
        query = sa.select(models.Node.project_id).where(models.Node.name.in_(names))
        with self.site.database.reader() as session:
            return set(session.scalars(query))

    def attached(self, names: list[str]) -> dict[str, str]:
        """Node to the state of its attachment."""
        query = sa.select(models.Node.name, models.Attachment.status).join(
            models.Nic, models.Nic.node_id == models.Node.id
        )
        query = query.join(models.Attachment, models.Attachment.nic_id == models.Nic.id)
        with self.site.database.reader() as session:
            return {node: status for node, status in session.execute(query.where(models.Node.name.in_(names)))}

    def until(self, condition: Any, seconds: float = service.WAIT) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "it did not come about in time")
            time.sleep(0.01)

    def check(self) -> None:
        drain(self.site.database)
        self.assertEqual([], broken(self.site.database))
        self.assertEqual([], wrong_ports(self.site.database, self.site.state_dir))


class TestClaims(Claims):
    """In one process."""

    def test_all(self) -> None:
        _, names = self.rack(10)
        done = self.member.wait(self.claim(names))
        self.assertTrue(done["verified"])
        self.assertEqual({self.red}, self.owners(names))
        self.assertEqual(dict.fromkeys(names, "active"), self.attached(names))
        self.check()

    def test_by_count(self) -> None:
        self.rack(10)
        self.member.post("claims", {"count": 11, "networks": [{"network": "mine"}]}, 409)
        done = self.member.post("claims", {"count": 7, "networks": [{"network": "mine"}]}, 202)
        self.assertEqual(7, len(self.member.wait(done)["payload"]["nodes"]) if "payload" in done else 7)
        self.check()

    def test_one_port_refuses(self) -> None:
        _, names = self.rack(10, fail=["p3"])
        failed = self.member.wait(self.claim(names), "error")
        self.assertIn(names[3], failed["error"])
        self.assertNotIn("could not be given back", failed["error"])
        self.assertEqual({None}, self.owners(names))
        self.assertEqual({}, self.attached(names))
        self.check()
        self.member.delete("networks/mine")

    def test_every_kind_of_failure(self) -> None:
        for fault in ("fail", "lie", "crash"):
            _, names = self.rack(3, **{fault: ["p1"]})
            self.member.wait(self.claim(names), "error")
            self.assertEqual(({None}, {}), (self.owners(names), self.attached(names)), fault)
        self.check()

    def test_what_cannot_be_taken_off_is_named(self) -> None:
        _, names = self.rack(3, fail=["p1"])
        other, (far,) = self.rack(1, delay=0.2)
        configure = fake.FakeSwitch.configure

        def refuse(driver: fake.FakeSwitch, ports: Mapping[str, PortConfig]) -> None:
            if driver.environment.uuid == other and not all(config.enabled for config in ports.values()):
                raise DriverError("The switch refused the change.")
            configure(driver, ports)

        with fixtures.MonkeyPatch("mogan_hil.drivers.switch.fake.FakeSwitch.configure", refuse):
            failed = self.member.wait(self.claim([*names, far]), "error")
        self.assertIn(f"still belong to the project: {far}", failed["error"])
        self.assertEqual({None}, self.owners(names))
        self.assertEqual({self.red}, self.owners([far]))
        if self.attached([far]):
            self.member.detach(far, "mine")
        self.member.delete(f"nodes/{far}/project")
        self.check()

    def test_lost_wake_ups(self) -> None:
        """Nobody tells the claim that its last network is there: it looks by itself."""
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.objects.operation.Operation.hasten", lambda *_: None))
        _, names = self.rack(3)
        self.member.wait(self.claim(names))
        _, names = self.rack(3, fail=["p1"])
        self.member.wait(self.claim(names), "error")
        self.assertEqual({None}, self.owners(names))
        self.check()

    def failing(self) -> tuple[str, str, str, Any]:
        """A claim of a node that is wired at once, and one that fails when it is told to."""
        switch, (near,) = self.rack(1)
        slow, (far,) = self.rack(1, fail=["p0"])
        self.now = threading.Event()
        configure = fake.FakeSwitch.configure

        def wait(driver: fake.FakeSwitch, ports: Mapping[str, PortConfig]) -> None:
            if driver.environment.uuid == slow:
                self.now.wait(service.WAIT)
            configure(driver, ports)

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.drivers.switch.fake.FakeSwitch.configure", wait))
        self.addCleanup(self.now.set)
        claim = self.claim([near, far])
        self.until(lambda: self.attached([near]) == {near: "active"})
        return switch, near, far, claim

    def fail_now(self, claim: Any) -> Any:
        self.now.set()
        return self.member.wait(claim, "error")

    def test_user_detaches_in_the_middle(self) -> None:
        _, near, far, claim = self.failing()
        self.member.detach(near, "mine")
        self.fail_now(claim)
        self.assertEqual({None}, self.owners([near, far]))
        self.check()

    def test_user_detaches_slowly(self) -> None:
        switch, near, far, claim = self.failing()
        fake.set_faults(self.site.state_dir, switch, delay=1)
        self.member.delete(f"nodes/{near}/nics/eth0/attachments/mine", 202)
        self.fail_now(claim)
        self.assertEqual({None}, self.owners([near, far]))
        self.check()

    def test_user_releases_and_another_claims(self) -> None:
        _, near, far, claim = self.failing()
        self.member.detach(near, "mine")
        self.member.delete(f"nodes/{near}/project")
        other = self.site.admin.add_project(fresh("blue"))
        self.site.admin.put(f"nodes/{near}/project", {"project_id": other})
        self.fail_now(claim)
        self.assertEqual(({other}, {None}), (self.owners([near]), self.owners([far])))
        self.check()

    def test_user_attaches_in_the_middle(self) -> None:
        _, near, far, claim = self.failing()
        segment = self.member.post("networks", {"name": "more"})["segment_id"]
        self.member.attach(near, "more", channel=f"vlan/{segment}")
        failed = self.fail_now(claim)
        self.assertIn(f"still belong to the project: {near}", failed["error"])
        self.assertEqual(({self.red}, {None}), (self.owners([near]), self.owners([far])))
        self.member.detach(near, "more")
        self.member.delete(f"nodes/{near}/project")
        self.check()

    def test_refused_as_a_whole(self) -> None:
        admin = self.site.admin
        _, names = self.rack(4)
        first = self.member.get(f"nodes/{names[0]}")["uuid"]
        foreign = self.rack(1)[1][0]
        other = admin.add_project(fresh("blue"))
        admin.put(f"nodes/{foreign}/project", {"project_id": other})
        loose = admin.add_node(fresh("loose"))["name"]
        broken_one = admin.add_node(fresh("broken"), maintenance=True)["name"]
        wires = [{"network": "mine"}]
        refusals = [
            (400, {"nodes": [names[0], first], "networks": wires}),
            (400, {"nodes": [first, first], "networks": wires}),
            (404, {"nodes": [*names, foreign], "networks": wires}),
            (404, {"nodes": [*names, "nobody"], "networks": wires}),
            (404, {"nodes": names, "networks": [{"network": "nowhere"}]}),
            (404, {"nodes": names, "networks": [{"network": "mine", "nic": "eth9"}]}),
            (409, {"nodes": [*names, loose], "networks": wires}),
            (409, {"nodes": [*names, broken_one]}),
            (409, {"nodes": names, "networks": [*wires, {"network": "mine"}]}),
            (
                400,
                {"nodes": names, "networks": [{"network": "mine", "nic": "eth0"}, {"network": "mine", "nic": "eth0"}]},
            ),
            (400, {"nodes": names, "networks": [{"network": "mine", "channel": "vlan/1"}]}),
            (409, {"count": 50}),
            (400, {"count": 2, "nodes": names}),
            (400, {"networks": wires}),
        ]
        for status, body in refusals:
            self.member.post("claims", body, status)
            self.assertEqual(({None}, {}), (self.owners(names), self.attached(names)), body)
        with self.site.database.reader() as session:
            self.assertEqual([], Operation.find(session, models.Operation.verb.in_(["claim", "attach"])))


class TestKilledClaims(OnProcesses, Claims):
    """With a conductor that dies."""

    #: Nothing comes back by itself that hangs here.
    for_good = 600.0
    shape = {
        "apis": 1,
        "conductors": 0,
        "settings": {("conductor", "max_attempts"): 3, ("conductor", "driver_timeout"): for_good},
    }

    def make_site(self) -> None:
        """It is the class's."""

    def test_killed_in_the_undo(self) -> None:
        """Once as it begins, and once as another conductor goes on with it."""
        switch, names = self.rack(3)
        other, (far,) = self.rack(1, hang=["p0"], hang_seconds=self.for_good)
        conductor = self.site.start_conductor()
        claim = self.claim([*names, far])
        self.until(lambda: self.attached(names) == dict.fromkeys(names, "active"))
        self.site.kill_conductor(conductor)
        fake.set_faults(self.site.state_dir, other, fail=["p0"])
        fake.set_faults(self.site.state_dir, switch, hang=["*"], hang_seconds=self.for_good)
        for attempts in (1, 2):
            conductor = self.site.start_conductor()
            self.until(lambda attempts=attempts: self.detaches(attempts))
            self.site.kill_conductor(conductor)
        fake.set_faults(self.site.state_dir, switch)
        self.addCleanup(self.site.kill_conductor, self.site.start_conductor())
        self.member.wait(claim, "error")
        self.assertEqual(({None}, {}), (self.owners([*names, far]), self.attached([*names, far])))
        self.check()

    def detaches(self, attempts: int) -> bool:
        """Whether a conductor tries to take a network off, for the so-manieth time."""
        with self.site.database.reader() as session:
            rows = models.Operation
            where = (rows.verb == "detach", rows.state == "running", rows.attempts == attempts)
            return bool(Operation.find(session, *where))
