# SPDX-License-Identifier: Apache-2.0
"""How long the journal is: what ended long ago is deleted, little by little, so that nobody waits for it.

Kept are operations that are not finished; those that are of one piece with a younger one, which was begun on behalf of
the other; what the fault of an instance names, with all that was begun for it; and of each network the latest one, if
it failed: it says that the network manager is still to be told. All this is as it was between the look and the
deletion, as no operation that has ended is ever open again, begins another, or is named anew.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.db.api import Database, again

#: Operations that one transaction deletes.
BATCH = 500


def purge(
    database: Database, before: datetime, *, dry_run: bool = False, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Delete operations that have ended.

    :param before: ended before this moment, in UTC and without a zone
    :param dry_run: only count them
    :param stopped: asked between two batches; what is left is left
    :returns: how many there were
    """
    with database.reader() as session:
        faults = session.scalars(sa.select(models.Instance.fault).where(models.Instance.fault.is_not(None)))
        named = {fault.get("operation") for fault in faults if fault}
    found = 0
    while True:
        count = _pass(database, before, named, dry_run, stopped)
        found += count
        if not count or dry_run or stopped():  # those whose children are gone now go in another pass
            return found


def _pass(
    database: Database, before: datetime, named: set[str | None], dry_run: bool, stopped: Callable[[], bool]
) -> int:
    rows, parent = models.Operation, orm.aliased(models.Operation)
    found, last = 0, 0
    while not stopped():
        with database.reader() as session:
            query: Any = sa.select(rows.id, rows.uuid, parent.uuid.label("parent"))
            query = query.outerjoin(parent, parent.id == rows.parent_id).where(rows.id > last)
            query = query.where(*_over(before, parent, leaves=not dry_run)).order_by(rows.id)
            batch = session.execute(query.limit(BATCH)).all()
        if not batch:
            break
        last = batch[-1].id
        ids = [row.id for row in batch if not named & {row.uuid, row.parent}]
        if dry_run:
            found += len(ids)
        elif ids:
            delete: Callable[..., int] = again(_delete)
            found += delete(database, ids)
    return found


def _delete(database: Database, ids: list[int]) -> int:
    table: Any = models.Operation.__table__
    with database.writer() as session:
        # By its table, so that no listener reads each row first: a deletion here is no news.
        deleted: Any = session.execute(sa.delete(table).where(table.c.id.in_(ids)))
        return int(deleted.rowcount)


def _over(before: datetime, parent: Any, *, leaves: bool) -> list[sa.ColumnElement[bool]]:
    """The conditions for operations that nothing of theirs keeps.

    :param parent: what each was begun on behalf of
    :param leaves: only those that no other was begun on behalf of, which are the first that can be deleted
    """
    rows = models.Operation
    child, later = orm.aliased(rows), orm.aliased(rows)
    children = child.parent_id == rows.id
    kept = children if leaves else sa.and_(children, sa.not_(_ended(child, before)))
    failed = sa.and_(rows.verb == "network_configure", rows.state == states.Operation.ERROR)
    followed = sa.exists().where(later.state.in_(list(states.Operation)), later.lane == rows.lane, later.id > rows.id)
    return [
        _ended(rows, before),
        ~sa.exists().where(kept),
        sa.or_(rows.parent_id.is_(None), _ended(parent, before)),
        sa.or_(sa.not_(failed), followed),
    ]


def _ended(rows: Any, before: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(rows.state.not_in(states.OPERATION_OPEN), rows.finished_at < before)
