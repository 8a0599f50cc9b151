# SPDX-License-Identifier: Apache-2.0
"""Headnodes: the virtual machines that projects have beside their nodes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception, headnodes, states
from mogan_hil.common.headnodes import HeadnodeImage
from mogan_hil.db import models
from mogan_hil.objects.base import Lock
from mogan_hil.objects.headnode import Headnode
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import headnode as rules
from mogan_hil.verbs import quotas
from mogan_hil.verbs.base import Call, journal, of_project, resolve_project, writes
from mogan_hil.verbs.listing import Page, paged

SORT_KEYS = ("name", "created_at")


@dataclass(frozen=True, slots=True)
class HnicView:
    """A NIC of a headnode, and the network that it is on, or is to be on from the first start."""

    hnic: Any
    network_uuid: str | None
    network_name: str | None


@dataclass(frozen=True, slots=True)
class HeadnodeView:
    """A headnode and its NICs, in the order in which they were made."""

    headnode: Any
    hnics: Sequence[HnicView]


def visible_headnode(session: orm.Session, call: Call, ident: str, lock: Lock = None) -> Headnode:
    """A headnode that the caller may see: of the own project, or any for an administrator.

    :raises exception.NotFound: there is none
    :raises exception.NameAmbiguous: several other projects' have this name
    """
    where = [] if call.sees_all else [models.Headnode.project_id == call.project_id]
    found = Headnode.find(session, Headnode.identified(ident), *where, lock=lock)
    if len(found) > 1:
        found = [headnode for headnode in found if headnode.project_id == call.project_id] or found
    if not found:
        raise exception.NotFound(kind="headnode", name=ident)
    if len(found) > 1:
        raise exception.NameAmbiguous(kind="headnode", name=ident)
    return found[0]


def hnics_of(session: orm.Session, ids: Collection[int]) -> dict[int, list[HnicView]]:
    """The NICs of headnodes, by the headnodes' ids."""
    hnics, networks = models.Hnic, models.Network
    query = (
        sa.select(hnics, networks.uuid, networks.name)
        .outerjoin(networks, networks.id == hnics.network_id)
        .where(hnics.headnode_id.in_(ids))
        .order_by(hnics.id)
    )
    found: dict[int, list[HnicView]] = {headnode: [] for headnode in ids}
    for hnic, uuid, name in session.execute(query):
        found[hnic.headnode_id].append(HnicView(hnic, uuid, name))
    return found


def images(call: Call) -> Sequence[HeadnodeImage]:
    """The catalogue of base images."""
    call.check(rules.LIST_IMAGES)
    return list(headnodes.images_of(call.services.conf).values())


@writes
def create(call: Call, name: str, image: str, *, description: str = "", project: str | None = None) -> HeadnodeView:
    """Create a headnode. Its machine is made when it is first started.

    :param image: a name of the catalogue, which also says how much memory and how many processors it has
    :param project: the owner; the caller's own project if None
    :raises exception.BadField: there is no such image
    :raises exception.NotFound: there is no such project
    :raises exception.Duplicate: the project has a headnode of this name
    :raises exception.QuotaExceeded: the project has as many, or as much of what they have, as it may have
    """
    if project is not None and project not in (call.project_id, call.context.project_name):
        call.check(rules.CREATE, project)
    with call.writer() as session:
        owner = resolve_project(session, call, project)
        call.check(rules.CREATE, owner)
        base = headnodes.images_of(call.services.conf).get(image)
        if base is None:
            raise exception.BadField(field="image", reason="there is no such image of headnodes")
        for resource, wanted in (("headnodes", 1), ("headnode_cpus", base.cpus), ("headnode_memory", base.memory)):
            quotas.room(session, call, owner, wanted, wanted, resource)
        found = Headnode.create(
            session,
            name=name,
            description=description,
            project_id=owner,
            image=base.name,
            memory=base.memory,
            cpus=base.cpus,
            status=states.Headnode.NEW,
        )
        return HeadnodeView(found, [])


def list_(call: Call, page: Page, *, project: str | None = None) -> Sequence[HeadnodeView]:
    """A page of the headnodes of the caller's project, or of all for an administrator.

    :param project: only those of this project
    """
    call.check(rules.LIST)
    query = sa.select(models.Headnode)
    if not call.sees_all:
        query = query.where(models.Headnode.project_id == call.project_id)
    if project is not None:
        query = query.where(of_project(call, models.Headnode.project_id, project))
    with call.reader() as session:
        return page_of(session, query, page)


def page_of(session: orm.Session, query: Any, page: Page) -> Sequence[HeadnodeView]:
    """A page of the headnodes that a query selects."""
    rows = [row[0] for row in paged(session, query, models.Headnode, page)]
    hnics = hnics_of(session, [row.id for row in rows])
    return [HeadnodeView(row, hnics[row.id]) for row in rows]


def get(call: Call, ident: str) -> HeadnodeView:
    """One headnode.

    :raises exception.NotFound: there is none, or it is another project's
    """
    with call.reader() as session:
        found = visible_headnode(session, call, ident)
        call.check(rules.GET, found.project_id)
        return HeadnodeView(found, hnics_of(session, [found.id])[found.id])


@writes
def set_power(call: Call, ident: str, on: bool) -> Operation:
    """Start or stop a headnode. From the first start its NICs and their networks stay as they are.

    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.HeadnodeNew: it is to be stopped and was never started
    :raises exception.Busy: an operation on it is not finished
    """
    with call.writer() as session:
        found = visible_headnode(session, call, ident, lock="update")
        call.check(rules.SET_POWER, found.project_id)
        if not (on or found.frozen):
            raise exception.HeadnodeNew(name=found.name)
        operation = _journal(session, call, "headnode_power", found, target="on" if on else "off")
        found.update(session, status=states.Headnode.STARTING if on else states.Headnode.STOPPING)
    call.services.client.wake(operation.lane)
    return operation


@writes
def delete(call: Call, ident: str) -> Operation:
    """Delete a headnode with its disk.

    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.Busy: an operation on it is not finished
    """
    with call.writer() as session:
        found = visible_headnode(session, call, ident, lock="update")
        call.check(rules.DELETE, found.project_id)
        operation = _journal(session, call, "headnode_delete", found)
        found.update(session, status=states.Headnode.DELETING)
    call.services.client.wake(operation.lane)
    return operation


def _journal(session: orm.Session, call: Call, verb: str, headnode: Headnode, **payload: str) -> Operation:
    return journal(
        session,
        call,
        verb,
        headnode.lane,
        pending_key=headnode.lane,
        busy=exception.Busy(kind="headnode", name=headnode.name),
        project_id=headnode.project_id,
        payload={"headnode": headnode.name, "headnode_uuid": headnode.uuid, **payload},
    )
