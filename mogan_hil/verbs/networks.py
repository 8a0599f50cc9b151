# SPDX-License-Identifier: Apache-2.0
"""Networks: create, show, change, delete; who may use them, and who is on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.drivers.network.base import SERVE
from mogan_hil.objects.address import Given, given_to
from mogan_hil.objects.base import Lock
from mogan_hil.objects.headnode import on_network
from mogan_hil.objects.network import Access, Network, access_of, usable_by
from mogan_hil.objects.project import Project
from mogan_hil.policies import network as rules
from mogan_hil.verbs import quotas
from mogan_hil.verbs.base import Call, of_project, resolve_project, writes
from mogan_hil.verbs.listing import Page, paged
from mogan_hil.verbs.switches import check_physical_network

SORT_KEYS = ("name", "created_at", "segment_id")

#: How often a segment is chosen again when others took it first. Each time at least one of them has one segment more.
CHOICES = 500


@dataclass(frozen=True, slots=True)
class NetworkView:
    """A network and the projects that have access besides its owner.

    :param access: every project for the owner; for others only themselves
    """

    network: models.Network | Network
    access: Sequence[str]


@dataclass(frozen=True, slots=True)
class Member:
    """Something attached to a network."""

    node: models.Node
    nic: models.Nic
    attachment: models.Attachment
    addresses: Sequence[Given] = ()


def find_network(
    session: orm.Session, ident: str, project_id: str | None, *where: sa.ColumnElement[bool], lock: Lock = None
) -> Network:
    """A network by uuid or name. Of several with one name the project's own is meant, else the site's.

    So no project can take a name from another, or from the site, by giving it access to a network of that name.

    :raises exception.NotFound: there is none
    :raises exception.NameAmbiguous: there are several, and all of them are other projects'
    """
    found = Network.find(session, Network.identified(ident), *where, lock=lock)
    for owner in (project_id, None):
        if len(found) > 1:
            found = [network for network in found if network.project_id == owner] or found
    if not found:
        raise exception.NotFound(kind="network", name=ident)
    if len(found) > 1:
        raise exception.NameAmbiguous(kind="network", name=ident)
    return found[0]


def seen_by(call: Call) -> list[sa.ColumnElement[bool]]:
    """The conditions for networks that the caller may see."""
    return [] if call.sees_all else [usable_by(call.project_id)]


def visible_network(session: orm.Session, call: Call, ident: str, lock: Lock = None) -> Network:
    """A network that the caller may see.

    :raises exception.NotFound: there is none, or the caller's project may not use it
    :raises exception.NameAmbiguous: several other projects' have this name
    """
    return find_network(session, ident, call.project_id, *seen_by(call), lock=lock)


@writes
def create(
    call: Call,
    name: str,
    *,
    description: str = "",
    project: str | None = None,
    site: bool = False,
    access: Collection[str] = (),
    public: bool = False,
    segment_id: str | None = None,
    physical_network: str | None = None,
) -> NetworkView:
    """Create a network.

    :param project: the owner; the caller's own project if None
    :param site: it belongs to no project but to the site
    :param access: further projects that may use it
    :param public: every project may use it
    :param segment_id: a segment named by an administrator, of the pool or not; None takes one of the pool
    :raises exception.Forbidden: a project may choose neither owner, access, public nor segment
    :raises exception.NotFound: there is no such project
    :raises exception.QuotaExceeded: the project may not have one more
    :raises exception.Duplicate: the owner has a network of this name
    :raises exception.SegmentTaken: another network has the segment
    :raises exception.PoolEmpty: no segment is free
    """
    if site or access or public or segment_id is not None:
        call.check(rules.CREATE_SPECIAL)
    if project is not None and project not in (call.project_id, call.context.project_name):
        call.check(rules.CREATE, project)
    physical_network = check_physical_network(call, physical_network)
    with call.writer() as session:
        owner = None if site else resolve_project(session, call, project)
        call.check(rules.CREATE, owner)
        quotas.room(session, call, owner, 1, 1, "networks")
        values = {
            "name": name,
            "description": description,
            "project_id": owner,
            "owner": owner or "",
            "public": public,
            "physical_network": physical_network,
        }
        if Network.find(session, models.Network.owner == values["owner"], models.Network.name == name):
            raise exception.Duplicate(kind="network", field="name")
        network = _with_segment(session, call, segment_id, values)
        granted = sorted({resolve_project(session, call, other) for other in access} - {owner})
        for other in granted:
            Access.create(session, network_id=network.id, project_id=other)
        return NetworkView(network, granted)


def _with_segment(session: orm.Session, call: Call, segment_id: str | None, values: Mapping[str, Any]) -> Network:
    allocator = call.services.allocator
    physical_network = values["physical_network"]
    if segment_id is not None:
        try:
            allocator.check(physical_network, segment_id)
        except ValueError as error:
            raise exception.BadField(field="segment_id", reason=str(error)) from None
        pooled = allocator.pooled(physical_network, segment_id)
        taken = exception.SegmentTaken(segment=segment_id, physical_network=physical_network)
        return Network.create(
            session,
            taken,
            segment_id=segment_id,
            pooled=pooled,
            channels=list(allocator.channels(segment_id)),
            **values,
        )
    for _ in range(CHOICES):
        chosen = allocator.choose(physical_network, Network.used_segments(session, physical_network))
        if chosen is None:
            break
        try:
            with session.begin_nested():
                return Network.create(
                    session, segment_id=chosen, pooled=True, channels=list(allocator.channels(chosen)), **values
                )
        except exception.Duplicate:
            if Network.find(session, models.Network.owner == values["owner"], models.Network.name == values["name"]):
                raise
    raise exception.PoolEmpty(physical_network=physical_network)


def list_(
    call: Call, page: Page, *, project: str | None = None, public: bool | None = None, name: str | None = None
) -> Sequence[NetworkView]:
    """A page of the networks that the caller may use.

    :param project: only those that this project owns
    """
    call.check(rules.LIST)
    networks = models.Network
    query = sa.select(networks).where(*seen_by(call))
    if project is not None:
        query = query.where(of_project(call, networks.project_id, project))
    if public is not None:
        query = query.where(networks.public.is_(public))
    if name is not None:
        query = query.where(networks.name == name)
    with call.reader() as session:
        rows = [row[0] for row in paged(session, query, networks, page)]
        access = access_of(session, [row.id for row in rows])
    admin = call.sees_all
    return [NetworkView(row, _shown_access(call, row, access[row.id], admin)) for row in rows]


def _shown_access(call: Call, network: Any, access: Sequence[str], admin: bool) -> Sequence[str]:
    # One decision for a whole page: policy a row would cost more than everything else.
    if admin or (network.project_id is not None and network.project_id == call.project_id):
        return access
    return [project for project in access if project == call.project_id]


def get(call: Call, ident: str) -> NetworkView:
    """One network.

    :raises exception.NotFound: there is none, or the caller's project may not use it
    """
    call.check(rules.GET)
    with call.reader() as session:
        network = visible_network(session, call, ident)
        access = access_of(session, [network.id])[network.id]
    return NetworkView(network, _shown_access(call, network, access, call.allows(rules.GET_ACCESS, network.project_id)))


@writes
def update(call: Call, ident: str, changes: Mapping[str, Any]) -> NetworkView:
    """Change a network.

    :param changes: any of name, description, public
    :raises exception.NotFound: there is none, or the caller's project may not use it
    :raises exception.Forbidden: it is not the caller's, or `public` is an administrator's to change
    :raises exception.Duplicate: the owner has another network of this name
    :raises exception.InUse: projects that would lose access have nodes on it
    """
    with call.writer() as session:
        network = visible_network(session, call, ident, lock="update")
        call.check(rules.UPDATE, network.project_id)
        if "public" in changes:
            call.check(rules.UPDATE_PUBLIC, network.project_id)
        access = access_of(session, [network.id])[network.id]
        if changes.get("public") is False and network.public:
            _check_closable(session, network, access)
        if changes:
            network.update(session, **changes)
        return NetworkView(network, access)


@writes
def delete(call: Call, ident: str) -> None:
    """Delete a network; its segment is free again.

    :raises exception.NotFound: there is none, or the caller's project may not use it
    :raises exception.Forbidden: it is not the caller's
    :raises exception.InUse: something is attached to it, or not yet proven to be detached
    """
    with call.writer() as session:
        network = visible_network(session, call, ident, lock="update")
        call.check(rules.DELETE, network.project_id)
        lane = changed(session, call, network)
        network.delete(session, exception.InUse(kind="Network", name=network.name, what="NICs of nodes or headnodes"))
    wake(call, lane)


@writes
def grant(call: Call, ident: str, project: str, *, closes: bool = False) -> bool:
    """Let a project use a network.

    :param closes: a public network is public no more, but only for its owner and those who have access
    :returns: whether it is new
    :raises exception.NotFound: there is no such network or project
    :raises exception.Forbidden: it is not the caller's network, or not the caller's to close
    :raises exception.InUse: projects that would lose access have nodes on it
    """
    with call.writer() as session:
        network = visible_network(session, call, ident, lock="update")
        call.check(rules.GRANT, network.project_id)
        owner = resolve_project(session, call, project)
        known = Access.find(
            session, models.NetworkAccess.network_id == network.id, models.NetworkAccess.project_id == owner
        )
        new = not known and owner != network.project_id
        if new:
            Access.create(session, network_id=network.id, project_id=owner)
        if not (closes and network.public):
            return new
        call.check(rules.UPDATE_PUBLIC, network.project_id)
        _check_closable(session, network, access_of(session, [network.id])[network.id])
        network.update(session, public=False)
        return True


@writes
def revoke(call: Call, ident: str, project: str) -> None:
    """Let a project use a network no more. With nobody left the network is its owner's alone, never public.

    :raises exception.NotFound: there is no such network, or the project has no access
    :raises exception.Forbidden: it is neither the caller's network nor the caller's access
    :raises exception.InUse: the project has nodes or headnodes on it
    """
    with call.writer() as session:
        network = visible_network(session, call, ident, lock="update")
        own = project in (call.project_id, call.context.project_name)
        if not (own and call.allows(rules.RENOUNCE, network.project_id, access_project_id=call.project_id)):
            call.check(rules.REVOKE, network.project_id)
        access = _access(session, network, call.project_id or "" if own else project)
        if access is None:
            raise exception.NotFound(kind="access of project", name=project)
        if not network.public:
            _check_unused(session, network, lambda column: column == access.project_id)
        access.delete(session)


def _access(session: orm.Session, network: Network, project: str) -> Access | None:
    """What a project may use of a network. One without access and one that does not exist are the same here.

    :param project: id or name
    """
    rows, projects = models.NetworkAccess, models.Project
    named = sa.select(projects.uuid).where(Project.identified(project))
    found = Access.find(session, rows.network_id == network.id, rows.project_id.in_(named))
    return found[0] if found else None


def wake(call: Call, lane: str | None) -> None:
    """Have the work on a lane begun that :func:`changed` wrote, now that it is committed."""
    if lane is not None:
        call.services.client.wake(lane)


def changed(session: orm.Session, call: Call, network: Network) -> str | None:
    """Have the network manager told of a network that the caller has changed.

    :returns: the lane that has work, None where there is no network manager
    """
    driver = call.services.drivers.network(call.services.conf.network.manager_driver)
    if SERVE not in driver.capabilities:
        return None
    return network.changed(
        session, request_id=call.context.request_id or "", user_id=call.context.user_id or "", overrides_lock=True
    )


def _members(network_id: int) -> Any:
    return (
        sa.select(models.Node, models.Nic, models.Attachment)
        .join(models.Nic, models.Nic.node_id == models.Node.id)
        .join(models.Attachment, models.Attachment.nic_id == models.Nic.id)
        .where(models.Attachment.network_id == network_id)
    )


def _check_closable(session: orm.Session, network: Network, access: Sequence[str]) -> None:
    """Refuse to make a network private that projects without access use."""
    _check_unused(session, network, lambda owner: owner.not_in([*access, network.owner]))


def _check_unused(session: orm.Session, network: Network, loses: Callable[[Any], sa.ColumnElement[bool]]) -> None:
    """Refuse to take access from a project that uses it.

    :param loses: the condition for it, of a column with projects
    """
    used = session.execute(_members(network.id).where(loses(models.Node.project_id)).limit(1)).first() is not None
    if used or on_network(session, network.id, loses(models.Headnode.project_id)):
        what = "nodes or headnodes of a project that would lose access"
        raise exception.InUse(kind="Network", name=network.name, what=what)


def attachments(call: Call, ident: str, page: Page) -> Sequence[Member]:
    """A page of what is attached: everything for the owner, for others what is on their own nodes.

    :raises exception.NotFound: there is no such network, or the caller's project may not use it
    """
    call.check(rules.LIST_ATTACHMENTS)
    with call.reader() as session:
        network = visible_network(session, call, ident)
        query = _members(network.id)
        if not (call.sees_all or (network.project_id is not None and network.project_id == call.project_id)):
            query = query.where(models.Node.project_id == call.project_id)
        rows = paged(session, query, models.Attachment, page)
        given = given_to(session, models.Attachment.id, [row[2].id for row in rows])
        return [Member(row[0], row[1], row[2], given.get(row[2].id, ())) for row in rows]
