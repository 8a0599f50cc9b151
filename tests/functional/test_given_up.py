# SPDX-License-Identifier: Apache-2.0
"""The database gives up a request's transaction for another's: the request is answered as if nothing had been."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest import mock

import sqlalchemy as sa
import testtools
from oslo_db import exception as db_exception
from sqlalchemy import event

from mogan_hil.api.expose import Route
from mogan_hil.db import api as db_api
from mogan_hil.db import models
from mogan_hil.drivers.switch import fake
from tests import service
from tests.functional import base

CHANGES = [route for route in base.ROUTES.values() if route.method != "GET"]
#: What is written because somebody looks.
LOOKS = [route for route in base.ROUTES.values() if route.path.endswith(("/drift", "/isolation"))]

#: Columns that are different each time.
RANDOM = frozenset(
    [
        "password_hash",
        "token_key",
        "fingerprint",
        "public_key",
        "mac",
        "ip",
        "number",
        "segment_id",
        "channels",
        "obm_secrets",
        "secrets",
    ]
)
UUID = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=claims:)\d+|(?<=instances:)\d+|\d{4}-\d\d-\d\dT[0-9:.]+"
)

Dump = dict[str, list[dict[str, Any]]]


class Trouble:
    """Gives up the first transaction that writes at its first statement, the second at its last, the third as it is to
    be committed.

    :param statements: of a whole transaction; None to count them and to give up nothing
    """

    def __init__(self, statements: int | None) -> None:
        self.statements = statements
        self.counted = 0
        self.given_up = 0

    def execute(self, connection: sa.Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not connection.get_execution_options().get("mogan_hil_writes"):
            return
        if statement == "BEGIN IMMEDIATE":
            self.counted = 0
        elif statement != "COMMIT":
            self.counted += 1
            if self.statements and self.given_up < 2 and self.counted == (1, self.statements)[self.given_up]:
                self._give_up()

    def commit(self, connection: sa.Connection) -> None:
        if connection.get_execution_options().get("mogan_hil_writes") and self.statements and self.given_up == 2:
            self._give_up()

    def _give_up(self) -> None:
        self.given_up += 1
        raise db_exception.DBDeadlock


class TestGivenUp(base.WorldTestCase):
    """Walks every route that changes something, so that a new one is tried, too."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("retry_interval", "max_retry_interval"):
            self.enterContext(mock.patch.object(db_api.again, name, 0))

    @contextmanager
    def trouble(self, statements: int | None = None) -> Iterator[Trouble]:
        engine, found = self.world.service.database.engine, Trouble(statements)
        for name, heard in (("before_cursor_execute", found.execute), ("commit", found.commit)):
            event.listen(engine, name, heard)
        try:
            yield found
        finally:
            for name, heard in (("before_cursor_execute", found.execute), ("commit", found.commit)):
                event.remove(engine, name, heard)

    def send(self, route: Route, statements: int | None = None) -> tuple[int, Dump, Trouble]:
        with self.trouble(statements) as trouble:
            answer = self.world.send(self.world.admin, route)
        dump = self.world.dump()
        self.world.restore()
        return answer.status, dump, trouble

    def test_every_change(self) -> None:
        for route in CHANGES + LOOKS:
            status, first, undisturbed = self.send(route)
            if not undisturbed.counted:  # nothing is written
                continue
            again, dump, trouble = self.send(route, undisturbed.counted)
            self.assertEqual((status, 3), (again, trouble.given_up), (route.method, route.path))
            for table, rows in _shape(first).items():
                self.assertEqual(rows, _shape(dump)[table], (route.method, route.path, table))


class TestTogether(base.WorldTestCase):
    """What is one transaction as a whole is not tried again in parts."""

    def test_the_whole_is_given_up(self) -> None:
        database, tries = self.world.service.database, []

        def part(whole: db_api.Database, name: str, fails: bool) -> None:
            with whole.writer() as session:
                session.add(models.Project(name=name))
                tries.append(name)
                if fails:
                    raise db_exception.DBDeadlock

        with testtools.ExpectedException(db_api.GivenUp), database.together() as whole:
            db_api.again(part)(whole, "first", False)
            db_api.again(part)(whole, "second", True)
        self.assertEqual(["first", "second"], tries)
        self.assertFalse(self.world.changed())


def _shape(dump: Dump) -> dict[str, list[str]]:
    """The rows without what is different each time."""
    return {table: [UUID.sub("-", str(_lasting(row))) for row in rows] for table, rows in dump.items()}


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in RANDOM and not isinstance(value, datetime)}


class TestConductor(testtools.TestCase):
    """What a conductor only writes is tried again at once, as if nothing had been; no sweep is waited for."""

    def setUp(self) -> None:
        super().setUp()
        self.site = self.useFixture(service.Embedded({("conductor", "sweep_interval"): 3600.0}))
        self.admin = self.site.admin
        self.switch = self.admin.add_switch("rack1", ["p1"])["uuid"]
        self.admin.add_node("n1", "rack1", "p1")
        self.admin.post("networks", {"name": "net"})
        self.given_up: list[str] = []

    def give_up(self, lane: str, statement: str, times: int) -> None:
        """Give up each transaction of a sort of lane at such a statement, so many times."""

        def heard(_connection: sa.Connection, _cursor: Any, asked: str, *_rest: Any) -> None:
            mine = threading.current_thread().name.startswith(f"{lane}-lane")
            if mine and asked.startswith(statement) and len(self.given_up) < times:
                self.given_up.append(asked)
                raise db_exception.DBDeadlock

        event.listen(self.site.database.engine, "before_cursor_execute", heard)
        self.addCleanup(event.remove, self.site.database.engine, "before_cursor_execute", heard)

    def test_beginning(self) -> None:
        self.admin.put("nodes/n1/project", {})
        self.give_up("switch", "UPDATE operations", 3)
        done = self.admin.attach("n1", "net")
        self.assertEqual((3, 1), (len(self.given_up), done["attempts"]))

    def test_claim(self) -> None:
        fake.set_faults(self.site.state_dir, self.switch, fail=["p1"])
        self.give_up("claims", "UPDATE operations", 6)
        claim = self.admin.post("claims", {"count": 1, "networks": [{"network": "net"}]}, 202)
        self.admin.wait(claim, "error")
        self.assertEqual(6, len(self.given_up))
        self.assertIsNone(self.admin.get("nodes/n1")["project_id"])
