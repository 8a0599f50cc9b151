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
from unittest import mock

import fixtures
import requests
import testtools
import yaml
from oslo_config import cfg

from mogan_hil.api import process
from mogan_hil.cmd import all_in_one
from mogan_hil.common import passwords
from mogan_hil.db.api import Database
from mogan_hil.objects.user import User
from tests import forks, service

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
        done = forks.run(PROGRAM, "--state-dir", str(self.directory), *arguments)
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
        answer = requests.get(f"{url}/v1/nodes", auth=("admin", cloud["password"]), timeout=60)
        self.assertEqual(200, answer.status_code)
        self.assertEqual(f"Another mogan-hil runs on {self.directory}.", self._refused("--port", "0"))
        self.assertEqual(200, requests.get(f"{url}/healthcheck", timeout=60).status_code)
        first.send_signal(signal.SIGTERM)
        self.assertEqual(0, first.wait(60))
        second = self._start()
        url = self._url(second)
        again = self._cloud()
        self.assertEqual((url, cloud["password"]), (again["endpoint"], again["password"]))
        answer = requests.get(f"{url}/v1/nodes", auth=("admin", again["password"]), timeout=60)
        self.assertEqual(200, answer.status_code)
        second.send_signal(signal.SIGINT)
        self.assertEqual(0, second.wait(60))

    def test_a_lost_password(self) -> None:
        """Somebody has his own clouds.yaml there: it stays, and the password is set anew."""
        first = self._start()
        self._url(first)
        self._end(first)
        clouds = self.directory / "clouds.yaml"
        for text in ("clouds: {mine: {auth: {}}}\n", "[not yaml", "", "7", "clouds:\n"):
            clouds.write_text(text)
        second = self._start()
        url = self._url(second)
        self.assertEqual("clouds:\n", clouds.read_text())
        program = [str(Path(PROGRAM).parent / "mogan-hil-manage"), "--state-dir", str(self.directory)]
        for name, arguments, password, status in (
            ("admin", (), "", 1),
            ("admin", (), "x" * 73, 1),
            ("nobody", (), "new", 1),
            ("admin", (), "new", 0),
            ("other", ("--admin",), "new too", 0),
            ("other", ("--admin",), "new again", 0),
        ):
            done = subprocess.run(
                [*program, "user", "set-password", name, *arguments],
                input=password + "\n",
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual(status, done.returncode, done.stderr)
            self.assertNotIn("Traceback", done.stderr)
        for name, password, status in (("admin", "new", 200), ("other", "new again", 200), ("other", "new too", 401)):
            self.assertEqual(status, requests.get(f"{url}/v1/switches", auth=(name, password), timeout=60).status_code)
        second.send_signal(signal.SIGTERM)
        assert second.stdout is not None
        self.assertEqual("", second.stdout.read())  # no hint at a file that tells nothing

    def test_a_clouds_file_of_somebody_else(self) -> None:
        self.directory.mkdir()
        clouds = self.directory / "clouds.yaml"
        clouds.write_text("clouds: {mine: {}}\n")
        self.assertIn("move it away", self._refused("--port", "0"))
        self.assertEqual("clouds: {mine: {}}\n", clouds.read_text())

    def test_the_password_is_written_before_the_user(self) -> None:
        directory = Path(self.useFixture(fixtures.TempDir()).path)
        conf = process.configure(cfg.ConfigOpts(), [], [])
        conf.set_override("connection", self.useFixture(service.DatabaseFixture()).url, group="database")
        database = Database(conf)
        self.addCleanup(database.dispose)
        with fixtures.MonkeyPatch("mogan_hil.cmd.all_in_one.add_admin", mock.Mock(side_effect=KeyboardInterrupt)):
            self.assertRaises(KeyboardInterrupt, all_in_one.first_admin, conf, database, directory, "http://a")
        self.assertTrue(all_in_one.first_admin(conf, database, directory, "http://b"))
        auth = yaml.safe_load((directory / "clouds.yaml").read_text())["clouds"]["mogan-hil"]["auth"]
        self.assertEqual("http://b", auth["endpoint"])
        with database.reader() as session:
            (user,) = User.find(session)
        self.assertTrue(passwords.matches(auth["password"], user.password_hash))

    def test_others_read_nothing(self) -> None:
        """Whoever made the directory, with whatever mode."""
        self.directory.mkdir()
        self.directory.chmod(0o755)
        database = self.directory / "mogan_hil.db"
        database.touch(0o644)
        self._url(self._start())
        self.assertEqual(0o700, stat.S_IMODE(self.directory.stat().st_mode))
        self.assertIn(database, list(self.directory.iterdir()))
        for path in set(self.directory.rglob("*")) - {self.directory / "secrets.pub"}:  # everybody may seal
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
        self.assertEqual(200, requests.get(f"{url}/v1/nodes", timeout=60).status_code)
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
