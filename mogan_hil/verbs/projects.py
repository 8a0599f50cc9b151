# SPDX-License-Identifier: Apache-2.0
"""Projects. With auth `local` they are made here; with Keystone they are Keystone's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.network import access_of
from mogan_hil.objects.project import Project
from mogan_hil.objects.user import RoleAssignment
from mogan_hil.policies import project as rules
from mogan_hil.verbs.base import Call, writes
from mogan_hil.verbs.headnodes import HeadnodeView, page_of
from mogan_hil.verbs.listing import Page, paged
from mogan_hil.verbs.networks import NetworkView
from mogan_hil.verbs.nodes import summary

SORT_KEYS = ("name", "created_at")


def _visible(session: orm.Session, call: Call, ident: str, rule: str) -> Project:
    found = Project.get(session, ident)
    if not call.allows(rule, found.uuid):  # whether a project exists is not for everyone to know
        raise exception.NotFound(kind="project", name=ident)
    return found


@writes
def _ident(call: Call, ident: str) -> str:
    """The id of the caller's own project, where that is meant and Keystone's; it is written down if it is not yet."""
    own = call.project_id
    if call.services.projects is None or own is None or ident not in (own, call.context.project_name):
        return ident
    with call.reader() as session:
        if Project.find(session, models.Project.uuid == own):
            return own
    with call.writer() as session:
        Project.ensure(session, own)
    return own


@writes
def create(call: Call, name: str) -> tuple[Project, bool]:
    """Create a project, or find it there already.

    :returns: the project, and whether it is new
    :raises exception.Conflict: projects are Keystone's
    """
    call.check(rules.CREATE)
    _check_local(call)
    with call.writer() as session:
        found = Project.find(session, Project.identified(name))
        return (found[0], False) if found else (Project.create(session, name=name), True)


def _check_local(call: Call) -> None:
    if call.services.conf.auth.strategy != "local":
        raise exception.Conflict(reason="Projects are Keystone's here; create and delete them there.")


def list_(call: Call, page: Page) -> Sequence[models.Project]:
    """A page of projects."""
    call.check(rules.LIST)
    with call.reader() as session:
        return [row[0] for row in paged(session, sa.select(models.Project), models.Project, page)]


def get(call: Call, ident: str) -> Project:
    """One project.

    :raises exception.NotFound: there is none, or it is not the caller's
    """
    ident = _ident(call, ident)
    with call.reader() as session:
        return _visible(session, call, ident, rules.GET)


@writes
def delete(call: Call, ident: str) -> None:
    """Delete a project; its users are left without it.

    :raises exception.NotFound: there is none
    :raises exception.InUse: it has nodes, instances, groups, headnodes, networks, images or access to networks
    :raises exception.Conflict: it is the one that the caller acts for or the last administrator's, or projects are
        Keystone's
    """
    call.check(rules.DELETE)
    _check_local(call)
    with call.writer() as session:
        found = Project.get(session, ident, lock="update")
        if found.uuid == call.project_id:
            raise exception.Conflict(reason="You act for this project; delete it from another.")
        if not any(role.project_id != found.uuid for role in RoleAssignment.admins(session)):
            raise exception.Conflict(reason="The last administrator is of this project.")
        found.delete(
            session,
            exception.InUse(
                kind="Project",
                name=found.name,
                what="nodes, instances, server groups, headnodes, networks, images or access to networks",
            ),
        )


def nodes(call: Call, ident: str, page: Page) -> Sequence[Any]:
    """A page of a project's nodes, as rows of what :func:`.nodes.summary` selects.

    :raises exception.NotFound: there is no such project, or it is not the caller's
    """
    ident = _ident(call, ident)
    with call.reader() as session:
        found = _visible(session, call, ident, rules.LIST_NODES)
        return paged(session, summary().where(models.Node.project_id == found.uuid), models.Node, page)


def networks(call: Call, ident: str, page: Page) -> Sequence[NetworkView]:
    """A page of the networks that a project owns or was given access to; the public ones are not among them.

    :raises exception.NotFound: there is no such project, or it is not the caller's
    """
    ident = _ident(call, ident)
    with call.reader() as session:
        found = _visible(session, call, ident, rules.LIST_NETWORKS)
        granted = sa.exists().where(
            models.NetworkAccess.network_id == models.Network.id, models.NetworkAccess.project_id == found.uuid
        )
        query = sa.select(models.Network).where(sa.or_(models.Network.project_id == found.uuid, granted))
        rows = [row[0] for row in paged(session, query, models.Network, page)]
        access = access_of(session, [row.id for row in rows])
    return [
        NetworkView(row, access[row.id] if call.sees_all or row.project_id == found.uuid else [found.uuid])
        for row in rows
    ]


def headnodes(call: Call, ident: str, page: Page) -> Sequence[HeadnodeView]:
    """A page of a project's headnodes.

    :raises exception.NotFound: there is no such project, or it is not the caller's
    """
    ident = _ident(call, ident)
    with call.reader() as session:
        found = _visible(session, call, ident, rules.LIST_HEADNODES)
        return page_of(session, sa.select(models.Headnode).where(models.Headnode.project_id == found.uuid), page)
