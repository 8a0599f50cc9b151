# SPDX-License-Identifier: Apache-2.0
"""A driver of a third party, installed beside this project: found by its name, and held to the contract."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from mogan_hil.common import channels
from mogan_hil.drivers.testing import switch as contract

HERE = Path(__file__).parent / "third_party"

#: What `pip install acme-switch` would do.
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))

import acme_switch  # noqa: E402


class TestAcmeSwitch(contract.SwitchContract, unittest.TestCase):
    driver_class = acme_switch.AcmeSwitch
    ports = ("1/1", "1/2", "2/10")
    unknown_port = "4/99"
    bad_options = ({}, {"path": 1})

    def options(self):
        if not hasattr(self, "path"):
            directory = tempfile.TemporaryDirectory()
            self.addCleanup(directory.cleanup)
            self.path = Path(directory.name) / "switch"
            self.path.write_text("".join(f"{port}=0 0-4095\n" for port in self.ports))
        return {"path": str(self.path), "password": "hunter2"}

    def set_by_hand(self, port, state):
        lines = dict(line.split("=", 1) for line in self.path.read_text().splitlines())
        lines[port] = f"{state.native or 0} {channels.ranges(state.tagged) or 0}"
        self.path.write_text("".join(f"{name}={line}\n" for name, line in lines.items()))


class TestFound(unittest.TestCase):
    def test_found_by_name(self):
        """In a fresh process: stevedore remembers what it found for as long as one lives."""
        program = (
            "from mogan_hil.drivers.loader import Drivers; found = Drivers();"
            "print(found.switch('acme').summary()); print(found.names('switch'))"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=HERE.parent.parent.parent,
            env={"PYTHONPATH": str(HERE), "PATH": "/usr/bin:/bin", "HOME": str(HERE)},
        )
        self.assertEqual("", done.stderr)
        summary, names = done.stdout.splitlines()
        self.assertEqual(acme_switch.AcmeSwitch.summary(), summary)
        self.assertIn("'acme'", names)
