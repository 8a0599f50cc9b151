# SPDX-License-Identifier: Apache-2.0
"""The secrets of every driver are sealed in their column, and nowhere else at all; also while keys are rotated.

Processes of the API and conductors of their own log everything that any library says. What they wrote to the database,
to the log, to each other and to their callers is searched, and what the kernel tells of them.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kombu
import sqlalchemy as sa
import testtools

from mogan_hil.common.sealing import KeyFile, Opener, Purpose, Sealer
from mogan_hil.drivers.loader import Drivers
from mogan_hil.objects import sealed
from mogan_hil.objects.node import Node
from mogan_hil.objects.switch import Switch
from tests import service

#: Libraries that oslo.log silences if nobody asks.
LOUD = (
    "amqp",
    "oslo.messaging",
    "oslo_messaging",
    "sqlalchemy",
    "requests",
    "urllib3",
    "stevedore",
    "sushy",
    "oslo_db",
)

#: Options that a driver needs and that no schema can tell; nothing listens there.
NEEDED = {
    "host": "127.0.0.1",
    "port": 9,
    "address": "http://127.0.0.1:9",
    "username": "hil",
    "url": "http://127.0.0.1:9",
    "uri": "http://127.0.0.1:9",
}

#: What single drivers need beside that.
MORE: dict[str, dict[str, Any]] = {
    "obmd": {"uri": "http://127.0.0.1:1/node/n1"},
    "generic": {"device_type": "netmiko_cisco_ios", "host_keys": ["SHA256:" + "A" * 43]},
    "netconf": {"host_keys": ["SHA256:" + "A" * 43]},
}


def made_up(schema: Any) -> str:
    """A secret unlike anything else."""
    return ("q" + uuid.uuid4().hex)[: min(schema.get("maxLength", 20), 20)]


def options(name: str, driver: Any) -> tuple[dict[str, Any], list[str]]:
    """Options for a driver with all its secrets, and these."""
    properties, required = driver.options_schema["properties"], driver.options_schema.get("required", ())
    secrets = {name: made_up(properties[name]) for name in driver.secret_options()}
    found: dict[str, Any] = {}
    for option in required:
        schema = properties[option]
        choices = schema.get("enum", [NEEDED.get(option, "x")])
        found[option] = secrets.get(option, schema.get("default", choices[0]))
    return {**found, **secrets, **MORE.get(name, {})}, list(secrets.values())


class Messages(contextlib.AbstractContextManager[Any]):
    """Everything that is sent through the broker's exchange of the service."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("rabbit:", "amqp:", 1)
        self.found: list[bytes] = []
        self._stop = threading.Event()
        self._ready = threading.Event()

    def __enter__(self) -> Messages:
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        if not self._ready.wait(service.WAIT):
            raise AssertionError("nobody listens to the broker")
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _listen(self) -> None:
        with kombu.Connection(self._url) as connection:
            exchange = kombu.Exchange("mogan_hil", "topic", durable=False, auto_delete=False)
            spy = kombu.Queue(f"spy-{uuid.uuid4().hex}", exchange, routing_key="#", auto_delete=True, exclusive=True)

            def keep(message: Any) -> None:
                self.found.append(bytes(message.body if isinstance(message.body, bytes) else message.body.encode()))

            with connection.Consumer([spy], on_message=keep, no_ack=True):
                self._ready.set()
                while not self._stop.is_set():
                    with contextlib.suppress(TimeoutError, OSError):
                        connection.drain_events(timeout=0.1)


