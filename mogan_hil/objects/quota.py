# SPDX-License-Identifier: Apache-2.0
"""Quotas: how many of something a project may have. What it has is counted, never written down a second time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exception
from sqlalchemy import orm

from mogan_hil.db import models
from mogan_hil.objects import base
from mogan_hil.objects.project import Project

UNLIMITED = -1

#: What has quotas, with the column that says whose a row is. Each has an option in `[quota]`.
OWNERS: Mapping[str, orm.InstrumentedAttribute[Any]] = {
    "headnode_cpus": models.Headnode.project_id,
    "headnode_memory": models.Headnode.project_id,
    "headnodes": models.Headnode.project_id,
    "images": models.Image.project_id,
    "instances": models.Instance.project_id,
    "keypairs": models.Keypair.user_id,
    "networks": models.Network.project_id,
    "nodes": models.Node.project_id,
    "server_groups": models.ServerGroup.project_id,
}

#: Those that are added up; of the others the rows are counted.
AMOUNTS: Mapping[str, orm.InstrumentedAttribute[Any]] = {
    "headnode_cpus": models.Headnode.cpus,
    "headnode_memory": models.Headnode.memory,
}

#: Those of which each user may have so many, whatever the project.
OF_USERS = frozenset({"keypairs"})


class Quota(base.Stored):
    MODEL = models.Quota
    KIND = "quota"

    project_id: str
    resource: str
    maximum: int

    @classmethod
    def identified(cls, ident: str) -> sa.ColumnElement[bool]:
        """A quota goes by its resource."""
        return models.Quota.resource == ident


def limits_of(session: orm.Session, project_id: str) -> dict[str, int]:
    """The quotas that were set for a project."""
    rows = models.Quota
    query = sa.select(rows.resource, rows.maximum).where(rows.project_id == project_id)
    return {resource: maximum for resource, maximum in session.execute(query)}


def used(session: orm.Session, owners: Mapping[str, str]) -> dict[str, int]:
    """How many there are.

    :param owners: by resource, whose
    """
    names = sorted(owners)
    if not names:
        return {}
    counts = [_amount(name, owners[name]).scalar_subquery().label(name) for name in names]
    row = session.execute(sa.select(*counts)).one()
    return {name: int(count) for name, count in zip(names, row, strict=True)}


def _amount(name: str, owner: str) -> sa.Select[tuple[int]]:
    amount = sa.func.coalesce(sa.func.sum(AMOUNTS[name]), 0) if name in AMOUNTS else sa.func.count()
    return sa.select(amount).where(OWNERS[name] == owner)


def standing(session: orm.Session, project_id: str, owners: Mapping[str, str]) -> tuple[dict[str, int], dict[str, int]]:
    """What :func:`limits_of` and :func:`used` tell, at one moment."""
    rows = models.Quota
    found = []
    for name, owner in owners.items():
        limit = sa.select(rows.maximum).where(rows.project_id == project_id, rows.resource == name)
        found += [limit.scalar_subquery(), _amount(name, owner).scalar_subquery()]
    row = session.execute(sa.select(*(column.label(f"c{number}") for number, column in enumerate(found)))).one()
    limits = {name: limit for name, limit in zip(owners, row[::2], strict=True) if limit is not None}
    return limits, {name: int(count) for name, count in zip(owners, row[1::2], strict=True)}


def hold(session: orm.Session, project_id: str) -> None:
    """From now until the transaction ends nobody else may hold this project: what is counted stays so.

    Only those who count hold it; others may refer to the project meanwhile.
    """
    rows = models.Project
    query = sa.select(rows.id).where(rows.uuid == project_id).with_for_update(key_share=True)
    if session.scalar(query) is None:  # one of Keystone's that is met for the first time: nothing would be held
        Project.ensure(session, project_id)
        session.execute(query)


def hold_user(session: orm.Session, user_id: str) -> None:
    """The same for a user: what is the user's may be counted for several projects at once."""
    rows = models.KeyOwner
    query = sa.select(rows.id).where(rows.user_id == user_id).with_for_update()
    if session.scalar(query) is None:
        try:
            with session.begin_nested():
                session.add(rows(user_id=user_id))
        except db_exception.DBDuplicateEntry:  # another request of the user's was first
            session.execute(query)


def set_limits(session: orm.Session, project_id: str, limits: Mapping[str, int | None]) -> None:
    """Write quotas over those of these names. The project is held.

    :param limits: None for the default
    """
    rows = models.Quota
    known = {quota.resource: quota for quota in Quota.find(session, rows.project_id == project_id)}
    for resource, maximum in limits.items():
        quota = known.get(resource)
        if maximum is None:
            if quota is not None:
                quota.delete(session)
        elif quota is None:
            Quota.create(session, project_id=project_id, resource=resource, maximum=maximum)
        else:
            quota.update(session, maximum=maximum)
