# SPDX-License-Identifier: Apache-2.0
"""Rules of this house that no linter knows."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from pathlib import Path

import testtools

import mogan_hil

ROOT = Path(mogan_hil.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if "versions" not in path.parts)

MAX_FILE = 400
MAX_FUNCTION = 60

#: What authorizes, by itself or because it looks only among what the caller may see.
AUTHORIZES = {"check", "allows", "admin", "visible_node", "visible_network", "visible_instance", "visible_headnode"}
#: Verbs' helpers that other verbs call after they have authorized.
HELPERS = {
    "options": {"settle"},
    "aggregates": {"check_zone"},
    "attachments": {"attach", "detach"},
    "base": {"nodes_seen_by", "visible_node", "resolve_project", "of_project", "journal"},
    "claims": {"wire_node"},
    "headnodes": {"visible_headnode"},
    "images": {"find_image", "usable_image"},
    "instances": {"begin", "seen_by", "visible_instance"},
    "keypairs": {"own_keypair"},
    "configurations": {"gift"},
    "flavors": {"visible_flavor"},
    "locks": {"check_instance", "check_node"},
    "networks": {"changed", "seen_by", "visible_network", "wake"},
    "obm": {"check_controller"},
    "quotas": {"room"},
    "switches": {"check_physical_network"},
}

#: Imports that only one configuration needs, and that take long.
LATE = {
    ("client/osc/plugin.py", "make_client"),
    ("api/middleware/pipeline.py", "_audit"),
    ("api/process.py", "_projects"),
    ("cmd/base.py", "check_auth"),
}

LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Every file of the package, parsed."""
    for path in FILES:
        yield path.relative_to(ROOT), parsed(path.read_text())


def parsed(text: str) -> ast.Module:
    """Python 3.11 gives up if another thread parses at the same moment (CPython issue 106905), as oslo.policy does."""
    for _ in range(20):
        try:
            return ast.parse(text)
        except SystemError:
            time.sleep(0.05)
    return ast.parse(text)


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function, also the inner ones."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def called(tree: ast.AST) -> set[str]:
    """The names of what is called."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                found.add(node.func.attr)
            elif isinstance(node.func, ast.Name):
                found.add(node.func.id)
    return found


def takes_call(function: Function) -> bool:
    """Whether a parameter is a `Call`."""
    return any(isinstance(arg.annotation, ast.Name) and arg.annotation.id == "Call" for arg in function.args.args)


class TestCode(testtools.TestCase):
    """See the module."""

    def test_verbs_authorize(self) -> None:
        for path in sorted((ROOT / "verbs").glob("*.py")):
            tree = parsed(path.read_text())
            helpers = HELPERS.get(path.stem, set())
            authorizes = set(AUTHORIZES)
            for _ in range(3):  # also through functions of the same file
                authorizes |= {function.name for function in functions(tree) if called(function) & authorizes}
            for function in tree.body:
                if isinstance(function, Function) and not function.name.startswith("_") and takes_call(function):
                    authorized = called(function) & authorizes
                    self.assertTrue(authorized or function.name in helpers, f"{path.name}: {function.name}")

    def test_helpers_are_there(self) -> None:
        for name, helpers in HELPERS.items():
            tree = parsed((ROOT / "verbs" / f"{name}.py").read_text())
            self.assertLessEqual(helpers, {function.name for function in functions(tree)})

    def test_times_are_told_in_one_form(self) -> None:
        """What answers have is made by `db.base.told`, or by the JSON encoder from a `datetime`."""
        others = {"db/base.py", "common/sealing.py"}
        written = {str(path) for path, tree in trees() if called(tree) & {"isoformat", "strftime"}}
        self.assertEqual(others, written)

    def test_log_messages_are_literal(self) -> None:
        for path, tree in trees():
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in LOG_METHODS
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "LOG"
                ):
                    literal = isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
                    self.assertTrue(literal, f"{path}:{node.lineno}")

    def test_files_are_short(self) -> None:
        for path in FILES:
            self.assertLessEqual(len(path.read_text().splitlines()), MAX_FILE, path)

    def test_functions_are_short(self) -> None:
        for path, tree in trees():
            for function in functions(tree):
                length = (function.end_lineno or 0) - function.lineno + 1
                self.assertLessEqual(length, MAX_FUNCTION, f"{path}:{function.lineno} {function.name}")

    def test_no_eventlet(self) -> None:
        for path, tree in trees():
            for node in ast.walk(tree):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                self.assertFalse([name for name in names if name.split(".")[0] in ("eventlet", "greenlet")], path)

    def test_imports_stand_at_the_top(self) -> None:
        late = set()
        for path, tree in trees():
            for function in functions(tree):
                for node in ast.walk(function):
                    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                    if any(name.startswith("mogan_hil") for name in names):
                        late.add((str(path), function.name))
        self.assertEqual(LATE, late)

    def test_every_file_names_its_licence(self) -> None:
        for path in (*FILES, *ROOT.parent.glob("tests/**/*.py"), *ROOT.parent.glob("tests/**/*.yaml")):
            text = path.read_text()
            self.assertTrue(not text or "SPDX-License-Identifier: Apache-2.0" in text.split("\n", 3)[0], path)
