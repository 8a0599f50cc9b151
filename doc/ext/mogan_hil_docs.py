# SPDX-License-Identifier: Apache-2.0
"""Directives that show what the code says: states, drivers and routes. So the documents cannot tell otherwise.

* `.. state-table:: Operation` - which state may follow which
* `.. event-table::` - what happens to an instance, and what becomes of it
* `.. driver-table:: switch` - the installed drivers of a kind and their options
* `.. notifications::` - every type of notification, with a sample
* `.. device-types::` - the device types of the switch driver `generic`, and what each can do
* `.. hil-table::` - HIL's calls, and what covers them
* `.. hil-commands::` - each call of HIL and the command that does the same
* `.. api-routes::` - every route, by controller, with its parameters and body
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mogan_hil.api import app, openapi
from mogan_hil.api.expose import Route, routes_of
from mogan_hil.api.hil_v0 import app as hil_app
from mogan_hil.client.osc.hil_calls import HIL_CALLS
from mogan_hil.common import states
from mogan_hil.drivers.loader import Drivers
from mogan_hil.drivers.switch import dialects, ngs


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield ""
    for row in [header, *rows]:
        for number, cell in enumerate(row):
            yield f"   {'* -' if number == 0 else '  -'} {cell}".rstrip()
    yield ""


class _Generated(SphinxDirective):
    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.lines(" ".join(self.arguments))), allow_section_headings=True)

    def lines(self, name: str) -> Iterator[str]:
        """The reStructuredText."""
        raise NotImplementedError


class StateTable(_Generated):
    """See the module."""

    def lines(self, name: str) -> Iterator[str]:
        kind = getattr(states, name)
        yield inspect.getdoc(kind) or ""
        yield ""
        following: Mapping[Any, Any] = getattr(states, f"{name.upper()}_NEXT", {})
        if following:
            rows = [(f"``{s}``", ", ".join(f"``{n}``" for n in sorted(following[s])) or "(it ends here)") for s in kind]
            yield from _table(("state", "may become"), rows)
        else:
            yield from _table(("state",), [(f"``{state}``",) for state in kind])


class EventTable(_Generated):
    """See the module."""

    required_arguments = 0

    def lines(self, name: str) -> Iterator[str]:
        rows = [
            (f"``{state}``", ", ".join(f"``{event}`` → ``{after}``" for (at, event), after in found if at == state))
            for found in [list(states.INSTANCE_NEXT.items())]
            for state in states.Instance
        ]
        yield from _table(("state", "event → state"), rows)


class DriverTable(_Generated):
    """See the module."""

    def lines(self, name: str) -> Iterator[str]:
        drivers = Drivers()
        rows = []
        for driver in drivers.names(name):
            found = drivers.get(name, driver)
            options = found.options_schema.get("properties", {})
            required = found.options_schema.get("required", [])
            shown = ", ".join(f"``{option}``{' (required)' if option in required else ''}" for option in options)
            rows.append((f"``{driver}``", found.summary(), ", ".join(sorted(found.capabilities)) or "-", shown or "-"))
        yield from _table(("name", "what it is", "capabilities", "options"), rows)


class Notifications(_Generated):
    """See the module."""

    required_arguments = 0

    def lines(self, name: str) -> Iterator[str]:
        noun = ""
        for path in sorted((Path(__file__).resolve().parents[1] / "notification_samples").glob("*.json")):
            if noun != (noun := path.stem.partition(".")[0]):
                yield from ("", noun, "=" * len(noun), "")
            yield from (path.stem, "-" * len(path.stem), "", ".. code-block:: json", "")
            yield from (f"   {line}" for line in path.read_text().splitlines())
            yield ""


class DeviceTypes(_Generated):
    """See the module."""

    required_arguments = 0

    def lines(self, name: str) -> Iterator[str]:
        templates = ngs.load()
        rows = []
        for device in sorted(dialects.DIALECTS):
            dialect = dialects.DIALECTS[device]
            parks = "into ``parking_vlan``" if dialect.parks_in_vlan else "by closing it"
            proven = "yes, and read back" if device in dialects.PROVEN else "no: ``verified: false``"
            said = len(templates[device].errors)
            rows.append((f"``{device}``", proven, ", ".join(sorted(dialect.capabilities)) or "-", parks, str(said)))
        header = ("device type", "proven", "capabilities", "how a port is parked", "its own error texts")
        yield from _table(header, rows)
        yield "Refused:"
        yield ""
        refused = sorted(ngs.REFUSED.items())
        yield from _table(("device type", "why"), [(f"``{device}``", why) for device, why in refused])


class HilTable(_Generated):
    """See the module."""

    required_arguments = 0

    def lines(self, name: str) -> Iterator[str]:
        rows = [
            (
                f"``{call.call}``",
                _literal(f"{call.method} {call.path}"),
                ", ".join(map(_literal, call.covers)),
                ", ".join(
                    _literal(HIL_CALLS[name]) for name in COMMANDS.get(call.call, (call.call,)) if name in HIL_CALLS
                ),
            )
            for call in hil_app.all_calls()
        ]
        yield from _table(("HIL's call", "``/v0``", "``/v1``", "``openstack ...``"), rows)


#: What is one call and several commands.
COMMANDS = {
    "list_nodes": ("list_nodes", "list_free_nodes"),
    "node_enable_disable_obm": ("node_enable_obm", "node_disable_obm"),
}


def _literal(route: str) -> str:
    return f"``{route.replace(':path}', '}')}``"


class HilCommands(_Generated):
    """See the module."""

    required_arguments = 0

    def lines(self, name: str) -> Iterator[str]:
        rows = [(f"``{call}``", f"``openstack {command}``") for call, command in HIL_CALLS.items()]
        yield from _table(("call of HIL", "command"), rows)


class ApiRoutes(_Generated):
    """See the module."""

    required_arguments = 0

    def lines(self, name: str) -> Iterator[str]:
        for module in app.CONTROLLERS:
            title = (inspect.getdoc(module) or module.__name__).partition("\n")[0]
            yield from ("", title, "=" * len(title), "")
            yield from _routes(routes_of(module))


def _routes(routes: Sequence[Route]) -> Iterator[str]:
    paths = openapi.document(routes)["paths"]
    for route in routes:
        path = route.path.replace(":path}", "}")
        title = f"{route.method} {path}"
        yield from (title, "-" * len(title), "", route.summary, "")
        operation = paths[path][route.method.lower()]
        queries = [(f"``{p['name']}``", _kind(p["schema"])) for p in operation["parameters"] if p["in"] == "query"]
        if queries:
            yield from _table(("query", "value"), queries)
        if "requestBody" in operation:
            yield from _body(operation["requestBody"]["content"]["application/json"]["schema"])


def _body(schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", [])
    rows = [
        (f"``{name}``", "yes" if name in required else "", _kind(field)) for name, field in schema["properties"].items()
    ]
    yield from _table(("field of the body", "required", "value"), rows)


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "any JSON value")
    kind = kind if isinstance(kind, str) else " or ".join(kind)
    if "enum" in schema:
        return "one of " + ", ".join(f"``{value}``" for value in schema["enum"])
    if kind == "object" and "properties" in schema:
        return "object with " + ", ".join(f"``{name}``" for name in schema["properties"])
    if kind == "array":
        return f"list of: {_kind(schema['items'])}"
    limits = {
        key: schema[key] for key in ("minimum", "maximum", "minLength", "maxLength", "pattern") if schema.get(key)
    }
    return kind + (f" ``{json.dumps(limits)}``" if limits else "")


def setup(sphinx: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    sphinx.add_directive("state-table", StateTable)
    sphinx.add_directive("event-table", EventTable)
    sphinx.add_directive("hil-table", HilTable)
    sphinx.add_directive("driver-table", DriverTable)
    sphinx.add_directive("notifications", Notifications)
    sphinx.add_directive("device-types", DeviceTypes)
    sphinx.add_directive("hil-commands", HilCommands)
    sphinx.add_directive("api-routes", ApiRoutes)
    return {"parallel_read_safe": True}
