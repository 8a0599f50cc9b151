# SPDX-License-Identifier: Apache-2.0
"""`openstack hil` against the router: every route has a command, and every field an argument."""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
import shlex
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

import testtools

from mogan_hil.api import app, bodies
from mogan_hil.client import osc
from mogan_hil.client.osc import base, plugin
from mogan_hil.client.osc.hil_calls import HIL_CALLS

GROUP = "openstack.baremetal_isolation.v1"

#: Routes without a command, and why.
EXEMPT = {
    "GET /": "openstack versions show has it",
    "GET /v1": "openstack versions show has it",
    "GET /v1/openapi.json": "it is for programs",
    "PUT /v1/servers/{instance}/states/lock": "it is what Mogan's clients call the lock",
}
#: Nouns that are not the name of the file without its last letter.
NOUNS = {"switches": "switch", "addresses": "address", "everything": "", "consoles": ""}
#: Fields of bodies that commands do not send, and why.
NOT_SENT = {("PATCH /v1/switches/{switch}", "driver"): "it cannot be changed"}


def commands() -> dict[str, type[base.Base]]:
    """Every command by its words, as its class is called."""
    found = {}
    for entry in pkgutil.iter_modules(osc.__path__):
        module = importlib.import_module(f"{osc.__name__}.{entry.name}")
        for name, kind in vars(module).items():
            if (
                inspect.isclass(kind)
                and issubclass(kind, base.Base)
                and kind.__module__ == module.__name__ != base.__name__
            ):
                if not kind.route and entry.name != "everything":
                    continue  # what several have in common
                words = re.sub(r"(?<!^)([A-Z])", r" \1", name).lower()
                noun = NOUNS.get(entry.name, entry.name[:-1].replace("_", " "))
                found[" ".join(f"hil {noun} {words}".split())] = kind
    return found


def parser(name: str, kind: type[base.Base]) -> argparse.ArgumentParser:
    """The parser of a command."""
    return kind(mock.Mock(), None, cmd_name=name).get_parser(f"openstack {name}")


def sent(kind: type[base.Base]) -> set[str]:
    """The fields that a command can send."""
    return {item.field.partition(".")[0] for item in kind.arguments} | set(kind.fixed)


