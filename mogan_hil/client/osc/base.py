# SPDX-License-Identifier: Apache-2.0
"""The kinds of commands. A command says which route it calls and what may be given; the rest is here.

The parts of the route's path stand first on the line, in their order; then what `arguments` has without an option.
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from osc_lib import exceptions
from osc_lib.command import command

from mogan_hil.client import rest
from mogan_hil.client.osc import arguments, cells, waiting
from mogan_hil.client.osc.arguments import Argument

_PART = re.compile(r"\{(\w+)(?::path)?\}")

#: What a part of a path is.
PARTS: Mapping[str, str] = {
    "attachment": "UUID of the attachment, as the list of interfaces has it",
    "group": "Name or UUID of the server group",
    "hnic": "Name or UUID of the NIC",
    "label": "Name of the label",
    "nic": "Name or UUID of the NIC",
    "operation": "UUID of the operation",
    "subnet": "UUID of the subnet",
    "port": "Name or UUID of the port",
    "switch": "Name or UUID of the switch",
}

#: Refusals that say nothing of one thing among many: not the right user, or no service.
HOPELESS = (None, 401)


class Base(command.Command):
    """What all of them have.

    :cvar route: method and path of the route, as the service writes them; empty for a command that calls several
    :cvar arguments: the fields of its body, or its filters
    :cvar fixed: fields of the body that this command always sends, unless an argument says otherwise
    :cvar many: the last part of the path may be given several times
    """

    route: ClassVar[str] = ""
    arguments: ClassVar[Sequence[Argument]] = ()
    fixed: ClassVar[Mapping[str, Any]] = {}
    many: ClassVar[bool] = False

    @property
    def api(self) -> rest.Api:
        """The service."""
        found: rest.Api = self.app.client_manager.baremetal_isolation  # type: ignore[attr-defined]
        return found

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        names = self.parts()
        for name in names:
            repeated: dict[str, Any] = {"nargs": "+"} if self.many and name == names[-1] else {}
            help = PARTS.get(name, f"Name or UUID of the {name.replace('_', ' ')}")
            parser.add_argument(f"part {name}", metavar=f"<{name.replace('_', '-')}>", help=help, **repeated)
        arguments.add(parser, self.arguments)
        return parser

    @classmethod
    def parts(cls) -> list[str]:
        """The parts of the path."""
        return _PART.findall(cls.route)

    def run(self, parsed_args: argparse.Namespace) -> int:
        try:
            return super().run(parsed_args)
        except rest.ApiError as error:
            raise exceptions.CommandError(error.brief) from error

    def paths(self, parsed: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
        """The path of each thing that is meant, below /v1, and how the user calls that."""
        values = []
        for name in self.parts():
            value = getattr(parsed, f"part {name}")
            values.append(value if isinstance(value, list) else [value])
        for chosen in itertools.product(*values):
            named = dict(zip(self.parts(), chosen, strict=True))
            path = self.route.partition("/v1/")[2].split("/")
            yield (
                (chosen[-1] if chosen else ""),
                [named[found[1]] if (found := _PART.fullmatch(part)) else part for part in path],
            )

    def body(self, parsed: argparse.Namespace, _name: str) -> Mapping[str, Any] | None:
        """The body of the request about one thing."""
        return {**self.fixed, **arguments.given(parsed)} if self.arguments or self.fixed else None

    def call(self, name: str, path: Sequence[str], parsed: argparse.Namespace) -> Any:
        """Make the request about one thing."""
        if self.route.startswith("GET "):
            return self.api.get(*path, **query({**self.fixed, **arguments.given(parsed)}))
        return self.api.call(self.route.split()[0], *path, body=self.body(parsed, name))

    def each(self, parsed: argparse.Namespace, act: Callable[[str, list[str]], None]) -> int:
        """Do something to each thing that is meant; one that is refused does not stop the others.

        :returns: how many were refused
        """
        todo = list(self.paths(parsed))
        failed = 0
        for name, path in todo:
            try:
                act(name, path)
            except rest.ApiError as error:
                if len(todo) == 1 or error.status in HOPELESS:
                    raise
                self.log.error("%s: %s", name, error.brief)
                failed += 1
        return failed


def query(fields: Mapping[str, Any]) -> dict[str, str]:
    """Fields, as a query string has them."""
    found = {}
    for name, value in fields.items():
        text = ",".join(value) if isinstance(value, list) else str(value)
        found[name] = text.lower() if isinstance(value, bool) else text
    return found


def summary(failed: int, total: int) -> None:
    """End a command in which something failed.

    :raises exceptions.CommandError: always, if so
    """
    if failed:
        raise exceptions.CommandError(f"{failed} of {total} failed.")


class List(Base, command.Lister):
    """A list.

    :cvar columns: the fields that are shown
    :cvar long: those that --long shows as well
    :cvar sort_keys: what it may be sorted by; without any it has no pages
    :cvar limit: how many are shown if nobody says; None for all
    :cvar sort: how it is sorted if nobody says
    """

    columns: ClassVar[Sequence[str]]
    long: ClassVar[Sequence[str]] = ()
    sort_keys: ClassVar[Sequence[str]] = ()
    limit: ClassVar[int | None] = None
    sort: ClassVar[str | None] = None

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        if self.long:
            parser.add_argument("--long", action="store_true", help="Show more columns")
        if self.sort_keys:
            usual = "all" if self.limit is None else f"{self.limit}; 0 for all"
            parser.add_argument(
                "--limit", type=_count, metavar="<n>", default=self.limit, help=f"Show at most n (default: {usual})"
            )
            parser.add_argument("--marker", metavar="<uuid>", help="Begin after this one")
            parser.add_argument(
                "--sort",
                type=_order(self.sort_keys),
                metavar="<key>[:<direction>]",
                default=self.sort,
                help=f"Sort by {', '.join(self.sort_keys)}; the direction is asc or desc",
            )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], list[Any]]:
        fields = [*self.columns, *(self.long if getattr(parsed_args, "long", False) else ())]
        return cells.rows(self.items(parsed_args), fields)

    @classmethod
    def key(cls) -> str:
        """The name of the list in the answer."""
        return cls.route.rpartition("/")[2]

    def items(self, parsed: argparse.Namespace) -> list[Mapping[str, Any]]:
        """What is in the list."""
        asked = query(arguments.given(parsed))
        ((_, path),) = self.paths(parsed)
        if not self.sort_keys:
            return list(self.api.get(*path, **asked)[self.key()])
        if parsed.limit:
            asked["limit"] = str(min(parsed.limit, rest.PAGE))
        if parsed.marker:
            asked["marker"] = parsed.marker
        if parsed.sort:
            asked["sort_key"], asked["sort_dir"] = parsed.sort
        return list(itertools.islice(self.api.pages(self.key(), *path, **asked), parsed.limit or None))


def _count(text: str) -> int:
    found = int(text)
    if found < 0:
        raise ValueError
    return found


_count.__name__ = "number"


def _order(keys: Sequence[str]) -> Callable[[str], tuple[str, str]]:
    def read(text: str) -> tuple[str, str]:
        key, _, direction = text.partition(":")
        if key not in keys or direction not in ("", "asc", "desc"):
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(keys)}, with :asc or :desc behind")
        return key, direction or "asc"

    return read


class Show(Base, command.ShowOne):
    """One thing, or what was made."""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        ((name, path),) = self.paths(parsed_args)
        return cells.one(self.call(name, path, parsed_args) or {})


class Do(Base):
    """Something that is done when the answer comes, to one thing or to many. Nothing is shown."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        failed = self.each(parsed_args, lambda name, path: self.call(name, path, parsed_args))
        summary(failed, len(list(self.paths(parsed_args))))