class Everywhere:
    """The tests, whatever the database."""

    kind: str

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        if dict(service.databases())[self.kind] is None:
            self.skipTest(f"{self.kind} is not there")
        self.rabbit = service.broker() is not None

    def processes(self, **shape: Any) -> service.Processes:
        quiet = {name: logging.getLogger(name).level for name in LOUD}
        try:
            return self.useFixture(service.Processes(self.kind, rabbit=self.rabbit, forks=False, **shape))
        finally:  # the processes are to be loud, and this one is not
            for name, level in quiet.items():
                logging.getLogger(name).setLevel(level)

    def registered(self, admin: service.Api) -> Iterator[tuple[str, str, list[str]]]:
        """Each driver that has secrets is registered with them. Yields path, options' field and the secrets."""
        drivers = Drivers()
        for kind in ("switch", "obm"):
            for name in drivers.names(kind):
                driver = drivers.get(kind, name)
                given, secrets = options(name, driver)
                if not secrets or not driver.__module__.startswith("mogan_hil."):
                    continue  # another test may have brought in a third party's
                if kind == "switch":
                    body: dict[str, Any] = {"name": f"sw-{name}", "driver": name, "options": given}
                else:
                    body = {"name": f"n-{name}", "obm": {"driver": name, "options": given}}
                path = "switches" if kind == "switch" else "nodes"
                answer = admin.call("POST", path, body)
                self.answers.append(answer.text)
                self.assertEqual(201, answer.status, f"{kind} {name}: add what it needs to MORE: {answer.text}")
                yield f"{path}/{body['name']}", name, secrets

    def use(self, admin: service.Api, path: str, driver: str, secrets: list[str]) -> list[Any]:
        """Do with a device whatever may tell a secret. Returns the operations that were begun."""
        calls: list[tuple[str, str, Any]] = [("GET", path, None)]
        # A secret that is refused is one, too.
        wrong = [{"password": [secrets[0]]}, {"password": secrets[0] * 100}, {secrets[0]: 1}]
        if path.startswith("switches"):
            calls += [("PATCH", path, {"options": bad}) for bad in wrong]
            calls += [("POST", f"{path}/ports", {"name": "1/1"}), ("POST", f"{path}/ports", {"name": "gi1/0/1"})]
            calls += [("GET", f"{path}/drift", None), ("POST", f"{path}/heal", None)]
        else:
            calls += [("PATCH", path, {"obm": {"driver": driver, "options": bad}}) for bad in wrong]
            calls += [("GET", f"{path}/power", None), ("GET", f"{path}/boot_device", None)]
            calls += [("PUT", f"{path}/power", {"target": "on"})]
        begun = []
        for method, where, body in calls:
            answer = admin.call(method, where, body)
            # The caller's own words may come back to it: the name of a field that there is not.
            self.answers.append("" if body == wrong or "additional" in answer.text.lower() else answer.text)
            if answer.status in (201, 202) and isinstance(answer.json, dict):
                begun.append(answer.json.get("operation") or answer.json)
        return begun

    def test_nowhere_else(self) -> None:
        level = [f"{name}=DEBUG" for name in LOUD]
        site = self.processes(
            apis=1,
            settings={
                ("DEFAULT", "debug"): True,
                ("DEFAULT", "default_log_levels"): ",".join(level),
                ("database", "connection_debug"): 100,
                ("conductor", "driver_timeout"): 2.0,
                ("conductor", "max_attempts"): 2,
                ("api", "device_timeout"): 4.0,
            },
        )
        self.answers: list[str] = []
        begun, secrets, seen = [], [], []
        url = service.broker() or ""
        with Messages(url) if self.rabbit else contextlib.nullcontext() as messages:
            for path, driver, mine in self.registered(site.admin):
                secrets += mine
                begun += self.use(site.admin, path, driver, mine)
                seen.append(_processes(str(site.config)))
            for operation in begun:
                if "state" in operation:
                    self.answers.append(str(site.admin.wait(operation, None)))
            for path in ("switches", "nodes", "operations", "drivers"):
                self.answers.append(site.admin.call("GET", path).text)
            seen.append(_processes(str(site.config)))
        self.assertGreater(len(secrets), 3)
        self.assertTrue(all(_open(site).get(secret) for secret in secrets), "they can be opened")
        self.search("the database", _dump(site), secrets)
        self.search("the log", site.logs(), secrets)
        self.search("the answers", "\n".join(self.answers), secrets)
        self.search("the processes", "\n".join(seen), secrets)
        self.assertIn("DEBUG", site.logs())
        self.assertIn("mogan-hil-conductor", seen[-1])
        if messages is not None:
            self.assertGreater(len(messages.found), 3)
            self.search("the messages", "\n".join(map(str, messages.found)), secrets)

    def rotate(self, site: service.Processes, keys: KeyFile) -> None:
        public = site.state_dir / "secrets.pub"
        keys.publish(public)
        sealed.seal_all(site.database, Sealer(public), Opener(keys.path))

    def search(self, where: str, text: str, secrets: list[str]) -> None:
        for secret in secrets:
            for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("=")):
                at = text.find(form)
                if at >= 0:
                    self.fail(f"{where} has a secret: {text[max(0, at - 300) : at + 100]}")

    def test_rotation_while_it_works(self) -> None:
        site = self.processes(apis=2)
        site.admin.add_switch("sw", ["p0"], password="at first")
        for number in range(4):
            obm = {"driver": "fake", "options": {"password": "at first"}}
            site.admin.post("nodes", {"name": f"n{number}", "obm": obm})
        last: dict[str, str] = {"n3": "at first", "sw": "at first"}
        stop = threading.Event()
        failures: list[str] = []

        def change(number: int) -> None:
            count = 0
            while not stop.is_set():
                count += 1
                value = f"number {count} of {number}"
                body = {"obm": {"driver": "fake", "options": {"password": value}}}
                answer = site.apis[number % 2].call("PATCH", f"nodes/n{number}", body)
                if answer.status == 200:
                    last[f"n{number}"] = value
                else:
                    failures.append(answer.text)

        def switch_power() -> None:
            while not stop.is_set():
                operation = site.admin.put("nodes/n3/power", {"target": "on"}, 202)
                if site.admin.wait(operation, None)["state"] != "done":
                    failures.append(str(operation))

        threads = [threading.Thread(target=change, args=(number,)) for number in range(3)]
        threads.append(threading.Thread(target=switch_power))
        for thread in threads:
            thread.start()
        keys = KeyFile(site.state_dir / "secrets.keys")
        try:
            for _ in range(4):
                keys.add()
                self.rotate(site, keys)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual([], failures, site.logs()[-6000:])
        _manage(site, "rotate")
        os.utime(site.state_dir / "secrets.pub", (0, 0))
        _manage(site, "prune")
        self.assertEqual(1, len(keys.ids()))
        self.assertEqual(set(last.values()), set(_open(site)))
        operation = site.admin.put("nodes/n0/power", {"target": "on"}, 202)
        site.admin.wait(operation)
        site.admin.wait(site.admin.call("POST", "switches/sw/heal", status=202).json)


