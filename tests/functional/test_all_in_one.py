# SPDX-License-Identifier: Apache-2.0
"""`mogan-hil`, as somebody runs it for the first time."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import fixtures
import requests
import testtools
import yaml

PROGRAM = str(Path(sys.executable).parent / "mogan-hil")


class TestAllInOne(testtools.TestCase):
    """See the module."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(self.useFixture(fixtures.TempDir()).path) / "state"

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        started = subprocess.Popen(
            [PROGRAM, "--state-dir", str(self.directory), "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(self._end, started)
        return started

    @staticmethod
    def _end(started: subprocess.Popen[str]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        if started.stdout is not None:
            started.stdout.close()

    @staticmethod
    def _url(started: subprocess.Popen[str]) -> str:
        assert started.stdout is not None
        return started.stdout.readline().strip().removeprefix("listening on ")

    def _refused(self, *arguments: str) -> str:
        done = subprocess.run(
            [PROGRAM, "--state-dir", str(self.directory), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr.strip().splitlines()[-1]

    def _cloud(self) -> dict[str, str]:
        path = self.directory / "clouds.yaml"
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        found: dict[str, str] = yaml.safe_load(path.read_text())["clouds"]["mogan-hil"]["auth"]
        return found

    def test_first_and_second_start(self) -> None:
        first = self._start()
        url = self._url(first)
        cloud = self._cloud()
        self.assertEqual((url, "admin"), (cloud["endpoint"], cloud["username"]))
        self.assertLessEqual(20, len(cloud["password"]))
        self.assertEqual(0o700, stat.S_IMODE(self.directory.stat().st_mode))
        answer = requests.get(f"{url}/v1/nodes", auth=("admin", cloud["password"]), timeout=20)
        self.assertEqual(200, answer.status_code)
        self.assertEqual(f"Another mogan-hil runs on {self.directory}.", self._refused("--port", "0"))
        self.assertEqual(200, requests.get(f"{url}/healthcheck", timeout=20).status_code)
        first.send_signal(signal.SIGTERM)
        self.assertEqual(0, first.wait(20))
        second = self._start()
        url = self._url(second)
        again = self._cloud()
        self.assertEqual((url, cloud["password"]), (again["endpoint"], again["password"]))
        answer = requests.get(f"{url}/v1/nodes", auth=("admin", again["password"]), timeout=20)
        self.assertEqual(200, answer.status_code)
        second.send_signal(signal.SIGINT)
        self.assertEqual(0, second.wait(20))

    def test_others_read_nothing(self) -> None:
        """Whoever made the directory, with whatever mode."""
        self.directory.mkdir()
        self.directory.chmod(0o755)
        database = self.directory / "mogan_hil.db"
        database.touch(0o644)
        self._url(self._start())
        self.assertEqual(0o700, stat.S_IMODE(self.directory.stat().st_mode))
        self.assertIn(database, list(self.directory.iterdir()))
        for path in self.directory.rglob("*"):
            self.assertEqual(0, stat.S_IMODE(path.stat().st_mode) & 0o077, path)

    def test_a_directory_for_everybody(self) -> None:
        self.directory.mkdir()
        self.directory.chmod(0o1777)
        self.assertIn("is open to others", self._refused("--port", "0"))
        self.assertEqual(0o1777, stat.S_IMODE(self.directory.stat().st_mode))

    def test_without_authentication(self) -> None:
        for host in ("0.0.0.0", "example.org"):
            text = self._refused("--auth", "none", "--host", host, "--port", "0")
            self.assertIn(f"everyone who reaches {host} is an administrator", text)
        url = self._url(self._start("--auth", "none"))
        self.assertEqual(200, requests.get(f"{url}/v1/nodes", timeout=20).status_code)
        self.assertFalse((self.directory / "clouds.yaml").exists())

    def test_a_port_that_is_taken(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            text = self._refused("--port", str(port))
        self.assertIn(f"127.0.0.1 port {port} cannot be listened on", text)

    def test_a_directory_that_cannot_be_used(self) -> None:
        self.directory = Path("/proc/nothing")
        self.assertIn("cannot be used", self._refused("--port", "0"))
