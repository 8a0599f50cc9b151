# SPDX-License-Identifier: Apache-2.0
"""The locks by which conductors agree who works where.

The database has them where it can, on one connection for each conductor; else tooz has them, wherever its URL leads.
tooz's own locks in MySQL and PostgreSQL take a connection each, for as long as they are held, and those of PostgreSQL
are told apart by two bytes of a hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import struct
import threading
from collections.abc import Iterator
from typing import Any, Protocol

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log
from sqlalchemy.engine import make_url

from mogan_hil.conductor.tooz_locks import ToozLocks

LOG = log.getLogger(__name__)

#: Seconds after which a database that does not answer has lost our locks: nothing that is asked of it takes a tenth.
PATIENCE = 10

#: Seconds after which the database gives up a conductor that says nothing: its machine may be gone without a word.
SILENCE = 60.0

#: Longer names are refused by MySQL: https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html
NAME_LENGTH = 64


class Lock(Protocol):
    """A lock; nobody waits for one."""

    @property
    def acquired(self) -> bool:
        """Whether it is held, as far as is known."""

    def acquire(self, blocking: bool) -> bool:
        """Take it. Returns whether nobody else has it."""

    def release(self) -> bool:
        """Let it go.

        :raises Exception: it was lost
        """


class Locks(Protocol):
    """Where the locks are."""

    def start(self) -> None:
        """Connect."""

    def stop(self) -> None:
        """Let everything go."""

    def beat(self) -> None:
        """Say that we live; called time and again."""

    def get(self, name: str) -> Lock:
        """A lock by its name."""


def locks(conf: cfg.ConfigOpts, me: str) -> Locks:
    """The locks of a conductor: as configured, else where the database is.

    :param me: the conductor, unlike any other
    """
    url = str(conf.conductor.lock_url or conf.database.connection)
    kind = url.partition(":")[0].partition("+")[0]
    if kind in _DIALECTS:
        return DatabaseLocks(make_url(url), max(SILENCE, 4 * conf.conductor.sweep_interval))
    return ToozLocks(f"file://{os.path.abspath(conf.state_path)}/locks" if kind == "sqlite" else url, me)


def release(lock: Lock, name: str) -> None:
    """Let a lock go. It may have been lost with its connection; whether that did any harm, the journal tells."""
    try:
        lock.release()
    except Exception as error:
        LOG.warning("The lock %(name)s was lost: %(error)s", {"name": name, "error": error})


@contextlib.contextmanager
def alone(locks: Locks, name: str) -> Iterator[bool]:
    """Within it, no other conductor does what has this name. Tells whether one does already: then nothing is held."""
    lock = locks.get(name)
    if not lock.acquire(blocking=False):
        yield False
        return
    try:
        yield True
    finally:
        release(lock, name)


class LockLostError(Exception):
    """The connection that held a lock was lost."""


class _MySQL:
    """Names are the whole server's, and cannot be long."""

    #: Those that know the options.
    DRIVERS = ("pymysql", "mysqldb")
    OPTIONS = {"connect_timeout": PATIENCE, "read_timeout": PATIENCE, "write_timeout": PATIENCE}

    @staticmethod
    def settings(silence: int) -> list[str]:
        return [f"SET SESSION wait_timeout = {silence}"]

    @staticmethod
    def take(database: str, name: str) -> Any:
        return sa.func.get_lock(_MySQL.name(database, name), 0)

    @staticmethod
    def leave(database: str, name: str) -> Any:
        return sa.func.release_lock(_MySQL.name(database, name))

    @staticmethod
    def name(database: str, name: str) -> str:
        text = f"{database}/{name}"
        return text if len(text) <= NAME_LENGTH else hashlib.sha256(text.encode()).hexdigest()


