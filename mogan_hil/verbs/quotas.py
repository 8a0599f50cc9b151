# SPDX-License-Identifier: Apache-2.0
"""Quotas: show and set them, and make room within them for what is to be created."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects import quota as quotas
from mogan_hil.objects.project import Project
from mogan_hil.objects.quota import OF_USERS, OWNERS, UNLIMITED
from mogan_hil.policies import quota as rules
from mogan_hil.verbs.base import Call, resolve_project, writes


@dataclass(frozen=True, slots=True)
class QuotaView:
    """The quotas of a project.

    :param limits: by resource, the defaults among them
    :param in_use: by resource; of keypairs, those of the caller
    """

    project_id: str
    limits: Mapping[str, int]
    in_use: Mapping[str, int]


def _defaults(call: Call) -> dict[str, int]:
    return {name: int(call.services.conf.quota[name]) for name in OWNERS}


def room(session: orm.Session, call: Call, project_id: str | None, lowest: int, highest: int, *resources: str) -> int:
    """How many more of each of these a project may have. Until the transaction ends nobody else takes them.

    Call it before the transaction locks anything else. What has no limit costs one look.

    :param project_id: None for what is no project's, which has no limit
    :param lowest: at least so many are wanted
    :param highest: at the most so many are wanted
    :returns: `lowest` to `highest`
    :raises exception.QuotaExceeded: there is no room for `lowest`
    """
    if project_id is None or highest < 1:
        return highest
    limits = {**_defaults(call), **quotas.limits_of(session, project_id)}
    limited = [name for name in resources if limits[name] != UNLIMITED]
    if not limited:
        return highest
    owners = _owners(call, project_id, limited)
    if not OF_USERS.issuperset(limited):
        quotas.hold(session, project_id)
    for name in OF_USERS.intersection(limited):
        quotas.hold_user(session, owners[name])
    in_use = quotas.used(session, owners)
    for name in limited:
        free = max(0, limits[name] - in_use[name])
        if free < lowest:
            raise exception.QuotaExceeded(
                resource=name.replace("_", " "), limit=limits[name], used=in_use[name], asked=lowest
            )
        highest = min(highest, free)
    return highest


def _owners(call: Call, project_id: str, resources: list[str]) -> dict[str, str]:
    return {name: (call.context.user_id or "") if name in OF_USERS else project_id for name in resources}


def get(call: Call, project: str | None) -> QuotaView:
    """The quotas of a project, and what it uses of them.

    :param project: id or name; the caller's own if None
    :raises exception.NotFound: there is no such project, or it is not the caller's
    :raises exception.BadField: none is named and the caller's token is for none
    """
    with call.reader() as session:
        found = _visible(session, call, project)
        return _view(session, call, found)


def _view(session: orm.Session, call: Call, project: str) -> QuotaView:
    limits, in_use = quotas.standing(session, project, _owners(call, project, list(OWNERS)))
    return QuotaView(project, {**_defaults(call), **limits}, in_use)


def _visible(session: orm.Session, call: Call, project: str | None) -> str:
    own = call.project_id
    if own is not None and project in (None, own, call.context.project_name):
        call.check(rules.GET, own)
        return own
    if project is None:
        call.check(rules.GET)
        raise exception.BadField(field="project", reason="name a project; your token is for none")
    found = Project.find(session, Project.identified(project))
    if len(found) != 1 or not call.allows(rules.GET, found[0].uuid):  # whether it exists is not for everyone to know
        raise exception.NotFound(kind="project", name=project)
    return found[0].uuid


def defaults(call: Call) -> Mapping[str, int]:
    """The quotas of projects for which none were set."""
    call.check(rules.GET_DEFAULTS)
    return _defaults(call)


@writes
def put(call: Call, project: str, limits: Mapping[str, int | None]) -> QuotaView:
    """Set quotas of a project. It may have more already, and keeps it.

    :param limits: by resource, -1 for no limit and None for the default; those that are not named stay as they are
    :raises exception.NotFound: there is no such project
    """
    call.check(rules.SET)
    with call.writer() as session:
        found = resolve_project(session, call, project)
        quotas.hold(session, found)
        quotas.set_limits(session, found, limits)
        return _view(session, call, found)


@writes
def reset(call: Call, project: str) -> None:
    """Give a project the default quotas again.

    :raises exception.NotFound: there is no such project
    """
    call.check(rules.RESET)
    with call.writer() as session:
        found = resolve_project(session, call, project)
        quotas.hold(session, found)
        for quota in quotas.Quota.find(session, models.Quota.project_id == found):
            quota.delete(session)
