# SPDX-License-Identifier: Apache-2.0
"""The network manager: told of every change, in time for whoever boots, and once for many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import fixtures
import sqlalchemy as sa
import testtools
from oslo_config import cfg

from mogan_hil.api import process
from mogan_hil.common import configs, states
from mogan_hil.conductor.network_sync import NetworkSync
from mogan_hil.conductor.served import NetworkLane
from mogan_hil.conductor.service import Conductor
from mogan_hil.db import models
from mogan_hil.db.api import again
from mogan_hil.drivers.loader import Drivers
from mogan_hil.drivers.network import fake as fake_network
from mogan_hil.drivers.network.base import SERVE, NetworkSpec, SubnetSpec
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import fake as fake_switch
from mogan_hil.objects.operation import Operation
from tests import service
from tests.functional.racks import Gate, drain
from tests.functional.test_addresses import AddressCase


class ManagerCase(AddressCase):
    """With a pretend network manager."""

    settings = {("network", "manager_driver"): "fake", ("conductor", "driver_timeout"): service.WAIT}

    def served(self) -> NetworkSpec | None:
        """How `net` is served once nothing is under way."""
        drain(self.service.database)
        return fake_network.by_hand(self.service.state_dir, self.network["uuid"])[0]

    def reserved(self) -> dict[str, tuple[str, ...]]:
        """The addresses that are kept, by host name."""
        spec = self.served()
        return {item.hostname: item.addresses for item in spec.reservations} if spec else {}

    def faults(self, **faults: Any) -> None:
        fake_network.set_faults(self.service.state_dir, self.network["uuid"], **faults)

    def told(self) -> list[Any]:
        """The states of the operations that told it."""
        rows = models.Operation
        query = sa.select(rows.state, rows.verified).where(rows.verb == "network_configure").order_by(rows.id)
        with self.service.database.reader() as session:
            return [tuple(row) for row in session.execute(query)]


class TestTold(ManagerCase):
    """What it is told."""

    def test_subnets(self) -> None:
        spec = self.served()
        assert spec is not None
        self.assertEqual(
            (SubnetSpec("10.0.0.0/24", "10.0.0.1"), SubnetSpec("2001:db8::/64", "2001:db8::1")), spec.subnets
        )
        self.assertEqual(self.network["segment_id"], spec.segment_id)
        self.red.patch(f"subnets/{self.subnet['uuid']}", {"dns_servers": ["10.0.0.53"], "dhcp": False})
        changed = self.served()
        assert changed is not None
        self.assertEqual(SubnetSpec("10.0.0.0/24", "10.0.0.1", ("10.0.0.53",), dhcp=False), changed.subnets[0])
        self.red.delete(f"subnets/{self.subnet['uuid']}")
        self.assertEqual(1, len(getattr(self.served(), "subnets", ())))
        self.red.delete("networks/net")
        self.assertIsNone(self.served())
        self.assertEqual({(states.Operation.DONE, True)}, set(self.told()))

    def test_attachments(self) -> None:
        self.claim("n0", "n1")
        self.assertEqual({}, self.reserved())
        for number in range(2):
            self.red.attach(f"n{number}", "net", addresses=[f"10.0.0.{number + 5}", f"2001:db8::{number}:5"])
        kept = {"n0": ("10.0.0.5", "2001:db8::5"), "n1": ("10.0.0.6", "2001:db8::1:5")}
        self.assertEqual(kept, self.reserved())
        self.red.detach("n0", "net")
        self.assertEqual({"n1": kept["n1"]}, self.reserved())
        fake_switch.set_faults(self.service.state_dir, self.rack["uuid"], fail=["p0"])
        self.red.attach("n0", "net", state="error")
        fake_switch.set_faults(self.service.state_dir, self.rack["uuid"])
        self.admin.wait(self.admin.call("POST", "switches/rack1/ports/p0/revert", status=202).json)
        self.assertEqual({"n1": kept["n1"]}, self.reserved())

    def test_many_at_once(self) -> None:
        """As many changes as there are, and few calls."""
        self.served()
        before = fake_network.by_hand(self.service.state_dir, self.network["uuid"])[1]
        gate = self.useFixture(Gate("mogan_hil.drivers.network.fake.FakeNetwork.configure"))
        for number in range(20):
            self.red.patch(f"subnets/{self.subnet['uuid']}", {"dns_servers": [f"10.0.0.{number + 1}"]})
            self.assertTrue(gate.reached.wait(service.WAIT))
        gate.open()
        spec = self.served()
        assert spec is not None
        self.assertEqual(("10.0.0.20",), spec.subnets[0].dns_servers)
        after = fake_network.by_hand(self.service.state_dir, self.network["uuid"])[1]
        self.assertEqual(2, after - before)
        self.assertEqual([(states.Operation.DONE, True)] * 22, self.told())

    def test_tried_again(self) -> None:
        self.served()
        self.faults(fail_transient=2)
        self.red.patch(f"subnets/{self.subnet['uuid']}", {"gateway": "10.0.0.9"})
        spec = self.served()
        assert spec is not None
        self.assertEqual("10.0.0.9", spec.subnets[0].gateway)
        self.assertEqual((states.Operation.DONE, True), self.told()[-1])

    def test_faults(self) -> None:
        self.served()
        path = f"subnets/{self.subnet['uuid']}"
        for number, name in enumerate(("fail", "lie", "crash", "unreadable")):
            self.faults(**{name: True})
            self.red.patch(path, {"gateway": f"10.0.0.{number + 10}"})
            self.served()
            self.assertEqual((states.Operation.ERROR, False), self.told()[-1], name)
            self.faults()
            self.red.patch(path, {"gateway": f"10.0.0.{number + 20}"})
            spec = self.served()
            assert spec is not None
            self.assertEqual(f"10.0.0.{number + 20}", spec.subnets[0].gateway)


class TestBuilds(ManagerCase):
    """Instances: nobody boots before the network manager knows them."""

    def create(self, state: str | None = "done", **fields: Any) -> Any:
        body = {"name": "web", "flavor": "metal", "networks": [{"network": "net"}], **fields}
        operation = self.red.post("instances", body, 202)["instances"][0]["operation"]
        self.red.wait(operation, state)
        return self.red.get(f"operations?parent={operation['uuid']}&sort_key=created_at")["operations"]

    def test_told_before_the_boot(self) -> None:
        steps = self.create(networks=[{"network": "net", "addresses": ["10.0.0.9"]}])
        times = {step["verb"]: step for step in steps}
        self.assertLessEqual(times["attach"]["finished_at"], times["network_configure"]["started_at"])
        self.assertLessEqual(times["network_configure"]["finished_at"], times["power"]["started_at"])
        self.assertEqual("10.0.0.9", self.reserved()["web"][0])
        self.red.wait(self.red.delete("instances/web", 202))
        self.assertEqual({}, self.reserved())
        self.no_leak()

    def test_not_booted_when_it_cannot_be_told(self) -> None:
        self.served()
        self.faults(fail=True)
        steps = self.create("error")
        self.assertEqual({"error"}, {step["state"] for step in steps if step["verb"] == "network_configure"})
        self.assertFalse([step for step in steps if step["verb"] == "power" and step["payload"]["target"] == "on"])
        self.assertIn("refused", self.red.get("instances/web")["fault"]["message"])
        drain(self.service.database)
        self.no_leak()
        self.assertEqual(4, len(self.admin.get("nodes?free=true")["nodes"]))

    def test_elsewhere(self) -> None:
        """The first node cannot be switched on: the second one has the address that was asked for."""
        fake_obm.set_faults(self.service.state_dir, self.node["n0"]["uuid"], fail=True)
        self.create(networks=[{"network": "net", "addresses": ["10.0.0.9"]}])
        found = self.red.get("instances/web")
        self.assertEqual(("n1", "10.0.0.9"), (found["node"]["name"], found["addresses"][0]["ip"]))
        self.assertEqual(2, len(self.ips()))
        self.assertEqual(["web"], list(self.reserved()))


class SyncCase(ManagerCase):
    """With a network manager that is looked after every moment."""

    settings = {**ManagerCase.settings, ("conductor", "network_sync_interval"): 0.05, ("conductor", "max_attempts"): 1}

    def until(self, what: Callable[[], Any], wanted: Any = True) -> None:
        """Wait for something."""
        limit = time.monotonic() + service.WAIT
        while (found := what()) != wanted:
            if time.monotonic() > limit:
                self.fail(f"{found} is not {wanted}")
            time.sleep(0.02)

    def gateway(self) -> str | None:
        """The gateway that machines are told."""
        spec = fake_network.by_hand(self.service.state_dir, self.network["uuid"])[0]
        return spec.subnets[0].gateway if spec else None

    def lose(self) -> None:
        """The network manager forgets everything."""
        for path in self.service.state_dir.glob("fake-network-*.json"):
            path.unlink()

    def another(self) -> Conductor:
        """One more conductor, not started yet."""
        return Conductor(self.service.conf, self.service.database, self.service.drivers)

    def start(self, conductor: Conductor) -> None:
        conductor.start()
        self.addCleanup(conductor.stop)

    def halt(self) -> None:
        """The conductor stops."""
        self.service.conductor.stop()
        self.service.conductor._locks.start()  # it is stopped once more in the end

    def tries(self) -> list[int | None]:
        """What the operations say that told of the network, oldest first."""
        rows = models.Operation
        query = sa.select(rows.payload).where(rows.lane == f"network:{self.network['uuid']}").order_by(rows.id)
        with self.service.database.reader() as session:
            return [payload.get("tries") for payload in session.scalars(query)]


class TestSync(SyncCase):
    """What was refused or lost is put right without anybody's doing."""

    def test_refused(self) -> None:
        """However often, and whatever way."""
        self.served()
        path = f"subnets/{self.subnet['uuid']}"
        for number, name in enumerate(("fail", "lie", "crash", "unreadable")):
            self.faults(**{name: True})
            self.red.patch(path, {"gateway": f"10.0.0.{number + 10}"})
            self.until(lambda: ((self.tries() or [None])[-1] or 0) >= 2)
            self.faults()
            self.until(self.gateway, f"10.0.0.{number + 10}")
            self.until(lambda: drain(self.service.database) or self.told()[-1], (states.Operation.DONE, True))
        self.assertNotIn(("network_configure", "admin"), self.asked())

    def asked(self) -> set[tuple[str, str]]:
        """By whom operations were asked for that nobody did."""
        found = self.admin.get("operations?verb=network_configure&limit=1000")["operations"]
        return {(item["verb"], item["user_id"]) for item in found if "tries" in item["payload"] and item["user_id"]}

    def test_some_failures(self) -> None:
        self.served()
        self.faults(fail_transient=3)
        self.red.patch(f"subnets/{self.subnet['uuid']}", {"gateway": "10.0.0.9"})
        self.until(self.gateway, "10.0.0.9")
        drain(self.service.database)
        again = self.tries()[3:]  # the looks in between have met some of the failures
        self.assertEqual([*range(1, len(again) + 1)], again)

    def test_the_wait_grows(self) -> None:
        """By the journal alone: no conductor has to remember it."""
        self.halt()
        lane = NetworkLane(self.service.conf, self.service.database, self.service.drivers, lambda lane: None)
        told: list[str] = []
        coordinator: Any = None
        sync = NetworkSync(self.service.database, coordinator, lane, told.append, 100.0)
        uuid = self.network["uuid"]
        for tries, seconds in ((0, 100), (1, 200), (5, 3200), (6, 3600), (1000, 3600)):
            for more, count in ((-60, 0), (5, 1)):
                with self.service.database.writer() as session:
                    session.execute(sa.delete(models.Operation).where(models.Operation.lane == f"network:{uuid}"))
                    ended = models.now() - timedelta(seconds=seconds + more)
                    values = {"state": "error", "lane": f"network:{uuid}", "verb": "network_configure"}
                    payload = {"tries": tries, "network": "net", "network_uuid": uuid}
                    session.add(models.Operation(**values, payload=payload, finished_at=ended, created_at=ended))
                told.clear()
                sync._look(uuid)
                self.assertEqual(count, len(told), (tries, more))
            self.assertEqual(tries + 1, self.tries()[-1])

    def test_lost(self) -> None:
        self.claim("n0")
        self.red.attach("n0", "net", addresses=["10.0.0.5", "2001:db8::5"])
        spec = self.served()
        self.lose()
        self.until(self.served, spec)
        drain(self.service.database)
        self.assertEqual((states.Operation.DONE, True), self.told()[-1])

    def test_lost_while_no_conductor_was_there(self) -> None:
        spec = self.served()
        self.halt()
        self.lose()
        self.start(self.another())
        self.until(self.served, spec)

    def test_deleted(self) -> None:
        """What is not there any more is served no longer, too."""
        self.served()
        self.faults(fail=True)
        for subnet in (self.subnet, self.subnet6):
            self.red.delete(f"subnets/{subnet['uuid']}")
        self.red.delete("networks/net")
        self.until(lambda: ((self.tries() or [None])[-1] or 0) >= 2)
        self.assertIsNotNone(self.gateway())
        self.faults()
        self.until(self.gateway, None)
        drain(self.service.database)
        found = self.red.get("operations?verb=network_configure&limit=1000")["operations"]
        self.assertEqual({"net"}, {item["payload"]["network"] for item in found})

    def test_taken_over(self) -> None:
        """A conductor died while it told of a network: the next one begins anew, with what is to be now."""
        self.served()
        self.halt()
        self.lose()
        with self.service.database.writer() as session:
            session.execute(
                sa.update(models.Operation)
                .where(models.Operation.verb == "network_configure")
                .values(state="running", conductor="dead")
            )
        self.start(self.another())
        self.until(lambda: drain(self.service.database) or self.gateway(), "10.0.0.1")
        self.assertEqual({(states.Operation.DONE, True)}, set(self.told()))

    def test_late(self) -> None:
        """What comes back after another conductor has taken over is told once more."""
        self.served()
        before = len(self.told())
        lanes = NetworkLane(self.service.conf, self.service.database, self.service.drivers, self.service.conductor.wake)
        lanes.recheck(f"network:{self.network['uuid']}")
        self.until(lambda: self.told()[before:], [(states.Operation.DONE, True)])

    def test_nothing_to_do(self) -> None:
        """Of what is as it should be nothing is written, whatever is being attached."""
        self.claim("n0")
        before = len(self.told())
        for _ in range(3):
            self.red.attach("n0", "net")
            self.red.detach("n0", "net")
        self.served()
        self.until(lambda: drain(self.service.database) or self.served() is not None)
        self.assertNotIn(0, self.tries())
        self.assertEqual(before + 6, len(self.told()))


