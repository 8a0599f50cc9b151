# SPDX-License-Identifier: Apache-2.0
"""How a function becomes a route.

A controller is a module of functions. Each says its method, its path and what its body is, takes the :class:`Call` and
the parts of the path, calls one verb, and returns what to answer. It keeps nothing between requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from mogan_hil.api.types import Field
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import operation as operation_rules
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.listing import Page

Handler = TypeVar("Handler", bound=Callable[..., Any])

#: What an operation's payload has of the cabling.
CABLING = ("port_uuid", "port", "switch")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a JSON value or a text as bytes in UTF-8, and where it can be found."""

    status: int
    body: Any
    location: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """What makes a route a list.

    :param key: the name of the list in the answer
    :param sort_keys: what it may be sorted by; without any it has no pages
    """

    key: str
    sort_keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    :param path: with `{name}` for a part; a last part `{name:path}` may hold slashes
    :param body: the WSME type of the body, None for a route without
    :param query: the filters that the query string may have
    :param exempt: why a locked instance does not forbid it; None for a route that only reads, or asks for the lock
    :param public: it answers without authentication
    :param linked: the handler is given `base`, the address that links begin with
    """

    method: str
    path: str
    handler: Callable[..., Any]
    body: Any = None
    query: Mapping[str, Field] = field(default_factory=dict)
    listing: Listing | None = None
    public: bool = False
    exempt: str | None = None
    linked: bool = False

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]


def route(method: str, path: str, **options: Any) -> Callable[[Handler], Handler]:
    """Make a function a route; see :class:`Route` for the options."""

    def mark(handler: Handler) -> Handler:
        known: list[Route] = handler.__dict__.setdefault("routes", [])
        known.append(Route(method, path, handler, **options))
        return handler

    return mark


def routes_of(module: object) -> list[Route]:
    """The routes of a controller."""
    return [item for value in vars(module).values() if callable(value) for item in getattr(value, "routes", [])]


def created(body: Any, *path: str) -> Answer:
    """201, with the place of the new thing."""
    return Answer(201, body, location(*path))


def accepted(call: Call, operation: Operation) -> Answer:
    """202, with the operation as the body."""
    return Answer(202, operation_view(call, operation), location("operations", operation.uuid))


def location(*path: str) -> str:
    """The path of a thing below `/v1`."""
    return "/v1/" + "/".join(quote(part, safe="") for part in path)


def operation_view(call: Call, operation: Any) -> dict[str, Any]:
    """An operation as it is shown to the caller."""
    return operation_views(call, [operation])[0]


def operation_views(call: Call, operations: Sequence[Any]) -> list[dict[str, Any]]:
    """Operations as they are shown to the caller.

    Only operators see the details of errors, and what tells the cabling: the lane and `CABLING` of the payload. Without
    the right the lane is left out, as the details are.
    """
    names = [
        "uuid",
        "verb",
        "state",
        "project_id",
        "user_id",
        "request_id",
        "node",
        "payload",
        "result",
        "verified",
        "error",
        "attempts",
        "created_at",
        "started_at",
        "finished_at",
    ]
    if call.allows(operation_rules.GET_DETAIL):
        names += ["lane", "error_detail", "conductor"]
        return [{name: getattr(operation, name) for name in names} for operation in operations]
    return [
        {**{name: getattr(operation, name) for name in names}, "payload": _told(operation)} for operation in operations
    ]


def _told(operation: Any) -> dict[str, Any]:
    return {name: value for name, value in operation.payload.items() if name not in CABLING}


__all__ = [
    "Answer",
    "Listing",
    "Page",
    "Route",
    "accepted",
    "created",
    "location",
    "operation_view",
    "operation_views",
    "route",
    "routes_of",
]
