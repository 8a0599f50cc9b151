# SPDX-License-Identifier: Apache-2.0
"""The samples that operators begin with name everything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import testtools

from mogan_hil import policies
from mogan_hil.conf import opts

ROOT = Path(__file__).parent.parent.parent


def _run(program: str, *arguments: str) -> str:
    found = [str(Path(sys.executable).parent / program), *arguments]
    return subprocess.run(found, capture_output=True, text=True, check=True, cwd=ROOT).stdout


class TestSamples(testtools.TestCase):
    """See the module."""

    def test_policies(self) -> None:
        text = _run("oslopolicy-sample-generator", "--namespace", "mogan_hil")
        self.assertEqual({rule.name for rule in policies.list_rules()}, set(re.findall(r'^#?"([\w:]+)":', text, re.M)))
        for rule in policies.list_rules():
            for operation in getattr(rule, "operations", []):
                self.assertIn(f"# {operation['method']}  {operation['path']}\n", text)

    def test_options(self) -> None:
        text = _run("oslo-config-generator", "--namespace", "mogan_hil")
        for group, options in opts.list_opts():
            section = re.search(rf"^\[{group or 'DEFAULT'}\]$(.*?)(?=^\[|\Z)", text, re.M | re.S)
            assert section is not None, group
            for option in options:
                self.assertRegex(section[1], rf"(?m)^#{option.dest} =", (group, option.name))
                self.assertTrue(option.help, (group, option.name))

    def test_the_drawing_of_the_states(self) -> None:
        """Else: python doc/ext/state_diagram.py, with pydot and Graphviz installed."""
        digest = "import state_diagram; print(state_diagram.digest())"
        wanted = subprocess.run(
            [sys.executable, "-c", digest], capture_output=True, text=True, check=True, cwd=ROOT / "doc/ext"
        ).stdout.strip()
        self.assertIn(f"<!-- {wanted} -->", (ROOT / "doc/source/_static/instance-states.svg").read_text())

    def test_the_libraries_too(self) -> None:
        text = _run(
            "oslo-config-generator",
            "--config-file",
            "etc/mogan_hil/config-generator.conf",
            "--output-file",
            "/dev/stdout",
        )
        for group in (
            "api",
            "auth",
            "conductor",
            "network",
            "database",
            "cors",
            "keystone_authtoken",
            "oslo_policy",
            "audit_middleware_notifications",
        ):
            self.assertIn(f"\n[{group}]\n", text)
