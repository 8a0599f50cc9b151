# SPDX-License-Identifier: Apache-2.0
"""The API behind every WSGI server that we name: names with slashes, bodies in chunks, bursts, and a graceful end."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import socket
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

AUTH = ("admin", service.PASSWORD)
#: What a person at a switch would call a port, and what would mislead a router that took slashes as they come.
NAMES = ("gi1/0/1", "x/nic", "x", "x/revert", "x/nic/revert", "Eth1/1:2", "a//b", "a.b", "nic")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until_served(url: str, started: subprocess.Popen[bytes]) -> None:
    """Wait for the first answer."""
    for _ in range(300):
        if started.poll() is not None:
            raise AssertionError(f"{started.args} ended with {started.returncode}")
        with contextlib.suppress(requests.ConnectionError):
            requests.get(url + "/healthcheck", timeout=30)
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
        address = f"127.0.0.1:{free_port()}"
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
            answer = requests.request(method, f"{url}/v1/{path}", json=body, auth=AUTH, timeout=20)
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
        answer = requests.post(f"{url}/v1/nodes", data=body, auth=AUTH, headers=headers, timeout=20)
        self.assertEqual(201 if understood else 400, answer.status_code, answer.text)
        large = b'{"name": "' + b"x" * 400_000 + b'"}'
        for data in (large, iter([large])) if understood else (large,):
            answer = requests.post(f"{url}/v1/nodes", data=data, auth=AUTH, headers=headers, timeout=20)
            self.assertEqual(413, answer.json()["errors"][0]["status"])

    def test_cheroot(self) -> None:
        self._story(self.useFixture(service.Processes(apis=1, conductors=0)).urls[0])

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
            ("api", "port"): free_port(),
            ("api", "workers"): 2,
            ("DEFAULT", "default_log_levels"): "sqlalchemy=WARN",
        }
        found |= {("auth", name): value for name, value in settings.items()}
        site = self.useFixture(service.Processes(apis=1, conductors=0, settings=found))
        self.url = site.urls[0]
        return site

    def _get(self, _number: int = 0) -> tuple[int, float]:
        began = time.monotonic()
        answer = requests.get(f"{self.url}/v1/nodes", auth=AUTH, timeout=20)
        return answer.status_code, time.monotonic() - began

    def test_two_workers_answer(self) -> None:
        site = self._start()
        pids: set[str] = set()
        for _ in range(200):  # the kernel chooses for each connection
            self.assertEqual(200, self._get()[0])
            pids = set(re.findall(r"(\d+) INFO mogan_hil.api.middleware.request_log", site.logs()))
            if len(pids) == 2:
                break
        self.assertEqual(2, len(pids))
        for pid in pids:
            os.kill(int(pid), 0)

    def test_a_burst(self) -> None:
        """A queue of connections that is too short makes some wait a second for TCP to try again."""
        self._start()
        self._get()
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            slowest = []
            for _ in range(3):
                answers = list(pool.map(self._get, range(24)))
                self.assertEqual({200}, {status for status, _ in answers})
                slowest.append(max(seconds for _, seconds in answers))
        self.assertLess(min(slowest), 1)  # the other rounds are for whatever else this machine does

    def test_connections_are_kept(self) -> None:
        self._start()
        with socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=10) as connection:
            for _ in range(5):
                connection.sendall(b"GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n")
                data = connection.recv(65536)
                self.assertTrue(data.startswith(b"HTTP/1.1 200"), data[:100])
                self.assertNotIn(b"connection: close", data.lower())

    def test_a_graceful_end(self) -> None:
        """A request that is being answered is answered, and the command ends with 0."""
        site = self._start(hash_cost=12, proof_ttl=0)
        (master,) = {int(pid) for pid in self._masters(site)}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            pending = [pool.submit(self._get) for _ in range(4)]
            time.sleep(0.15)
            threading.Thread(target=os.kill, args=(master, signal.SIGTERM)).start()
            self.assertEqual({200}, {future.result()[0] for future in pending})
        end = time.monotonic() + 10
        with self.assertRaises(requests.ConnectionError):
            while time.monotonic() < end:
                self._get()
                time.sleep(0.1)

    @staticmethod
    def _masters(site: service.Processes) -> list[str]:
        """Processes of this site's API whose parent is not one of them."""
        found: dict[str, str] = {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(site.config).encode() in (path / "cmdline").read_bytes():
                    found[path.name] = (path / "stat").read_text().rpartition(")")[2].split()[1]
        return [pid for pid, parent in found.items() if parent not in found]
