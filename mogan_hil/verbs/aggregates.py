# SPDX-License-Identifier: Apache-2.0
"""Node aggregates: sets of nodes that administrators make, and the availability zones that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.aggregate import ZONE, Aggregate, AggregateNode, metadata_of, settle
from mogan_hil.objects.node import Node
from mogan_hil.policies import aggregate as rules
from mogan_hil.verbs.base import Call, writes
from mogan_hil.verbs.listing import Page, paged
from mogan_hil.verbs.nodes import summary

SORT_KEYS = ("name", "created_at")


@dataclass(frozen=True, slots=True)
class AggregateView:
    """An aggregate and its metadata."""

    aggregate: models.Aggregate | Aggregate
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Zone:
    """An availability zone.

    :param nodes: how many there are in it, and `free` how many of them no project has; None where the caller may not
        know
    """

    name: str
    nodes: int | None
    free: int | None


def check_zone(session: orm.Session, name: str) -> None:
    """Refuse an availability zone that there is not.

    :raises exception.NotFound: no aggregate makes it
    """
    rows = models.AggregateMetadata
    if session.scalar(sa.select(rows.id).where(rows.label == ZONE, rows.value == name).limit(1)) is None:
        raise exception.NotFound(kind="availability zone", name=name)


@writes
def create(call: Call, name: str, description: str, metadata: Mapping[str, str]) -> AggregateView:
    """Create an aggregate. It has no nodes yet.

    :param metadata: checked already
    :raises exception.Duplicate: the name is taken
    """
    call.check(rules.CREATE)
    with call.writer() as session:
        found = Aggregate.create(session, name=name, description=description)
        found.set_metadata(session, metadata)
        return AggregateView(found, metadata)


def list_(call: Call, page: Page) -> Sequence[AggregateView]:
    """A page of the aggregates."""
    call.check(rules.LIST)
    with call.reader() as session:
        found = [row[0] for row in paged(session, sa.select(models.Aggregate), models.Aggregate, page)]
        metadata = metadata_of(session, [row.id for row in found])
    return [AggregateView(row, metadata[row.id]) for row in found]


def get(call: Call, ident: str) -> AggregateView:
    """One aggregate.

    :raises exception.NotFound: there is none
    """
    call.check(rules.GET)
    with call.reader() as session:
        return _view(session, Aggregate.get(session, ident))


def _view(session: orm.Session, aggregate: Aggregate) -> AggregateView:
    return AggregateView(aggregate, metadata_of(session, [aggregate.id])[aggregate.id])


@writes
def update(call: Call, ident: str, changes: Mapping[str, Any]) -> AggregateView:
    """Change an aggregate.

    :param changes: any of name, description, metadata; the last is replaced as a whole
    :raises exception.NotFound: there is none
    :raises exception.Duplicate: the name is taken
    :raises: what :func:`mogan_hil.objects.aggregate.settle` raises
    """
    call.check(rules.UPDATE)
    values = dict(changes)
    metadata = values.pop("metadata", None)
    with call.writer() as session:
        found = Aggregate.get(session, ident, lock="update")
        if values:
            found.update(session, **values)
        if metadata is not None:
            nodes = found.nodes(session)
            found.set_metadata(session, metadata)
            settle(session, nodes)
        return _view(session, found)


@writes
def delete(call: Call, ident: str) -> None:
    """Delete an aggregate; its nodes stay, outside of it.

    :raises exception.NotFound: there is none
    :raises exception.InUse: a node would leave the place that its instance was put in
    """
    call.check(rules.DELETE)
    with call.writer() as session:
        found = Aggregate.get(session, ident, lock="update")
        nodes = found.nodes(session)
        found.delete(session)
        settle(session, nodes)


def nodes(call: Call, ident: str, page: Page) -> Sequence[Any]:
    """A page of the nodes of an aggregate, as rows of what :func:`.nodes.summary` selects.

    :raises exception.NotFound: there is no such aggregate
    """
    call.check(rules.LIST_NODES)
    with call.reader() as session:
        found = Aggregate.get(session, ident)
        members = models.AggregateNode
        query = summary().join(members, members.node_id == models.Node.id).where(members.aggregate_id == found.id)
        return paged(session, query, models.Node, page)


@writes
def add_node(call: Call, ident: str, node: str) -> None:
    """Add a node to an aggregate, unless it is in it.

    :raises exception.NotFound: there is no such aggregate or node
    :raises: what :func:`mogan_hil.objects.aggregate.settle` raises
    """
    call.check(rules.ADD_NODE)
    with call.writer() as session:
        found = Aggregate.get(session, ident, lock="update")
        member = Node.get(session, node, lock="update")
        rows = models.AggregateNode
        if not AggregateNode.find(session, rows.aggregate_id == found.id, rows.node_id == member.id):
            AggregateNode.create(session, aggregate_id=found.id, node_id=member.id)
            settle(session, [member])


@writes
def remove_node(call: Call, ident: str, node: str) -> None:
    """Take a node out of an aggregate.

    :raises exception.NotFound: there is no such aggregate or node, or the node is not in it
    :raises exception.InUse: it would leave the place that its instance was put in
    """
    call.check(rules.REMOVE_NODE)
    with call.writer() as session:
        found = Aggregate.get(session, ident, lock="update")
        member = Node.get(session, node, lock="update")
        rows = models.AggregateNode
        membership = AggregateNode.find(session, rows.aggregate_id == found.id, rows.node_id == member.id)
        if not membership:
            raise exception.NotFound(kind=AggregateNode.KIND, name=node)
        membership[0].delete(session)
        settle(session, [member])


def zones(call: Call) -> Sequence[Zone]:
    """Every availability zone, by name, also those that have no node."""
    call.check(rules.LIST_ZONES)
    rows, nodes = models.AggregateMetadata, models.Node
    names = sa.select(rows.value).where(rows.label == ZONE).distinct().order_by(rows.value)
    free = sa.func.sum(sa.case((nodes.project_id.is_(None), 1), else_=0))
    count = sa.select(nodes.availability_zone, sa.func.count(), free).group_by(nodes.availability_zone)
    with call.reader() as session:
        found = session.scalars(names).all()
        if not call.allows(rules.COUNT_ZONES):
            return [Zone(name, None, None) for name in found]
        counts = {zone: (total, int(unclaimed)) for zone, total, unclaimed in session.execute(count)}
    return [Zone(name, *counts.get(name, (0, 0))) for name in found]
