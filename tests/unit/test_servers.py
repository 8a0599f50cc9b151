# SPDX-License-Identifier: Apache-2.0
"""The helpers that run the tests: which servers are started, and what the summary counts."""

from __future__ import annotations

import contextlib
import io
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


class Summary(unittest.TestCase):
    """Every test is counted once, as what it became."""

    def stream(self, *events: tuple[str, str]) -> bytes:
        out = io.BytesIO()
        writer = subunit.StreamResultToBytes(out)
        for test, status in events:
            reason = {"file_name": "reason", "file_bytes": b"no\n switch", "mime_type": "text/plain;charset=utf8"}
            writer.status(test_id=test, test_status=status, **(reason if status == "skip" else {}))
        return out.getvalue()

    def test_the_totals(self) -> None:
        summary = run_summary.read_stream(
            self.stream(("a", "success"), ("b", "fail"), ("c", "skip"), ("d", "xfail"), ("e", "inprogress"))
        )
        self.assertEqual("2 passed, 2 failed, 1 skipped", summary.totals())
        self.assertEqual("c # no switch\n", summary.skip_report())

    def test_the_report_of_skips_is_a_file_of_allowed_skips(self) -> None:
        summary = run_summary.read_stream(self.stream(("c", "skip"), ("d", "skip")))
        self.assertEqual({"c", "d"}, run_summary.read_allowed("# comment\n\n" + summary.skip_report()))
