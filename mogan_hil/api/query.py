# SPDX-License-Identifier: Apache-2.0
"""Query strings: filters, pages and the choice of fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from mogan_hil.api import bodies
from mogan_hil.api.expose import Route
from mogan_hil.api.types import Field, Flag, ListOf, Number
from mogan_hil.common import exception
from mogan_hil.verbs.listing import Page

PAGING = ("limit", "marker", "sort_key", "sort_dir")
TRUE = ("true", "1", "yes")
FALSE = ("false", "0", "no")


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query string."""

    raw: Mapping[str, str]
    filters: Mapping[str, Any]
    fields: Sequence[str] | None

    def next_link(self, base: str, environ: Mapping[str, str], marker: str) -> str:
        """The address of the page after the one that ends with this uuid."""
        path = quote(environ.get("PATH_INFO", "").encode("latin-1"))
        return f"{base}{path}?{urlencode({**self.raw, 'marker': marker})}"


def parse_query(text: str, route: Route) -> Query:
    """Check a query string against what a route takes.

    :raises exception.BadQuery: a parameter is unknown, given twice, or has a value that it cannot have
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=64)
    except ValueError:
        raise exception.BadQuery(field="query", reason="it is not a query string in UTF-8") from None
    raw = dict(pairs)
    if len(raw) != len(pairs):
        raise exception.BadQuery(field="query", reason="a parameter is given twice")
    for name, value in raw.items():
        bodies.check_text(name)
        bodies.check_text(value)
    allowed = set(route.query)
    if route.listing is not None:
        allowed |= {"fields", *(PAGING if route.listing.sort_keys else ())}
    for name in raw:
        if name not in allowed:
            reason = f"there is no such parameter; there are {', '.join(sorted(allowed)) or 'none'}"
            raise exception.BadQuery(field=name[:100], reason=reason)
    filters = {name: _value(field, raw[name], name) for name, field in route.query.items() if name in raw}
    fields = [part for part in raw["fields"].split(",") if part] if "fields" in raw else None
    return Query(raw, filters, fields)


def _value(field: Field, text: str, name: str) -> Any:
    value: Any = text
    if isinstance(field, Flag):
        value = True if text.lower() in TRUE else False if text.lower() in FALSE else text
    elif isinstance(field, Number):
        value = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text
    elif isinstance(field, ListOf):
        value = text.split(",")
    try:
        return field.validate(value)
    except ValueError as error:
        raise exception.BadQuery(field=name, reason=str(error)) from None


def parse_page(query: Query, sort_keys: Sequence[str], max_limit: int) -> Page:
    """The page that is asked for.

    :raises exception.BadQuery: it cannot be
    """
    raw = query.raw
    limit = _value(Number(1, 2**31), raw["limit"], "limit") if "limit" in raw else max_limit
    sort_key, sort_dir = raw.get("sort_key", "id"), raw.get("sort_dir", "asc")
    if "sort_key" in raw and sort_key not in sort_keys:
        raise exception.BadQuery(field="sort_key", reason=f"it must be one of {', '.join(sort_keys)}")
    if sort_dir not in ("asc", "desc"):
        raise exception.BadQuery(field="sort_dir", reason="it must be asc or desc")
    return Page(min(limit, max_limit), raw.get("marker"), sort_key, "asc" if sort_dir == "asc" else "desc")


def select(items: Sequence[Mapping[str, Any]], fields: Sequence[str] | None) -> Sequence[Mapping[str, Any]]:
    """Only these fields of each item.

    :raises exception.BadQuery: there is no such field
    """
    if fields is None or not items:
        return items
    for name in fields:
        if name not in items[0]:
            known = ", ".join(sorted(items[0]))
            raise exception.BadQuery(field="fields", reason=f"there is no {name[:100]!r}; there are {known}")
    return [{name: item[name] for name in fields} for item in items]
