# SPDX-License-Identifier: Apache-2.0
"""Nodes: register, show, change, remove; claim and release; labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.console import Console
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.network import Attachment
from mogan_hil.objects.node import Criteria, Metadata, Node
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import console as console_rules
from mogan_hil.policies import nic as nic_rules
from mogan_hil.policies import node as rules
from mogan_hil.verbs import locks, quotas
from mogan_hil.verbs.base import Call, nodes_seen_by, not_claimed, of_project, resolve_project, visible_node, writes
from mogan_hil.verbs.listing import Page, paged
from mogan_hil.verbs.nics import NicView, nics_of
from mogan_hil.verbs.options import NOTHING, Kept, settle

SORT_KEYS = ("name", "created_at", "resource_class")


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node with all that belongs to it.

    :param metadata: label to value; None where the caller may not read it
    :param nics: None where the caller may not list them
    :param console: status, reason and since when; None where it never had one
    """

    node: models.Node
    metadata: Mapping[str, Any] | None
    nics: Sequence[NicView] | None
    shows_cabling: bool
    shows_obm: bool
    shows_console: bool
    console: tuple[str, str, datetime | None] | None


@writes
def create(
    call: Call, name: str, obm: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None = None, **values: Any
) -> NodeView:
    """Register a node. It is free.

    :param obm: `driver`, and its `options`; None for a node whose power nobody can switch
    :param metadata: its labels
    :param values: description, resource_class, traits, maintenance, maintenance_reason
    :raises exception.BadField: no such OBM driver, or the options do not fit it
    :raises exception.Duplicate: the name is taken
    """
    call.check(rules.CREATE)
    traits = values.pop("traits", [])
    uuid = uuidutils.generate_uuid()
    values |= _obm_columns(call, uuid, obm, NOTHING)
    with call.writer() as session:
        node = Node.create(session, uuid=uuid, name=name, **values)
        if traits:
            node.set_traits(session, traits)
        for label, value in (metadata or {}).items():
            Metadata.put(session, node.id, label, value)
        return _view(session, call, node.uuid)


def _obm_columns(call: Call, uuid: str, obm: Mapping[str, Any] | None, kept: Kept) -> dict[str, Any]:
    if obm is None:
        return {"obm_driver": None, "obm_options": {}, "obm_secrets": {}}
    driver = call.services.drivers.obm(obm["driver"])
    shown, hidden = settle(call, driver, (uuid, obm["driver"]), obm.get("options", {}), kept, "obm.options")
    return {"obm_driver": obm["driver"], "obm_options": shown, "obm_secrets": hidden}


def list_(
    call: Call,
    page: Page,
    *,
    free: bool | None = None,
    project: str | None = None,
    resource_class: str | None = None,
    traits: Collection[str] = (),
    maintenance: bool | None = None,
    availability_zone: str | None = None,
) -> Sequence[Any]:
    """A page of the nodes that the caller may see, as rows of what :func:`summary` selects.

    :param free: only those that belong to no project, or only those that do
    :param project: only those of this project
    :param traits: only those that have all of them
    """
    call.check(rules.LIST)
    nodes = models.Node
    criteria = Criteria(resource_class, traits=list(traits), availability_zone=availability_zone)
    query = summary().where(*nodes_seen_by(call), *criteria.where())
    if free is not None:
        query = query.where(nodes.project_id.is_(None) if free else nodes.project_id.is_not(None))
    if project is not None:
        query = query.where(of_project(call, nodes.project_id, project))
    if maintenance is not None:
        query = query.where(nodes.maintenance.is_(maintenance))
    with call.reader() as session:
        return paged(session, query, nodes, page)


def summary() -> Any:
    """What a list shows of a node: columns, since a thousand whole objects take four times as long."""
    nodes = models.Node
    return sa.select(
        nodes.uuid,
        nodes.name,
        nodes.description,
        nodes.project_id,
        nodes.resource_class,
        nodes.traits,
        nodes.maintenance,
        nodes.maintenance_reason,
        nodes.availability_zone,
        nodes.created_at,
    )


def get(call: Call, ident: str) -> NodeView:
    """One node with its NICs, what is attached to them, and its labels.

    :raises exception.NotFound: there is none, or it is another project's
    """
    with call.reader() as session:
        return _view(session, call, ident)


def _view(session: orm.Session, call: Call, ident: str) -> NodeView:
    nodes, labels, consoles = models.Node, models.NodeMetadata, models.Console
    columns = (labels.label, labels.value, consoles.status, consoles.reason, consoles.status_at)
    query: Any = sa.select(nodes, *columns).outerjoin(labels, labels.node_id == nodes.id)
    query = query.outerjoin(consoles, consoles.node_id == nodes.id)
    query = query.where(Node.identified(ident), *nodes_seen_by(call)).order_by(labels.label)
    rows = session.execute(query.execution_options(populate_existing=True)).all()
    if not rows:
        raise exception.NotFound(kind="node", name=ident)
    node, _, _, status, reason, status_at = rows[0]
    free = node.project_id is None
    call.check(rules.GET_FREE if free else rules.GET, node.project_id)
    readable = call.allows(rules.GET_FREE_METADATA if free else rules.GET_METADATA, node.project_id)
    listed = call.allows(nic_rules.GET_FREE if free else nic_rules.LIST, node.project_id)
    return NodeView(
        node=node,
        metadata={row[1]: row[2] for row in rows if row[1] is not None} if readable else None,
        nics=nics_of(session, node.id) if listed else None,
        shows_cabling=call.allows(nic_rules.GET_CABLING, node.project_id),
        shows_obm=call.allows(rules.GET_OBM, node.project_id),
        shows_console=call.allows(console_rules.GET, node.project_id),
        console=None if status is None else (status, reason, status_at),
    )


