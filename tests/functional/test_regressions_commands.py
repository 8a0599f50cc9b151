# SPDX-License-Identifier: Apache-2.0
"""What went wrong once at the commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fixtures
import testtools

PROGRAMS = Path(sys.executable).parent


class TestStatus(testtools.TestCase):
    """`mogan-hil-status`"""

    def test_without_a_database(self) -> None:
        config = Path(self.useFixture(fixtures.TempDir()).path) / "empty.conf"
        config.touch()
        program = [str(PROGRAMS / "mogan-hil-status"), "--config-file", str(config), "upgrade", "check"]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        said = " ".join(done.stdout.replace("|", " ").split())
        self.assertEqual((2, 1), (done.returncode, said.count("No database is configured: set [database] connection.")))
