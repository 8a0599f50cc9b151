# SPDX-License-Identifier: Apache-2.0
"""Nodes: the machines, who has them, and what they are labelled with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

import sqlalchemy as sa
from oslo_db import exception as db_exception
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.db import models
from mogan_hil.objects import base
from mogan_hil.objects.console import Console


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a node must be to be chosen: all of it together.

    :param aggregate_metadata: what aggregates of the node must say, each entry any of them
    """

    resource_class: str | None = None
    traits: Sequence[str] = ()
    availability_zone: str | None = None
    aggregate_metadata: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        """As an operation keeps it."""
        return {**asdict(self), "traits": list(self.traits)}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Self:
        """From what an operation kept, perhaps of an older version, and beside other things."""
        return cls(**{name: payload[name] for name in cls.__slots__ if name in payload})

    def where(self) -> list[sa.ColumnElement[bool]]:
        """The conditions for nodes that are so."""
        nodes = models.Node
        found = [*has_traits(self.traits), *has_aggregate_metadata(self.aggregate_metadata)]
        if self.resource_class is not None:
            found.append(nodes.resource_class == self.resource_class)
        if self.availability_zone is not None:
            found.append(nodes.availability_zone == self.availability_zone)
        return found


class Node(base.Stored):
    VERSION = "1.1"
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
    availability_zone: str | None
    failure_domain: str | None
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

    @property
    def deploy_lane(self) -> str:
        """The lane of what the node is offered to boot; also what an operation on that holds while it is open."""
        return f"deploy:{self.uuid}"

    @property
    def console_key(self) -> str:
        """What an operation that opens the node's console holds while it is open.

        It hinders nothing else: a console that is not wanted any more when it is opened is closed again.
        """
        return f"console:{self.uuid}"

    @property
    def console_stop_key(self) -> str:
        """What an operation that closes the node's console holds while it is open."""
        return f"stop-{self.console_key}"

    def claim(self, session: orm.Session, project_id: str) -> bool:
        """Give the node to a project if nobody has it and it is fit to be given. An administrator's console ends."""
        given = self.update(session, *claimable(), project_id=project_id)
        if given:
            Console.forget(session, self.id)
        return given

    def keys(self, session: orm.Session) -> list[str]:
        """What operations on the node, whatever they change, hold while they are open."""
        nics = session.scalars(sa.select(models.Nic.id).where(models.Nic.node_id == self.id))
        return [self.obm_key, self.deploy_lane, *(f"nic:{nic}" for nic in nics)]

    def release(self, session: orm.Session, project_id: str, to: str | None = None) -> bool:
        """Take the node from a project if this one has it, and end its console. Its controller obeys whoever is next.

        :param to: the project that has it next; None where it is free
        """
        taken = self.update(session, models.Node.project_id == project_id, project_id=to, obm_enabled=True)
        if taken:
            Console.forget(session, self.id)
        return taken

    @classmethod
    def choose(
        cls,
        session: orm.Session,
        count: int,
        criteria: Criteria,
        exclude: Collection[int] = (),
        *where: sa.ColumnElement[bool],
        least: int = 0,
    ) -> list[Node]:
        """Free nodes that fit, locked until the end of the transaction; those that another transaction holds are passed
        over, so that many claims at once do not wait for each other.

        :param least: so many are needed. If there are, but others hold them who may yet leave them, the transaction is
            to be tried again, as after a deadlock.
        :returns: as many as there are, `count` at the most
        :raises exception.NotEnoughNodes: others held them for too long
        """
        nodes = models.Node
        fit = (*claimable(), nodes.id.not_in(exclude), *criteria.where(), *where)
        query = sa.select(nodes).where(*fit).order_by(nodes.id).limit(count).with_for_update(skip_locked=True)
        found = [cls.from_row(row) for row in session.scalars(query)]
        if len(found) < least:
            free = session.scalar(sa.select(sa.func.count()).select_from(nodes).where(*fit))
            if free is not None and free >= least:
                raise db_exception.RetryRequest(exception.NotEnoughNodes(wanted=least, found=len(found)))
        return found

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


def has_aggregate_metadata(wanted: Mapping[str, str]) -> list[sa.ColumnElement[bool]]:
    """The conditions for nodes of whose aggregates some say this, and some that."""
    members, entries = models.AggregateNode, models.AggregateMetadata
    return [
        sa.exists().where(
            members.node_id == models.Node.id,
            entries.aggregate_id == members.aggregate_id,
            entries.label == label,
            entries.value == value,
        )
        for label, value in wanted.items()
    ]


def obedient() -> list[sa.ColumnElement[bool]]:
    """The conditions for nodes that have a controller, and may be told something through it."""
    return [models.Node.obm_driver.is_not(None), models.Node.obm_enabled.is_(True)]


def wirable(wires: Collection[tuple[str, str | None]]) -> list[sa.ColumnElement[bool]]:
    """The conditions for nodes that have a cabled NIC for each of these.

    :param wires: the physical network of each, and the name or uuid of its NIC; None for any that no other wire has
    """
    nics, ports, switches = models.Nic, models.Port, models.Switch
    cable = (nics.node_id == models.Node.id, ports.nic_id == nics.id, switches.id == ports.switch_id)
    conditions: list[sa.ColumnElement[bool]] = []
    for place, needed in Counter(place for place, _ in wires).items():
        found = sa.select(sa.func.count(nics.id)).where(*cable, switches.physical_network == place)
        conditions.append(found.correlate(models.Node).scalar_subquery() >= needed)
    for place, ident in wires:
        if ident is not None:
            conditions.append(sa.exists().where(*cable, switches.physical_network == place, Nic.identified(ident)))
    return conditions


def claimable() -> list[sa.ColumnElement[bool]]:
    """The conditions for nodes that may be given away: free, not in maintenance, every port proven to be as it should
    be, and no call to the controller under way that was given up.
    """
    nodes, nics, ports = models.Node, models.Nic, models.Port
    open_port = sa.exists().where(
        nics.node_id == nodes.id,
        ports.nic_id == nics.id,
        sa.or_(ports.in_sync.is_(False), ports.status != states.Port.OK),
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
