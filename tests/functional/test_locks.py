# SPDX-License-Identifier: Apache-2.0
"""Who works where: locks that exclude, locks that are lost, and results that come too late to count."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import fixtures
import sqlalchemy as sa
import testtools
from oslo_config import cfg
from tooz import coordination

from mogan_hil.api import process
from mogan_hil.conductor.locks import get_lock
from mogan_hil.conductor.service import lock_url
from mogan_hil.db import models
from mogan_hil.drivers.switch import fake
from mogan_hil.objects.operation import Operation
from tests import service
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
            self.assertFalse(first.wait(session, 1))
            self.assertFalse(first.postpone(session, 1, "no", "no"))
            self.assertTrue(second.finish(session, verified=True))
            self.assertFalse(second.fail(session, "no", "no"))

    def test_the_same_conductor_again(self) -> None:
        first, second = self.begin("one"), self.begin("one")
        with self.database.writer() as session:
            self.assertFalse(first.finish(session, verified=True))
            self.assertTrue(second.finish(session, verified=True))

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


class TestLocks(testtools.TestCase):
    """The locks of each database."""

    def coordinators(self, kind: str) -> list[coordination.CoordinationDriver]:
        if dict(service.databases())[kind] is None:
            self.skipTest(f"{kind} is not there")
        conf = process.configure(cfg.ConfigOpts(), [], [])
        conf.set_override("connection", self.useFixture(service.DatabaseFixture(kind)).url, group="database")
        conf.set_override("state_path", self.useFixture(fixtures.TempDir()).path)
        found = [coordination.get_coordinator(lock_url(conf), name) for name in (b"one", b"two")]
        for coordinator in found:
            coordinator.start()
            self.addCleanup(coordinator.stop)
        return found

    def exclude(self, kind: str) -> None:
        one, two = self.coordinators(kind)
        lane, watch = self.alike()
        held = get_lock(one, lane)
        self.assertTrue(held.acquire(blocking=False))
        self.assertFalse(get_lock(two, lane).acquire(blocking=False))
        self.assertFalse(get_lock(one, lane).acquire(blocking=False))
        other = get_lock(two, watch)
        self.assertTrue(other.acquire(blocking=False), "a lock of another name is taken with it")
        other.release()
        held.release()
        again = get_lock(two, lane)
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


class LostLock:
    """The connection that holds the lock of a lane breaks while a device is at it."""

    shape = {"apis": 1, "conductors": 2}
    holder: str
    site: Any

    def test_lock_is_lost(self) -> None:
        admin = self.site.admin
        project = fresh("red")
        switch, (node,) = rack(self.site, 1, project=admin.add_project(project))
        fake.set_faults(self.site.state_dir, switch, delay=1.0)
        red = admin.as_user(f"{project}-member")
        red.post("networks", {"name": "mine"})
        operation = red.post(f"nodes/{node}/nics/eth0/attachments", {"network": "mine"}, 202)
        until(lambda: admin.get(f"operations/{operation['uuid']}")["state"] == "running")
        root = sa.create_engine(self.site.url, isolation_level="AUTOCOMMIT")
        self.addCleanup(root.dispose)
        with root.connect() as connection:
            for statement in connection.scalars(sa.text(self.holder), {"name": f"switch:{switch}"}).all():
                connection.execute(sa.text(statement))
        done = red.wait(operation)
        self.assertEqual(2, done["attempts"])
        until(lambda: "taken over by another conductor" in self.site.logs())
        self.check()


class TestLostLockOnMariaDB(LostLock, OnProcesses):
    kind = "mysql"
    holder = "SELECT CONCAT('KILL ', IS_USED_LOCK(:name))"


class TestLostLockOnPostgreSQL(LostLock, OnProcesses):
    kind = "postgresql"
    holder = (
        "SELECT DISTINCT 'SELECT pg_terminate_backend(' || pid || ')' FROM pg_locks "
        "WHERE locktype = 'advisory' AND :name <> ''"
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
            ended = red.wait(operation, "error" if number == 3 else "done", 60)
            self.assertLessEqual(ended["attempts"], 7)
        failed = admin.get(f"operations/{operations[3]['uuid']}")
        self.assertIn("stopped 6 times while it worked on this", failed["error"])
        with self.site.database.reader() as session:
            port = session.execute(sa.select(models.Port.status).where(models.Port.name == "p3")).scalar_one()
        self.assertEqual("error", port)
