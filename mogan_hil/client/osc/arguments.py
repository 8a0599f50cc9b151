# SPDX-License-Identifier: Apache-2.0
"""What may be given to a command: each argument is a field of the request's body, or a filter of its query string."""

from __future__ import annotations

import argparse
import base64
import dataclasses
import getpass
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

#: So that no field collides with what cliff keeps in the same place.
_PREFIX = "field "


@dataclasses.dataclass(frozen=True, slots=True)
class Argument:
    """One argument.

    :param field: the name of the field
    :param flags: the option's spellings; without any it stands in its place on the line
    :param settings: for argparse
    """

    field: str
    flags: tuple[str, ...]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def text(name: str, help: str, *, flag: str | None = None, required: bool = False, **settings: Any) -> Argument:
    """An option with a text.

    :param flag: the option, if not the field's name with dashes
    :param settings: further ones for argparse
    """
    flag = flag or "--" + name.replace("_", "-")
    found = {"metavar": f"<{flag[2:]}>", "help": help, **({"required": True} if required else {}), **settings}
    return Argument(name, (flag,), found)


def number(name: str, help: str, **settings: Any) -> Argument:
    """An option with a whole number."""
    return text(name, help, type=int, **settings)


def plain(name: str, help: str, **settings: Any) -> Argument:
    """What stands in its place on the line."""
    return Argument(name, (), {"metavar": f"<{name}>", "help": help, **settings})


def switch(name: str, flag: str, help: str, value: Any = True) -> Argument:
    """An option without a value: the field becomes `value`."""
    return Argument(name, (flag,), {"action": "store_const", "const": value, "help": help})


def pair(name: str, yes: str, no: str, yes_help: str, no_help: str) -> tuple[Argument, Argument]:
    """Two options of which one may be given."""
    return switch(name, yes, yes_help), switch(name, no, no_help, value=False)


def many(name: str, flag: str, help: str) -> Argument:
    """An option that may be given again: a list."""
    return Argument(
        name, (flag,), {"action": "append", "metavar": f"<{flag[2:]}>", "help": f"{help} (may be repeated)"}
    )


def pairs(name: str, flag: str, help: str) -> Argument:
    """An option that may be given again: an object of texts."""
    settings = {"action": _Options, "type": _pair, "metavar": "<key>=<value>", "help": f"{help} (may be repeated)"}
    return Argument(name, (flag,), settings)


def wires() -> Argument:
    """Networks, each with the NIC and the channel if they are not to be chosen."""
    return Argument(
        "networks",
        ("--network",),
        {
            "action": "append",
            "type": _wire,
            "metavar": "<network>",
            "help": "Attach this network; with ,nic=<nic> to this NIC instead of the first that is cabled, with"
            " ,channel=<channel> tagged, with ,address=<address> at this address (may be repeated)",
        },
    )


def options(name: str, flag: str, help: str) -> Argument:
    """Options of a driver: several `<key>=<value>`, or a file."""
    settings = {"action": _Options, "metavar": f"<{flag[2:]}>", "help": help}
    return Argument(name, (flag, f"{flag}s-file"), settings)


def password(help: str) -> Argument:
    """A password: asked for, or read from a file; never on the command line, where others see it."""
    settings = {"type": first_line, "metavar": "<file>", "default": None, "help": help}
    return Argument("password", ("--password-file",), settings)


def contents(name: str, flag: str, help: str) -> Argument:
    """A file that is sent as it is, in base64."""
    return Argument(name, (flag,), {"type": encoded, "metavar": "<file>", "help": f"{help}; - for standard input"})


def placed_files(name: str, flag: str, help: str) -> Argument:
    """Files, each with where it is to be on the machine."""
    settings = {"action": "append", "type": _placed, "metavar": "<path>=<file>", "help": f"{help} (may be repeated)"}
    return Argument(name, (flag,), settings)


def field(name: str) -> str:
    """Where the parsed command line has a field of the body."""
    return _PREFIX + name