class _PostgreSQL:
    """Advisory locks: two numbers, in one database."""

    DRIVERS = ("psycopg2", "psycopg")
    OPTIONS = {"connect_timeout": PATIENCE, "tcp_user_timeout": PATIENCE * 1000}

    @staticmethod
    def settings(silence: int) -> list[str]:
        third = max(silence // 3, 1)
        return [
            f"SET tcp_keepalives_idle = {third}",
            f"SET tcp_keepalives_interval = {third}",
            "SET tcp_keepalives_count = 2",
        ]

    @staticmethod
    def take(_database: str, name: str) -> Any:
        return sa.func.pg_try_advisory_lock(*_PostgreSQL.numbers(name))

    @staticmethod
    def leave(_database: str, name: str) -> Any:
        return sa.func.pg_advisory_unlock(*_PostgreSQL.numbers(name))

    @staticmethod
    def numbers(name: str) -> tuple[int, int]:
        first, second = struct.unpack(">ii", hashlib.sha256(name.encode()).digest()[:8])
        return first, second


_DIALECTS: dict[str, Any] = {"mysql": _MySQL, "mariadb": _MySQL, "postgresql": _PostgreSQL}


class DatabaseLocks:
    """The locks of MySQL, MariaDB or PostgreSQL: those of a session, which is one connection of this conductor.

    A session is given twice what it has already; so what is held here is kept in mind here, too. With the connection
    everything is lost that was held. The next question, or the next beat, notices it and connects again.

    :param url: of the database
    :param silence: seconds without a word after which the database takes this conductor for dead
    """

    def __init__(self, url: sa.URL, silence: float) -> None:
        self._dialect = _DIALECTS[url.get_backend_name()]
        self._name = url.database or ""
        self._silence = math.ceil(silence)
        if url.drivername in ("mysql", "mariadb"):
            url = url.set(drivername=f"{url.drivername}+pymysql")
        options = self._dialect.OPTIONS if url.get_driver_name() in self._dialect.DRIVERS else {}
        # No pool: there is one connection, and nothing else is done on it.
        self._engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT", connect_args=options)
        self._connection: sa.Connection | None = None
        #: Which lock has each name.
        self._held: dict[str, DatabaseLock] = {}
        self._mutex = threading.Lock()

    def start(self) -> None:
        """See :meth:`Locks.start`. A database that is not there yet is connected to when the first lock is taken."""
        try:
            self.beat()
        except sa.exc.DBAPIError as error:
            LOG.warning("The database that has the locks does not answer yet: %s", error)

    def stop(self) -> None:
        """See :meth:`Locks.stop`."""
        with self._mutex:
            self._lose()

    def beat(self) -> None:
        """See :meth:`Locks.beat`. A server closes a connection that says nothing for hours."""
        with self._mutex:
            self._ask(sa.literal(1))

    def get(self, name: str) -> Lock:
        """See :meth:`Locks.get`."""
        return DatabaseLock(self, name)

    def acquire(self, lock: DatabaseLock) -> bool:
        """See :meth:`Lock.acquire`."""
        with self._mutex:
            if lock.name in self._held or not self._ask(self._dialect.take(self._name, lock.name)):
                return False
            self._held[lock.name] = lock
            return True

    def has(self, lock: DatabaseLock) -> bool:
        """See :attr:`Lock.acquired`."""
        return self._held.get(lock.name) is lock

    def release(self, lock: DatabaseLock) -> bool:
        """See :meth:`Lock.release`.

        :raises LockLostError: it was lost
        """
        with self._mutex:
            if self.has(lock) and not self._ask(self._dialect.leave(self._name, lock.name)):
                self._lose()
            if not self.has(lock):
                raise LockLostError("the connection to the database broke")
            del self._held[lock.name]
            return True

    def _ask(self, question: Any) -> bool:
        """Ask once more on a new connection if the old one is broken: nothing is held on that.

        :raises sqlalchemy.exc.DBAPIError: the database does not answer
        """
        if self._connection is not None:
            try:
                return self._answer(self._connection, question)
            except sa.exc.DBAPIError as error:
                LOG.warning("The connection to the database that held %s locks broke: %s", len(self._held), error)
                self._lose()
        connection = self._engine.connect()
        for setting in self._dialect.settings(self._silence):
            connection.exec_driver_sql(setting)
        self._connection = connection
        return self._answer(connection, question)

    @staticmethod
    def _answer(connection: sa.Connection, question: Any) -> bool:
        return connection.scalar(sa.select(question)) in (1, True)

    def _lose(self) -> None:
        self._held.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


class DatabaseLock:
    """One of :class:`DatabaseLocks`."""

    def __init__(self, locks: DatabaseLocks, name: str) -> None:
        self._locks = locks
        self.name = name

    @property
    def acquired(self) -> bool:
        """See :attr:`Lock.acquired`."""
        return self._locks.has(self)

    def acquire(self, blocking: bool) -> bool:
        """See :meth:`Lock.acquire`."""
        return self._locks.acquire(self)

    def release(self) -> bool:
        """See :meth:`Lock.release`."""
        return self._locks.release(self)
