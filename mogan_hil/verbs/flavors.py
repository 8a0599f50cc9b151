# SPDX-License-Identifier: Apache-2.0
"""Flavors: which sort of node an instance takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.instance import Flavor, FlavorAccess, flavors_of
from mogan_hil.policies import flavor as rules
from mogan_hil.verbs.base import Call, resolve_project, writes
from mogan_hil.verbs.listing import Page, paged

SORT_KEYS = ("name", "created_at", "resource_class")


@dataclass(frozen=True, slots=True)
class FlavorView:
    """A flavor, and the projects that may use it though it is private; None where the caller may not know."""

    flavor: models.Flavor | Flavor
    access: Sequence[str] | None


def visible_flavor(session: orm.Session, call: Call, ident: str) -> Flavor:
    """A flavor that the caller may use, or any for an administrator.

    :raises exception.NotFound: there is none
    """
    return Flavor.get(session, ident, *([] if call.allows(rules.LIST_ALL) else [flavors_of(call.project_id)]))


def _access(session: orm.Session, ids: Collection[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {flavor: [] for flavor in ids}
    rows = models.FlavorAccess
    for flavor, project in session.execute(
        sa.select(rows.flavor_id, rows.project_id).where(rows.flavor_id.in_(ids)).order_by(rows.id)
    ):
        found[flavor].append(project)
    return found


@writes
def create(call: Call, name: str, resource_class: str, **values: Any) -> FlavorView:
    """Create a flavor.

    :param values: description, traits, aggregate_metadata, public, disabled
    :raises exception.Duplicate: the name is taken
    """
    call.check(rules.CREATE)
    with call.writer() as session:
        return FlavorView(Flavor.create(session, name=name, resource_class=resource_class, **values), [])


def list_(call: Call, page: Page) -> Sequence[FlavorView]:
    """A page of the flavors that the caller may use."""
    call.check(rules.LIST)
    everything = call.allows(rules.LIST_ALL)
    query = sa.select(models.Flavor)
    if not everything:
        query = query.where(flavors_of(call.project_id))
    with call.reader() as session:
        found = [row[0] for row in paged(session, query, models.Flavor, page)]
        access = _access(session, [row.id for row in found]) if everything else {}
    return [FlavorView(row, access.get(row.id)) for row in found]


def get(call: Call, ident: str) -> FlavorView:
    """One flavor.

    :raises exception.NotFound: there is none that the caller may use
    """
    call.check(rules.GET)
    with call.reader() as session:
        found = visible_flavor(session, call, ident)
        access = _access(session, [found.id])[found.id] if call.allows(rules.LIST_ALL) else None
    return FlavorView(found, access)


@writes
def update(call: Call, ident: str, changes: Mapping[str, Any]) -> FlavorView:
    """Change a flavor; instances that have it stay as they are.

    :param changes: any of name, description, public, disabled
    :raises exception.NotFound: there is none
    :raises exception.Duplicate: the name is taken
    """
    call.check(rules.UPDATE)
    with call.writer() as session:
        found = Flavor.get(session, ident, lock="update")
        if changes:
            found.update(session, **changes)
        return FlavorView(found, _access(session, [found.id])[found.id])


@writes
def delete(call: Call, ident: str) -> None:
    """Delete a flavor.

    :raises exception.NotFound: there is none
    :raises exception.InUse: an instance has it
    """
    call.check(rules.DELETE)
    with call.writer() as session:
        found = Flavor.get(session, ident, lock="update")
        found.delete(session, exception.InUse(kind="Flavor", name=found.name, what="instances"))


@writes
def grant(call: Call, ident: str, project: str) -> None:
    """Let a project use a private flavor.

    :raises exception.NotFound: there is no such flavor or project
    """
    call.check(rules.GRANT)
    with call.writer() as session:
        found = Flavor.get(session, ident, lock="update")
        owner = resolve_project(session, call, project)
        rows = models.FlavorAccess
        if not FlavorAccess.find(session, rows.flavor_id == found.id, rows.project_id == owner):
            FlavorAccess.create(session, flavor_id=found.id, project_id=owner)


@writes
def revoke(call: Call, ident: str, project: str) -> None:
    """Let a project use a private flavor no more; its instances stay.

    :raises exception.NotFound: there is no such flavor or project, or it has no access
    """
    call.check(rules.REVOKE)
    with call.writer() as session:
        found = Flavor.get(session, ident, lock="update")
        owner = resolve_project(session, call, project)
        FlavorAccess.get(session, owner, models.FlavorAccess.flavor_id == found.id).delete(session)
