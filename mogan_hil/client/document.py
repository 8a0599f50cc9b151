# SPDX-License-Identifier: Apache-2.0
"""The inventory file: what it may say, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeAlias

import jsonschema
import netaddr
import yaml

Document: TypeAlias = Mapping[str, Any]

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,254}$"
_TEXT = {"type": "string", "maxLength": 255}
_TRAIT = {"type": "string", "pattern": r"^[A-Z0-9_]{1,255}$"}
_PORT = {"type": "string", "pattern": r"^[!-~]{1,63}$"}


def _objects(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """Things by name."""
    one = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return {"type": "object", "propertyNames": {"pattern": NAME}, "additionalProperties": one}


_SWITCHES = _objects(
    {
        "driver": {"type": "string", "minLength": 1},
        "options": {"type": "object"},
        "physical_network": {"type": "string", "minLength": 1},
        "description": _TEXT,
        "ports": {"type": "array", "items": _PORT, "uniqueItems": True},
    },
    "driver",
)
_NICS = _objects(
    {
        "mac": {"type": "string", "format": "mac"},
        "port": {"type": "string", "pattern": r"^[A-Za-z0-9_][^/ ]*/[!-~]{1,63}$"},
    },
    "mac",
)
_NODES = _objects(
    {
        "description": _TEXT,
        "resource_class": {"type": "string", "pattern": r"^[A-Za-z0-9_.-]{1,80}$"},
        "traits": {"type": "array", "items": _TRAIT, "uniqueItems": True},
        "maintenance": {"type": "boolean"},
        "maintenance_reason": _TEXT,
        "metadata": {"type": "object", "propertyNames": {"pattern": NAME}},
        "obm": {
            "type": "object",
            "properties": {"driver": {"type": "string", "minLength": 1}, "options": {"type": "object"}},
            "required": ["driver"],
            "additionalProperties": False,
        },
        "nics": _NICS,
    }
)
_SUBNET = {
    "type": "object",
    "properties": {
        "cidr": {"type": "string", "minLength": 1},
        "gateway": {"type": ["string", "null"]},
        "pools": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"start": {"type": "string"}, "end": {"type": "string"}},
                "required": ["start", "end"],
                "additionalProperties": False,
            },
        },
        "dns_servers": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "dhcp": {"type": "boolean"},
    },
    "required": ["cidr"],
    "additionalProperties": False,
}
_NETWORK = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": NAME},
        "project": {"type": ["string", "null"], "pattern": NAME},
        "description": _TEXT,
        "public": {"type": "boolean"},
        "access": {"type": "array", "items": {"type": "string", "pattern": NAME}, "uniqueItems": True},
        "segment_id": {"type": "string", "minLength": 1},
        "physical_network": {"type": "string", "minLength": 1},
        "subnets": {"type": "array", "items": _SUBNET},
    },
    "required": ["name", "project"],
    "additionalProperties": False,
}
_TEXTS = {"type": "object", "propertyNames": {"pattern": NAME}, "additionalProperties": _TEXT}
_AGGREGATES = _objects(
    {
        "description": _TEXT,
        "metadata": _TEXTS,
        "nodes": {"type": "array", "items": {"type": "string", "pattern": NAME}, "uniqueItems": True},
    }
)
_QUOTAS = {
    "type": "object",
    "propertyNames": {"pattern": NAME},
    "additionalProperties": {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z_]{1,64}$"},
        "additionalProperties": {"type": "integer", "minimum": -1, "maximum": 2**31 - 1},
    },
}

#: JSON Schema of an inventory. Whatever a driver asks of its options is checked by the service.
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "projects": {"type": "array", "items": {"type": "string", "pattern": NAME}, "uniqueItems": True},
        "switches": _SWITCHES,
        "nodes": _NODES,
        "networks": {"type": "array", "items": _NETWORK},
        "aggregates": _AGGREGATES,
        "quotas": _QUOTAS,
    },
    "additionalProperties": False,
}

_WORDS = {
    "object": "names with a value each",
    "array": "a list",
    "string": "a text (put a number in quotes)",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
}

_formats = jsonschema.FormatChecker()


@_formats.checks("mac")
def _is_mac(value: object) -> bool:
    return not isinstance(value, str) or (value.isascii() and bool(netaddr.valid_mac(value)))


class DocumentError(Exception):
    """The file is no inventory. Its text has one line a fault, each with its place."""


class _Loader(yaml.SafeLoader):
    """Refuses a name that is given twice: YAML says that it is an error, and PyYAML lets the last one win."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    loader.flatten_mapping(node)
    found: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in found:
            where = key_node.start_mark
            raise yaml.MarkedYAMLError(problem=f"{key!r} is there twice", problem_mark=where)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(text: str) -> Document:
    """Parse an inventory.

    :raises DocumentError: it is not one
    """
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise DocumentError(f"{place}{error.problem or error}") from None
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise DocumentError(f"it is not YAML: {error}") from None
    found = _without_empty({} if found is None else found)
    validator = jsonschema.Draft202012Validator(SCHEMA, format_checker=_formats)
    faults = [_told(error) for error in validator.iter_errors(found)] or list(_contradictions(found))
    if faults:
        raise DocumentError("\n".join(faults))
    return found  # type: ignore[no-any-return]


