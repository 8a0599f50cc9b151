# SPDX-License-Identifier: Apache-2.0
"""Headnodes: the virtual machines that projects have beside their nodes, and their NICs."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.objects import base


class Headnode(base.Stored):
    MODEL = models.Headnode
    KIND = "headnode"

    name: str
    description: str
    project_id: str
    image: str
    memory: int
    cpus: int
    status: states.Headnode
    frozen: bool
    fault: str | None
    vnc_address: str | None
    vnc_port: int | None
    unsettled_until: datetime | None
    created_at: datetime

    @property
    def lane(self) -> str:
        """The lane of what is done with its machine; also what an operation on it holds while it is open."""
        return f"headnode:{self.uuid}"

    @property
    def unsettled(self) -> bool:
        """Whether a call that was given up may still change its machine."""
        return self.unsettled_until is not None and self.unsettled_until > models.now()


class Hnic(base.Stored):
    MODEL = models.Hnic
    KIND = "hnic"

    name: str
    headnode_id: int
    network_id: int | None
    mac: str
    created_at: datetime


def on_network(session: orm.Session, network_id: int, *where: sa.ColumnElement[bool]) -> bool:
    """Whether a headnode that fulfils the conditions is on a network."""
    query = sa.select(models.Hnic.id).join(models.Headnode, models.Headnode.id == models.Hnic.headnode_id)
    return session.scalar(query.where(models.Hnic.network_id == network_id, *where).limit(1)) is not None
