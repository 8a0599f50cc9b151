# SPDX-License-Identifier: Apache-2.0
"""The API behind every WSGI server that we name: names with slashes, bodies in chunks, bursts, and a graceful end."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
import testtools

from tests import service
from tests.functional.racks import until
from tests.servers import base

AUTH = ("admin", service.PASSWORD)
BASIC = "Basic " + base64.b64encode(":".join(AUTH).encode()).decode()
#: What a person at a switch would call a port, and what would mislead a router that took slashes as they come.
NAMES = ("gi1/0/1", "x/nic", "x", "x/revert", "x/nic/revert", "Eth1/1:2", "a//b", "a.b", "nic")


def until_served(url: str, started: subprocess.Popen[bytes]) -> None:
    """Wait for the first answer."""
    end = time.monotonic() + service.WAIT
    while time.monotonic() < end:
        if started.poll() is not None:
            raise AssertionError(f"{started.args} ended with {started.returncode}")
        with contextlib.suppress(requests.ConnectionError):
            requests.get(url + "/healthcheck", timeout=60)
            return
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def in_chunks(body: bytes) -> Iterator[bytes]:
    """A body that requests sends in chunks."""
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


class TestNames(testtools.TestCase):
    """The same story behind each server."""

    def _program(self, name: str) -> str:
        found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
        if found is None:
            self.skipTest(f"{name} is not installed")
        return found

    def _behind(self, program: str, *arguments: str) -> str:
        """Start a server; `{}` among the arguments is its address."""
        program = self._program(program)
        site = self.useFixture(service.Processes(apis=0, conductors=0))
        address = f"127.0.0.1:{base.free_port()}"
        with open(site.state_dir / "server.log", "wb") as log:
            started = subprocess.Popen(
                [program, *(argument.replace("{}", address) for argument in arguments)],
                env={**os.environ, "MOGAN_HIL_CONFIG": str(site.config)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.addCleanup(self._end, started)
        self.addOnException(lambda _info: print((site.state_dir / "server.log").read_text()[-3000:], file=sys.stderr))
        until_served(f"http://{address}", started)
        return f"http://{address}"

    @staticmethod
    def _end(started: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()

    def _story(self, url: str, chunks: bool = True) -> None:
        def call(status: int, method: str, path: str, body: Any = None) -> Any:
            # A connection each: uWSGI's http-socket closes without a word.
            answer = requests.request(method, f"{url}/v1/{path}", json=body, auth=AUTH, timeout=60)
            self.assertEqual(status, answer.status_code, (method, path, answer.text[:500]))
            return answer.json() if answer.content and method != "HEAD" else None

        call(201, "POST", "switches", {"name": "s", "driver": "fake", "options": {}})
        call(201, "POST", "nodes", {"name": "n"})
        call(201, "POST", "nodes/n/nics", {"name": "eth0", "mac": "52:54:00:00:00:01"})
        for bad in ("a b", "", "x" * 64, "\u00e4", "a\nb", "100%", "..", "a%2Fb", "a?b", "a#b", "+"):
            call(400, "POST", "switches/s/ports", {"name": bad})
        ports = {name: call(201, "POST", "switches/s/ports", {"name": name})["uuid"] for name in NAMES}
        for name, uuid in ports.items():
            for ident in (quote(name, safe=""), uuid, "".join(f"%{byte:02x}" for byte in name.encode())):
                self.assertEqual(uuid, call(200, "GET", f"switches/s/ports/{ident}")["uuid"], name)
                call(200, "HEAD", f"switches/s/ports/{ident}")
                cabled = call(200, "PUT", f"switches/s/ports/{ident}/nic", {"node": "n", "nic": "eth0"})
                self.assertEqual((uuid, "eth0"), (cabled["uuid"], cabled["nic"]["name"]))
                call(204, "DELETE", f"switches/s/ports/{ident}/nic")
                call(405, "POST", f"switches/s/ports/{ident}")
            call(409, "POST", f"switches/s/ports/{uuid}/revert")  # it is being parked
        for absent in ("gi1%2F0", "100%25", "a%20b", "a%252Fb", "gi1%252F0%252F1", "%2B", "a%3Fb", "%C3%A4"):
            call(404, "GET", f"switches/s/ports/{absent}")
        call(404, "GET", "switches/s/ports/gi1%2F0%2F1%2F2")
        call(404, "GET", "switches%2Fs")
        self._chunks(url, chunks)

    def _chunks(self, url: str, understood: bool) -> None:
        headers = {"Content-Type": "application/json"}
        body = in_chunks(b'{"name": "in-chunks"}')
        answer = requests.post(f"{url}/v1/nodes", data=body, auth=AUTH, headers=headers, timeout=60)
        self.assertEqual(201 if understood else 400, answer.status_code, answer.text)
        large = b'{"name": "' + b"x" * 400_000 + b'"}'
        for data in (large, iter([large])) if understood else (large,):
            answer = requests.post(f"{url}/v1/nodes", data=data, auth=AUTH, headers=headers, timeout=60)
            self.assertEqual(413, answer.json()["errors"][0]["status"])

    def test_cheroot(self) -> None:
        self._story(self.useFixture(service.Processes(apis=1, conductors=0, forks=False)).urls[0])

    def test_gunicorn(self) -> None:
        options = ("-k", "gthread", "--threads", "4", "--workers", "2", "-b", "{}")
        self._story(self._behind("gunicorn", *options, "mogan_hil.api.wsgi:application"))

    def test_uwsgi(self) -> None:
        options = ("--http-socket", "{}", "--master", "--need-app", "--enable-threads")
        options += ("--threads", "4", "--die-on-term", "--virtualenv", sys.prefix)
        # It gives chunks only to applications that ask uWSGI for them; ours says that there is no body.
        self._story(self._behind("uwsgi", *options, "--module", "mogan_hil.api.wsgi:application"), chunks=False)

    def test_waitress(self) -> None:
        self._story(self._behind("waitress-serve", "--listen={}", "mogan_hil.api.wsgi:application"))


class TestOurServer(testtools.TestCase):
    """mogan-hil-api, with two workers on one port."""

    def _start(self, **settings: Any) -> service.Processes:
        found = {
            ("api", "port"): base.free_port(),
            ("api", "workers"): 2,
            ("DEFAULT", "default_log_levels"): "sqlalchemy=WARN",
        }
        found |= {("auth", name): value for name, value in settings.items()}
        site = self.useFixture(service.Processes(apis=1, conductors=0, settings=found, forks=False))
        self.url = site.urls[0]
        return site

    def _get(self, _number: int = 0, sent: threading.Semaphore | None = None) -> tuple[int, float]:
        """The status, and how many seconds it took to connect.

        :param sent: told when the request was sent
        """
        host, port = self.url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        began = time.monotonic()
        connection.connect()
        seconds = time.monotonic() - began
        with contextlib.closing(connection):
            connection.request("GET", "/v1/nodes", headers={"Authorization": BASIC})
            if sent is not None:
                sent.release()
            return connection.getresponse().status, seconds

    def test_two_workers_answer(self) -> None:
        site = self._start()
        pids: set[str] = set()
        end = time.monotonic() + service.WAIT
        while len(pids) < 2:  # the kernel chooses for each connection, among those that listen by then
            self.assertLess(time.monotonic(), end)
            self.assertEqual(200, self._get()[0])
            pids = set(re.findall(r"(\d+) INFO mogan_hil.api.middleware.request_log", site.logs()))
        for pid in pids:
            os.kill(int(pid), 0)

    def test_a_burst(self) -> None:
        """A queue of connections that is too short makes some wait a second for TCP to try again."""
        self._start()
        self._get()
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            slowest = 1.0
            for _ in range(10):  # for whatever else this machine does
                answers = list(pool.map(self._get, range(24)))
                self.assertEqual({200}, {status for status, _ in answers})
                slowest = min(slowest, max(seconds for _, seconds in answers))
        self.assertLess(slowest, 1)

    def test_connections_are_kept(self) -> None:
        self._start()
        connection = http.client.HTTPConnection("127.0.0.1", int(self.url.rpartition(":")[2]), timeout=60)
        self.addCleanup(connection.close)
        connection.connect()
        first = connection.sock
        for _ in range(5):
            connection.request("GET", "/healthcheck")
            answer = connection.getresponse()
            answer.read()
            self.assertEqual((11, 200), (answer.version, answer.status))
            self.assertNotEqual("close", str(answer.getheader("Connection")).lower())
            self.assertIs(first, connection.sock)

    def test_a_graceful_end(self) -> None:
        """A request that is being answered is answered, and the command ends with 0."""
        site = self._start(hash_cost=12, proof_ttl=0)
        (master,) = {int(pid) for pid in self._masters(site)}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            sent = threading.Semaphore(0)
            pending = [pool.submit(self._get, sent=sent) for _ in range(4)]
            for _ in pending:
                self.assertTrue(sent.acquire(timeout=service.WAIT))
            until(lambda: self._taken() + sum(future.done() for future in pending) >= len(pending))
            threading.Thread(target=os.kill, args=(master, signal.SIGTERM)).start()
            self.assertEqual({200}, {future.result()[0] for future in pending})
        end = time.monotonic() + service.WAIT
        with self.assertRaises(ConnectionError):
            while time.monotonic() < end:
                self._get()
                time.sleep(0.1)

    def _taken(self) -> int:
        """Connections of which the server has read all that came; see proc_net_tcp of the kernel's documents."""
        port, established, nothing = f":{int(self.url.rpartition(':')[2]):04X}", "01", "00000000"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = [(row[1], *row[4].split(":")) for row in rows if row[3] == established and port in row[1] + row[2]]
        if any(not mine.endswith(port) and sending != nothing for mine, sending, _ in ours):
            return 0  # a request is on its way
        return sum(mine.endswith(port) and unread == nothing for mine, _, unread in ours)

    @staticmethod
    def _masters(site: service.Processes) -> list[str]:
        """Processes of this site's API whose parent is not one of them."""
        found: dict[str, str] = {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(site.config).encode() in (path / "cmdline").read_bytes():
                    found[path.name] = (path / "stat").read_text().rpartition(")")[2].split()[1]
        return [pid for pid, parent in found.items() if parent not in found]
