# SPDX-License-Identifier: Apache-2.0
"""Consoles: whether a node's is open, which conductor has it, and what was recorded."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import console_tokens, states
from mogan_hil.db import models
from mogan_hil.objects import base

ROWS = models.Console
PIECES = models.ConsolePiece

#: Tries to open a console again that was lost, and seconds before the second one; each waits twice as long as the one
#: before, `LONGEST` at the most. That is two hours and a half.
TRIES = 20
PAUSE = 5.0
LONGEST = 600.0
#: Bytes of one piece of the record, at the most. A BLOB of MySQL has 65535.
PIECE = 32768


class Console(base.Stored):
    VERSION = "1.1"
    MODEL = models.Console
    KIND = "console"

    node_id: int
    status: states.Console
    status_at: datetime | None
    reason: str
    token_key: str
    conductor: str | None
    url: str
    seen_at: datetime | None
    tries: int
    retry_at: datetime | None
    written: int
    created_at: datetime

    # What users ask for. Each gives it another key, so that streams which were allowed before end.

    @classmethod
    def want(cls, session: orm.Session, node_id: int) -> None:
        """Have a node's console opened, unless it is wanted already. The caller has the node's row locked."""
        fresh = {**_as(states.Console.STARTING), "token_key": console_tokens.new_key(), "reason": ""}
        found = cls.find(session, ROWS.node_id == node_id)
        if not found:
            cls.create(session, node_id=node_id, **fresh)
        else:
            found[0].update(session, ROWS.status == states.Console.STOPPED, tries=0, retry_at=None, **fresh)

    @staticmethod
    def stop(session: orm.Session, node_id: int | None, reason: str = "") -> None:
        """Have a node's console closed. What was recorded stays."""
        _change(
            session,
            ROWS.node_id == node_id,
            ROWS.status != states.Console.STOPPED,
            **_as(states.Console.STOPPED),
            reason=reason[:1024],
        )

    @staticmethod
    def revoke(session: orm.Session, node_id: int | None) -> None:
        """End every stream of a node's console, and void every token for one; the console stays open."""
        _change(session, ROWS.node_id == node_id)

    @staticmethod
    def reopen(session: orm.Session, node_id: int) -> None:
        """Have a node's console opened anew, if it is open: it is reached in another way now."""
        _lose(session, "The node's controller was changed.", ROWS.node_id == node_id)

    @staticmethod
    def forget(session: orm.Session, node_id: int) -> None:
        """Have a node's console closed, and what was recorded forgotten: the node changes hands."""
        session.execute(sa.delete(ROWS).where(ROWS.node_id == node_id))

    # What conductors find.

    def open(self, session: orm.Session, conductor: str, url: str) -> bool:
        """A conductor has opened it.

        :param url: where it streams
        :returns: False if it is not wanted any more
        """
        return self.update(
            session,
            ROWS.status.in_((states.Console.STARTING, states.Console.LOST)),
            **_as(states.Console.ACTIVE),
            reason="",
            token_key=console_tokens.new_key(),
            conductor=conductor,
            url=url,
            seen_at=models.now(),
            tries=0,
            retry_at=None,
        )

    @staticmethod
    def take_back(session: orm.Session, node: str, reason: str) -> None:
        """The console of a node is not to be opened after all. One that was lost is still to be opened again.

        :param node: its uuid
        """
        ident = sa.select(models.Node.id).where(models.Node.uuid == node).scalar_subquery()
        wanted = (ROWS.node_id == ident, ROWS.status == states.Console.STARTING)
        _change(session, *wanted, **_as(states.Console.STOPPED), reason=reason[:1024])

    @classmethod
    def fail(cls, session: orm.Session, node: str, reason: str, *, final: bool) -> None:
        """The console of a node could not be opened. One that was lost is tried again, `TRIES` times.

        :param node: its uuid
        :param final: another try is in vain
        """
        ident = sa.select(models.Node.id).where(models.Node.uuid == node).scalar_subquery()
        for console in cls.find(session, ROWS.node_id == ident):
            console._failed(session, reason, final)

    def _failed(self, session: orm.Session, reason: str, final: bool) -> None:
        tries = self.tries + 1
        later = models.now() + timedelta(seconds=min(PAUSE * 2**self.tries, LONGEST))
        again = {"tries": tries, "retry_at": later, "reason": reason[:1024]}
        final = final or tries >= TRIES
        if final or not self.update(session, ROWS.status == states.Console.LOST, **again):
            wanted = ROWS.status.in_((states.Console.STARTING, states.Console.LOST))
            self.update(session, wanted, **_as(states.Console.STOPPED), reason=reason[:1024])

    def lose(self, session: orm.Session, conductor: str, reason: str) -> None:
        """The line of a conductor is gone."""
        _lose(session, reason, ROWS.id == self.id, ROWS.conductor == conductor)

    @staticmethod
    def let_go(session: orm.Session, ids: Collection[int], conductor: str) -> None:
        """A conductor has closed the lines of consoles that were stopped, unless it has opened them again meanwhile."""
        mine = (ROWS.id.in_(ids), ROWS.conductor == conductor, ROWS.status != states.Console.ACTIVE)
        session.execute(sa.update(ROWS).where(*mine).values(conductor=None))

    @staticmethod
    def lose_all(session: orm.Session, reason: str, *, before: datetime | None, conductor: str | None = None) -> None:
        """Consoles of conductors that have died, or of one that stops, are lost.

        :param before: which have not been heard of since
        """
        where = ROWS.conductor == conductor if before is None else ROWS.seen_at < before
        _lose(session, reason, where)

    @classmethod
    def due(cls, session: orm.Session, *where: sa.ColumnElement[bool], lock: base.Lock = None) -> list[Console]:
        """Those that are to be opened again now."""
        ready = sa.or_(ROWS.retry_at.is_(None), ROWS.retry_at <= models.now())
        return cls.find(session, ROWS.status == states.Console.LOST, ready, *where, lock=lock)

    @staticmethod
    def seen(session: orm.Session, ids: Collection[int], conductor: str) -> None:
        """The conductor that has these lives."""
        mine = (ROWS.id.in_(ids), ROWS.conductor == conductor)
        session.execute(sa.update(ROWS).where(*mine).values(seen_at=models.now()))

    # The record.

    @staticmethod
    def record(
        session: orm.Session, console_id: int, conductor: str, data: bytes, written: int, piece: int | None, keep: int
    ) -> int | None:
        """Add to what was recorded, if the console is still this conductor's; else nothing is written.

        :param data: the last piece as it is to be, whole, with what follows it
        :param written: bytes that were ever written, with these
        :param piece: the id of the last piece, None to begin a new one
        :param keep: bytes that are kept
        :returns: the id of the piece to go on with, None if that is full
        :raises NotMine: it is not
        """
        mine = (ROWS.id == console_id, ROWS.conductor == conductor)
        moved: Any = session.execute(sa.update(ROWS).where(*mine).values(written=written))
        if moved.rowcount != 1:
            raise NotMine
        start = written - len(data)
        for begin in range(0, len(data), PIECE):
            part = data[begin : begin + PIECE]
            upto = start + begin + len(part)
            if piece is not None:
                session.execute(sa.update(PIECES).where(PIECES.id == piece).values(data=part, upto=upto))
                last, piece = piece, None
            else:
                row = PIECES(console_id=console_id, upto=upto, data=part)
                session.add(row)
                session.flush()
                last = row.id
        session.execute(sa.delete(PIECES).where(PIECES.console_id == console_id, PIECES.upto <= written - keep))
        return last if len(data) % PIECE else None

    @staticmethod
    def recorded(session: orm.Session, console_id: int, after: int) -> list[tuple[int, bytes]]:
        """The pieces that reach beyond a place, with where they end."""
        query = sa.select(PIECES.upto, PIECES.data).where(PIECES.console_id == console_id, PIECES.upto > after)
        return [(row.upto, row.data) for row in session.execute(query.order_by(PIECES.upto))]


class NotMine(Exception):
    """Another conductor has the console, or nobody."""


def _as(status: states.Console) -> dict[str, Any]:
    """From now on in this state."""
    return {"status": status, "status_at": models.now()}


def _change(session: orm.Session, *where: sa.ColumnElement[bool], **values: Any) -> None:
    fresh = sa.update(ROWS).where(*where).values(token_key=console_tokens.new_key(), **values)
    session.execute(fresh.execution_options(synchronize_session=False))


def _lose(session: orm.Session, reason: str, *where: sa.ColumnElement[bool]) -> None:
    lost = {"conductor": None, "tries": 0, "retry_at": None, "reason": reason[:1024]}
    _change(session, ROWS.status == states.Console.ACTIVE, *where, **_as(states.Console.LOST), **lost)
