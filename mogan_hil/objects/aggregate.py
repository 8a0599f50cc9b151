# SPDX-License-Identifier: Apache-2.0
"""Aggregates: named sets of nodes, with metadata. Two keys say where a node is, and no node is in two places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects import base
from mogan_hil.objects.node import Node

ZONE = "availability_zone"
DOMAIN = "failure_domain"

#: The keys that say where a node is, each kept in a column of the node of the same name.
PLACES: Mapping[str, str] = {ZONE: "availability zone", DOMAIN: "failure domain"}


class Aggregate(base.Stored):
    MODEL = models.Aggregate
    KIND = "aggregate"

    name: str
    description: str
    created_at: datetime

    def set_metadata(self, session: orm.Session, metadata: Mapping[str, str]) -> None:
        """Replace the metadata. :func:`settle` is to follow for its nodes."""
        rows = models.AggregateMetadata
        known = metadata_of(session, [self.id])[self.id]
        other = [label for label, value in known.items() if metadata.get(label) != value]
        session.execute(sa.delete(rows).where(rows.aggregate_id == self.id, rows.label.in_(other)))
        new = {label: value for label, value in metadata.items() if known.get(label) != value}
        session.add_all(rows(aggregate_id=self.id, label=label, value=value) for label, value in new.items())
        session.flush()

    def nodes(self, session: orm.Session) -> list[Node]:
        """Its nodes, locked for a change, in the order in which everybody locks several."""
        members = models.AggregateNode
        of = sa.select(members.node_id).where(members.aggregate_id == self.id)
        return Node.find(session, models.Node.id.in_(of), lock="update")


class AggregateNode(base.Stored):
    MODEL = models.AggregateNode
    KIND = "node of the aggregate"

    aggregate_id: int
    node_id: int


def metadata_of(session: orm.Session, ids: Collection[int]) -> dict[int, dict[str, str]]:
    """The metadata of these aggregates."""
    found: dict[int, dict[str, str]] = {aggregate: {} for aggregate in ids}
    rows = models.AggregateMetadata
    query = sa.select(rows.aggregate_id, rows.label, rows.value).where(rows.aggregate_id.in_(ids))
    for aggregate, label, value in session.execute(query.order_by(rows.label)):
        found[aggregate][label] = value
    return found


def settle(session: orm.Session, nodes: Sequence[Node]) -> None:
    """Write down where these nodes are, after their aggregates or the metadata of those have changed.

    :param nodes: locked for a change, so that nobody else settles or chooses them meanwhile
    :raises exception.TwoPlaces: one would be in two availability zones or two failure domains
    :raises exception.InUse: one would leave the place that its instance was put in
    """
    places = _places(session, nodes)
    moves: dict[tuple[str | None, str | None], list[Node]] = defaultdict(list)
    for node in nodes:
        place = (places[node.id].get(ZONE), places[node.id].get(DOMAIN))
        if place != (node.availability_zone, node.failure_domain):
            moves[place].append(node)
    _check_instances(session, moves)
    for (zone, domain), moved in moves.items():
        where = models.Node.id.in_(base.column(moved, "id"))
        change = sa.update(models.Node).where(where).values(availability_zone=zone, failure_domain=domain)
        session.execute(change.execution_options(synchronize_session=False))


def _places(session: orm.Session, nodes: Sequence[Node]) -> Mapping[int, Mapping[str, str]]:
    members, rows = models.AggregateNode, models.AggregateMetadata
    query = (
        sa.select(members.node_id, rows.label, rows.value)
        .join(rows, rows.aggregate_id == members.aggregate_id)
        .where(members.node_id.in_(base.column(nodes, "id")), rows.label.in_(PLACES))
        .order_by(members.id)
    )
    names = {node.id: node.name for node in nodes}
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for node, label, value in session.execute(query):
        other = found[node].setdefault(label, value)
        if other != value:
            raise exception.TwoPlaces(name=names[node], what=PLACES[label], places=f"{other!r} and {value!r}")
    return found


def _check_instances(session: orm.Session, moves: Mapping[tuple[str | None, str | None], Sequence[Node]]) -> None:
    """An instance stays in its zone, and in its failure domain if its server group counts on that.

    That a node without a zone is given one breaks no promise.
    """
    rows = models.Instance
    moved = {node.id: (node, place) for place, nodes in moves.items() for node in nodes}
    query = sa.select(rows.node_id, rows.server_group_id).where(rows.node_id.in_(moved)).order_by(rows.id)
    for number, group in session.execute(query):
        node, (zone, domain) = moved[number or 0]
        stays = "an instance, which stays in its"
        if node.availability_zone not in (None, zone):
            raise exception.InUse(kind="Node", name=node.name, what=f"{stays} availability zone")
        if group is not None and node.failure_domain != domain:
            raise exception.InUse(kind="Node", name=node.name, what=f"{stays} failure domain for its server group")