class TestConductors(SyncCase):
    """Several conductors find the same."""

    def test_once(self) -> None:
        spec = self.served()
        before = self.tries()
        for _ in range(2):
            self.start(self.another())
        self.lose()
        self.until(self.served, spec)
        count = fake_network.by_hand(self.service.state_dir, self.network["uuid"])[1]
        self.assertEqual((1, [*before, 0]), (count, self.tries()))

    def _at_once(self, kind: str) -> None:
        if dict(service.databases())[kind] is None:
            self.skipTest(f"{kind} is not there")
        network = "0b1f8f6e-57b0-4b2e-8b8e-4f2d8c6f7a10"
        conf = self.service.conf
        url = self.useFixture(service.DatabaseFixture(kind)).url
        other = process.configure(cfg.ConfigOpts(), [], [])
        other.set_override("connection", url, group="database")
        database = process.open_database(other)
        self.addCleanup(database.dispose)
        lane = NetworkLane(conf, database, self.service.drivers, lambda lane: None)
        coordinator: Any = None
        syncs = [NetworkSync(database, coordinator, lane, lambda lane: None, 1.0) for _ in range(8)]
        start = threading.Barrier(len(syncs))

        def done() -> None:
            with database.writer() as session:
                session.execute(sa.update(models.Operation).values(state="done", pending_key=None))

        for number in range(10):
            with database.reader() as session:
                last = Operation.latest(session, f"network:{network}")

            def tell(sync: NetworkSync, last: Operation | None = last) -> None:
                start.wait()
                again(sync.tell_again)(network, last)
                again(done)()  # the first may have been done before another one looks

            with ThreadPoolExecutor(len(syncs)) as pool:
                list(pool.map(tell, syncs))
            with database.reader() as session:
                self.assertEqual(number + 1, session.scalar(sa.select(sa.func.count()).select_from(models.Operation)))

    def test_at_once_sqlite(self) -> None:
        self._at_once("sqlite")

    def test_at_once_mysql(self) -> None:
        self._at_once("mysql")

    def test_at_once_postgresql(self) -> None:
        self._at_once("postgresql")


