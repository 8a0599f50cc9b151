# SPDX-License-Identifier: Apache-2.0
"""The service, for tests: within the test's process, or in processes of its own. Nothing in it is replaced."""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fixtures
import requests
import sqlalchemy as sa
import webtest
from oslo_config import cfg
from oslo_messaging.notify import _impl_test

from mogan_hil.api import process
from mogan_hil.api.app import make_app
from mogan_hil.cmd.all_in_one import add_admin
from mogan_hil.common import sealing
from mogan_hil.conductor.service import Conductor
from mogan_hil.db import migration
from mogan_hil.db.api import Database
from mogan_hil.drivers.loader import Drivers
from mogan_hil.rpc import notifier
from tests import forks
from tests.servers import base

PASSWORD = "secret"
#: Seconds in which whatever is waited for has come about, on a machine that does much else.
WAIT = 90.0

#: Quick settings: what takes seconds in operation takes tenths here.
SETTINGS: Mapping[tuple[str, str], Any] = {
    ("auth", "strategy"): "local",
    ("auth", "hash_cost"): 4,
    ("auth", "proof_ttl"): 5.0,
    ("auth", "lockout_failures"): 0,
    ("conductor", "sweep_interval"): 0.5,
    ("conductor", "retry_delay"): 0.05,
    ("conductor", "max_retry_delay"): 0.2,
    ("conductor", "driver_timeout"): 5.0,
}
#: In place of those where a real device may be busy for longer: the defaults.
REAL_DEVICES: Mapping[tuple[str, str], Any] = {
    ("conductor", "retry_delay"): 1.0,
    ("conductor", "max_retry_delay"): 30.0,
    ("conductor", "driver_timeout"): 30.0,
}


# The log of the service is not what a test says.
logging.getLogger("alembic").setLevel(logging.WARNING)


class Answered(AssertionError):
    """An answer with another status than the test expects."""


class Api:
    """Calls the API as one user, in whatever process it is."""

    def __init__(self, send: Any, user: str = "admin", project: str | None = None) -> None:
        self._send = send
        self.user = user
        self.project = project

    def as_user(self, user: str, project: str | None = None) -> Api:
        """The same API, called by somebody else."""
        return Api(self._send, user, project)

    def credentials(self) -> dict[str, str]:
        """The headers that say who calls."""
        sent = {"Authorization": "Basic " + base64.b64encode(f"{self.user}:{PASSWORD}".encode()).decode()}
        if self.project is not None:
            sent["X-Project-Id"] = self.project
        return sent

    def call(
        self, method: str, path: str, body: Any = None, *, status: int | None = None, headers: Mapping[str, str] = {}
    ) -> Any:
        """Send a request; a path without a slash in front is below /v1.

        :param status: what must come back; None for any
        :returns: an object with `status`, `headers`, `json` and `text`
        """
        sent = {**self.credentials(), **headers}
        answer = self._send(method, path if path.startswith("/") else f"/v1/{path}", body, sent)
        if status is not None and answer.status != status:
            raise Answered(f"{method} {path} answered {answer.status}, not {status}: {answer.text[:2000]}")
        return answer

    def get(self, path: str, status: int | None = 200) -> Any:
        """GET, and the JSON of the answer."""
        return self.call("GET", path, status=status).json

    def post(self, path: str, body: Any = None, status: int | None = 201) -> Any:
        """POST, and the JSON of the answer."""
        return self.call("POST", path, {} if body is None else body, status=status).json

    def put(self, path: str, body: Any = None, status: int | None = 200) -> Any:
        """PUT, and the JSON of the answer."""
        return self.call("PUT", path, body, status=status).json

    def patch(self, path: str, body: Any, status: int | None = 200) -> Any:
        """PATCH, and the JSON of the answer."""
        return self.call("PATCH", path, body, status=status).json

    def delete(self, path: str, status: int | None = 204) -> Any:
        """DELETE, and the JSON of the answer."""
        return self.call("DELETE", path, status=status).json

    def wait(self, operation: Mapping[str, Any], state: str | None = "done", timeout: float = WAIT) -> Any:
        """Wait for an operation's end, and return it as it is then.

        :param state: how it must end; None for either way
        """
        end = time.monotonic() + timeout
        while True:
            found = self.get(f"operations/{operation['uuid']}")
            if found["state"] in ("done", "error"):
                if state is not None and found["state"] != state:
                    raise AssertionError(f"the operation ended as {found['state']}: {found}")
                return found
            if time.monotonic() > end:
                raise AssertionError(f"the operation did not end within {timeout} s: {found}")
            time.sleep(0.01)

    # What most tests need first.

    def add_project(self, name: str, *roles: str) -> str:
        """Create a project, and for each role a user `<project>-<role>` who has it there. Returns its id."""
        project = self.call("PUT", f"projects/{name}").json["uuid"]
        for role in roles or ("member", "reader"):
            self.put(f"users/{name}-{role}", {"password": PASSWORD}, status=201)
            self.put(f"users/{name}-{role}/projects/{name}", {"role": role})
        return str(project)

    def add_switch(self, name: str, ports: Sequence[str] = (), driver: str = "fake", **options: Any) -> Any:
        """Register a switch and its ports, and wait until they are parked."""
        switch = self.post("switches", {"name": name, "driver": driver, "options": options})
        found = [self.post(f"switches/{name}/ports", {"name": port}) for port in ports]
        for port in found:
            self.wait(port["operation"])
        return switch

    def add_node(self, name: str, switch: str | None = None, port: str | None = None, **fields: Any) -> Any:
        """Register a node with the NIC eth0, cabled to a port if one is named."""
        node = self.post("nodes", {"name": name, **fields})
        number = uuid.uuid4().hex[:10]
        mac = "52:" + ":".join(number[i : i + 2] for i in range(0, 10, 2))
        self.post(f"nodes/{name}/nics", {"name": "eth0", "mac": mac})
        if switch is not None and port is not None:
            self.put(f"switches/{switch}/ports/{quote(port, safe='')}/nic", {"node": name, "nic": "eth0"})
        return node

    def attach(self, node: str, network: str, nic: str = "eth0", state: str | None = "done", **fields: Any) -> Any:
        """Attach a NIC and wait for the end."""
        return self.wait(self.post(f"nodes/{node}/nics/{nic}/attachments", {"network": network, **fields}, 202), state)

    def detach(self, node: str, network: str, nic: str = "eth0", state: str | None = "done") -> Any:
        """Detach a NIC and wait for the end."""
        return self.wait(self.delete(f"nodes/{node}/nics/{nic}/attachments/{network}", 202), state)


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.text = data.decode("utf-8", "replace")
        self._data = data

    @property
    def json(self) -> Any:
        """The body, parsed; None for an empty one."""
        return json.loads(self._data) if self._data else None