class TestCommands(testtools.TestCase):
    """See the module."""

    def setUp(self) -> None:
        super().setUp()
        self.commands = commands()
        self.routes = {f"{route.method} {route.path}": route for route in app.all_routes()}
        self.by_route: dict[str, list[type[base.Base]]] = defaultdict(list)
        for kind in self.commands.values():
            if kind.route:
                self.by_route[kind.route].append(kind)

    def test_every_route_has_a_command(self) -> None:
        self.assertEqual(set(self.routes), set(self.by_route) | set(EXEMPT))
        self.assertEqual(set(), set(self.by_route) & set(EXEMPT))

    def test_every_field_has_an_argument(self) -> None:
        wrong = {}
        for path, kinds in self.by_route.items():
            route = self.routes[path]
            known = set(route.query) if route.body is None else set(bodies.schema(route.body)["properties"])
            able = {field for kind in kinds for field in sent(kind)}
            if known != able:
                wrong[path] = {"no argument": known - able, "no field": able - known}
        self.assertEqual({}, wrong)

    def test_what_is_required_is_always_sent(self) -> None:
        for path, kinds in self.by_route.items():
            route = self.routes[path]
            required = set() if route.body is None else set(bodies.schema(route.body).get("required", []))
            for kind in kinds:
                always = set(kind.fixed) | {
                    item.field.partition(".")[0]
                    for item in kind.arguments
                    if not item.flags or item.settings.get("required") or "default" in item.settings
                }
                self.assertLessEqual(required, always, f"{path} {kind}")

    def test_lists(self) -> None:
        for path, kinds in self.by_route.items():
            for kind in kinds:
                listing = self.routes[path].listing
                if listing is not None and issubclass(kind, base.List):
                    self.assertEqual(listing.key, kind.key(), path)
                    self.assertEqual(tuple(listing.sort_keys), tuple(kind.sort_keys), path)

    def test_choices_are_the_services(self) -> None:
        for path, kinds in self.by_route.items():
            route = self.routes[path]
            if route.body is None:
                continue
            for name, schema in bodies.schema(route.body)["properties"].items():
                for kind in kinds:
                    constants = [kind.fixed[name]] if name in kind.fixed else []
                    constants += [
                        item.settings["const"]
                        for item in kind.arguments
                        if item.field == name and "const" in item.settings
                    ]
                    for value in constants:
                        self.assertIn(value, schema.get("enum", [value]), f"{path} {name}")

    def test_every_target_of_a_choice_can_be_chosen(self) -> None:
        for path in ("PUT /v1/nodes/{node}/power", "PUT /v1/instances/{instance}/power"):
            body = self.routes[path].body
            values = {kind.fixed["target"] for kind in self.by_route[path]} | {
                item.settings["const"] for kind in self.by_route[path] for item in kind.arguments
            }
            self.assertEqual(set(bodies.schema(body)["properties"]["target"]["enum"]), values)

    def test_entry_points(self) -> None:
        """Those of setup.cfg, which are what is installed, are the classes."""
        text = (Path(__file__).parents[2] / "setup.cfg").read_text().partition(f"{GROUP} =\n")[2]
        lines = dict(line.strip().split(" = ") for line in re.match(r"(?:    .*\n)*", text)[0].splitlines())
        wanted = {name.replace(" ", "_"): f"{kind.__module__}:{kind.__name__}" for name, kind in self.commands.items()}
        self.assertEqual(wanted, lines)
        self.assertEqual(wanted, {entry.name: entry.value for entry in metadata.entry_points(group=GROUP)})

    def test_help(self) -> None:
        for name, kind in self.commands.items():
            found = parser(name, kind)
            self.assertRegex(inspect.getdoc(kind) or "", r"^[A-Z].*[.)]", name)
            self.assertIn(f"openstack {name}", found.format_help())
            for action in found._actions:
                self.assertTrue(action.help, f"{name}: {action.dest}")

    def test_options_are_no_beginnings_of_global_ones(self) -> None:
        """Or `openstack` takes them for its own, as argparse lets people abbreviate."""
        known = (
            "--version",
            "--verbose",
            "--verify",
            "--quiet",
            "--log-file",
            "--help",
            "--debug",
            "--insecure",
            "--timing",
        )
        for name, kind in self.commands.items():
            for flag in (flag for argument in kind.arguments for flag in argument.flags):
                self.assertEqual([], [other for other in known if other.startswith(flag)], name)

    def test_every_path_is_filled(self) -> None:
        for name, kind in self.commands.items():
            found = parser(name, kind)
            values = [action for action in found._actions if not action.option_strings]
            line = [str(number) for number in range(len(values))]
            line += [
                word
                for action in found._actions
                if action.required and action.option_strings
                for word in (action.option_strings[0], "x")
            ]
            if not kind.route:
                continue
            command = kind(mock.Mock(), None, cmd_name=name)
            for _, path in command.paths(found.parse_args(line)):
                self.assertNotIn("{", "".join(path), name)

    def test_calls_of_hil(self) -> None:
        for call, line in HIL_CALLS.items():
            name = next(
                name for name in sorted(self.commands, key=len, reverse=True) if f"{line} ".startswith(f"{name} ")
            )
            words = shlex.split(line.removeprefix(name).replace("<", "").replace(">", ""))
            words = ["/dev/stdin" if word == "file" else word for word in words]
            found = parser(name, self.commands[name])
            with mock.patch("pathlib.Path.read_text", autospec=True, return_value="a: b"):
                self.assertIsNotNone(found.parse_args(words), call)


class TestPlugin(testtools.TestCase):
    """What `openstack` asks of a plugin."""

    def parse(self, *words: str) -> Any:
        found = argparse.ArgumentParser(exit_on_error=False)
        return plugin.build_option_parser(found).parse_args(words)

    def test_versions(self) -> None:
        option = "--os-baremetal-isolation-api-version"
        for given, taken in (("1", "1"), ("1.7", "1.7"), ("latest", "1.latest"), ("1.latest", "1.latest")):
            self.assertEqual(taken, self.parse(option, given).os_baremetal_isolation_api_version)
            self.assertTrue(plugin.check_api_version(taken))
        for wrong in ("", "2", "1.", "one", "1.7\n", "0.1", "1.12345"):
            self.assertRaises(argparse.ArgumentError, self.parse, option, wrong)

    def test_it_starts_fast(self) -> None:
        """It is loaded by each start of `openstack`, and must bring nothing with it that takes time."""
        text = inspect.getsource(plugin).partition("def make_client")[0]
        imports = set(re.findall(r"^\s*(?:import|from) (\S+)", text, re.M))
        self.assertEqual({"__future__", "argparse", "os", "re", "typing"}, imports)
