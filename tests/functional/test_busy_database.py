# SPDX-License-Identifier: Apache-2.0
"""A database that has no room for another client, and one that is set to something else than the service expects."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable

import sqlalchemy as sa
import testtools
from oslo_config import cfg

from mogan_hil.api import process
from mogan_hil.db.api import Database, busy
from tests import service
from tests.functional.racks import until


def look(database: Database) -> None:
    """Ask for something."""
    with database.reader() as session:
        session.execute(sa.select(1))


class BusyDatabase(testtools.TestCase):
    """On one kind of database."""

    def database(self, kind: str) -> sa.URL:
        if dict(service.databases())[kind] is None:
            self.skipTest(f"{kind} is not there")
        return sa.make_url(self.useFixture(service.DatabaseFixture(kind)).url)

    def root(self, url: sa.URL) -> sa.Engine:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        self.addCleanup(engine.dispose)
        return engine

    def opened(self, url: sa.URL) -> Database:
        conf = process.configure(cfg.ConfigOpts(), [], [])
        conf.set_override("connection", url.render_as_string(hide_password=False), group="database")
        conf.set_override("max_retries", 0, group="database")
        database = Database(conf)
        self.addCleanup(database.dispose)
        return database


class TestTooManyClients(BusyDatabase):
    """Nothing is wrong with a request, nor with the service: it is not answered 500."""

    def refused(self, url: sa.URL, full: Callable[[], None]) -> None:
        """What is raised while the database takes no more clients.

        :param full: makes it so
        """
        database = self.opened(url)
        look(database)  # the engine is made
        database.dispose()
        full()
        self.assertTrue(busy(self.assertRaises(sa.exc.OperationalError, look, database)))

    def user(self, url: sa.URL, *statements: str) -> tuple[sa.Engine, sa.URL]:
        """A user with all rights, and the address for it."""
        name, root = f"u{uuid.uuid4().hex[:12]}", self.root(url)
        with root.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.format(name=name, database=url.database))
        return root, url.set(username=name, password="x")

    def test_mysql(self) -> None:
        url = self.database("mysql")
        _, mine = self.user(
            url,
            "CREATE USER {name}@'127.0.0.1' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 3",
            "GRANT ALL ON {database}.* TO {name}@'127.0.0.1'",
        )
        engine = sa.create_engine(mine)
        self.addCleanup(engine.dispose)
        held: list[sa.Connection] = []

        def full() -> bool:
            """Connections that were closed may count for a moment more."""
            with contextlib.suppress(sa.exc.OperationalError):
                held.append(engine.connect())
            return len(held) == 3

        self.refused(mine, lambda: until(full, service.WAIT))

    def test_postgresql(self) -> None:
        url = self.database("postgresql")
        root, mine = self.user(url, "CREATE ROLE {name} LOGIN PASSWORD 'x'")

        def set_limit(number: int) -> None:
            with root.connect() as connection:
                connection.exec_driver_sql(f"ALTER ROLE {mine.username} CONNECTION LIMIT {number}")

        self.refused(mine, lambda: set_limit(0))
        with root.connect() as connection:
            connection.exec_driver_sql(f"DROP ROLE {mine.username}")


class TestAway(testtools.TestCase):
    """The database lets nobody in for a while."""

    def test_what_a_conductor_says(self) -> None:
        """A line for each round that comes to nothing, and not where in the code that was."""
        server = dict(service.databases())["postgresql"]
        if server is None:
            self.skipTest("postgresql is not there")
        site = self.useFixture(service.Processes("postgresql", apis=1, conductors=1))
        root = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        self.addCleanup(root.dispose)
        name = sa.make_url(site.url).database
        with root.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            ending = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
            connection.execute(ending, {"name": name})
            (log,) = site.state_dir.glob("mogan-hil-conductor*.log")
            until(lambda: log.read_text().count("The round Lanes.sweep failed: ") > 2)
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        until(lambda: site.admin.call("POST", "networks", {"name": "after"}).status == 201)
        site.admin.add_switch("sw", ["p1"])
        self.assertNotIn("Traceback", log.read_text())


class TestIsolation(BusyDatabase):
    """Whatever the server is set to, what others commit is seen."""

    def test_mysql(self) -> None:
        url = self.database("mysql")
        with self.opened(url).writer() as session:
            self.assertEqual("READ-COMMITTED", session.scalar(sa.text("SELECT @@tx_isolation")))

    def test_postgresql(self) -> None:
        url = self.database("postgresql")
        with self.root(url).connect() as connection:
            setting = "default_transaction_isolation = 'repeatable read'"
            connection.exec_driver_sql(f"ALTER DATABASE {url.database} SET {setting}")
        database = self.opened(url)
        for use in (database.writer, database.reader):
            with use() as session:
                self.assertEqual("read committed", session.scalar(sa.text("SHOW transaction_isolation")))
