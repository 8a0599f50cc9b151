# SPDX-License-Identifier: Apache-2.0
"""Who works where: locks that exclude, locks that are lost, and results that come too late to count."""

from __future__ import annotations

import functools
import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import fixtures
import sqlalchemy as sa
import testtools
from oslo_config import cfg

from mogan_hil.api import process
from mogan_hil.conductor import lanes, locks
from mogan_hil.db import models
from mogan_hil.drivers import fakes
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import fake
from mogan_hil.objects.operation import Operation
from tests import service
from tests.functional.proxy import Proxy
from tests.functional.racks import OnProcesses, fresh, rack, until


class TestResultsTooLate(testtools.TestCase):
    """Only who took an operation up last may write what came of it."""

    def setUp(self) -> None:
        super().setUp()
        self.database = self.useFixture(service.Embedded(conductor=False)).database
        with self.database.writer() as session:
            Operation.create(session, verb="attach", lane="switch:x", state="pending", pending_key="nic:1")

    def begin(self, conductor: str) -> Operation:
        with self.database.writer() as session:
            found = Operation.due(session, "switch:x", 10)
            Operation.begin(session, found, conductor)
        return found[0]

    def test_another_conductor(self) -> None:
        first, second = self.begin("one"), self.begin("two")
        with self.database.writer() as session:
            self.assertFalse(first.finish(session, verified=True))
            self.assertFalse(first.fail(session, "no", "no"))
            self.assertFalse(first.note(session, "no", "no"))
            self.assertFalse(first.progress(session, {"no": 1}))
            self.assertFalse(first.wait(session, 1))
            self.assertFalse(first.postpone(session, 1, "no", "no"))
            self.assertTrue(second.finish(session, verified=True))
            self.assertFalse(second.fail(session, "no", "no"))

    def test_the_same_conductor_again(self) -> None:
        first, second = self.begin("one"), self.begin("one")
        with self.database.writer() as session:
            self.assertFalse(first.finish(session, verified=True))
            self.assertTrue(second.finish(session, verified=True))

    def test_of_another_with_as_many_attempts(self) -> None:
        """As where the count went back, because the other one only waited."""
        first = self.begin("one")
        with self.database.writer() as session:
            session.execute(sa.update(models.Operation).values(conductor="two"))
            self.assertFalse(first.finish(session, verified=True))

    def test_at_the_same_moment(self) -> None:
        with self.database.reader() as session:
            one, two = (Operation.due(session, "switch:x", 10) for _ in range(2))
        with self.database.writer() as session:
            Operation.begin(session, one, "one")
            Operation.begin(session, two, "two")
            self.assertFalse(one[0].finish(session, verified=True))
            self.assertFalse(two[0].finish(session, verified=True))
        third = self.begin("three")
        with self.database.writer() as session:
            self.assertTrue(third.finish(session, verified=True))


class TestTakenOver(testtools.TestCase):
    """A conductor that was as good as dead for a while goes on with what another one has begun meanwhile."""

    def test_cycle(self) -> None:
        site = self.useFixture(service.Embedded(conductor=False))
        node = site.admin.post("nodes", {"name": "n1", "obm": {"driver": "fake"}})["uuid"]
        site.admin.put("nodes/n1/project", {})
        site.admin.put("nodes/n1/power", {"target": "cycle"}, 202)
        lane, begun = f"node:{node}", []
        for conductor in ("one", "two"):
            with site.database.writer() as session:
                found = Operation.due(session, lane, 10)
                Operation.begin(session, found, conductor)
            begun.append(found)
        handler = site.conductor._lanes._handlers["node"]
        self.assertRaises(lanes.Lost, handler.run, lane, begun[0])
        self.assertEqual({}, fakes.DeviceFile(site.state_dir, fake_obm.KIND, node).read())
        handler.run(lane, begun[1])
        written = fakes.DeviceFile(site.state_dir, fake_obm.KIND, node).read()["console"]
        self.assertEqual(1, sum("cycle" in line for line in written))


class TestLateDatabase(testtools.TestCase):
    """A conductor that is started before the database of its locks waits for it."""

    def late(self, kind: str) -> None:
        url = sa.make_url(self.useFixture(service.DatabaseFixture(kind)).url)
        proxy = Proxy((url.host or "", url.port or 0))
        self.addCleanup(proxy.close)
        proxy.cut()
        near = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        site = self.useFixture(service.Embedded({("conductor", "lock_url"): near}))
        site.admin.add_switch("rack1")
        port = site.admin.post("switches/rack1/ports", {"name": "p1"})
        self.assertEqual("pending", site.admin.get(f"operations/{port['operation']['uuid']}")["state"])
        proxy.mend()
        site.admin.wait(port["operation"])

    def test_mysql(self) -> None:
        self.late("mysql")

    def test_postgresql(self) -> None:
        self.late("postgresql")


