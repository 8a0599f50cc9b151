# SPDX-License-Identifier: Apache-2.0
"""Switch ports: what is cabled where, and what was last seen on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.objects import base


class Attached(NamedTuple):
    """A port and one of its attachments; all but the port are None where it has none."""

    port: models.Port
    attachment_id: int | None
    status: str | None
    channel: str | None
    segment_id: str | None


class Port(base.Stored):
    MODEL = models.Port
    KIND = "port"

    name: str
    switch_id: int
    nic_id: int | None
    status: states.Port
    status_reason: str
    observed: dict[str, Any] | None
    observed_at: datetime | None
    in_sync: bool | None
    created_at: datetime

    @property
    def pending_key(self) -> str:
        """What an operation on this port holds while it is open: its NIC, or itself where nothing is cabled."""
        return port_key(self.uuid, self.nic_id)

    def as_seen(self) -> sa.ColumnElement[bool]:
        """The condition that nobody has written down since what is on the port."""
        rows = models.Port
        return rows.observed_at.is_(None) if self.observed_at is None else rows.observed_at == self.observed_at

    @staticmethod
    def attached(session: orm.Session, *where: sa.ColumnElement[bool]) -> list[Attached]:
        """Ports, each as often as it has attachments, and once where it has none."""
        ports, attachments, networks = models.Port, models.Attachment, models.Network
        query = (
            sa.select(ports, attachments.id, attachments.status, attachments.channel, networks.segment_id)
            .outerjoin(attachments, attachments.nic_id == ports.nic_id)
            .outerjoin(networks, networks.id == attachments.network_id)
            .where(*where)
            .order_by(ports.id)
            .execution_options(populate_existing=True)
        )
        return [Attached(*row) for row in session.execute(query)]


def port_key(uuid: str, nic_id: int | None) -> str:
    """See :attr:`Port.pending_key`."""
    return f"port:{uuid}" if nic_id is None else f"nic:{nic_id}"
