# SPDX-License-Identifier: Apache-2.0
"""Racks for tests of many things at once: made in bulk, raced for, and held against the database and the switches."""

from __future__ import annotations

import itertools
import pkgutil
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import fixtures
import sqlalchemy as sa
import testtools

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.loader import Drivers
from mogan_hil.drivers.switch import fake
from mogan_hil.drivers.switch.base import PortConfig
from tests import service

_count = itertools.count(1)


class OnProcesses(testtools.TestCase):
    """Tests that share the processes of one class.

    `kind` is the database, `shape` what else :class:`.service.Processes` takes.
    """

    kind: ClassVar[str] = "sqlite"
    shape: ClassVar[dict[str, Any]] = {}
    site: ClassVar[service.Processes]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if dict(service.databases())[cls.kind] is None:
            raise cls.skipException(f"{cls.kind} is not there")
        cls.site = service.Processes(cls.kind, **cls.shape)
        cls.site.setUp()
        cls.addClassCleanup(cls.site.cleanUp)
        cls.clients = ThreadPoolExecutor(8)
        cls.addClassCleanup(cls.clients.shutdown)

    def api(self, number: int, user: str = "admin", project: str | None = None) -> service.Api:
        """The API in one of its processes, as a user."""
        return self.site.apis[number % len(self.site.apis)].as_user(user, project)

    def at_once(self, *calls: Callable[[], service.Answer]) -> list[service.Answer]:
        """Make up to eight calls at one moment. No answer may be the service's own failure."""
        start = threading.Barrier(len(calls))

        def run(call: Callable[[], service.Answer]) -> service.Answer:
            start.wait()
            return call()

        answers = list(self.clients.map(run, calls))
        self.check_answers(answers)
        return answers

    def check_answers(self, answers: Sequence[service.Answer]) -> None:
        """None is the service's own failure."""
        failures = [answer.text for answer in answers if answer.status >= 500]
        if failures:
            self.fail(f"{failures}\n{self.site.logs()[-6000:]}")

    def check(self) -> None:
        """Wait for the journal, then hold the database against its own rules and the switches against the database."""
        drain(self.site.database)
        self.assertEqual([], broken(self.site.database))
        self.assertEqual([], wrong_ports(self.site.database, self.site.state_dir))


class InProcess(testtools.TestCase):
    """Tests that have API and conductor within the process, and a tenant `red`.

    `settings` are besides those of :class:`.service.Embedded`; `drivers` are switch drivers of a third party.
    """

    settings: ClassVar[dict[tuple[str, str], Any]] = {}
    drivers: ClassVar[dict[str, type[Any]]] = {}

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.drivers.loader.Drivers._load", self._load))
        self.site = self.useFixture(service.Embedded(self.settings))
        self.admin = self.site.admin
        self.project = self.admin.add_project("red")
        self.red = self.admin.as_user("red-member")
        self.network = self.red.post("networks", {"name": "mine"})
        self.vlan = int(self.network["segment_id"])

    def _load(self, kind: str, base: type[Any]) -> dict[str, type[Any]]:
        found = _load(kind, base)
        return found | self.drivers if kind == "switch" else found

    def rack(self, nodes: int, driver: str = "fake", **faults: Any) -> tuple[str, list[str]]:
        """A switch with its ports parked, and nodes that `red` has."""
        switch, names = rack(self.site, nodes, project=self.project, driver=driver)
        self.faults(switch, **faults)
        return switch, names

    def faults(self, switch: str, **faults: Any) -> None:
        fake.set_faults(self.site.state_dir, switch, **faults)

    def attach(self, node: str) -> Any:
        """Ask for the network, and wait for nothing."""
        return self.red.post(f"nodes/{node}/nics/eth0/attachments", {"network": "mine"}, 202)

    def detach(self, node: str) -> Any:
        return self.red.delete(f"nodes/{node}/nics/eth0/attachments/mine", 202)

    def seen(self, switch: str, port: str = "p0") -> str:
        """What somebody at the switch sees."""
        return str(fake.by_hand(self.site.state_dir, switch, port))

    def port(self, switch: str, port: str = "p0") -> Any:
        """What the API says of a port."""
        return self.admin.get(f"switches/{switch}/ports/{port}")

    def attached(self, node: str) -> list[str]:
        return [item["status"] for item in self.red.get(f"nodes/{node}/nics/eth0/attachments")["attachments"]]

    def until(self, condition: Callable[[], object], seconds: float = service.WAIT) -> None:
        until(condition, seconds)

    def check(self) -> None:
        """See :meth:`OnProcesses.check`."""
        drain(self.site.database)
        self.assertEqual([], broken(self.site.database))
        self.assertEqual([], wrong_ports(self.site.database, self.site.state_dir))


