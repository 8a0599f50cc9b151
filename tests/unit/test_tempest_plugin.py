# SPDX-License-Identifier: Apache-2.0
"""The Tempest plugin: what can be said of it without a service."""

from __future__ import annotations

import ast
import uuid
from pathlib import Path

import testtools
from oslo_config import cfg
from stevedore import driver

import mogan_hil_tempest_plugin
from tests.lint.test_code import parsed

HERE = Path(mogan_hil_tempest_plugin.__file__).parent


def found_tests() -> list[ast.FunctionDef]:
    """Every test of the plugin."""
    trees = [parsed(path.read_text()) for path in sorted(HERE.rglob("test_*.py"))]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if function.name.startswith("test_")]


def ids(function: ast.FunctionDef) -> list[str]:
    """What a test is decorated with as its id."""
    calls = [node for node in function.decorator_list if isinstance(node, ast.Call)]
    return [ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "decorators.idempotent_id"]


class TestPlugin(testtools.TestCase):
    """See the module."""

    def test_every_test_has_an_id_of_its_own(self) -> None:
        tests = found_tests()
        self.assertGreater(len(tests), 15)
        for test in tests:
            self.assertEqual(1, len(ids(test)), test.name)
        known = [ids(test)[0] for test in tests]
        self.assertEqual(sorted(set(known)), sorted(known))
        for one in known:
            self.assertEqual(one, str(uuid.UUID(one)))

    def test_tempest_finds_it(self) -> None:
        plugin = driver.DriverManager("tempest.test_plugins", "mogan_hil", invoke_on_load=True).driver
        directory, top = map(Path, plugin.load_tests())
        self.assertEqual(HERE / "tests", directory)
        self.assertIn(top, directory.parents)
        conf = cfg.ConfigOpts()
        conf.register_group(cfg.OptGroup("service_available"))
        plugin.register_opts(conf)
        conf([])
        self.assertTrue(conf.service_available.mogan_hil)
        self.assertEqual("baremetal-isolation", conf.mogan_hil.catalog_type)
        for group, options in plugin.get_opt_lists():
            self.assertEqual({option.name for option in options}, set(conf[group]))
