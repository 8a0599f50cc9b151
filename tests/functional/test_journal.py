# SPDX-License-Identifier: Apache-2.0
"""How long the journal is: what is deleted, what is kept, and that nobody is disturbed by it."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fixtures
import sqlalchemy as sa
import testtools
from oslo_config import cfg

from mogan_hil.api import process
from mogan_hil.cmd import manage
from mogan_hil.conductor.service import Conductor
from mogan_hil.db import models
from mogan_hil.db.api import Database, again
from mogan_hil.objects import retention
from tests import service

DAY = timedelta(days=1)


class Journal:
    """Operations that are made up.

    :param now: a year after which the old ones ended
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = models.now()
        self.ids: dict[str, int] = {}

    def add(
        self, name: str, state: str = "done", days: float | None = 400, parent: str | None = None, **values: Any
    ) -> str:
        """Write one that ended so many days ago, None for one that did not. Returns its uuid."""
        ended = None if days is None else self.now - DAY * days
        columns: dict[str, Any] = {"verb": "attach", "lane": f"switch:{name}", "finished_at": ended, **values}
        above = self.ids[parent] if parent else None
        write: Callable[..., tuple[int, str]] = again(self._write)
        self.ids[name], uuid = write(state=state, payload={"name": name}, parent_id=above, **columns)
        return uuid

    def _write(self, **columns: Any) -> tuple[int, str]:
        with self.database.writer() as session:
            row = models.Operation(created_at=self.now - DAY * 500, **columns)
            session.add(row)
            session.flush()
            return row.id, row.uuid

    def open(self) -> set[str]:
        """The names of those that are not finished."""
        query = sa.select(models.Operation.payload).where(models.Operation.finished_at.is_(None))
        with self.database.reader() as session:
            return {payload["name"] for payload in session.scalars(query)}

    def left(self) -> set[str]:
        """The names of those that are there."""
        with self.database.reader() as session:
            return {payload["name"] for payload in session.scalars(sa.select(models.Operation.payload))}

    def fill(self) -> tuple[set[str], set[str]]:
        """All sorts. Returns what is to be deleted, and what is to be kept."""
        self.add("old")
        self.add("failed", "error")
        self.add("young", days=300)
        self.add("just failed", "error", days=0)
        for state in ("pending", "running"):
            self.add(state, state, None, pending_key=state)
        # What is of one piece.
        self.add("whole")
        self.add("parts", parent="whole")
        self.add("more parts", parent="whole")
        self.add("parts of parts", parent="parts")
        self.add("builds", "running", None, pending_key="build")
        self.add("built", parent="builds")
        self.add("just built", days=300)
        self.add("built before", parent="just built")
        self.add("over")
        self.add("lasts", "pending", None, "over", pending_key="lasts")
        self.add("went on", days=300, parent="over")
        # What somebody refers to.
        fault = self.add("fault", "error")
        self.add("of the fault", "error", parent="fault")
        with self.database.writer() as session:
            session.add(models.Project(uuid="p", name="p"))
            session.flush()
            values = {"project_id": "p", "status": "error"}
            session.add(models.Instance(name="i", fault={"message": "-", "operation": fault}, **values))
            session.add(models.Instance(name="well", **values))
            session.add(models.Instance(name="strange", fault={}, **values))
        # What the network manager is still to be told.
        told = {"verb": "network_configure", "state": "error"}
        self.add("told in vain", lane="network:1", **told)
        self.add("in vain again", lane="network:1", **told)
        self.add("in vain", lane="network:2", **told)
        self.add("made good", lane="network:2", verb="network_configure")
        gone = {"old", "failed", "whole", "parts", "more parts", "parts of parts"}
        gone |= {"told in vain", "in vain", "made good"}
        return gone, set(self.ids) - gone


class TestPurge(testtools.TestCase):
    """On each database."""

    def journal(self, kind: str) -> Journal:
        if dict(service.databases())[kind] is None:
            self.skipTest(f"{kind} is not there")
        conf = process.configure(cfg.ConfigOpts(), [], [])
        conf.set_override("connection", self.useFixture(service.DatabaseFixture(kind)).url, group="database")
        database = process.open_database(conf)
        self.addCleanup(database.dispose)
        return Journal(database)

    def _check(self, kind: str) -> None:
        """However few one transaction takes."""
        for number, batch in enumerate((500, 1)):
            self.useFixture(fixtures.MonkeyPatch("mogan_hil.objects.retention.BATCH", batch))
            journal = self.journal(kind)
            gone, kept = journal.fill()
            before = journal.now - DAY * 365
            self.assertEqual(len(gone), retention.purge(journal.database, before, dry_run=True))
            self.assertEqual(gone | kept, journal.left())
            self.assertEqual(len(gone), retention.purge(journal.database, before), number)
            self.assertEqual(kept, journal.left())
            self.assertEqual(0, retention.purge(journal.database, before))
            self.assertEqual(0, retention.purge(journal.database, before, dry_run=True))

    def test_sqlite(self) -> None:
        self._check("sqlite")

    def test_mysql(self) -> None:
        self._check("mysql")

    def test_postgresql(self) -> None:
        self._check("postgresql")

    def _at_once(self, kind: str) -> None:
        """Several at once, while operations are written and end: each is deleted once, and none is missed."""
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.objects.retention.BATCH", 7))
        journal = self.journal(kind)
        gone, kept = journal.fill()
        with journal.database.writer() as session:
            for number in range(300):
                ended = journal.now - DAY * 400
                row = models.Operation(
                    verb="attach", lane="switch:x", state="done", finished_at=ended, payload={"name": "x"}
                )
                session.add(row)
                if number % 3 == 0:
                    session.flush()
                    above = row.id
                else:
                    row.parent_id = above
        start, over = threading.Barrier(5), threading.Event()

        def run() -> int:
            start.wait()
            return retention.purge(journal.database, journal.now - DAY * 365)

        def write() -> int:
            start.wait()
            number = 0
            while not over.is_set():
                journal.add(f"new {number}", days=0, parent="builds")
                number += 1
            return number

        with ThreadPoolExecutor(5) as pool:
            writing = pool.submit(write)
            try:
                counts = list(pool.map(lambda _: run(), range(4)))
            finally:
                over.set()
        self.assertEqual(len(gone) + 300, sum(counts))
        self.assertEqual(kept | {f"new {number}" for number in range(writing.result())}, journal.left())

    def test_at_once_sqlite(self) -> None:
        self._at_once("sqlite")

    def test_at_once_mysql(self) -> None:
        self._at_once("mysql")

    def test_at_once_postgresql(self) -> None:
        self._at_once("postgresql")

    def test_stopped(self) -> None:
        """A conductor that is stopped does not wait for the end."""
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.objects.retention.BATCH", 1))
        journal = self.journal("sqlite")
        journal.fill()
        answers = iter((False, False, True, True, True))
        before = journal.now - DAY * 365
        self.assertEqual(2, retention.purge(journal.database, before, stopped=lambda: next(answers)))