class Mute(fake_network.FakeNetwork):
    """Cannot be asked."""

    capabilities = frozenset({SERVE})


class TestMute(SyncCase):
    """A network manager that cannot be asked is told of everything when a conductor starts, once."""

    def setUp(self) -> None:
        load = Drivers._load

        def fake(kind: str, base: type[Any]) -> dict[str, type[Any]]:
            return load(kind, base) | ({"fake": Mute} if kind == "network" else {})

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.drivers.loader.Drivers._load", staticmethod(fake)))
        super().setUp()

    def test_told_at_the_start(self) -> None:
        self.served()
        self.halt()
        before = len(self.tries())
        for number in (1, 2):
            self.lose()
            conductor = self.another()
            conductor.start()
            try:
                self.until(lambda: drain(self.service.database) or self.gateway(), "10.0.0.1")
            finally:
                conductor.stop()
            self.assertEqual([0] * number, self.tries()[before:])

    def test_refused(self) -> None:
        self.served()
        self.faults(fail=True)
        self.red.patch(f"subnets/{self.subnet['uuid']}", {"gateway": "10.0.0.9"})
        self.until(lambda: ((self.tries() or [None])[-1] or 0) >= 2)
        self.faults()
        self.until(self.gateway, "10.0.0.9")


class TestNull(AddressCase):
    """Without a network manager nothing is written."""

    def test_null(self) -> None:
        self.claim("n0")
        self.red.attach("n0", "net")
        self.red.detach("n0", "net")
        self.red.delete("networks/net")
        with self.service.database.reader() as session:
            self.assertNotIn("network_configure", set(session.scalars(sa.select(models.Operation.verb))))