@functools.cache
def broker() -> str | None:
    """The URL of RabbitMQ, None where it is not to be had here.

    It is of a virtual host that no other process of tests uses: who asks on one may be answered by any conductor there.
    """
    url = os.environ.get("MOGAN_HIL_TEST_RABBIT_URL")
    hosts = os.environ.get("MOGAN_HIL_TEST_RABBIT_VHOSTS", "").split()
    if url is None or not hosts:
        return url
    mine = base.take(f"vhost-{sa.engine.make_url(url.replace('rabbit:', 'amqp:', 1)).port}", range(len(hosts)))
    if mine is None:
        raise AssertionError("more processes of tests than virtual hosts of RabbitMQ")
    return f"{url}{hosts[mine]}"


def databases() -> list[tuple[str, str | None]]:
    """Each kind of database with the URL of its server, None where it is not to be had here."""
    return [
        ("sqlite", "sqlite://"),
        ("mysql", os.environ.get("MOGAN_HIL_TEST_MYSQL_URL")),
        ("postgresql", os.environ.get("MOGAN_HIL_TEST_POSTGRESQL_URL")),
    ]


class DatabaseFixture(fixtures.Fixture):
    """A database of its own with the newest schema.

    :param kind: sqlite, mysql or postgresql
    """

    _template: dict[int, Path] = {}

    def __init__(self, kind: str = "sqlite") -> None:
        super().__init__()
        self._kind = kind

    def _setUp(self) -> None:
        if self._kind == "sqlite":
            self.directory = Path(self.useFixture(fixtures.TempDir()).path)
            shutil.copy(self._sqlite(), self.directory / "mogan_hil.db")
            self.url = f"sqlite:///{self.directory}/mogan_hil.db"
            return
        server = dict(databases())[self._kind]
        if server is None:
            raise unittest.SkipTest(f"{self._kind} is not there")
        self._create(sa.engine.make_url(server))

    def _create(self, server: sa.URL) -> None:
        name = f"hil_{uuid.uuid4().hex[:12]}"
        root = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        with root.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        self.url = server.set(database=name).render_as_string(hide_password=False)
        self.addCleanup(self._drop, root, name)
        engine = sa.create_engine(self.url)
        migration.upgrade(engine)
        engine.dispose()

    def _drop(self, root: sa.Engine, name: str) -> None:
        force = " WITH (FORCE)" if self._kind == "postgresql" else ""
        end = time.monotonic() + WAIT
        while True:
            try:
                with root.connect() as connection:
                    connection.execute(sa.text(f"DROP DATABASE IF EXISTS {name}{force}"))
                break
            except sa.exc.DBAPIError:  # PostgreSQL gives those who are connected five seconds to be gone
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)
        root.dispose()

    @classmethod
    def _sqlite(cls) -> Path:
        """A file with the schema, made once a process."""
        if os.getpid() not in cls._template:
            directory = Path(tempfile.mkdtemp(prefix="mogan-hil-test-"))
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
            path = directory / "template.db"
            engine = sa.create_engine(f"sqlite:///{path}")
            migration.upgrade(engine)
            engine.dispose()
            cls._template[os.getpid()] = path
        return cls._template[os.getpid()]