class Change(Do):
    """Other values of some fields."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        if not arguments.given(parsed_args):
            raise exceptions.CommandError("Nothing to change was given; see --help.")
        super().take_action(parsed_args)


class SetProperties(Change):
    """Other values of some fields, and of some properties.

    The service replaces properties as a whole, so that the others are read and sent again.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--no-property", action="store_true", help="Drop all properties, but for those that are given with it"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        if parsed_args.no_property and "metadata" not in arguments.given(parsed_args):
            setattr(parsed_args, arguments.field("metadata"), {})
        super().take_action(parsed_args)

    def call(self, name: str, path: Sequence[str], parsed: argparse.Namespace) -> Any:
        body = dict(self.body(parsed, name) or {})
        if "metadata" in body and not parsed.no_property:
            body["metadata"] = {**self.api.get(*path)["metadata"], **body["metadata"]}
        return self.api.call(self.route.split()[0], *path, body=body)


class UnsetProperties(Change):
    """Empty fields, and drop some properties or all of them."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        dropped = parser.add_mutually_exclusive_group()
        dropped.add_argument(
            "--property", action="append", metavar="<key>", default=[], help="Drop this property (may be repeated)"
        )
        dropped.add_argument("--properties", action="store_true", help="Drop all properties")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        if parsed_args.property or parsed_args.properties:
            setattr(parsed_args, arguments.field("metadata"), {})
        super().take_action(parsed_args)

    def call(self, name: str, path: Sequence[str], parsed: argparse.Namespace) -> Any:
        body = dict(self.body(parsed, name) or {})
        if parsed.property:
            known = self.api.get(*path)["metadata"]
            if missing := sorted(set(parsed.property) - known.keys()):
                raise exceptions.CommandError(f"{name} has no property {', '.join(missing)}.")
            body["metadata"] = {key: value for key, value in known.items() if key not in parsed.property}
        return self.api.call(self.route.split()[0], *path, body=body)


class Work(Base, command.Lister):
    """Something that takes its time, done to one thing or to many; shows the operations."""

    failed = 0
    total = 0

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        waiting.add(parser)
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        super().run(parsed_args)
        summary(self.failed, self.total)
        return 0

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], list[Any]]:
        begun: list[tuple[str, Mapping[str, Any]]] = []
        self.total = len(list(self.paths(parsed_args)))

        def begin(name: str, path: list[str]) -> None:
            answer = self.call(name, path, parsed_args)
            begun.append((name, answer.get("operation", answer)))

        self.failed = self.each(parsed_args, begin)
        shown = []
        ended = self.ended(parsed_args, [operation for _, operation in begun])
        for (name, _), operation in zip(begun, ended, strict=True):
            error = waiting.outcome(operation, parsed_args.wait)
            self.failed += bool(error)
            shown.append({"name": name, "operation": operation["uuid"], "state": operation["state"], "error": error})
        return cells.rows(shown, ("name", "operation", "state", "error"))

    def ended(self, parsed: argparse.Namespace, operations: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The operations, at their ends if the user waits for those."""
        return waiting.wait(self.api, operations, parsed.timeout) if parsed.wait else operations