_load = Drivers._load


class Gate(fixtures.Fixture):
    """Holds the next call of a method until it is let through; all others pass.

    :param method: its name, from the module on
    :ivar reached: set when there is such a call
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method
        self.reached = threading.Event()
        self._open = threading.Event()

    def _setUp(self) -> None:
        owner, _, name = self._method.rpartition(".")
        real = getattr(pkgutil.resolve_name(owner), name)
        first = threading.Semaphore(1)

        def held(*args: Any, **kwargs: Any) -> Any:
            if first.acquire(blocking=False):
                self.reached.set()
                self._open.wait(2 * service.WAIT)
            return real(*args, **kwargs)

        self.useFixture(fixtures.MonkeyPatch(self._method, held))
        self.addCleanup(self.open)

    def open(self) -> None:
        """Let it through."""
        self._open.set()


def until(condition: Callable[[], object], seconds: float = service.WAIT) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"it did not come about within {seconds} s")
        time.sleep(0.01)


def fresh(word: str) -> str:
    """A name that was not used before."""
    return f"{word}-{next(_count)}"


def rack(
    site: Any, nodes: int, *, project: str | None = None, ports: int | None = None, driver: str = "fake", **fields: Any
) -> Any:
    """Register a fake switch and nodes whose `eth0` is cabled to its ports `p0`, `p1`, ... in one transaction.

    :param site: the service; the ports are parked already
    :param ports: how many ports; as many as nodes if None
    :param fields: of every node
    :returns: the switch's uuid, and the names of the nodes
    """
    name, identity, count = fresh("rack"), str(uuid.uuid4()), ports if ports is not None else nodes
    for number in range(count):
        fake.set_by_hand(site.state_dir, identity, f"p{number}", fake.base.PortState(enabled=False))
    with site.database.writer() as session:
        switch = models.Switch(uuid=identity, name=name, driver=driver, options={}, physical_network="default")
        session.add(switch)
        session.flush()
        names = []
        for number in range(count):
            session.add(models.Port(name=f"p{number}", switch_id=switch.id, status=states.Port.OK))
        for number in range(nodes):
            names.append(f"{name}-n{number}")
            node = models.Node(name=names[-1], project_id=project, **fields)
            session.add(node)
            session.flush()
            nic = models.Nic(name="eth0", node_id=node.id, mac=_mac())
            session.add(nic)
            session.flush()
            where = (models.Port.switch_id == switch.id, models.Port.name == f"p{number}")
            session.execute(sa.update(models.Port).where(*where).values(nic_id=nic.id))
        return identity, names


def _mac() -> str:
    digits = f"{next(_count):010x}"
    return "02:" + ":".join(digits[place : place + 2] for place in range(0, 10, 2))


def drain(database: Database, seconds: float = service.WAIT) -> None:
    """Wait until nothing in the journal is open."""
    rows = models.Operation
    query = sa.select(rows.verb, rows.lane, rows.state, rows.error).where(rows.state.in_(states.OPERATION_OPEN))
    end = time.monotonic() + seconds
    while True:
        with database.reader() as session:
            left = session.execute(query).all()
        if not left:
            return
        if time.monotonic() > end:
            raise AssertionError(f"{len(left)} operations are still open after {seconds} s: {left[:5]}")
        time.sleep(0.02)


#: What must never be, whoever did what at the same time: each statement finds nothing.
RULES = {
    "a network on a node that nobody has": """
        SELECT a.id FROM attachments a JOIN nics i ON i.id = a.nic_id JOIN nodes n ON n.id = i.node_id
        WHERE n.project_id IS NULL""",
    "a network on a node whose project may not use it": """
        SELECT a.id FROM attachments a JOIN nics i ON i.id = a.nic_id JOIN nodes n ON n.id = i.node_id
        JOIN networks w ON w.id = a.network_id
        WHERE NOT w.public AND (w.project_id IS NULL OR w.project_id <> n.project_id) AND NOT EXISTS
        (SELECT 1 FROM network_access x WHERE x.network_id = w.id AND x.project_id = n.project_id)""",
    "a network on a NIC without a cable": """
        SELECT a.id FROM attachments a LEFT JOIN ports p ON p.nic_id = a.nic_id WHERE p.id IS NULL""",
    "a network on a headnode whose project may not use it": """
        SELECT i.id FROM hnics i JOIN headnodes h ON h.id = i.headnode_id JOIN networks w ON w.id = i.network_id
        WHERE NOT w.public AND (w.project_id IS NULL OR w.project_id <> h.project_id) AND NOT EXISTS
        (SELECT 1 FROM network_access x WHERE x.network_id = w.id AND x.project_id = h.project_id)""",
    "two networks on one channel": "SELECT nic_id FROM attachments GROUP BY nic_id, channel HAVING COUNT(*) > 1",
    "two networks on one segment": """
        SELECT segment_id FROM networks GROUP BY physical_network, segment_id HAVING COUNT(*) > 1""",
    "an address of two NICs": "SELECT ip FROM addresses GROUP BY network_id, ip HAVING COUNT(*) > 1",
    "an address that nobody has": "SELECT id FROM addresses WHERE attachment_id NOT IN (SELECT id FROM attachments)",
    "an address of another network": """
        SELECT d.id FROM addresses d JOIN attachments a ON a.id = d.attachment_id JOIN subnets s ON s.id = d.subnet_id
        WHERE d.network_id <> a.network_id OR d.network_id <> s.network_id""",
    "an attachment without a NIC": "SELECT id FROM attachments WHERE nic_id NOT IN (SELECT id FROM nics)",
    "an attachment without a network": "SELECT id FROM attachments WHERE network_id NOT IN (SELECT id FROM networks)",
    "a NIC without a node": "SELECT id FROM nics WHERE node_id NOT IN (SELECT id FROM nodes)",
    "a node of no project": """
        SELECT id FROM nodes WHERE project_id IS NOT NULL AND project_id NOT IN (SELECT uuid FROM projects)""",
    "a finished operation that holds its thing": """
        SELECT id FROM operations WHERE state IN ('done', 'error') AND pending_key IS NOT NULL""",
    "an open operation that holds nothing": """
        SELECT id FROM operations WHERE state IN ('pending', 'running') AND pending_key IS NULL""",
    "an attachment half done that nobody works on": """
        SELECT a.id FROM attachments a JOIN ports p ON p.nic_id = a.nic_id WHERE a.status <> 'active'
        AND p.status <> 'error' AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.pending_key IS NOT NULL)""",
}


def broken(database: Database) -> list[str]:
    """The rules that the database breaks now."""
    with database.reader() as session:
        found = {name: session.execute(sa.text(rule)).all() for name, rule in RULES.items()}
    return [f"{name}: {rows}" for name, rows in found.items() if rows]


def wrong_ports(database: Database, state_dir: Path) -> list[str]:
    """The ports that are not as their active attachments say."""
    query = sa.text(
        "SELECT s.uuid, p.name, p.status, a.channel, w.segment_id, i.id AS operation FROM ports p "
        "JOIN switches s ON s.id = p.switch_id LEFT JOIN attachments a ON a.nic_id = p.nic_id AND a.status = 'active' "
        "LEFT JOIN networks w ON w.id = a.network_id LEFT JOIN nics i ON i.id = p.nic_id"
    )
    wanted: dict[tuple[str, str], list[tuple[str, int]]] = {}
    with database.reader() as session:
        for switch, name, _status, channel, segment, _nic in session.execute(query):
            wanted.setdefault((switch, name), []).extend([(channel, int(segment))] if channel else [])
    wrong = []
    for (switch, name), carried in wanted.items():
        native = next((vlan for channel, vlan in carried if channel == "vlan/native"), None)
        config = PortConfig(native, frozenset(vlan for channel, vlan in carried if channel != "vlan/native"))
        state = fake.by_hand(state_dir, switch, name)
        if not state.matches(config):
            wrong.append(f"{switch} {name}: wanted {config}, found {state}")
    return wrong
