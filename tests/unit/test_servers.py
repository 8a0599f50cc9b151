# SPDX-License-Identifier: Apache-2.0
"""The helpers that run the tests: which servers are started, and what the summary counts."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import subunit

from tests import run_summary
from tests.servers import __main__ as servers
from tests.servers import base


class ChooseServers(unittest.TestCase):
    """A server that is brought or cannot be had is left out, and said."""

    def choose(self, environ: dict[str, str]) -> tuple[list[str], str]:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            chosen = servers.choose(["mariadb", "rabbitmq"], environ)
        return [server.name for server in chosen], said.getvalue()

    def test_a_missing_program_is_said_and_is_no_error(self) -> None:
        with mock.patch.object(base, "find_program", lambda *names: None if "rabbitmq-server" in names else "/bin/x"):
            chosen, said = self.choose({})
        self.assertEqual(["mariadb"], chosen)
        self.assertIn("not available: rabbitmq: no program rabbitmq-server", said)
        self.assertIn("its tests are skipped", said)

    def test_a_server_that_the_caller_names_is_not_started(self) -> None:
        with mock.patch.object(base, "find_program", autospec=True, return_value="/bin/x"):
            chosen, _ = self.choose({"MOGAN_HIL_TEST_MYSQL_URL": "mysql+pymysql://elsewhere/"})
        self.assertEqual(["rabbitmq"], chosen)

    def test_no_port_is_given_twice(self) -> None:
        ports = [base.free_port() for _ in range(50)]
        self.assertEqual(50, len(set(ports)))

    def test_the_newest_of_several_versions_is_found(self) -> None:
        with TemporaryDirectory() as top:
            for version in ("9", "15"):
                (Path(top) / version).mkdir()
                (Path(top) / version / "postgres").touch()
            self.assertEqual(f"{top}/15/postgres", base.find_program(f"{top}/*/postgres"))


class Shy(base.Server):
    """A server that does not start at first."""

    name = "shy"
    url = ""
    failures = 0

    @classmethod
    def missing(cls) -> None:
        return None

    def launch(self) -> None:
        (self.directory / "data").touch(exist_ok=False)
        if self.failures:
            self.failures -= 1
            self.run(["bash", "-c", "echo no disk; exit 3"])

    def probe(self) -> None:
        pass


class Starts(unittest.TestCase):
    """One that does not start is tried again from nothing, and why it did not is said."""

    def start(self, failures: int) -> list[str]:
        said: list[str] = []
        with TemporaryDirectory() as top:
            server = Shy(Path(top))
            server.failures = failures
            server.start(said.append)
        return said

    def test_again(self) -> None:
        self.assertEqual([], self.start(0))
        said = self.start(2)
        self.assertEqual(2, len(said))
        self.assertIn("bash ended with 3\n    no disk", said[0])

    def test_in_vain(self) -> None:
        self.assertRaises(base.StartError, self.start, 3)


class Orphans(unittest.TestCase):
    """What the command started ends with it, even what has a session of its own and lost its parent."""

    @unittest.skipUnless(sys.platform == "linux", "orphans can be adopted on Linux alone")
    def test_end(self) -> None:
        with TemporaryDirectory() as top:
            where = Path(top) / "pid"
            line = f"setsid bash -c 'echo $$ > {where}; exec sleep 600' & until [ -s {where} ]; do sleep 0.05; done"
            run = f"from tests.servers.__main__ import run_command; run_command(['bash', '-c', {line!r}], {{}})"
            subprocess.run(
                [sys.executable, "-c", run], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60
            )
            self.assertFalse(Path(f"/proc/{where.read_text().strip()}").exists())


class Children(unittest.TestCase):
    """What is our own is not taken for what a test has left behind."""

    @unittest.skipUnless(sys.platform == "linux", "/proc is Linux's")
    def test_threads_that_end(self) -> None:
        """The list of a thread goes with it, while the lists are gone through."""
        ended = threading.Event()

        def come_and_go() -> None:
            while not ended.is_set():
                threads = [threading.Thread(target=time.sleep, args=(0.002,)) for _ in range(30)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        self.addCleanup(child.communicate)
        coming = threading.Thread(target=come_and_go)
        coming.start()
        self.addCleanup(coming.join)
        self.addCleanup(ended.set)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            self.assertIn(child.pid, servers.children())


class Summary(unittest.TestCase):
    """Every test is counted once, as what it became."""

    SAID = {
        "skip": ("reason", b"no\n switch"),
        "fail": ("traceback", b"Traceback (most recent call last):\n  File ...\nAssertionError: 1 != 2\n"),
    }

    def stream(self, *events: tuple[str, str]) -> bytes:
        out = io.BytesIO()
        writer = subunit.StreamResultToBytes(out)
        for test, status in events:
            name, text = self.SAID.get(status, (None, None))
            writer.status(
                test_id=test, test_status=status, file_name=name, file_bytes=text, mime_type="text/plain;charset=utf8"
            )
        return out.getvalue()

    def test_the_totals(self) -> None:
        summary = run_summary.read_stream(
            self.stream(("a", "success"), ("b", "fail"), ("c", "skip"), ("d", "xfail"), ("e", "inprogress"))
        )
        self.assertEqual("2 passed, 2 failed, 1 skipped", summary.totals())
        self.assertEqual("c # no switch\n", summary.skip_report())
        self.assertEqual("b # AssertionError: 1 != 2\ne # ended as inprogress\n", summary.failure_report())

    def test_the_report_of_skips_is_a_file_of_allowed_skips(self) -> None:
        summary = run_summary.read_stream(self.stream(("c", "skip"), ("d", "skip")))
        self.assertEqual({"c", "d"}, run_summary.read_allowed("# comment\n\n" + summary.skip_report()))