class Embedded(fixtures.Fixture):
    """API and conductor within the test's process, as `mogan-hil` has them.

    :param settings: (group, option) to value, besides `SETTINGS`
    :param conductor: whether it works from the start; else `start_conductor` begins
    :param files: configuration files, for options that only a part of the service registers
    """

    def __init__(
        self,
        settings: Mapping[tuple[str, str], Any] = {},
        *,
        database: str = "sqlite",
        conductor: bool = True,
        files: Sequence[Path] = (),
    ) -> None:
        super().__init__()
        self._files = files
        self._settings = {**SETTINGS, **settings}
        self._kind = database
        self._begin = conductor

    def _setUp(self) -> None:
        self.state_dir = Path(self.useFixture(fixtures.TempDir()).path)
        url = self.useFixture(DatabaseFixture(self._kind)).url
        self.conf = process.configure(cfg.ConfigOpts(), [], [str(file) for file in self._files])
        self.conf.set_override("connection", url, group="database")
        self.conf.set_override("state_path", str(self.state_dir))
        logging.getLogger("mogan_hil").setLevel(logging.WARNING)
        for (group, option), value in self._settings.items():
            self.conf.set_override(option, value, group=group)
        sealing.ensure(self.conf.secrets.key_file, self.conf.secrets.public_key_file)
        self.database = process.open_database(self.conf)
        self.addCleanup(self.database.dispose)
        self.addCleanup(_impl_test.reset)  # what its driver `test` heard is no matter of the next one
        self.addCleanup(notifier.close_all)
        add_admin(self.conf, self.database, PASSWORD)
        self.drivers = Drivers()
        self.conductor = Conductor(self.conf, self.database, self.drivers)
        self.services = process.services(self.conf, self.database, self.drivers, self.conductor)
        self.app = webtest.TestApp(make_app(self.services), extra_environ={"REMOTE_ADDR": "127.0.0.1"})
        self.admin = Api(self._send)
        if self._begin:
            self.start_conductor()

    @contextlib.contextmanager
    def conducted(self) -> Iterator[None]:
        """Have another conductor work meanwhile, where this one does not yet."""
        another = Conductor(self.conf, self.database, self.drivers)
        another.start()
        try:
            yield
        finally:
            another.stop()

    def start_conductor(self) -> None:
        """Begin to work on the journal."""
        self.conductor.start()
        self.addCleanup(self.conductor.stop)

    def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        environ = {"REQUEST_URI": path, "REMOTE_ADDR": "127.0.0.1"}
        if isinstance(body, bytes):
            data: bytes | None = body
        else:
            data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers = {"Content-Type": "application/json", **headers}
        request = webtest.TestRequest.blank(path, environ, method=method, headers=dict(headers), body=data or b"")
        answer = self.app.do_request(request, expect_errors=True)
        return Answer(answer.status_int, dict(answer.headers), answer.body)

    @contextlib.contextmanager
    def statements(self) -> Iterator[list[str]]:
        """The SQL statements of this thread within the block, without those that begin and end transactions.

        What a conductor does meanwhile is not among them.
        """
        found: list[str] = []
        mine = threading.get_ident()

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            ends = statement.split(" ", 1)[0] in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
            if threading.get_ident() == mine and not ends:
                found.append(statement)

        sa.event.listen(self.database.engine, "before_cursor_execute", note)
        try:
            yield found
        finally:
            sa.event.remove(self.database.engine, "before_cursor_execute", note)


Started = subprocess.Popen[str] | forks.Fork


