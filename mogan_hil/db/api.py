# SPDX-License-Identifier: Apache-2.0
"""The engine, and the two ways to use it: `reader` and `writer`."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import orjson
import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import api as db_retry
from oslo_db import exception as db_exception
from oslo_db import options
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event, orm

_COMMITTED = "mogan_hil_committed"


class Listener(Protocol):
    """Is told what is written."""

    def watch(self, session: orm.Session) -> contextlib.AbstractContextManager[list[Any]]:
        """See what a session writes. When the block ends the list has what is to be told of it."""

    def tell(self, events: list[Any]) -> None:
        """Tell it: it is committed. Never waits and never fails."""


@enginefacade.transaction_context_provider
class _Scope:
    """One transaction; a new one each time, so that no two nest by chance."""


class Database:
    """The database of one process.

    :param conf: its group [database] says where it is

    A writer's check and write stand together: SQLite takes its write lock as the transaction begins; the others read
    what is committed, and lock the rows that are asked for `with_for_update()`.

    :ivar listener: is told what is committed; None for nobody
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options.set_defaults(conf)
        settings = dict(conf.database.items())
        settings["connection"] = _full_unicode(settings["connection"])
        self._facade = enginefacade.transaction_context()
        self._facade.configure(sqlite_fk=True, **settings)
        self._facade.append_on_engine_create(_prepare)
        self.listener: Listener | None = None

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
            if self.listener is None:
                yield session
            else:
                with self.listener.watch(session) as events:
                    yield session
        for act in session.info.get(_COMMITTED, ()):
            act()
        if self.listener is not None:
            self.listener.tell(events)

    @contextlib.contextmanager
    def together(self) -> Iterator[Database]:
        """A database whose readers and writers are one transaction: all of it is committed at the end, or nothing.

        What fails within a writer is undone alone, as ever. Nobody is told of the changes. For programs that the
        operator runs: others who write wait meanwhile.
        """
        with self.engine.connect() as connection:
            connection.execution_options(mogan_hil_writes=True)
            whole = _Together(connection, self._facade.writer.get_sessionmaker())
            with connection.begin():
                yield whole
        for act in whole.acts:
            act()

    def dispose(self) -> None:
        """Close every connection; a child process does this after a fork."""
        self._facade.dispose_pool()


class GivenUp(Exception):
    """The database gave up what was to be done together for another's transaction: all of it is undone."""


class _Together(Database):
    """See :meth:`Database.together`.

    :ivar acts: what is to be done when it is committed
    """

    def __init__(self, connection: sa.Connection, maker: Callable[..., orm.Session]) -> None:
        self._connection = connection
        self._maker = maker
        self.acts: list[Callable[[], None]] = []

    @property
    def engine(self) -> sa.Engine:
        return self._connection.engine

    @contextlib.contextmanager
    def reader(self) -> Iterator[orm.Session]:
        with self.writer() as session:
            yield session

    @contextlib.contextmanager
    def writer(self) -> Iterator[orm.Session]:
        with self._maker(bind=self._connection, join_transaction_mode="create_savepoint") as session:
            try:
                with session.begin():
                    yield session
            except db_exception.DBError as error:
                # It is not this writer's part alone that is undone: to try that again would leave out what came before.
                if _gave_up(error) or isinstance(error, db_exception.DBDeadlock):
                    raise GivenUp from error
                raise
            self.acts += session.info.get(_COMMITTED, ())

    def dispose(self) -> None:
        pass  # the connection is another's


def when_committed(session: orm.Session, act: Callable[[], None]) -> None:
    """Have something done once a writer's changes are committed, and not if they are not. It must not fail."""
    session.info.setdefault(_COMMITTED, []).append(act)


def _full_unicode(connection: str) -> str:
    # PyMySQL's `utf8`, which oslo.db asks for, has no characters beyond three bytes.
    url = sa.engine.make_url(connection)
    if url.get_backend_name() == "mysql" and "charset" not in url.query:
        url = url.update_query_dict({"charset": "utf8mb4"})
    return url.render_as_string(hide_password=False)


def _prepare(engine: sa.Engine) -> None:
    engine.hide_parameters = True  # they may be secrets, and errors go to the log
    # What create_engine(json_deserializer=) sets, which oslo.db passes on for PostgreSQL alone.
    engine.dialect._json_deserializer = _loads
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "connect", lambda connection, _record: _stay_open(engine, connection), once=True)
        event.listen(engine, "begin", _sqlite_begin)
    elif engine.dialect.name == "mysql":
        event.listen(engine, "connect", _mysql_connect)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _postgresql_connect)
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


def _postgresql_connect(connection: Any, _record: object) -> None:
    # Without a statement: it comes with each BEGIN. A server or a role may be set to something else.
    connection.set_session(isolation_level="READ COMMITTED")


def _gave_up(error: BaseException) -> bool:
    """Whether MySQL has rolled back a transaction for another's while it was in a savepoint.

    It is the savepoint then that is missed: error 1305, ER_SP_DOES_NOT_EXIST. Elsewhere oslo.db calls it a deadlock.
    """
    return isinstance(error, db_exception.DBError) and "1305" in str(error) and "SAVEPOINT" in str(error)


#: Runs a function again when the database gave up its transaction for another's. It has to have done nothing else yet.
again = db_retry.wrap_db_retry(
    max_retries=20,
    retry_interval=0.02,
    inc_retry_interval=True,
    max_retry_interval=0.5,
    retry_on_deadlock=True,
    exception_checker=_gave_up,
)


def busy(error: BaseException) -> bool:
    """Whether the database has no time, or no connection left: nothing is wrong with what was asked of it."""
    if isinstance(error, db_exception.DBDeadlock | db_exception.DBConnectionError | sa.exc.TimeoutError):
        return True
    # Without a statement it has refused the connection: too many clients, or it starts or stops.
    return isinstance(error, sa.exc.OperationalError) and error.statement is None