def _manage(site: service.Processes, verb: str) -> None:
    program = str(Path(sys.executable).parent / "mogan-hil-manage")
    done = subprocess.run(
        [program, "--config-file", str(site.config), "secrets", verb], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)


def _open(site: service.Processes) -> dict[str, bool]:
    """What the conductors find in the columns."""
    opener, drivers = Opener(site.state_dir / "secrets.keys"), Drivers()
    found: dict[str, bool] = {}
    with site.database.reader() as session:
        switches, nodes = Switch.find(session), Node.find(session)
    for switch in switches:
        device = Purpose(switch.uuid, switch.driver, switch.options)
        harmless = drivers.switch(switch.driver).harmless_options
        found |= dict.fromkeys(opener.open(switch.secrets, device, harmless).values(), True)
    for node in nodes:
        if node.obm_driver is not None:
            device = Purpose(node.uuid, node.obm_driver, node.obm_options)
            harmless = drivers.obm(node.obm_driver).harmless_options
            found |= dict.fromkeys(opener.open(node.obm_secrets, device, harmless).values(), True)
    return found


def _dump(site: service.Processes) -> str:
    """Every row of every table that there is; of SQLite its files, too."""
    tables = sa.MetaData()
    with site.database.engine.connect() as connection:
        tables.reflect(connection)
        rows = [str(tuple(row)) for table in tables.sorted_tables for row in connection.execute(table.select())]
    path = site.database.engine.url.database or ""
    if site.database.engine.dialect.name == "sqlite":
        rows += [file.read_bytes().decode("latin-1") for file in Path(path).parent.glob(Path(path).name + "*")]
    return "\n".join(rows)


def _processes(config: str) -> str:
    """The arguments and environments of the service's processes, and of all that they started."""
    found, parents = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                parents[entry.name] = stat.rpartition(")")[2].split()[1]
                found[entry.name] = (entry / "cmdline").read_text("utf-8", "replace")
    mine = {number for number, text in found.items() if config in text}
    while more := {number for number, parent in parents.items() if parent in mine} - mine:
        mine |= more
    texts = [found[number] for number in sorted(mine) if number in found]
    for number in mine:
        with contextlib.suppress(OSError):
            texts.append(Path(f"/proc/{number}/environ").read_text("utf-8", "replace"))
    return "\n".join(texts)


class TestOnSQLite(Everywhere, testtools.TestCase):
    kind = "sqlite"


class TestOnMariaDB(Everywhere, testtools.TestCase):
    kind = "mysql"


class TestOnPostgreSQL(Everywhere, testtools.TestCase):
    kind = "postgresql"