def add(parser: argparse.ArgumentParser, found: Sequence[Argument]) -> None:
    """Add arguments to a command. Of options for the same field only one may be given."""
    groups: dict[str, Any] = {}
    for item in found:
        if not item.flags:
            parser.add_argument(_PREFIX + item.field, **item.settings)
            continue
        if item.field not in groups:
            alone = sum(other.field == item.field for other in found) == 1
            groups[item.field] = parser if alone else parser.add_mutually_exclusive_group()
        settings = {"default": argparse.SUPPRESS, **item.settings}
        if len(item.flags) > 1:
            _add_options(parser, item, settings)
        else:
            groups[item.field].add_argument(*item.flags, dest=_PREFIX + item.field, **settings)


def given(parsed: argparse.Namespace) -> dict[str, Any]:
    """The fields that were given; `a.b` is the field `b` of the object `a`."""
    found: dict[str, Any] = {}
    for name, value in vars(parsed).items():
        if name.startswith(_PREFIX):
            outer, _, inner = name[len(_PREFIX) :].partition(".")
            if inner:
                found.setdefault(outer, {})[inner] = value
            else:
                found[outer] = value
    if "password" in found and found["password"] is None:
        found["password"] = asked_password()
    return found


def asked_password() -> str:
    """A password that is typed twice, or piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    while True:
        first = getpass.getpass("Password: ")
        if first == getpass.getpass("Again: "):
            return first
        print("They differ.", file=sys.stderr)


def _wire(written: str) -> dict[str, Any]:
    network, *rest = written.split(",")
    found: dict[str, Any] = {"network": network}
    for item in rest:
        key, equals, value = item.partition("=")
        if key == "address" and equals:
            found.setdefault("addresses", []).append(value)
        elif key not in ("nic", "channel") or not equals or key in found:
            raise argparse.ArgumentTypeError(f"{written!r} is not <network>[,nic=<nic>][,channel=<channel>]...")
        else:
            found[key] = value
    return found


def _add_options(parser: argparse.ArgumentParser, item: Argument, settings: Mapping[str, Any]) -> None:
    one, file = item.flags
    common: dict[str, Any] = {"dest": _PREFIX + item.field, "action": _Options, "default": argparse.SUPPRESS}
    parser.add_argument(one, type=_option, metavar="<key>=<value>", help=settings["help"], **common)
    help = (
        "Options in a YAML or JSON file, - for standard input: the place for secrets, which others see on command lines"
    )
    parser.add_argument(file, type=_options_file, metavar="<file>", help=help, **common)


class _Options(argparse.Action):
    """Puts one more option to those that were given."""

    def __call__(self, _parser: Any, namespace: argparse.Namespace, values: Any, _flag: str | None = None) -> None:
        setattr(namespace, self.dest, {**getattr(namespace, self.dest, {}), **values})


def _pair(written: str) -> dict[str, str]:
    key, equals, value = written.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{written!r} is not <key>=<value>")
    return {key: value}


def _option(written: str) -> dict[str, Any]:
    return {key: json_or_text(value) for key, value in _pair(written).items()}


def json_or_text(value: str) -> Any:
    """A JSON value where it is one, else the text as it is."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _options_file(name: str) -> Any:
    try:
        found = yaml.safe_load(sys.stdin if name == "-" else Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{name} has no <key>: <value> lines")
    return found


def encoded(name: str) -> str:
    """A file in base64, - for standard input."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error.strerror}") from None
    return base64.b64encode(data).decode()


def _placed(written: str) -> dict[str, str]:
    ((path, name),) = _pair(written).items()
    return {"path": path, "contents": encoded(name)}


def first_line(name: str) -> str:
    """The first line of a file, - for standard input."""
    try:
        lines = (sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")).splitlines()
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from None
    if not lines:
        raise argparse.ArgumentTypeError(f"{name} is empty")
    return lines[0]
