# SPDX-License-Identifier: Apache-2.0
"""What is here already, under the names that HIL knows."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.db import models
from mogan_hil.verbs.base import Call


def _names(session: orm.Session, column: Any) -> set[str]:
    return set(session.scalars(sa.select(column)))


class Present:
    """See the module."""

    def __init__(self, call: Call) -> None:
        with call.reader() as session:
            self.projects = _names(session, models.Project.name)
            self.users = _names(session, models.User.name)
            self.switches = _names(session, models.Switch.name)
            self.nodes = _names(session, models.Node.name)
            self._networks(session)
            self._cabling(session)
            self._holdings(session)

    def _networks(self, session: orm.Session) -> None:
        owned = sa.select(models.Network.name, models.Project.name, models.Network.segment_id).outerjoin(
            models.Project, models.Project.uuid == models.Network.project_id
        )
        self.networks: dict[str, list[tuple[str | None, str]]] = {}
        for row in session.execute(owned):
            self.networks.setdefault(row[0], []).append((row[1], row[2]))

    def _cabling(self, session: orm.Session) -> None:
        query = sa.select(models.Switch.name, models.Port.name).join(models.Port)
        self.ports = {(row[0], row[1]) for row in session.execute(query)}
        query = sa.select(models.Node.name, models.Nic.name).join(models.Nic)
        self.nics = {(row[0], row[1]) for row in session.execute(query)}
        cabled = (
            sa.select(models.Switch.name, models.Port.name, models.Node.name, models.Nic.name)
            .join(models.Port, models.Port.switch_id == models.Switch.id)
            .join(models.Nic, models.Nic.id == models.Port.nic_id)
            .join(models.Node, models.Node.id == models.Nic.node_id)
        )
        self.cabled = {(row[0], row[1]): (row[2], row[3]) for row in session.execute(cabled)}

    def _holdings(self, session: orm.Session) -> None:
        owners = sa.select(models.Node.name, models.Project.name).join(
            models.Project, models.Project.uuid == models.Node.project_id
        )
        self.owners = {row[0]: row[1] for row in session.execute(owners)}
        attached = (
            sa.select(models.Node.name, models.Nic.name, models.Attachment.channel, models.Network.name)
            .join(models.Nic, models.Nic.node_id == models.Node.id)
            .join(models.Attachment, models.Attachment.nic_id == models.Nic.id)
            .join(models.Network, models.Network.id == models.Attachment.network_id)
        )
        self.attached = {(row[0], row[1], row[2]): row[3] for row in session.execute(attached)}
        headnodes = sa.select(models.Project.name, models.Headnode.name).join(
            models.Project, models.Project.uuid == models.Headnode.project_id
        )
        self.headnodes = {(row[0], row[1]) for row in session.execute(headnodes)}
