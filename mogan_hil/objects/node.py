# SPDX-License-Identifier: Apache-2.0
"""Nodes: the machines, who has them, and what they are labelled with."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.objects import base


class Node(base.Stored):
    MODEL = models.Node
    KIND = "node"

    name: str
    description: str
    project_id: str | None
    resource_class: str
    traits: list[str]
    maintenance: bool
    maintenance_reason: str
    obm_driver: str | None
    obm_options: dict[str, Any]
    obm_secrets: dict[str, Any]
    obm_enabled: bool
    unsettled_until: datetime | None
    created_at: datetime

    @property
    def unsettled(self) -> bool:
        """Whether a call to its controller that was given up may still switch it."""
        return self.unsettled_until is not None and self.unsettled_until > models.now()

    @property
    def lane(self) -> str:
        """The lane of what is done through the node's controller."""
        return f"node:{self.uuid}"

    @property
    def obm_key(self) -> str:
        """What an operation through the node's controller holds while it is open."""
        return f"obm:{self.uuid}"

    def claim(self, session: orm.Session, project_id: str) -> bool:
        """Give the node to a project if nobody has it and it is fit to be given."""
        return self.update(session, *claimable(), project_id=project_id)

    def keys(self, session: orm.Session) -> list[str]:
        """What operations on the node, whatever they change, hold while they are open."""
        nics = session.scalars(sa.select(models.Nic.id).where(models.Nic.node_id == self.id))
        return [self.obm_key, *(f"nic:{nic}" for nic in nics)]

    def release(self, session: orm.Session, project_id: str) -> bool:
        """Take the node back if this project has it."""
        return self.update(session, models.Node.project_id == project_id, project_id=None)

    @classmethod
    def choose(
        cls,
        session: orm.Session,
        count: int,
        resource_class: str | None,
        traits: Collection[str],
        exclude: Collection[int] = (),
    ) -> list[Node]:
        """Free nodes that fit, locked until the end of the transaction; those that another transaction holds are passed
        over, so that many claims at once do not wait for each other.

        :returns: as many as there are, `count` at the most
        """
        nodes = models.Node
        query = sa.select(nodes).where(*claimable(), nodes.id.not_in(exclude), *has_traits(traits))
        if resource_class is not None:
            query = query.where(nodes.resource_class == resource_class)
        query = query.order_by(nodes.id).limit(count).with_for_update(skip_locked=True)
        return [cls.from_row(row) for row in session.scalars(query)]

    def set_traits(self, session: orm.Session, traits: Iterable[str]) -> None:
        """Replace the traits."""
        wanted = sorted(set(traits))
        session.execute(sa.delete(models.NodeTrait).where(models.NodeTrait.node_id == self.id))
        session.add_all(models.NodeTrait(node_id=self.id, trait=trait) for trait in wanted)
        session.flush()
        self.update(session, traits=wanted)


def has_traits(traits: Collection[str]) -> list[sa.ColumnElement[bool]]:
    """The conditions for nodes that have all these traits."""
    return [
        sa.exists().where(models.NodeTrait.node_id == models.Node.id, models.NodeTrait.trait == trait)
        for trait in traits
    ]


def claimable() -> list[sa.ColumnElement[bool]]:
    """The conditions for nodes that may be given away: free, not in maintenance, every port as it should be, and no
    call to the controller under way that was given up.
    """
    nodes, nics, ports = models.Node, models.Nic, models.Port
    open_port = sa.exists().where(
        nics.node_id == nodes.id,
        ports.nic_id == nics.id,
        sa.or_(ports.in_sync.is_(False), ports.status == states.Port.ERROR),
    )
    settled = sa.or_(nodes.unsettled_until.is_(None), nodes.unsettled_until <= models.now())
    return [nodes.project_id.is_(None), nodes.maintenance.is_(False), settled, sa.not_(open_port)]


class Metadata(base.Stored):
    MODEL = models.NodeMetadata
    KIND = "metadata label"

    node_id: int
    label: str
    value: Any

    @classmethod
    def identified(cls, ident: str) -> sa.ColumnElement[bool]:
        """Metadata goes by its label."""
        return models.NodeMetadata.label == ident

    @classmethod
    def put(cls, session: orm.Session, node_id: int, label: str, value: Any) -> bool:
        """Write a label anew or over.

        :returns: whether it is new
        """
        rows = models.NodeMetadata
        known = session.scalar(sa.select(rows.id).where(rows.node_id == node_id, rows.label == label))
        if known is None:
            cls.create(session, node_id=node_id, label=label, value=value)
        else:
            session.execute(sa.update(rows).where(rows.id == known).values(value=value))
        return known is None


class Nic(base.Stored):
    MODEL = models.Nic
    KIND = "NIC"

    name: str
    node_id: int
    mac: str
    created_at: datetime

    @property
    def pending_key(self) -> str:
        """What an operation on this NIC holds while it is open."""
        return f"nic:{self.id}"
