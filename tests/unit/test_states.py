# SPDX-License-Identifier: Apache-2.0
"""The transition tables against what the code does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import testtools
from oslo_config import cfg

import mogan_hil
from mogan_hil.api import process
from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.objects.operation import Operation
from tests import service

ME = "here"
MOVES: dict[str, Callable[[Operation, Any], Any]] = {
    "finish": lambda found, session: found.finish(session, verified=True),
    "fail": lambda found, session: found.fail(session, "x", "y"),
    "wait": lambda found, session: found.wait(session, 1),
    "postpone": lambda found, session: found.postpone(session, 1, "x", "y"),
    "begin": lambda found, session: Operation.begin(session, [found], ME),
}


class TestOperations(testtools.TestCase):
    """Each move from each state, on a real row."""

    def setUp(self) -> None:
        super().setUp()
        conf = process.configure(cfg.ConfigOpts(), [], [])
        conf.set_override("connection", self.useFixture(service.DatabaseFixture()).url, group="database")
        self.database = Database(conf)
        self.addCleanup(self.database.dispose)

    def _move(self, name: str, state: str, conductor: str = ME) -> str:
        values = {"verb": "x", "lane": "x:1", "state": state, "conductor": conductor, "attempts": 1}
        with self.database.writer() as session:
            found = Operation.create(session, **values)
            found.conductor = ME
            MOVES[name](found, session)
        with self.database.reader() as session:
            return str(Operation.find(session, models.Operation.id == found.id)[0].state)

    def test_every_move_is_in_the_table(self) -> None:
        seen = set()
        for name in MOVES:
            for state in states.Operation:
                after = states.Operation(self._move(name, state))
                if after != state:
                    self.assertIn(after, states.OPERATION_NEXT[state], (name, state))
                    seen.add((state, after))
        self.assertLessEqual({(states.Operation.PENDING, states.Operation.RUNNING)}, seen)

    def test_the_end_is_the_end(self) -> None:
        for name in MOVES:
            for state in (states.Operation.DONE, states.Operation.ERROR):
                self.assertEqual(state, self._move(name, state), name)

    def test_another_conductors_is_left_alone(self) -> None:
        for name in ("finish", "fail", "wait", "postpone"):
            self.assertEqual(states.Operation.RUNNING, self._move(name, states.Operation.RUNNING, "elsewhere"), name)


class TestAttachments(testtools.TestCase):
    """Where the code names two states, the second may follow the first."""

    def test_every_move_is_in_the_table(self) -> None:
        found = set()
        for path in Path(mogan_hil.__file__).parent.rglob("*.py"):
            pairs = re.findall(r"states\.Attachment\.(\w+),\s*states\.Attachment\.(\w+)\)", path.read_text())
            found |= {(states.Attachment[old], states.Attachment[new]) for old, new in pairs}
        self.assertLessEqual(2, len(found))
        for old, new in found:
            self.assertIn(new, states.ATTACHMENT_NEXT[old])

    def test_the_tables_are_whole(self) -> None:
        self.assertEqual(set(states.Operation), set(states.OPERATION_NEXT))
        self.assertEqual(set(states.Attachment), set(states.ATTACHMENT_NEXT))


class TestInstances(testtools.TestCase):
    """The table of instances against the code that moves them."""

    def _moves(self) -> set[states.Event]:
        found = set()
        for path in Path(mogan_hil.__file__).parent.rglob("*.py"):
            if path.name != "states.py":
                found |= {states.Event[name] for name in re.findall(r"states\.Event\.(\w+)", path.read_text())}
        return found

    def test_every_move_is_in_the_table(self) -> None:
        known = {event for _, event in states.INSTANCE_NEXT}
        self.assertEqual(known, self._moves())
        self.assertEqual(known, set(states.Event))

    def test_nobody_writes_a_status_past_the_table(self) -> None:
        past = r"instance\w*\.update\([^)]*status=|update\(models\.Instance\)"
        for path in Path(mogan_hil.__file__).parent.rglob("*.py"):
            self.assertEqual([], re.findall(past, path.read_text()), path)

    def test_every_unstable_state_has_its_exits(self) -> None:
        stable = states.INSTANCE_STABLE
        for state in set(states.Instance) - stable:
            self.assertIn((state, states.Event.ABANDON), states.INSTANCE_NEXT)
            failed = states.INSTANCE_NEXT.get((state, states.Event.FAIL))
            self.assertTrue(failed in stable or states.INSTANCE_BACK[state] <= stable, state)
            if state != states.Instance.DELETING:  # which ends with the row
                self.assertIn(states.INSTANCE_NEXT[state, states.Event.DONE], stable)

    def test_it_goes_back_only_to_where_it_came_from(self) -> None:
        asked = {states.Event.START, states.Event.STOP, states.Event.REBOOT, states.Event.REBUILD, states.Event.DELETE}
        came: dict[states.Instance, set[states.Instance]] = {}
        for (before, event), after in states.INSTANCE_NEXT.items():
            if event in asked:
                came.setdefault(after, set()).add(before)
        self.assertEqual(came, {state: set(before) for state, before in states.INSTANCE_BACK.items()})

    def test_what_is_asked_for_begins_in_a_stable_state(self) -> None:
        """Or a build is given up, as if it had not been asked for."""
        ends = {states.Event.DONE, states.Event.FAIL, states.Event.ABANDON}
        for state, event in states.INSTANCE_NEXT.keys() - {(states.Instance.BUILDING, states.Event.DELETE)}:
            self.assertEqual(event in ends, state not in states.INSTANCE_STABLE, (state, event))

    def test_what_is_found_ends_in_a_stable_state(self) -> None:
        for (before, event), after in states.INSTANCE_NEXT.items():
            if event in (states.Event.FOUND_ON, states.Event.FOUND_OFF):
                self.assertLessEqual({before, after}, states.INSTANCE_STABLE)
