# SPDX-License-Identifier: Apache-2.0
"""The tables of headnodes; a part of :mod:`mogan_hil.db.models`."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from mogan_hil.db.base import OPTIONS, Base, Moment, Named, project, unique


class Headnode(Named, Base):
    __tablename__ = "headnodes"
    __table_args__ = (unique("headnodes", "uuid"), unique("headnodes", "project_id", "name"), OPTIONS)

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    project_id: Mapped[str] = project()
    #: Its name in the catalogue, and what the catalogue said when the headnode was created.
    image: Mapped[str] = mapped_column(sa.String(255))
    memory: Mapped[int] = mapped_column(sa.Integer)
    cpus: Mapped[int] = mapped_column(sa.Integer)
    status: Mapped[str] = mapped_column(sa.String(16))
    #: It was started: its NICs and their networks are as they are.
    frozen: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    #: Why the last operation failed, for the tenant.
    fault: Mapped[str | None] = mapped_column(sa.String(1024))
    vnc_address: Mapped[str | None] = mapped_column(sa.String(64))
    vnc_port: Mapped[int | None] = mapped_column(sa.Integer)
    #: Until then a call that was given up may still change it.
    unsettled_until: Mapped[datetime | None] = mapped_column(Moment)


class Hnic(Named, Base):
    __tablename__ = "hnics"
    __table_args__ = (unique("hnics", "uuid"), unique("hnics", "headnode_id", "name"), unique("hnics", "mac"), OPTIONS)

    headnode_id: Mapped[int] = mapped_column(sa.ForeignKey("headnodes.id", ondelete="CASCADE"))
    network_id: Mapped[int | None] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    mac: Mapped[str] = mapped_column(sa.String(17))