@writes
def update(call: Call, ident: str, changes: Mapping[str, Any]) -> NodeView:
    """Change a node. OBM options are replaced as a whole; secrets stay, for the same driver.

    :param changes: any of name, description, resource_class, traits, maintenance, maintenance_reason, obm; for the
        secrets of its options see :func:`.options.settle`
    :raises exception.NotFound: there is none
    :raises exception.InstanceLocked: its instance is locked
    :raises exception.BadField: no such OBM driver, or the options do not fit it
    :raises exception.Duplicate: the name is taken
    """
    call.check(rules.UPDATE)
    values = dict(changes)
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        locks.check_node(session, call, node, settled=False)
        if "obm" in values:
            obm = values.pop("obm")
            same = obm is not None and obm["driver"] == node.obm_driver
            values |= _obm_columns(call, node.uuid, obm, Kept(node.obm_options, node.obm_secrets) if same else NOTHING)
        traits = values.pop("traits", None)
        if traits is not None:
            node.set_traits(session, traits)
        if values:
            node.update(session, **values)
        if values.get("obm_driver"):
            Console.reopen(session, node.id)
        elif "obm_driver" in values:
            Console.stop(session, node.id, "The node has no controller any more.")
        return _view(session, call, node.uuid)


@writes
def delete(call: Call, ident: str) -> None:
    """Remove a node.

    :raises exception.NotFound: there is none
    :raises exception.NodeClaimed: it belongs to a project
    :raises exception.InUse: it has NICs
    """
    call.check(rules.DELETE)
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        if node.project_id is not None:
            raise exception.NodeClaimed(name=node.name)
        node.delete(session, exception.InUse(kind="Node", name=node.name, what="NICs"))


@writes
def claim(call: Call, ident: str, project: str | None) -> NodeView:
    """Give a free node to a project. A node that the project has already stays as it is.

    :param project: id or name; the caller's own if None
    :raises exception.NotFound: there is no such node or project, or the node is another project's
    :raises exception.QuotaExceeded: the project may not have one more
    :raises exception.NodeClaimed: another project has it (told to administrators only)
    :raises exception.NodeUnavailable: it is in maintenance
    """
    with call.writer() as session:
        owner = _claimant(session, call, project)
        node = visible_node(session, call, ident)
        if node.project_id != owner:
            quotas.room(session, call, owner, 1, 1, "nodes")
            if not node.claim(session, owner):
                raise not_claimed(session, node)
        return _view(session, call, node.uuid)


def _claimant(session: orm.Session, call: Call, project: str | None) -> str:
    # Before the project is looked up: whether another project exists is not for everyone to know.
    if project is not None and project not in (call.project_id, call.context.project_name):
        call.check(rules.CLAIM, project)
    owner = resolve_project(session, call, project)
    call.check(rules.CLAIM, owner)
    return owner


@writes
def release(call: Call, ident: str) -> None:
    """Take a node back from its project. It is free, or goes to the project for maintenance: see :class:`.Releases`.

    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.NodeFree: it belongs to no project
    :raises exception.InUse: networks are attached to it
    :raises exception.Busy: an operation on it is not finished
    """
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        call.check(rules.RELEASE, node.project_id)
        if node.project_id is None:
            raise exception.NodeFree(name=node.name)
        locks.check_node(session, call, node)
        if Instance.find(session, models.Instance.node_id == node.id):
            raise exception.InUse(kind="Node", name=node.name, what="an instance")
        if node.unsettled:
            raise exception.Unsettled(name=node.name)
        if Operation.open_keys(session, node.keys(session)):
            raise exception.Busy(kind="node", name=node.name)
        nics = sa.select(models.Nic.id).where(models.Nic.node_id == node.id)
        if Attachment.find(session, models.Attachment.nic_id.in_(nics)):
            raise exception.InUse(kind="Node", name=node.name, what="networks attached")
        context = call.context
        lanes = call.services.releases.give_back(
            session, node, node.project_id, context.request_id or "", context.user_id or ""
        )
    for lane in lanes:
        call.services.client.wake(lane)


@writes
def set_metadata(call: Call, ident: str, label: str, value: Any) -> bool:
    """Set a label.

    :returns: whether it is new
    :raises exception.NotFound: there is no such node
    """
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        call.check(rules.SET_METADATA, node.project_id)
        locks.check_node(session, call, node, settled=False)
        return Metadata.put(session, node.id, label, value)


def get_metadata(call: Call, ident: str) -> Mapping[str, Any]:
    """Every label.

    :raises exception.NotFound: there is no such node, or it is another project's
    """
    with call.reader() as session:
        node = visible_node(session, call, ident)
        call.check(rules.GET_FREE_METADATA if node.project_id is None else rules.GET_METADATA, node.project_id)
        found = Metadata.find(session, models.NodeMetadata.node_id == node.id)
        return {item.label: item.value for item in found}


@writes
def delete_metadata(call: Call, ident: str, label: str) -> None:
    """Remove a label.

    :raises exception.NotFound: there is no such node or label
    """
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        call.check(rules.DELETE_METADATA, node.project_id)
        locks.check_node(session, call, node, settled=False)
        Metadata.get(session, label, models.NodeMetadata.node_id == node.id).delete(session)
