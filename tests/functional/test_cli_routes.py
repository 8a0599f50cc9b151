# SPDX-License-Identifier: Apache-2.0
"""`openstack hil` calls every route, with the example that the route has."""

from __future__ import annotations

import atexit
import base64
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from mogan_hil.client.osc import base as commands
from mogan_hil.client.osc.arguments import Argument, encoded, first_line
from tests import openstack, service
from tests.functional import base
from tests.unit.test_cli import EXEMPT
from tests.unit.test_cli import commands as all_commands


def words(kind: type[commands.Base], parts: list[str], body: Mapping[str, Any]) -> tuple[list[str], str] | None:
    """What to write behind a command to have it send a body, and what to type; None if it cannot."""
    missing = {name: value for name, value in body.items() if name not in kind.fixed or kind.fixed[name] != value}
    places, options, typed = [], [], ""
    for name, value in _flat(missing, kind):
        argument = _argument(kind, name, value)
        if argument is None:
            return None
        if argument.settings.get("type") is first_line:
            options += [argument.flags[0], "-"]
            typed = f"{value}\n"
        elif not argument.flags:
            places.append((kind.arguments.index(argument), value if isinstance(value, str) else json.dumps(value)))
        else:
            options += _option(argument, value)
    if set(kind.fixed) - set(body):
        return None
    return [*options, *parts, *(text for _, text in sorted(places))], typed


def _flat(body: Mapping[str, Any], kind: type[commands.Base]) -> Iterator[tuple[str, Any]]:
    inner = {argument.field.partition(".")[0] for argument in kind.arguments if "." in argument.field}
    for name, value in body.items():
        if name in inner and value is not None:
            yield from ((f"{name}.{key}", item) for key, item in value.items())
        else:
            yield name, value


def _argument(kind: type[commands.Base], name: str, value: Any) -> Argument | None:
    fitting = [
        argument
        for argument in kind.arguments
        if argument.field == name and argument.settings.get("const", value) == value
    ]
    return fitting[-1] if fitting else None


def _option(argument: Argument, value: Any) -> list[str]:
    flag = argument.flags[0]
    if "const" in argument.settings:
        return [flag]
    if argument.settings.get("type") is encoded:
        return [flag, _file(value)]
    if argument.field == "files":
        return [word for item in value for word in (flag, f"{item['path']}={_file(item['contents'])}")]
    if isinstance(value, dict):
        texts = ((key, item if isinstance(item, str) else json.dumps(item)) for key, item in value.items())
        return [word for key, item in texts for word in (flag, f"{key}={item}")]
    if isinstance(value, list):
        return [word for item in value for word in (flag, _item(item))]
    return [flag, str(value)]


def _file(contents: str) -> str:
    """A file with what is sent in base64."""
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(base64.b64decode(contents))
    atexit.register(os.unlink, file.name)
    return file.name


def _item(item: Any) -> str:
    if isinstance(item, dict) and "start" in item:
        return f"{item['start']}-{item['end']}"
    if isinstance(item, dict):
        (_, first), *rest = item.items()
        pairs = [(key, one) for key, value in rest for one in (value if isinstance(value, list) else [value])]
        return ",".join([str(first), *(f"{'address' if key == 'addresses' else key}={one}" for key, one in pairs)])
    return str(item)


class TestRoutes(base.WorldTestCase):
    """See the module."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        listening = openstack.Listening(cls.world.service)
        listening.setUp()
        cls.addClassCleanup(listening.cleanUp)
        cls.url = listening.url

    def setUp(self) -> None:
        super().setUp()
        self.commands = all_commands()
        self.client = self.useFixture(openstack.Client({"admin": openstack.basic(self.url, "admin")}))

    def lines(self) -> Iterator[tuple[Any, str, type[commands.Base], str, str]]:
        """Each route with each command that can send its example."""
        for (method, path), route in base.ROUTES.items():
            if f"{method} {path}" in EXEMPT:
                continue
            raw = re.findall(r"\{(\w+)(?::path)?\}", path)
            found = re.fullmatch(re.sub(r"\{\w+(?::path)?\}", "([^/]+)", path), self.world.path(route))
            parts = [unquote(part) for part in found.groups()] if found and raw else []
            able = False
            for name, kind in self.commands.items():
                body = kind.fixed if method == "GET" else self.world.body(route) or {}
                written = kind.route == f"{method} {path}" and words(kind, parts, body)
                if written:
                    able = True
                    yield route, name, kind, f"{name} {shlex.join(written[0])}", written[1]
            self.assertTrue(able, f"no command can send the example of {method} {path}")

    def test_all(self) -> None:
        failed = []
        for _route, _name, _kind, line, typed in self.lines():
            found = self.client(line, typed=typed)
            if found.status:
                failed.append(f"{line}: {found.errors}")
            if self.world.changed():
                self.world.restore()
        self.assertEqual([], failed)

    def test_columns_are_there(self) -> None:
        """Every column of a list is a field of the things in it."""
        for _route, name, kind, line, _typed in self.lines():
            if not issubclass(kind, commands.List):
                continue
            words = line.removeprefix(name)
            found = self.client(f"{name} -f json {'--long' if kind.long else ''} {words}")
            self.assertEqual(0, found.status, found.errors)
            if kind.route == "GET /v1/nodes/{node}/metadata":
                continue
            for item in self.world.admin.get(self.world.path(_route))[kind.key()]:
                self.assertLessEqual({*kind.columns, *kind.long}, set(item), name)

    def test_everything(self) -> None:
        """`hil show` of an administrator, and of somebody who may see less."""
        shown = self.client("hil show").json
        self.assertEqual(["gi1/0/1"], [p["name"] for p in shown["switches"][0]["ports"] if p["name"] == "gi1/0/1"])
        self.assertLessEqual({"projects", "users", "switches", "nodes", "networks", "instances"}, set(shown))
        client = self.useFixture(openstack.Client({"red": openstack.basic(self.url, "red-member")}))
        less = client("hil show -f json").json
        self.assertNotIn("switches", less)
        self.assertNotIn("users", less)
        self.assertNotIn("b1", {node["name"] for node in less["nodes"]})
        self.assertIn("red-net", {network["name"] for network in less["networks"]})
        self.assertNotIn(service.PASSWORD, json.dumps(shown))
