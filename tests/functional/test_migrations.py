# SPDX-License-Identifier: Apache-2.0
"""The schema: made from nothing, made again, and as the models have it; and what the commands say of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fixtures
import sqlalchemy as sa
import sqlalchemy.orm
import testtools

from mogan_hil.db import migration, models
from tests import service


class TestSchema(testtools.TestCase):
    """On each database."""

    def _check(self, kind: str) -> None:
        if dict(service.databases())[kind] is None:
            self.skipTest(f"{kind} is not there")
        engine = sa.create_engine(self.useFixture(service.DatabaseFixture(kind)).url)
        self.addCleanup(engine.dispose)
        self.assertEqual(migration.head(), migration.version(engine))
        self.assertEqual([], migration.differences(engine))
        with engine.begin() as connection:
            connection.execute(
                models.Project.__table__.insert().values(uuid="p", name="p\U0001f600", created_at=models.now())
            )
        migration.upgrade(engine)
        self.assertEqual(migration.head(), migration.version(engine))
        with engine.connect() as connection:
            self.assertEqual("p\U0001f600", connection.scalar(sa.select(models.Project.name)))

    def test_sqlite(self) -> None:
        self._check("sqlite")

    def test_mysql(self) -> None:
        self._check("mysql")

    def test_postgresql(self) -> None:
        self._check("postgresql")


class TestRows(testtools.TestCase):
    """What was written before an upgrade is there after it, and what is new has a value. On each database."""

    def _check(self, kind: str) -> None:
        if dict(service.databases())[kind] is None:
            self.skipTest(f"{kind} is not there")
        engine = sa.create_engine(self.useFixture(service.DatabaseFixture(kind)).url)
        self.addCleanup(engine.dispose)
        everything = sa.MetaData()
        everything.reflect(engine)
        everything.drop_all(engine)
        migration.upgrade(engine, "7c19a4e5d083")
        before = sa.MetaData()
        before.reflect(engine)
        with engine.begin() as connection:
            named = {"name": "x", "created_at": models.now()}
            connection.execute(before.tables["projects"].insert().values(uuid="p", **named))
            values = {"uuid": "i", "project_id": "p", "description": "", "user_id": "", "status": "active"}
            # MariaDB has no JSON of its own: reflected, the column would be a text.
            columns = [sa.column(name) for name in {**values, **named}]
            instances = sa.table("instances", sa.column("details", sa.JSON()), *columns)
            connection.execute(instances.insert().values(details={}, **values, **named))
        migration.upgrade(engine)
        with sa.orm.Session(engine) as session:
            found = session.scalars(sa.select(models.Instance)).one()
            self.assertEqual(("i", None, None, {}), (found.uuid, found.image_id, found.keypair, found.labels))

    def test_sqlite(self) -> None:
        self._check("sqlite")

    def test_mysql(self) -> None:
        self._check("mysql")

    def test_postgresql(self) -> None:
        self._check("postgresql")


class TestCommands(testtools.TestCase):
    """mogan-hil-manage and mogan-hil-status, as an operator runs them."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        self.url = f"sqlite:///{self.directory}/mogan_hil.db"
        self.config = self.directory / "mogan_hil.conf"
        self.config.write_text(f"[DEFAULT]\nstate_path = {self.directory}\n[database]\nconnection = {self.url}\n")

    def _run(self, command: str, *arguments: str) -> tuple[int, str]:
        program = str(Path(sys.executable).parent / command)
        done = subprocess.run(
            [program, "--config-file", str(self.config), *arguments], capture_output=True, text=True, check=False
        )
        self.assertNotIn("Traceback", done.stderr)
        return done.returncode, done.stdout

    def test_from_nothing(self) -> None:
        status, text = self._run("mogan-hil-status", "upgrade", "check")
        self.assertEqual(2, status, text)
        self.assertIn("run mogan-hil-manage db upgrade", " ".join(text.replace("|", " ").split()).replace("- ", "-"))
        status, text = self._run("mogan-hil-manage", "db", "upgrade")
        self.assertEqual((0, f"The schema went from nothing to {migration.head()}.\n"), (status, text))
        status, text = self._run("mogan-hil-manage", "db", "upgrade")
        self.assertEqual((0, f"The schema is at {migration.head()}.\n"), (status, text))
        self.assertEqual(0, self._run("mogan-hil-manage", "secrets", "create")[0])
        status, text = self._run("mogan-hil-status", "upgrade", "check")
        self.assertEqual(0, status, text)

    def test_a_driver_that_is_missing(self) -> None:
        engine = sa.create_engine(self.url)
        migration.upgrade(engine)
        with engine.begin() as connection:
            values = {"name": "s", "uuid": "u", "driver": "gone", "options": {}, "physical_network": "default"}
            connection.execute(models.Switch.__table__.insert().values(**values))
            connection.execute(models.Node.__table__.insert().values(name="n", uuid="u", obm_driver="away"))
        engine.dispose()
        status, text = self._run("mogan-hil-status", "upgrade", "check")
        self.assertEqual(1, status, text)
        self.assertIn("gone", text)
        self.assertIn("away", text)

    def test_a_configured_driver_that_is_missing(self) -> None:
        self.config.write_text(f"{self.config.read_text()}[conductor]\ndeploy_driver = gone\n")
        status, text = self._run("mogan-hil-status", "upgrade", "check")
        self.assertEqual(2, status, text)
        self.assertIn("deploy_driver = gone", " ".join(text.replace("|", " ").split()))

    def test_commands_tell_their_version(self) -> None:
        programs = ("mogan-hil", "mogan-hil-manage", "mogan-hil-inventory")
        told = set()
        for name in programs:
            program = [str(Path(sys.executable).parent / name), "--version"]
            told.add(subprocess.run(program, capture_output=True, text=True, check=True).stdout)
        self.assertEqual(1, len(told), told)
