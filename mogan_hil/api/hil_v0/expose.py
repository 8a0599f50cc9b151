# SPDX-License-Identifier: Apache-2.0
"""How a function becomes a call of HIL's, and who is asking.

HIL's arguments are the parts of the path together with the members of the body, or of the query where the method is
GET. What is unknown, missing or said twice is a ValidationError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mogan_hil.api.expose import Route
from mogan_hil.api.hil_v0.errors import HilError
from mogan_hil.api.types import Field
from mogan_hil.common import exception
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.listing import Page

R = TypeVar("R")
Handler = TypeVar("Handler", bound=Callable[..., Any])

#: What a verb says to somebody who acts for the wrong project.
_WRONG_PROJECT = (exception.NotFound, exception.Forbidden, exception.NameAmbiguous)


class Anything(Field):
    """Any JSON value."""


_ANYTHING = Anything()


@dataclass(frozen=True)
class HilRoute(Route):
    """One call.

    :param call: its name in HIL
    :param arguments: those that are not in the path
    :param optional: which of them may be left out
    :param more: it takes arguments of any other name, too: those of a driver
    :param covers: the routes of `/v1` that do the same, for the documents
    """

    call: str = ""
    arguments: Mapping[str, Field] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    more: bool = False
    covers: tuple[str, ...] = ()


def hil(
    method: str, path: str, *covers: str, optional: Sequence[str] = (), more: bool = False, **arguments: Field
) -> Callable[[Handler], Handler]:
    """Make a function a call; its name is the one that HIL gave it. See :class:`HilRoute`."""

    def mark(handler: Handler) -> Handler:
        handler.__dict__["hil_route"] = HilRoute(
            method,
            f"/v0{path}",
            handler,
            call=handler.__name__,
            arguments=arguments,
            optional=frozenset(optional),
            more=more,
            covers=covers,
        )
        return handler

    return mark


def calls_of(module: object) -> list[HilRoute]:
    """The calls of a module."""
    return [value.hil_route for value in vars(module).values() if hasattr(value, "hil_route")]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. HIL's users act for all their projects at once, so there is one call for each of them.

    :param calls: at least one; an administrator's first
    """

    calls: tuple[Call, ...]

    @property
    def first(self) -> Call:
        """For what does not depend on the project."""
        return self.calls[0]

    def do(self, act: Callable[[Call], R]) -> R:
        """Do something for the project that may. What is refused to all of them is refused as it was to the first.

        :raises: what `act` raises
        """
        refused: exception.MoganHilError | None = None
        for call in self.calls:
            try:
                return act(call)
            except _WRONG_PROJECT as error:
                if refused is None or isinstance(refused, exception.NotFound):
                    refused = error
        assert refused is not None
        raise refused

    def each(self, act: Callable[[Call], R]) -> list[R]:
        """Look at something for each project that may. What is refused to all of them is refused as to the first.

        :raises: what `act` raises
        """
        found: list[R] = []
        refused: exception.MoganHilError | None = None
        for call in self.calls:
            try:
                found.append(act(call))
            except _WRONG_PROJECT as error:
                refused = refused or error
        if refused is not None and not found:
            raise refused
        return found

    def for_admin(self) -> Call:
        """The call of an administrator.

        :raises HilError: the caller is none
        """
        for call in self.calls:
            if call.allows("admin"):
                return call
        raise HilError("AuthorizationError", "This is for administrators.")

    def hears_of(self, project: str) -> bool:
        """Whether the caller may know if a project exists: it is one of the own, or the caller is an administrator.

        :param project: id or name
        """
        own = any(project in (call.project_id, call.context.project_name) for call in self.calls)
        return own or any(call.allows("admin") for call in self.calls)


def everything(call: Call, list_: Callable[[Page], Sequence[Any]], uuid: Callable[[Any], str]) -> list[Any]:
    """All pages of a list: HIL has none.

    :param uuid: of one of its items
    """
    page = Page(limit=call.services.conf.api.max_limit)
    found = list(list_(page))
    last = len(found)
    while last == page.limit:
        more = list_(replace(page, marker=uuid(found[-1])))
        found += more
        last = len(more)
    return found


def check_arguments(route: HilRoute, parts: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call.

    :raises HilError: one is unknown, missing, said twice or of the wrong type
    """
    twice = sorted(parts.keys() & given.keys())
    unknown = [] if route.more else sorted(given.keys() - route.arguments.keys() - parts.keys())
    missing = sorted(route.arguments.keys() - given.keys() - route.optional)
    for names, what in ((twice, "is in the path already"), (unknown, "is not known"), (missing, "is missing")):
        if names:
            raise HilError("ValidationError", f"{names[0][:100]} {what}.")
    found: dict[str, Any] = dict(parts)
    for name, value in given.items():
        try:
            found[name] = route.arguments.get(name, _ANYTHING).validate(value)
        except ValueError as error:
            raise HilError("ValidationError", f"{name}: {error}") from None
    return found
