# SPDX-License-Identifier: Apache-2.0
"""Switch ports: what is cabled where, and what was last seen on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.objects import base


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

    def cable(self, session: orm.Session, nic_id: int) -> bool:
        """Plug a NIC in, if nothing is plugged in. A unique constraint keeps a NIC to one port."""
        return self.update(session, models.Port.nic_id.is_(None), nic_id=nic_id)

    @staticmethod
    def configured(
        session: orm.Session, *where: sa.ColumnElement[bool], states_: Sequence[str]
    ) -> list[sa.Row[tuple[models.Port, str | None, str | None]]]:
        """Each port with the channel and the segment of each of its attachments; a port without any comes once."""
        ports, attachments, networks = models.Port, models.Attachment, models.Network
        query = (
            sa.select(ports, attachments.channel, networks.segment_id)
            .outerjoin(attachments, sa.and_(attachments.nic_id == ports.nic_id, attachments.status.in_(states_)))
            .outerjoin(networks, networks.id == attachments.network_id)
            .where(*where)
            .order_by(ports.id)
        )
        return list(session.execute(query.execution_options(populate_existing=True)))

    @staticmethod
    def uncable(session: orm.Session, ids: Collection[int]) -> None:
        """Pull out whatever is plugged into these ports."""
        session.execute(sa.update(models.Port).where(models.Port.id.in_(ids)).values(nic_id=None))


def port_key(uuid: str, nic_id: int | None) -> str:
    """See :attr:`Port.pending_key`."""
    return f"port:{uuid}" if nic_id is None else f"nic:{nic_id}"
