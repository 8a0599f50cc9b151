# SPDX-License-Identifier: Apache-2.0
"""The tables, and nothing else. What the database itself must refuse is said here, as constraints.

Unique constraints are named `uniq_<table>0<column>0<column>`, which is how oslo.db tells their columns from an error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: SQLite counts rows by itself only in a column of exactly this type.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
ProjectId = sa.String(64)
Name = sa.String(255)


def now() -> datetime:
    """The time in UTC, without a zone: the databases have none."""
    return datetime.now(UTC).replace(tzinfo=None)


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name="0".join([f"uniq_{table}", *columns]))


class Base(DeclarativeBase):
    # Names that differ in case or accent are different names on every database.
    __table_args__: Any = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

    id: Mapped[int] = mapped_column(BigId, primary_key=True, sort_order=-2)


OPTIONS = Base.__table_args__


class _Named:
    uuid: Mapped[str] = mapped_column(sa.String(36), default=uuidutils.generate_uuid, sort_order=-1)
    name: Mapped[str] = mapped_column(Name, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class Project(Base):
    __tablename__ = "projects"
    __table_args__ = (_unique("projects", "uuid"), _unique("projects", "name"), OPTIONS)

    uuid: Mapped[str] = mapped_column(ProjectId, default=uuidutils.generate_uuid)
    name: Mapped[str] = mapped_column(Name)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


def _project(ondelete: str | None = None, **options: Any) -> Any:
    return mapped_column(ProjectId, sa.ForeignKey("projects.uuid", ondelete=ondelete), index=True, **options)


class User(_Named, Base):
    __tablename__ = "users"
    __table_args__ = (_unique("users", "uuid"), _unique("users", "name"), OPTIONS)

    password_hash: Mapped[str] = mapped_column(sa.String(255))


class RoleAssignment(Base):
    __tablename__ = "role_assignments"
    __table_args__ = (_unique("role_assignments", "user_id", "project_id"), OPTIONS)

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = _project(ondelete="CASCADE")
    role: Mapped[str] = mapped_column(sa.String(32))


class Switch(_Named, Base):
    __tablename__ = "switches"
    __table_args__ = (
        _unique("switches", "uuid"),
        _unique("switches", "name"),
        _unique("switches", "identity"),
        OPTIONS,
    )

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    driver: Mapped[str] = mapped_column(sa.String(64))
    options: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    secrets: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    physical_network: Mapped[str] = mapped_column(sa.String(64))
    #: Which real switch it is, as its driver tells from the options: two of them would fight over one port.
    identity: Mapped[str | None] = mapped_column(sa.String(255))
    #: Until then a call that was given up may still change it.
    unsettled_until: Mapped[datetime | None] = mapped_column(Moment)
    #: Goes up with each change of how the switch is reached, so that a conductor knows to make its driver anew.
    generation: Mapped[int] = mapped_column(sa.Integer, default=0)


class Node(_Named, Base):
    __tablename__ = "nodes"
    __table_args__ = (_unique("nodes", "uuid"), _unique("nodes", "name"), OPTIONS)

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    project_id: Mapped[str | None] = _project()
    resource_class: Mapped[str] = mapped_column(sa.String(80), default="baremetal", index=True)
    #: For reading; `node_traits` has the same for searching.
    traits: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    maintenance: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    maintenance_reason: Mapped[str] = mapped_column(sa.String(255), default="")
    obm_driver: Mapped[str | None] = mapped_column(sa.String(64))
    obm_options: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    obm_secrets: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    obm_enabled: Mapped[bool] = mapped_column(sa.Boolean, default=True)
    #: Until then a call that was given up may still switch it.
    unsettled_until: Mapped[datetime | None] = mapped_column(Moment)


class NodeTrait(Base):
    __tablename__ = "node_traits"
    __table_args__ = (_unique("node_traits", "node_id", "trait"), OPTIONS)

    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id", ondelete="CASCADE"))
    trait: Mapped[str] = mapped_column(sa.String(255), index=True)


class NodeMetadata(Base):
    __tablename__ = "node_metadata"
    __table_args__ = (_unique("node_metadata", "node_id", "label"), OPTIONS)

    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(sa.String(255))
    value: Mapped[Any] = mapped_column(sa.JSON)


class Nic(_Named, Base):
    __tablename__ = "nics"
    __table_args__ = (_unique("nics", "uuid"), _unique("nics", "node_id", "name"), _unique("nics", "mac"), OPTIONS)

    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id"))
    mac: Mapped[str] = mapped_column(sa.String(17))


class Port(_Named, Base):
    __tablename__ = "ports"
    __table_args__ = (
        _unique("ports", "uuid"),
        _unique("ports", "switch_id", "name"),
        _unique("ports", "nic_id"),
        OPTIONS,
    )

    switch_id: Mapped[int] = mapped_column(sa.ForeignKey("switches.id"))
    nic_id: Mapped[int | None] = mapped_column(sa.ForeignKey("nics.id"))
    status: Mapped[str] = mapped_column(sa.String(16), index=True)
    status_reason: Mapped[str] = mapped_column(sa.String(1024), default="")
    observed: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    observed_at: Mapped[datetime | None] = mapped_column(Moment)
    in_sync: Mapped[bool | None] = mapped_column(sa.Boolean)


class Network(_Named, Base):
    __tablename__ = "networks"
    __table_args__ = (
        _unique("networks", "uuid"),
        _unique("networks", "owner", "name"),
        _unique("networks", "physical_network", "segment_id"),
        OPTIONS,
    )

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    project_id: Mapped[str | None] = _project()
    #: The project's id, or "" for a network of the site: NULLs would not clash in the unique constraint.
    owner: Mapped[str] = mapped_column(ProjectId)
    public: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    physical_network: Mapped[str] = mapped_column(sa.String(64))
    segment_id: Mapped[str] = mapped_column(sa.String(64))
    pooled: Mapped[bool] = mapped_column(sa.Boolean)
    channels: Mapped[list[str]] = mapped_column(sa.JSON)


class NetworkAccess(Base):
    __tablename__ = "network_access"
    __table_args__ = (_unique("network_access", "network_id", "project_id"), OPTIONS)

    network_id: Mapped[int] = mapped_column(sa.ForeignKey("networks.id", ondelete="CASCADE"))
    project_id: Mapped[str] = _project()


class Attachment(Base):
    __tablename__ = "attachments"
    __table_args__ = (
        _unique("attachments", "uuid"),
        _unique("attachments", "nic_id", "channel"),
        _unique("attachments", "nic_id", "network_id"),
        OPTIONS,
    )

    uuid: Mapped[str] = mapped_column(sa.String(36), default=uuidutils.generate_uuid)
    nic_id: Mapped[int] = mapped_column(sa.ForeignKey("nics.id"))
    network_id: Mapped[int] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    channel: Mapped[str] = mapped_column(sa.String(64))
    status: Mapped[str] = mapped_column(sa.String(16))
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class Flavor(_Named, Base):
    __tablename__ = "flavors"
    __table_args__ = (_unique("flavors", "uuid"), _unique("flavors", "name"), OPTIONS)

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    resource_class: Mapped[str] = mapped_column(sa.String(80))
    traits: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    public: Mapped[bool] = mapped_column(sa.Boolean, default=True)
    disabled: Mapped[bool] = mapped_column(sa.Boolean, default=False)


class FlavorAccess(Base):
    __tablename__ = "flavor_access"
    __table_args__ = (_unique("flavor_access", "flavor_id", "project_id"), OPTIONS)

    flavor_id: Mapped[int] = mapped_column(sa.ForeignKey("flavors.id", ondelete="CASCADE"))
    project_id: Mapped[str] = _project(ondelete="CASCADE")


class Instance(_Named, Base):
    __tablename__ = "instances"
    __table_args__ = (
        _unique("instances", "uuid"),
        _unique("instances", "project_id", "name"),
        _unique("instances", "node_id"),
        OPTIONS,
    )

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    project_id: Mapped[str] = _project()
    user_id: Mapped[str] = mapped_column(sa.String(64), default="")
    flavor_id: Mapped[int | None] = mapped_column(sa.ForeignKey("flavors.id"))
    node_id: Mapped[int | None] = mapped_column(sa.ForeignKey("nodes.id"))
    status: Mapped[str] = mapped_column(sa.String(16), index=True)
    #: The locks of the owner and of an administrator: who, when and why. An administrator's hides the owner's.
    owner_lock: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    admin_lock: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    fault: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)


class Operation(Base):
    __tablename__ = "operations"
    __table_args__ = (
        _unique("operations", "uuid"),
        _unique("operations", "pending_key"),
        sa.Index("ix_operations_state_lane", "state", "lane", "id"),
        sa.Index("ix_operations_project", "project_id", "id"),
        OPTIONS,
    )

    uuid: Mapped[str] = mapped_column(sa.String(36), default=uuidutils.generate_uuid)
    verb: Mapped[str] = mapped_column(sa.String(64))
    lane: Mapped[str] = mapped_column(sa.String(64))
    state: Mapped[str] = mapped_column(sa.String(16))
    #: What it changes, while it is open, and NULL after: the database refuses a second one.
    pending_key: Mapped[str | None] = mapped_column(sa.String(64))
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("operations.id"), index=True)
    request_id: Mapped[str] = mapped_column(sa.String(64), default="")
    user_id: Mapped[str] = mapped_column(sa.String(64), default="")
    project_id: Mapped[str | None] = mapped_column(ProjectId)
    node: Mapped[str | None] = mapped_column(sa.String(36), index=True)
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    result: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    verified: Mapped[bool | None] = mapped_column(sa.Boolean)
    error: Mapped[str | None] = mapped_column(sa.String(1024))
    error_detail: Mapped[str | None] = mapped_column(sa.Text)
    attempts: Mapped[int] = mapped_column(sa.Integer, default=0)
    not_before: Mapped[datetime | None] = mapped_column(Moment)
    conductor: Mapped[str | None] = mapped_column(sa.String(255))
    #: Whoever asked for it may change what is locked.
    overrides_lock: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