class TestRound(testtools.TestCase):
    """A conductor does it unasked, and tells nobody."""

    def conductor(self, site: service.Embedded, days: int, until: Callable[[], bool]) -> None:
        """Let one work, until something has come about."""
        site.conf.set_override("retention", days, group="journal")
        conductor = Conductor(site.conf, site.database, site.drivers)
        conductor.start()
        try:
            end = time.monotonic() + service.WAIT
            while not until():
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)
        finally:
            conductor.stop()

    def test_round(self) -> None:
        site = self.useFixture(service.Embedded(conductor=False))
        journal = Journal(site.database)
        journal.add("old")
        journal.add("young", days=300)
        journal.add("open", "pending", None, pending_key="open")
        for days in (0, 401):
            self.conductor(site, days, lambda: not journal.open())
            journal.add("open", "pending", None, pending_key="open")
        self.assertLessEqual({"old", "young"}, journal.left())
        self.conductor(site, 365, lambda: "old" not in journal.left())
        self.assertIn("young", journal.left())


class TestCommand(testtools.TestCase):
    """mogan-hil-manage db purge"""

    def setUp(self) -> None:
        super().setUp()
        found = self.useFixture(service.DatabaseFixture())
        self.config = found.directory / "mogan_hil.conf"
        self.config.write_text(f"[database]\nconnection = {found.url}\n[journal]\nretention = 365\n")
        self.conf = process.configure(cfg.ConfigOpts(), [], [str(self.config)])
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.cmd.purge.cfg", SimpleNamespace(CONF=self.conf)))
        database = process.open_database(self.conf)
        self.addCleanup(database.dispose)
        self.journal = Journal(database)
        for days in (10, 100, 1000):
            self.journal.add(f"{days}", days=days)

    def purge(self, *arguments: str) -> str:
        """What it says, without the seconds that a process takes to start."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            given = manage.parser().parse_args(["db", "purge", *arguments])
            given.run(self.journal.database, given)
        return said.getvalue()

    def test_which(self) -> None:
        moment = (self.journal.now - DAY * 50).isoformat(timespec="seconds")
        for number, arguments in (
            (1, []),
            (2, ["--older-than", "50"]),
            (3, ["--older-than", "9"]),
            (2, ["--before", moment]),
            (2, ["--before", f"{moment}+00:00"]),
            (3, ["--before", "9999-01-01"]),
            (0, ["--before", "0001-01-01"]),
        ):
            self.assertIn(f"{number} operations", self.purge("--dry-run", *arguments))
        self.assertEqual({"10", "100", "1000"}, self.journal.left())
        self.assertRegex(self.purge("--older-than", "50"), r"^2 operations that ended before \S+Z were deleted\.$")
        self.assertEqual({"10"}, self.journal.left())

    def test_process(self) -> None:
        """By the configuration, as an operator runs it."""
        program = str(Path(sys.executable).parent / "mogan-hil-manage")
        done = subprocess.run(
            [program, "--config-file", str(self.config), "db", "purge"], capture_output=True, text=True
        )
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("1 operations", done.stdout)
        self.assertEqual({"10", "100"}, self.journal.left())

    def test_nonsense(self) -> None:
        for arguments in (
            ["--older-than", "0"],
            ["--older-than", "-1"],
            ["--older-than", "1.5"],
            ["--older-than", "9" * 400],
            ["--older-than", "\u0661"],
            ["--older-than"],
            ["--before", "yesterday"],
            ["--before", ""],
            ["--before", "0001-01-01T00:00:00+14:00"],
            ["--before", "2026-01-01", "--older-than", "5"],
            ["50"],
        ):
            self.assertEqual(2, self.assertRaises(SystemExit, self.purge, *arguments).code, arguments)
        self.conf.set_override("retention", 0, group="journal")
        self.assertIn("for ever", str(self.assertRaises(SystemExit, self.purge).code))
        self.assertEqual({"10", "100", "1000"}, self.journal.left())