def _without_empty(found: Any) -> Any:
    """`nodes:` and `n1:` with nothing behind them are as good as `{}`."""
    if not isinstance(found, dict):
        return found
    found = {
        key: value if value is not None else [] if key in ("projects", "networks") else {}
        for key, value in found.items()
    }
    for kind in ("nodes", "aggregates"):
        if isinstance(found.get(kind), dict):
            found[kind] = {key: {} if value is None else value for key, value in found[kind].items()}
    return found


def _told(error: Any) -> str:
    place = ".".join(str(part) for part in error.absolute_path) or "the file"
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = ", ".join(sorted(str(name) for name in error.instance if name not in known))
        return f"{place}: there is no {unknown}; there are {', '.join(known)}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{place}: {', '.join(missing)} is missing"
    if error.validator == "type":
        kinds = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        return f"{place}: it must be {' or '.join(_WORDS[kind] for kind in kinds)}"
    if error.validator == "format":
        return f"{place}: {error.instance!r} is no MAC address, like 52:54:00:12:34:56"
    if error.validator == "uniqueItems":
        return f"{place}: something is there twice"
    if error.validator == "pattern":
        return f"{place}: {error.instance!r} does not match {error.validator_value}"
    return f"{place}: {error.message}"


def mac(text: str) -> str:
    """A MAC address as the service keeps it."""
    return str(netaddr.EUI(text, version=48, dialect=netaddr.mac_unix_expanded))


def cabled(document: Document) -> Iterator[tuple[str, str, str, str]]:
    """Every cable: node, NIC, switch, port."""
    for node, entry in document.get("nodes", {}).items():
        for nic, card in entry.get("nics", {}).items():
            if "port" in card:
                switch, _, port = card["port"].partition("/")
                yield node, nic, switch, port


def _contradictions(document: Document) -> Iterator[str]:
    """What a schema cannot see."""
    macs: dict[str, str] = {}
    for node, entry in document.get("nodes", {}).items():
        for nic, card in entry.get("nics", {}).items():
            place = f"nodes.{node}.nics.{nic}"
            other = macs.setdefault(mac(card["mac"]), place)
            if other != place:
                yield f"{place}.mac: {other} has this address too"
    ports: dict[tuple[str, str], str] = {}
    for node, nic, switch, port in cabled(document):
        place = f"nodes.{node}.nics.{nic}"
        other = ports.setdefault((switch, port), place)
        if other != place:
            yield f"{place}.port: {other} is cabled to {switch}/{port} too"
    names: set[tuple[str | None, str]] = set()
    for number, network in enumerate(document.get("networks", [])):
        cidrs = [subnet["cidr"] for subnet in network.get("subnets", [])]
        for cidr in sorted({cidr for cidr in cidrs if cidrs.count(cidr) > 1}):
            yield f"networks.{number}.subnets: {cidr} is there twice"
        if (network["project"], network["name"]) in names:
            yield f"networks.{number}: {network['name']} is there twice"
        names.add((network["project"], network["name"]))