class TestLocks(testtools.TestCase):
    """The locks of each database."""

    def conf(self, kind: str) -> cfg.ConfigOpts:
        if dict(service.databases())[kind] is None:
            self.skipTest(f"{kind} is not there")
        conf = process.configure(cfg.ConfigOpts(), [], [])
        conf.set_override("connection", self.useFixture(service.DatabaseFixture(kind)).url, group="database")
        conf.set_override("state_path", self.useFixture(fixtures.TempDir()).path)
        return conf

    def both(self, conf: cfg.ConfigOpts) -> list[locks.Locks]:
        """Those of two conductors."""
        found = [locks.locks(conf, name) for name in ("one", "two")]
        for one in found:
            one.start()
            self.addCleanup(one.stop)
        return found

    def exclude(self, kind: str) -> None:
        one, two = self.both(self.conf(kind))
        lane, watch = self.alike()
        held = one.get(lane)
        self.assertTrue(held.acquire(blocking=False))
        self.assertTrue(held.acquired)
        self.assertFalse(two.get(lane).acquire(blocking=False))
        self.assertFalse(one.get(lane).acquire(blocking=False))
        other = two.get(watch)
        self.assertTrue(other.acquire(blocking=False), "a lock of another name is taken with it")
        other.release()
        held.release()
        self.assertFalse(held.acquired)
        again = two.get(lane)
        self.assertTrue(again.acquire(blocking=False))
        again.release()

    @staticmethod
    def alike() -> tuple[str, str]:
        """Two names whose hashes begin with the same two bytes."""
        known: dict[bytes, str] = {}
        while True:
            name = f"switch:{uuid.uuid4()}"
            twin = known.setdefault(hashlib.md5(name.encode(), usedforsecurity=False).digest()[:2], name)
            if twin != name:
                return name, twin

    def test_sqlite(self) -> None:
        self.exclude("sqlite")

    def test_mysql(self) -> None:
        self.exclude("mysql")

    def test_postgresql(self) -> None:
        self.exclude("postgresql")

    def connections(self, conf: cfg.ConfigOpts, query: str) -> None:
        """A hundred locks are held on one connection, and lost with it."""
        root = sa.create_engine(conf.database.connection, isolation_level="AUTOCOMMIT", poolclass=sa.StaticPool)
        self.addCleanup(root.dispose)

        def others() -> list[int]:
            with root.connect() as connection:
                return list(connection.scalars(sa.text(query)))

        one, two = self.both(conf)
        until(lambda: len(others()) == 2)  # whoever made the tables may still be saying goodbye
        held = [one.get(f"watch:{number}") for number in range(100)]
        self.assertEqual({True}, {lock.acquire(blocking=False) for lock in held})
        self.assertEqual(2, len(others()))
        two.stop()
        until(lambda: len(others()) == 1)
        with root.connect() as connection:
            kill = "KILL {}" if root.dialect.name == "mysql" else "SELECT pg_terminate_backend({})"
            for number in others():
                connection.exec_driver_sql(kill.format(number))
        self.assertRaises(locks.LockLostError, held[0].release)
        self.assertEqual({False}, {lock.acquired for lock in held})
        for lock in (two.get("watch:1"), one.get("watch:2")):  # both find a new connection
            until(functools.partial(lock.acquire, blocking=False))  # the server may not be through with the old one
        locks.release(held[3], "watch:3")  # it is told of in the log, and that is all

    def test_connections_mysql(self) -> None:
        query = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        self.connections(self.conf("mysql"), query)

    def test_connections_postgresql(self) -> None:
        query = (  # of clients: the server vacuums by itself
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        self.connections(self.conf("postgresql"), query)

    def test_names_are_of_one_service(self) -> None:
        """Two services in one server of MySQL do not stand in each other's way."""
        one, two = (self.both(self.conf("mysql"))[0] for _ in range(2))
        for name in ("power-sync", "x" * 100):
            self.assertTrue(one.get(name).acquire(blocking=False))
            self.assertTrue(two.get(name).acquire(blocking=False))
            self.assertFalse(one.get(name).acquire(blocking=False))

    def test_who_is_silent_has_nothing(self) -> None:
        """A machine that is gone says nothing to the server, which would else wait for eight hours."""
        url = sa.engine.make_url(self.conf("mysql").database.connection)
        silent, other = locks.DatabaseLocks(url, 4), locks.DatabaseLocks(url, 600)
        self.addCleanup(other.stop)
        self.addCleanup(silent.stop)
        self.assertTrue(silent.get("lane").acquire(blocking=False))
        until(lambda: other.get("lane").acquire(blocking=False), service.WAIT)


class LostLock:
    """The connection that holds the lock of a lane breaks while a device is at it."""

    shape = {"apis": 1, "conductors": 2, "settings": {("conductor", "driver_timeout"): 2 * service.WAIT}}
    holder: str
    site: Any

    def test_lock_is_lost(self) -> None:
        admin = self.site.admin
        project = fresh("red")
        switch, (node,) = rack(self.site, 1, project=admin.add_project(project))
        fake.set_faults(self.site.state_dir, switch, hold=["configure"])
        red = admin.as_user(f"{project}-member")
        red.post("networks", {"name": "mine"})
        operation = red.post(f"nodes/{node}/nics/eth0/attachments", {"network": "mine"}, 202)

        def attempts() -> int:
            found = admin.get(f"operations/{operation['uuid']}")
            return int(found["attempts"]) if found["state"] == "running" else 0

        until(lambda: attempts() == 1)
        root = sa.create_engine(self.site.url, isolation_level="AUTOCOMMIT")
        self.addCleanup(root.dispose)
        with root.connect() as connection:
            for statement in connection.scalars(sa.text(self.holder), {"name": f"switch:{switch}"}).all():
                connection.execute(sa.text(statement))
        until(lambda: attempts() == 2)
        fake.set_faults(self.site.state_dir, switch)
        done = red.wait(operation)
        self.assertEqual(2, done["attempts"])
        until(lambda: "taken over by another conductor" in self.site.logs())
        self.check()


class TestLostLockOnMariaDB(LostLock, OnProcesses):
    kind = "mysql"
    holder = "SELECT CONCAT('KILL ', IS_USED_LOCK(CONCAT(DATABASE(), '/', :name)))"


class TestLostLockOnPostgreSQL(LostLock, OnProcesses):
    kind = "postgresql"
    holder = (
        "SELECT DISTINCT 'SELECT pg_terminate_backend(' || pid || ')' FROM pg_locks "
        "JOIN pg_database ON pg_database.oid = pg_locks.database "
        "WHERE locktype = 'advisory' AND datname = current_database() AND :name <> ''"
    )


#: A driver of a third party that ends its conductor, as a bug in a library in C would.
DEADLY = """\
import os

from mogan_hil.drivers.switch import fake


class Deadly(fake.FakeSwitch):
    def configure(self, ports):
        if "p3" in ports:
            os._exit(9)
        super().configure(ports)
"""


class TestDeadlyDriver(OnProcesses):
    """An operation that kills whoever takes it up ends by itself, and takes no other with it."""

    shape = {"apis": 1, "conductors": 1, "settings": {("conductor", "sweep_interval"): 0.1}}

    @classmethod
    def setUpClass(cls) -> None:
        place = fixtures.TempDir()
        place.setUp()
        cls.addClassCleanup(place.cleanUp)
        (Path(place.path) / "deadly.py").write_text(DEADLY)
        info = Path(place.path) / "deadly-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[mogan_hil.switch]\ndeadly = deadly:Deadly\n")
        path = os.pathsep.join(filter(None, [place.path, os.environ.get("PYTHONPATH")]))
        variable = fixtures.EnvironmentVariable("PYTHONPATH", path)
        variable.setUp()
        cls.addClassCleanup(variable.cleanUp)
        super().setUpClass()

    def test_deadly_driver(self) -> None:
        admin = self.site.admin
        switch, names = rack(self.site, 10, project=admin.add_project("red"), driver="deadly")
        fake.set_faults(self.site.state_dir, switch, delay=0.05)
        red = admin.as_user("red-member")
        red.post("networks", {"name": "mine"})
        operations = [red.post(f"nodes/{name}/nics/eth0/attachments", {"network": "mine"}, 202) for name in names]
        for number, operation in enumerate(operations):
            ended = red.wait(operation, "error" if number == 3 else "done", 180)
            self.assertLessEqual(ended["attempts"], 7)
        failed = admin.get(f"operations/{operations[3]['uuid']}")
        self.assertIn("stopped 6 times while it worked on this", failed["error"])
        with self.site.database.reader() as session:
            port = session.execute(sa.select(models.Port.status).where(models.Port.name == "p3")).scalar_one()
        self.assertEqual("error", port)
