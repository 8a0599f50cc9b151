# SPDX-License-Identifier: Apache-2.0
"""How a value of the API stands in a table. In JSON and YAML it is as the API has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cliff import columns

_WORDS = {"uuid": "UUID", "id": "ID", "mac": "MAC", "nic": "NIC", "obm": "OBM"}


class Cell(columns.FormattableColumn[Any]):
    """A value that people and programs read in different ways."""

    def __lt__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.human_readable() < other.human_readable()

    def human_readable(self) -> str:
        return told(self._value)


def cell(value: Any) -> Any:
    """A value for cliff."""
    return value if isinstance(value, (str, int, float)) and not isinstance(value, bool) else Cell(value)


def told(value: Any, *, inner: bool = False) -> str:
    """A value, for people.

    :param inner: it stands within another one
    """
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(item, (Mapping, list)) for item in value)
        if inner:
            return f"[{'; '.join(told(item, inner=True) for item in value)}]"
        return ("\n" if nested else ", ").join(told(item, inner=True) for item in value)
    return str(value)


def _object(value: Mapping[str, Any]) -> str:
    """One that has a name is told by it; what else there is to say stands behind. An address is told by its network."""
    if "ip" in value and isinstance(value.get("network"), Mapping):
        return f"{value['network']['name']}={value['ip']}"
    name = value.get("name")
    rest = {key: item for key, item in value.items() if key not in ("uuid", "name", "created_at")}
    pairs = ", ".join(f"{key}={told(item, inner=True)}" for key, item in rest.items() if item not in (None, "", [], {}))
    if name is None:
        return pairs
    return f"{name} ({pairs})" if pairs else str(name)


def header(field: str) -> str:
    """The header of a column."""
    words = [_WORDS.get(word, word) for word in field.split("_")]
    return " ".join(word[0].upper() + word[1:] for word in words)


def rows(items: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
    """Several things, with the same fields of each."""
    return [header(field) for field in fields], [[cell(item.get(field)) for field in fields] for item in items]


def one(item: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    """One thing, with all its fields."""
    return list(item), [cell(value) for value in item.values()]
