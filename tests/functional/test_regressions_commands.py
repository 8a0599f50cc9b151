# SPDX-License-Identifier: Apache-2.0
"""What went wrong once at the commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fixtures
import testtools

PROGRAMS = Path(sys.executable).parent
ROOT = Path(__file__).parent.parent.parent


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


class TestPackage(testtools.TestCase):
    """What is installed from an archive, where no git says which files there are."""

    def test_everything_is_in_it(self) -> None:
        directory = Path(self.useFixture(fixtures.TempDir()).path)
        source = directory / "source"
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "mogan_hil", source / "mogan_hil", ignore=leave)
        shutil.copytree(ROOT / "etc", source / "etc")
        for name in (
            "setup.py",
            "setup.cfg",
            "pyproject.toml",
            "requirements.txt",
            "MANIFEST.in",
            "README.rst",
            "LICENSE",
        ):
            shutil.copy(ROOT / name, source)
        subprocess.run(
            [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(directory / "built")],
            cwd=source,
            env={**os.environ, "PBR_VERSION": "1.0", "SKIP_GIT_SDIST": "1"},
            check=True,
            capture_output=True,
        )
        built = directory / "built"
        files = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()}
        wanted = {str(path.relative_to(source)) for path in (source / "mogan_hil").rglob("*") if path.is_file()}
        self.assertIn("mogan_hil/db/migration/script.py.mako", wanted)
        self.assertEqual(wanted, files)
