# SPDX-License-Identifier: Apache-2.0
"""Server groups: instances that are to fail together, or not together."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.objects import base
from mogan_hil.objects.node import Criteria, claimable

#: So many failure domains are tried for the first instances of a group that is to have one.
DOMAINS = 5

Where = list[sa.ColumnElement[bool]]


class ServerGroup(base.Stored):
    MODEL = models.ServerGroup
    KIND = "server group"

    name: str
    project_id: str
    policy: states.GroupPolicy
    created_at: datetime

    def fits(self, session: orm.Session) -> Where:
        """The conditions for the node of one more instance.

        The row of the group is locked for a change until that is written: who else wants one waits, and counts it.
        """
        domain = models.Node.failure_domain
        taken = self._domains(session)
        named = [name for name in taken if name is not None]
        if self.policy == states.GroupPolicy.ANTI_AFFINITY:
            return [sa.or_(domain.is_(None), domain.not_in(named))]
        if not taken:
            return []
        # A node without a domain is one by itself, in which there is no other.
        return [sa.false()] if None in taken else [domain.in_(named)]

    def beginnings(self, session: orm.Session, criteria: Criteria) -> list[Where]:
        """Where the next instances may go, each to be tried in turn: for the first ones of a group that is to have one
        failure domain those domains with most free nodes; otherwise anywhere.
        """
        if self.policy != states.GroupPolicy.AFFINITY or self._domains(session):
            return [[]]
        domain = models.Node.failure_domain
        query = sa.select(domain).where(domain.is_not(None), *claimable(), *criteria.where()).group_by(domain)
        largest = session.scalars(query.order_by(sa.func.count().desc(), domain).limit(DOMAINS))
        return [*([domain == name] for name in largest), [domain.is_(None)]]

    def _domains(self, session: orm.Session) -> set[str | None]:
        instances, nodes = models.Instance, models.Node
        query = sa.select(nodes.failure_domain).join(instances, instances.node_id == nodes.id)
        return set(session.scalars(query.where(instances.server_group_id == self.id)))


def members_of(session: orm.Session, ids: Collection[int]) -> dict[int, list[Any]]:
    """The instances of these groups, as rows of uuid and name."""
    found: dict[int, list[Any]] = {group: [] for group in ids}
    rows = models.Instance
    query = sa.select(rows.server_group_id, rows.uuid, rows.name).where(rows.server_group_id.in_(ids)).order_by(rows.id)
    for row in session.execute(query):
        found[row.server_group_id].append(row)
    return found