class TestNames(ManagerCase):
    """What machines are called, on a network that two projects use."""

    def names(self) -> dict[str, tuple[str, str | None]]:
        """Host name and domain by address."""
        spec = self.served()
        return {item.addresses[0]: (item.hostname, item.domain) for item in spec.reservations} if spec else {}

    def put(self, user: Any, name: str, number: int) -> None:
        wires = [{"network": self.network["uuid"], "addresses": [f"10.0.0.{number}"]}]
        body = {"name": name, "node": f"n{number - 10}", "networks": wires}
        user.wait(user.post("instances", body, 202)["instances"][0]["operation"])

    def test_two_projects(self) -> None:
        blue = self.admin.get("projects/blue")["uuid"]
        red = self.network["project_id"]
        self.red.put(f"networks/net/access/{blue}", status=204)
        self.put(self.blue, "web", 10)
        self.put(self.red, "web", 11)
        self.assertEqual({"10.0.0.10": ("web", blue), "10.0.0.11": ("web", red)}, self.names())

    def test_one_project(self) -> None:
        """The newer one steps back, wherever it stands; and has the name when the older one is gone."""
        red = self.network["project_id"]
        self.put(self.red, "Web.1", 13)
        self.put(self.red, "web-1", 12)
        self.red.put("nodes/n0/project", {})
        self.admin.patch("nodes/n0", {"name": "WEB_1"})
        self.red.attach("WEB_1", "net", addresses=["10.0.0.14"])
        names = {
            "10.0.0.13": ("web-1", red),
            "10.0.0.12": (f"web-1-{self.node['n2']['uuid'][:8]}", red),
            "10.0.0.14": (f"web-1-{self.node['n0']['uuid'][:8]}", red),
        }
        self.assertEqual(names, self.names())
        self.red.wait(self.red.delete("instances/Web.1", 202))
        del names["10.0.0.13"]
        self.assertEqual({**names, "10.0.0.12": ("web-1", red)}, self.names())


class TestLabels(testtools.TestCase):
    """Names of instances, nodes and projects, as labels."""

    def test_hostname(self) -> None:
        for name, label in (("web", "web"), ("Web.01", "web-01"), ("_a_@b:+", "a-b"), ("___", "instance-0123abcd")):
            self.assertEqual(label, configs.hostname(name, "0123abcd-1"))
        self.assertEqual(63, len(configs.hostname("a" * 255, "")))
        self.assertEqual(63, len(configs.apart("a" * 63, "0123abcd-1")))

    def test_domain(self) -> None:
        """No two projects have one."""
        for project in ("5e0b8d3f6c215e0b8d3f6c215e0b8d3f", "0b1f8f6e-57b0-4b2e-8b8e-4f2d8c6f7a10", "red"):
            self.assertEqual(project, configs.domain(project))
        strange = ["a.b", "a_b", "A.b", "a" * 64, "a" * 63 + "b", "_", "+", "a-", "-"]
        found = {configs.domain(project) for project in strange}
        self.assertEqual(len(strange), len(found))
        for label in found:
            self.assertRegex(label, r"\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
            self.assertNotIn(label, strange)
