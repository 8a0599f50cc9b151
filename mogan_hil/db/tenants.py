# SPDX-License-Identifier: Apache-2.0
"""The tables of projects and users, and of what is theirs alone; see :mod:`.models`."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy.orm import Mapped, mapped_column

from mogan_hil.db.base import OPTIONS, Base, Moment, Name, Named, ProjectId, now, project, unique


class Project(Base):
    __tablename__ = "projects"
    __table_args__ = (unique("projects", "uuid"), unique("projects", "name"), OPTIONS)

    uuid: Mapped[str] = mapped_column(ProjectId, default=uuidutils.generate_uuid)
    name: Mapped[str] = mapped_column(Name)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class User(Named, Base):
    __tablename__ = "users"
    __table_args__ = (unique("users", "uuid"), unique("users", "name"), OPTIONS)

    password_hash: Mapped[str] = mapped_column(sa.String(255))


class RoleAssignment(Base):
    __tablename__ = "role_assignments"
    __table_args__ = (unique("role_assignments", "user_id", "project_id"), OPTIONS)

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = project(ondelete="CASCADE")
    role: Mapped[str] = mapped_column(sa.String(32))


class Keypair(Named, Base):
    __tablename__ = "keypairs"
    __table_args__ = (unique("keypairs", "uuid"), unique("keypairs", "user_id", "name"), OPTIONS)

    #: A user's of this service, or of Keystone.
    user_id: Mapped[str] = mapped_column(sa.String(64))
    type: Mapped[str] = mapped_column(sa.String(16))
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    public_key: Mapped[str] = mapped_column(sa.Text)


class KeyOwner(Base):
    """A user who has keypairs: what is held while they are counted, whatever project the user acts for."""

    __tablename__ = "key_owners"
    __table_args__ = (unique("key_owners", "user_id"), OPTIONS)

    user_id: Mapped[str] = mapped_column(sa.String(64))


class Quota(Base):
    __tablename__ = "quotas"
    __table_args__ = (unique("quotas", "project_id", "resource"), OPTIONS)

    project_id: Mapped[str] = project(ondelete="CASCADE")
    resource: Mapped[str] = mapped_column(sa.String(64))
    #: -1 for no limit.
    maximum: Mapped[int] = mapped_column(sa.Integer)
