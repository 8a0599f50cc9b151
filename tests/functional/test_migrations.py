# SPDX-License-Identifier: Apache-2.0
"""The schema: made from nothing, made again, and as the models have it; and what the commands say of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fixtures
import sqlalchemy as sa
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
        status, text = self._run("mogan-hil-status", "upgrade", "check")
        self.assertEqual(0, status, text)

    def test_a_driver_that_is_missing(self) -> None:
        engine = sa.create_engine(self.url)
        migration.upgrade(engine)
        with engine.begin() as connection:
            values = {"name": "s", "uuid": "u", "driver": "gone", "options": {}, "physical_network": "default"}
            connection.execute(models.Switch.__table__.insert().values(**values))
        engine.dispose()
        status, text = self._run("mogan-hil-status", "upgrade", "check")
        self.assertEqual(1, status, text)
        self.assertIn("gone", text)