class Processes(fixtures.Fixture):
    """API processes and conductors of their own, as a site has them.

    :param database: sqlite, mysql or postgresql
    :param apis: how many processes of the API, each on its own port
    :param conductors: how many
    :param rabbit: whether a broker carries the wake-ups; without one the conductors find work by their sweep
    :param forks: whether the processes are forks, which start at once; else the commands are run
    """

    def __init__(
        self,
        database: str = "sqlite",
        *,
        apis: int = 2,
        conductors: int = 1,
        rabbit: bool = False,
        settings: Mapping[tuple[str, str], Any] = {},
        forks: bool = True,
    ) -> None:
        super().__init__()
        self._kind = database
        self._forks = forks
        self._apis = apis
        self._conductors = conductors
        self._rabbit = rabbit
        self._settings = {**SETTINGS, **settings}
        self._killed: list[Started] = []

    def _setUp(self) -> None:
        self.state_dir = Path(self.useFixture(fixtures.TempDir()).path)
        self.url = self.useFixture(DatabaseFixture(self._kind)).url
        self.config = self.state_dir / "mogan_hil.conf"
        self.config.write_text(self._text())
        conf = process.configure(cfg.ConfigOpts(), [], [str(self.config)])
        sealing.ensure(conf.secrets.key_file, conf.secrets.public_key_file)
        self.database = Database(conf)
        self.addCleanup(self.database.dispose)
        add_admin(conf, self.database, PASSWORD)
        apis = [self._start("mogan-hil-api") for _ in range(self._apis)]
        self.conductors = [self._start("mogan-hil-conductor") for _ in range(self._conductors)]
        self.urls = [self._ready(started, "listening on ").rpartition(" ")[2] for started in apis]
        for started in self.conductors:
            self._ready(started, "the conductor works")
        self.apis = [Api(_Http(url)) for url in self.urls]
        if self.apis:
            self.admin = self.apis[0]

    def _text(self) -> str:
        groups: dict[str, dict[str, Any]] = {"DEFAULT": {"state_path": self.state_dir}, "database": {}}
        groups["database"]["connection"] = self.url.replace("%", "%%")
        groups["api"] = {"port": 0, "threads": 4}
        if self._rabbit:
            groups["DEFAULT"]["transport_url"] = broker()
        for (group, option), value in self._settings.items():
            groups.setdefault(group, {})[option] = value
        return "\n".join(
            f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in options.items())
            for group, options in groups.items()
        )

    def start_api(self) -> str:
        """Start a process of the API; returns its address."""
        return self._ready(self._start("mogan-hil-api"), "listening on ").rpartition(" ")[2]

    def start_conductor(self) -> Started:
        """Start a conductor, and wait until it works."""
        started = self._start("mogan-hil-conductor")
        self._ready(started, "the conductor works")
        return started

    def kill_conductor(self, conductor: Started) -> None:
        """kill -9 a conductor with all its processes, as a power cut would."""
        os.killpg(conductor.pid, signal.SIGKILL)
        conductor.wait()
        self._killed.append(conductor)

    def logs(self) -> str:
        """What all the processes logged."""
        return "\n".join(path.read_text() for path in sorted(self.state_dir.glob("*.log")))

    def _start(self, command: str) -> Started:
        log = open(self.state_dir / f"{command}-{uuid.uuid4().hex[:6]}.log", "w", encoding="utf-8")  # noqa: SIM115
        self.addCleanup(log.close)
        program = [str(Path(sys.executable).parent / command), "--config-file", str(self.config)]
        started: Started
        if self._forks and forks.able(command):
            started = forks.Fork(*program, stderr=log)
        else:
            started = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        self.addCleanup(self._end, started)
        return started

    def _end(self, started: Started) -> None:
        if started not in self._killed:  # else its number may be another process's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        if started.stdout is not None:
            started.stdout.close()

    def _ready(self, started: Started, sign: str) -> str:
        assert started.stdout is not None
        line = started.stdout.readline().strip()
        if not line.startswith(sign):
            raise AssertionError(f"{started.args} did not start: {line}\n{self.logs()[-3000:]}")
        return line


class _Http:
    """Sends requests to one address, on connections that are kept, one a thread.

    One that was idle for a while is not used any more: the server may be closing it at this moment.
    """

    IDLE = 3.0

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = threading.local()

    def __call__(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        if not hasattr(self._local, "session"):
            self._local.session, self._local.used = requests.Session(), time.monotonic()
        if time.monotonic() - self._local.used > self.IDLE:
            self._local.session.close()
        options: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        if body is None:
            options = {}
        answer = self._local.session.request(method, self._url + path, headers=headers, timeout=WAIT, **options)
        self._local.used = time.monotonic()
        return Answer(answer.status_code, answer.headers, answer.content)


__all__ = ["PASSWORD", "Answer", "Api", "DatabaseFixture", "Embedded", "Processes", "broker", "databases"]
