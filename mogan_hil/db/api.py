# SPDX-License-Identifier: Apache-2.0
"""The engine, and the two ways to use it: `reader` and `writer`."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import orjson
import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import options
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event, orm


@enginefacade.transaction_context_provider
class _Scope:
    """One transaction; a new one each time, so that no two nest by chance."""


class Database:
    """The database of one process.

    :param conf: its group [database] says where it is

    A writer's check and write stand together: SQLite takes its write lock as the transaction begins; the others read
    what is committed, and lock the rows that are asked for `with_for_update()`.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options.set_defaults(conf)
        settings = dict(conf.database.items())
        settings["connection"] = _full_unicode(settings["connection"])
        self._facade = enginefacade.transaction_context()
        self._facade.configure(sqlite_fk=True, **settings)
        self._facade.append_on_engine_create(_prepare)

    @property
    def engine(self) -> sa.Engine:
        """The engine, for migrations and tests."""
        engine: sa.Engine = self._facade.writer.get_engine()
        return engine

    @contextlib.contextmanager
    def reader(self) -> Iterator[orm.Session]:
        """A session that sees committed rows and writes nothing."""
        with self._facade.reader.using(_Scope()) as session:
            yield session

    @contextlib.contextmanager
    def writer(self) -> Iterator[orm.Session]:
        """A session whose changes are committed together at the end, or not at all."""
        with self._facade.writer.using(_Scope()) as session:
            session.connection(execution_options={"mogan_hil_writes": True})
            yield session

    def dispose(self) -> None:
        """Close every connection; a child process does this after a fork."""
        self._facade.dispose_pool()


def _full_unicode(connection: str) -> str:
    # PyMySQL's `utf8`, which oslo.db asks for, has no characters beyond three bytes.
    url = sa.engine.make_url(connection)
    if url.get_backend_name() == "mysql" and "charset" not in url.query:
        url = url.update_query_dict({"charset": "utf8mb4"})
    return url.render_as_string(hide_password=False)


def _prepare(engine: sa.Engine) -> None:
    # What create_engine(json_deserializer=) sets, which oslo.db passes on for PostgreSQL alone.
    engine.dialect._json_deserializer = _loads
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "connect", lambda connection, _record: _stay_open(engine, connection), once=True)
        event.listen(engine, "begin", _sqlite_begin)
    elif engine.dialect.name == "mysql":
        event.listen(engine, "connect", _mysql_connect)
    engine.dispose()  # oslo.db has tried it already: that connection knows nothing of what was just said


def _loads(text: Any) -> Any:
    # SQLite keeps a JSON number as a number; SQLAlchemy expects the error of the standard library, and takes it so.
    if not isinstance(text, str | bytes):
        raise TypeError(type(text).__name__)
    return orjson.loads(text)


def _stay_open(engine: sa.Engine, connection: Any) -> None:
    # oslo.db closes a SQLite connection after each transaction, and the last one to close folds the log into the file:
    # a connection that stays open makes a write three times as fast.
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    keeper = sqlite3.connect(path, check_same_thread=False)
    keeper.execute("SELECT count(*) FROM sqlite_master").fetchall()  # only now it is open
    event.listen(engine, "engine_disposed", lambda _engine: keeper.close())


def _sqlite_connect(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=30000")
    # WAL lets readers go on while one process writes: https://www.sqlite.org/wal.html
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _sqlite_begin(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later may fail at the write with SQLITE_BUSY, whatever the time-out.
    # oslo.db has begun one already that has done nothing yet.
    if connection.get_execution_options().get("mogan_hil_writes"):
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _mysql_connect(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
