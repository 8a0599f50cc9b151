# SPDX-License-Identifier: Apache-2.0
"""Server groups: which instances of a project are to share a failure domain, or not to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.server_group import ServerGroup, members_of
from mogan_hil.policies import server_group as rules
from mogan_hil.verbs import quotas
from mogan_hil.verbs.base import Call, of_project, resolve_project, writes
from mogan_hil.verbs.listing import Page, paged

SORT_KEYS = ("name", "created_at")


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group, and uuid and name of each of its instances."""

    group: models.ServerGroup | ServerGroup
    instances: Sequence[Any]


def _seen_by(call: Call) -> list[sa.ColumnElement[bool]]:
    return [] if call.sees_all else [models.ServerGroup.project_id == (call.project_id or "")]


@writes
def create(call: Call, name: str, policy: str, project: str | None) -> GroupView:
    """Create a group.

    :param policy: see :class:`mogan_hil.common.states.GroupPolicy`
    :param project: the owner; the caller's own project if None
    :raises exception.NotFound: there is no such project
    :raises exception.QuotaExceeded: the project may not have one more
    :raises exception.Duplicate: the project has a group of this name
    """
    if project is not None and project not in (call.project_id, call.context.project_name):
        call.check(rules.CREATE, project)
    with call.writer() as session:
        owner = resolve_project(session, call, project)
        call.check(rules.CREATE, owner)
        quotas.room(session, call, owner, 1, 1, "server_groups")
        return GroupView(ServerGroup.create(session, name=name, policy=policy, project_id=owner), [])


def list_(call: Call, page: Page, *, project: str | None = None, name: str | None = None) -> Sequence[GroupView]:
    """A page of the groups of the caller's project, or of all for an administrator.

    :param project: only those of this project
    """
    call.check(rules.LIST)
    rows = models.ServerGroup
    query = sa.select(rows).where(*_seen_by(call))
    if project is not None:
        query = query.where(of_project(call, rows.project_id, project))
    if name is not None:
        query = query.where(rows.name == name)
    with call.reader() as session:
        found = [row[0] for row in paged(session, query, rows, page)]
        members = members_of(session, [row.id for row in found])
    return [GroupView(row, members[row.id]) for row in found]


def get(call: Call, ident: str) -> GroupView:
    """One group.

    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.NameAmbiguous: several projects have one of this name
    """
    with call.reader() as session:
        found = ServerGroup.get(session, ident, *_seen_by(call))
        call.check(rules.GET, found.project_id)
        return GroupView(found, members_of(session, [found.id])[found.id])


@writes
def delete(call: Call, ident: str) -> None:
    """Delete a group.

    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.NameAmbiguous: several projects have one of this name
    :raises exception.InUse: instances are in it
    """
    with call.writer() as session:
        found = ServerGroup.get(session, ident, *_seen_by(call), lock="update")
        call.check(rules.DELETE, found.project_id)
        found.delete(session, exception.InUse(kind="Server group", name=found.name, what="instances"))
