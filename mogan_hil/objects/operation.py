# SPDX-License-Identifier: Apache-2.0
"""The journal: one row a piece of work on hardware, written together with what it is to bring about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import metrics, states
from mogan_hil.db import models
from mogan_hil.db.api import when_committed
from mogan_hil.objects import base

#: Longer texts are cut: the column for the tenant is short.
ERROR_LENGTH = 1024
DETAIL_LENGTH = 16000


class Operation(base.Stored):
    MODEL = models.Operation
    KIND = "operation"

    verb: str
    lane: str
    state: states.Operation
    pending_key: str | None
    parent_id: int | None
    request_id: str
    user_id: str
    project_id: str | None
    node: str | None
    payload: dict[str, Any]
    result: dict[str, Any] | None
    verified: bool | None
    error: str | None
    error_detail: str | None
    attempts: int
    not_before: datetime | None
    conductor: str | None
    overrides_lock: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def due(cls, session: orm.Session, lane: str, limit: int) -> list[Operation]:
        """The open operations of a lane that may run now, oldest first.

        Whoever asks has the lane, so that one which says `running` was left behind by a conductor that died. One that
        waits for its next try holds back no others: there is only one on each thing.
        """
        rows = models.Operation
        due = sa.or_(rows.not_before.is_(None), rows.not_before <= models.now())
        query = sa.select(rows).where(rows.lane == lane, rows.state.in_(states.OPERATION_OPEN), due).order_by(rows.id)
        found = session.scalars(query.limit(limit).execution_options(populate_existing=True))
        return [cls.from_row(row) for row in found]

    @staticmethod
    def next_due(session: orm.Session, lane: str) -> float | None:
        """Seconds until an operation of a lane may run, 0 if one may now, None if none is open."""
        rows = models.Operation
        query = sa.select(rows.not_before).where(rows.lane == lane, rows.state.in_(states.OPERATION_OPEN))
        moments = list(session.scalars(query))
        if not moments:
            return None
        moment = models.now()
        return min(0.0 if when is None else max((when - moment).total_seconds(), 0.0) for when in moments)

    @staticmethod
    def lanes(session: orm.Session) -> list[str]:
        """The lanes with an operation that may run now."""
        rows = models.Operation
        query = (
            sa.select(rows.lane)
            .distinct()
            .where(
                rows.state.in_(states.OPERATION_OPEN),
                sa.or_(rows.not_before.is_(None), rows.not_before <= models.now()),
            )
        )
        return list(session.scalars(query))

    @classmethod
    def latest(cls, session: orm.Session, lane: str) -> Operation | None:
        """The latest operation of a lane, open or not; None if there is none."""
        rows = models.Operation
        # The index has the state in front of the lane.
        ids = sa.select(sa.func.max(rows.id)).where(rows.state.in_(list(states.Operation)), rows.lane == lane)
        found = cls.find(session, rows.id.in_(ids.group_by(rows.state)))
        return found[-1] if found else None

    @staticmethod
    def failed_lanes(session: orm.Session, verb: str) -> set[str]:
        """The lanes on which an operation of this sort ever ended in error."""
        rows = models.Operation
        return set(session.scalars(sa.select(rows.lane).where(rows.state == states.Operation.ERROR, rows.verb == verb)))

    @staticmethod
    def begin(session: orm.Session, operations: Sequence[Operation], conductor: str) -> None:
        """Mark operations as running here, and count the attempt."""
        rows = models.Operation
        moment = models.now()
        session.execute(
            sa.update(rows)
            .where(rows.id.in_(base.column(operations, "id")), rows.state.in_(states.OPERATION_OPEN))
            .values(
                state=states.Operation.RUNNING,
                conductor=conductor,
                attempts=rows.attempts + 1,
                started_at=sa.func.coalesce(rows.started_at, moment),
            )
            .execution_options(synchronize_session=False)
        )
        for operation in operations:
            operation.state = states.Operation.RUNNING
            operation.conductor = conductor
            operation.attempts += 1

    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        # Another conductor that took the lane over has counted another attempt: this result is not wanted any more.
        rows = models.Operation
        return (
            rows.state == states.Operation.RUNNING,
            rows.conductor == self.conductor,
            rows.attempts == self.attempts,
        )

    def finish(self, session: orm.Session, *, verified: bool | None, result: dict[str, Any] | None = None) -> bool:
        """It is done.

        :returns: False if another conductor has taken it over meanwhile: nothing may be written then
        """
        return self._end(
            session, states.Operation.DONE, verified=verified, result=result, error=None, error_detail=None
        )

    def fail(self, session: orm.Session, error: str, detail: str) -> bool:
        """It ends in error.

        :param error: one sentence for the tenant
        :param detail: for the operator
        :returns: see :meth:`finish`
        """
        return self._end(
            session,
            states.Operation.ERROR,
            verified=False,
            error=error[:ERROR_LENGTH],
            error_detail=detail[:DETAIL_LENGTH],
        )

    def _end(self, session: orm.Session, state: states.Operation, **values: Any) -> bool:
        ended = self.update(session, *self._mine(), state=state, pending_key=None, finished_at=models.now(), **values)
        if ended:
            when_committed(session, metrics.OPERATIONS.labels(self.verb, str(state)).inc)
        return ended

    def wait(self, session: orm.Session, seconds: float) -> bool:
        """Look again later. It is not a failed attempt, and is not counted.

        :returns: see :meth:`finish`
        """
        return self.update(
            session,
            *self._mine(),
            state=states.Operation.PENDING,
            not_before=models.now() + timedelta(seconds=seconds),
            attempts=self.attempts - 1,
        )

    def note(self, session: orm.Session, error: str, detail: str) -> bool:
        """Keep the reason of a failure while its consequences are still being dealt with.

        :returns: see :meth:`finish`
        """
        return self.update(session, *self._mine(), error=error[:ERROR_LENGTH], error_detail=detail[:DETAIL_LENGTH])

    def progress(self, session: orm.Session, result: dict[str, Any] | None) -> bool:
        """Keep how far it has come, before the next step is taken.

        :returns: see :meth:`finish`; the step must not be taken then
        """
        return self.update(session, *self._mine(), result=result)

    def postpone(self, session: orm.Session, seconds: float, error: str, detail: str) -> bool:
        """Try again later; the reason stands in the journal meanwhile.

        :returns: see :meth:`finish`
        """
        return self.update(
            session,
            *self._mine(),
            state=states.Operation.PENDING,
            not_before=models.now() + timedelta(seconds=seconds),
            error=error[:ERROR_LENGTH],
            error_detail=detail[:DETAIL_LENGTH],
        )

    @staticmethod
    def children(session: orm.Session, parent_id: int) -> list[Operation]:
        """The operations that were begun on behalf of another."""
        return Operation.find(session, models.Operation.parent_id == parent_id)

    @staticmethod
    def hasten(session: orm.Session, operation_id: int) -> str | None:
        """What an operation waited for has happened. Returns the lane to wake, None if it does not wait any more."""
        rows = models.Operation
        waits = rows.state.in_(states.OPERATION_OPEN)
        session.execute(
            sa.update(rows)
            .where(rows.id == operation_id, waits)
            .values(not_before=None)
            .execution_options(synchronize_session=False)
        )
        return session.scalar(sa.select(rows.lane).where(rows.id == operation_id, waits))

    @staticmethod
    def open_keys(session: orm.Session, keys: Collection[str]) -> set[str]:
        """Which of these things have an open operation."""
        rows = models.Operation
        query = sa.select(rows.pending_key).where(rows.pending_key.in_(keys))
        return {key for key in session.scalars(query) if key is not None}

    @staticmethod
    def works_on(session: orm.Session, node: str) -> bool:
        """Whether something is being done on a node, or on others together with it.

        :param node: its uuid
        """
        rows = models.Operation
        parents = sa.select(rows.parent_id).where(rows.node == node, rows.parent_id.is_not(None))
        mine = sa.or_(rows.node == node, rows.id.in_(parents))
        return (
            session.scalar(sa.select(rows.id).where(rows.state.in_(states.OPERATION_OPEN), mine).limit(1)) is not None
        )
