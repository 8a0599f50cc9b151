# SPDX-License-Identifier: Apache-2.0
"""Whatever dies in between: every operation that was accepted ends, and every switch is as the database says."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from mogan_hil.db import models
from mogan_hil.drivers.switch import fake
from mogan_hil.objects.operation import Operation
from tests import service
from tests.functional.proxy import Proxy
from tests.functional.racks import OnProcesses, broken, drain, fresh, rack, wrong_ports
from tests.functional.traffic import Traffic

#: How often a conductor is killed when it is alone, and when it is one of two.
KILLS_ALONE = 2
KILLS_OF_TWO = 4
OPERATIONS = 300


class Crashing(OnProcesses):
    """Forty nodes on two slow switches."""

    shape = {
        "apis": 2,
        "conductors": 0,
        "settings": {("conductor", "sweep_interval"): 0.1, ("conductor", "poll_interval"): 1.0},
    }
    delay = 0.05
    conductors: dict[int, Any]
    known: set[int]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.conductors = {}
        cls.known = set()

    def setUp(self) -> None:
        super().setUp()
        admin = self.site.admin
        name = fresh("red")
        project = admin.add_project(name)
        self.user = f"{name}-member"
        red = admin.as_user(self.user)
        self.networks = [red.post("networks", {"name": fresh(word)}) for word in ("one", "two")]
        self.networks += [red.post("networks", {"name": f"{fresh('net')}-tagged"}) for _ in range(2)]
        self.switches, self.nodes = [], []
        for _ in range(2):
            switch, names = rack(self.site, 20, project=project)
            fake.set_faults(self.site.state_dir, switch, delay=self.delay)
            self.switches.append(switch)
            self.nodes += names

    def have(self, conductors: int) -> None:
        """Have so many conductors, started or about to start."""
        while len(self.conductors) < conductors:
            started = self.site._start("mogan-hil-conductor")
            self.conductors[started.pid] = started
        for pid in list(self.conductors)[conductors:]:
            self.site.kill_conductor(self.conductors.pop(pid))

    def ready(self) -> None:
        """Wait until each of them works."""
        for pid, conductor in self.conductors.items():
            if pid not in self.known:
                self.site._ready(conductor, "the conductor works")
                self.known.add(pid)

    def at_work(self) -> list[int]:
        """The conductors that have an operation in their hands, not counting the dead."""
        leaders = [_leader(operation) for operation in self.running()]
        return [leader for leader in leaders if leader in self.conductors]

    def kill_who_works(self) -> None:
        """Kill -9 a conductor that has an operation in its hands, at some moment of it."""
        self.until(self.at_work)
        time.sleep(random.uniform(0, self.delay))
        leader = (self.at_work() or list(self.conductors))[0]
        self.site.kill_conductor(self.conductors.pop(leader))

    def traffic(self, count: int = 10**6) -> Traffic:
        traffic = Traffic(lambda number: self.api(number, self.user), self.nodes, self.networks, count)
        self.addCleanup(traffic.stop)
        return traffic

    def until(self, condition: Callable[[], object], seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"it did not come about in time\n{self.site.logs()[-4000:]}")
            time.sleep(0.01)

    def running(self) -> list[Operation]:
        with self.site.database.reader() as session:
            return Operation.find(session, models.Operation.state == "running")

    def settled(self, traffic: Traffic) -> list[Operation]:
        """Wait for all that was accepted, compare, and return it."""
        self.assertEqual([], traffic.failures)
        try:
            drain(self.site.database, 180)
            self.until(lambda: not wrong_ports(self.site.database, self.site.state_dir) and not self.in_error())
        except AssertionError:
            self.addDetail("wrong", _text(str(wrong_ports(self.site.database, self.site.state_dir))))
            self.addDetail("logs", _text(self.site.logs()[-20000:]))
            raise
        self.assertEqual([], broken(self.site.database))
        with self.site.database.reader() as session:
            found = Operation.find(session, models.Operation.uuid.in_(traffic.accepted))
        self.assertEqual(set(traffic.accepted), {operation.uuid for operation in found})
        self.assertLessEqual({operation.state for operation in found}, {"done", "error"})
        return found

    def in_error(self) -> list[str]:
        with self.site.database.reader() as session:
            return list(session.scalars(sa.select(models.Port.name).where(models.Port.status == "error")))


def _leader(operation: Operation) -> int | None:
    """The first process of the conductor that has an operation, None if it is dead."""
    try:
        return os.getpgid(int(str(operation.conductor).split(":")[-2]))
    except ProcessLookupError:
        return None


def _text(text: str) -> Any:
    from testtools.content import text_content

    return text_content(text)


class Crashes:
    """Kill -9, whatever the database."""

    site: Any
    api: Any

    def test_conductors_die(self) -> None:
        self.have(1)
        traffic = self.traffic()
        for alive in (1,) * KILLS_ALONE + (2,) * KILLS_OF_TWO:
            self.have(alive)
            self.kill_who_works()
        self.have(1)
        self.until(lambda: len(traffic.accepted) >= OPERATIONS)
        traffic.stop()
        found = self.settled(traffic)
        self.assertGreater(len([item for item in found if item.attempts > 1]), 5, "the kills hit nothing")
        self.assertGreater(len([item for item in found if item.state == "done"]), OPERATIONS * 0.9)

    def test_nobody_dies(self) -> None:
        """Two conductors never have one operation in their hands."""
        self.have(2)
        self.ready()
        traffic = self.traffic(100)
        traffic.join(180)
        found = self.settled(traffic)
        self.assertEqual({("done", 1)}, {(item.state, item.attempts) for item in found})

    def test_api_dies(self) -> None:
        """It is killed between writing down what it accepted and telling anybody."""
        self.have(0)
        url, process = self.start_api()
        http = service._Http(url)
        traffic = Traffic(lambda _: service.Api(http, self.user), self.nodes, self.networks, 10**6)
        self.addCleanup(traffic.stop)
        self.until(lambda: len(traffic.accepted) > 20)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        traffic.stop()
        self.have(1)
        self.settled(traffic)

    def start_api(self) -> Any:
        process = self.site._start("mogan-hil-api")
        return self.site._ready(process, "listening on ").rpartition(" ")[2], process


class TestCrashesOnSQLite(Crashes, Crashing):
    kind = "sqlite"


class Lost:
    """What only a database server can do: hang up."""

    hang_up: str
    site: Any

    def test_database_hangs_up(self) -> None:
        self.have(2)
        traffic = self.traffic()
        root = sa.create_engine(dict(service.databases())[self.kind], isolation_level="AUTOCOMMIT")
        self.addCleanup(root.dispose)
        name = sa.engine.make_url(self.site.url).database
        for _ in range(6):
            self.until(self.running)
            with root.connect() as connection:
                for statement in connection.scalars(sa.text(self.hang_up), {"name": name}).all():
                    try:
                        connection.execute(sa.text(str(statement)))
                    except sa.exc.DBAPIError:  # it went by itself
                        continue
            time.sleep(0.3)
        traffic.stop()
        traffic.failures = [text for text in traffic.failures if '"database.busy"' not in text]
        self.settled(traffic)


class TestCrashesOnMariaDB(Crashes, Lost, Crashing):
    kind = "mysql"
    hang_up = "SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE db = :name"


class TestCrashesOnPostgreSQL(Crashes, Lost, Crashing):
    kind = "postgresql"
    hang_up = "SELECT 'SELECT pg_terminate_backend(' || pid || ')' FROM pg_stat_activity WHERE datname = :name"


class TestBroker(Crashing):
    """The broker goes away and comes back."""

    kind = "postgresql"

    @classmethod
    def setUpClass(cls) -> None:
        broker = service.broker()
        if broker is None:
            raise cls.skipException("RabbitMQ is not there")
        url = sa.engine.make_url(broker.replace("rabbit:", "amqp:", 1))
        cls.proxy = Proxy(("127.0.0.1", int(url.port or 0)))
        cls.addClassCleanup(cls.proxy.close)
        transport = broker.replace(f":{url.port}", f":{cls.proxy.port}")
        quiet = {("conductor", "sweep_interval"): 2.0}
        cls.shape = {
            **cls.shape,
            "settings": {**cls.shape["settings"], ("DEFAULT", "transport_url"): transport, **quiet},
        }
        super().setUpClass()

    def test_broker_dies(self) -> None:
        self.have(2)
        traffic = self.traffic()
        for _ in range(3):
            before = len(traffic.accepted)
            self.until(self.running)
            self.proxy.cut()
            self.until(lambda before=before: len(traffic.accepted) > before + 10)  # requests do not wait for it
            self.proxy.mend()
            time.sleep(0.2)
        traffic.stop()
        found = self.settled(traffic)
        self.assertEqual({"done"}, {item.state for item in found})
