# SPDX-License-Identifier: Apache-2.0
"""Networks, who may use them, and what is attached to them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.objects import base
from mogan_hil.objects.operation import Operation


class Network(base.Stored):
    MODEL = models.Network
    KIND = "network"

    name: str
    description: str
    project_id: str | None
    owner: str
    public: bool
    physical_network: str
    segment_id: str
    pooled: bool
    channels: list[str]
    created_at: datetime

    @property
    def lane(self) -> str:
        """The lane of what the network manager is told."""
        return f"network:{self.uuid}"

    def changed(self, session: orm.Session, **asked_by: Any) -> str:
        """Write that the network manager is to be told of the network, as it will be then. Any number may wait.

        :param asked_by: the values of the operation that say for whom it is
        :returns: the lane that has work
        """
        uuid = uuidutils.generate_uuid()
        Operation.create(
            session,
            uuid=uuid,
            verb="network_configure",
            lane=self.lane,
            state=states.Operation.PENDING,
            pending_key=f"serve:{uuid}",
            project_id=self.project_id,
            payload={"network": self.name, "network_uuid": self.uuid},
            **asked_by,
        )
        return self.lane

    @staticmethod
    def used_segments(session: orm.Session, physical_network: str) -> set[str]:
        """The segments that networks have."""
        networks = models.Network
        query = sa.select(networks.segment_id).where(networks.physical_network == physical_network)
        return set(session.scalars(query))


def usable_by(project_id: str | None) -> sa.ColumnElement[bool]:
    """The condition for networks that a project may use: its own, those it has access to, and the public ones."""
    networks, access = models.Network, models.NetworkAccess
    if project_id is None:
        return networks.public.is_(True)
    return sa.or_(
        networks.project_id == project_id,
        networks.public.is_(True),
        sa.exists().where(access.network_id == networks.id, access.project_id == project_id),
    )


def access_of(session: orm.Session, ids: list[int]) -> dict[int, list[str]]:
    """The projects that have access to these networks, besides their owners."""
    found: dict[int, list[str]] = {network: [] for network in ids}
    access = models.NetworkAccess
    query = sa.select(access.network_id, access.project_id).where(access.network_id.in_(ids)).order_by(access.id)
    for network, project in session.execute(query):
        found[network].append(project)
    return found


class Access(base.Stored):
    MODEL = models.NetworkAccess
    KIND = "access"

    network_id: int
    project_id: str

    @classmethod
    def identified(cls, ident: str) -> sa.ColumnElement[bool]:
        """Access goes by its project."""
        return models.NetworkAccess.project_id == ident


class Attachment(base.Stored):
    MODEL = models.Attachment
    KIND = "attachment"

    nic_id: int
    network_id: int
    channel: str
    status: states.Attachment
    created_at: datetime

    @staticmethod
    def move(session: orm.Session, ids: Collection[int], old: states.Attachment, new: states.Attachment) -> None:
        """Those of these attachments that are in one state go to another.

        :raises ValueError: none goes so
        """
        if new not in states.ATTACHMENT_NEXT[old]:
            raise ValueError(f"no attachment goes from {old} to {new}")
        if ids:
            rows = models.Attachment
            session.execute(sa.update(rows).where(rows.id.in_(ids), rows.status == old).values(status=new))

    @staticmethod
    def drop(session: orm.Session, ids: Collection[int], status: states.Attachment) -> None:
        """Delete those of these attachments that are in this state."""
        if ids:
            rows = models.Attachment
            session.execute(sa.delete(rows).where(rows.id.in_(ids), rows.status == status))
