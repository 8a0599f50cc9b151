# SPDX-License-Identifier: Apache-2.0
"""The tables, and nothing else. What the database itself must refuse is said here, as constraints.

Unique constraints are named `uniq_<table>0<column>0<column>`, which is how oslo.db tells their columns from an error.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy.orm import Mapped, mapped_column

from mogan_hil.db.base import OPTIONS, Moment, Name, Named, ProjectId, project, unique
from mogan_hil.db.base import Base as Base
from mogan_hil.db.base import now as now
from mogan_hil.db.base import told as told
from mogan_hil.db.headnodes import Headnode as Headnode
from mogan_hil.db.headnodes import Hnic as Hnic
from mogan_hil.db.tenants import KeyOwner as KeyOwner
from mogan_hil.db.tenants import Keypair as Keypair
from mogan_hil.db.tenants import Project as Project
from mogan_hil.db.tenants import Quota as Quota
from mogan_hil.db.tenants import RoleAssignment as RoleAssignment
from mogan_hil.db.tenants import User as User


class Switch(Named, Base):
    __tablename__ = "switches"
    __table_args__ = (unique("switches", "uuid"), unique("switches", "name"), unique("switches", "identity"), OPTIONS)

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


class Node(Named, Base):
    __tablename__ = "nodes"
    __table_args__ = (unique("nodes", "uuid"), unique("nodes", "name"), OPTIONS)

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    project_id: Mapped[str | None] = project()
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
    #: What the metadata of its aggregates say, kept here so that a node never has two of one.
    availability_zone: Mapped[str | None] = mapped_column(Name, index=True)
    failure_domain: Mapped[str | None] = mapped_column(Name, index=True)


class NodeTrait(Base):
    __tablename__ = "node_traits"
    __table_args__ = (unique("node_traits", "node_id", "trait"), OPTIONS)

    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id", ondelete="CASCADE"))
    trait: Mapped[str] = mapped_column(sa.String(255), index=True)


class NodeMetadata(Base):
    __tablename__ = "node_metadata"
    __table_args__ = (unique("node_metadata", "node_id", "label"), OPTIONS)

    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(sa.String(255))
    value: Mapped[Any] = mapped_column(sa.JSON)


class Aggregate(Named, Base):
    __tablename__ = "aggregates"
    __table_args__ = (unique("aggregates", "uuid"), unique("aggregates", "name"), OPTIONS)

    description: Mapped[str] = mapped_column(sa.String(255), default="")


class AggregateMetadata(Base):
    __tablename__ = "aggregate_metadata"
    __table_args__ = (
        unique("aggregate_metadata", "aggregate_id", "label"),
        sa.Index("ix_aggregate_metadata_label_value", "label", "value"),
        OPTIONS,
    )

    aggregate_id: Mapped[int] = mapped_column(sa.ForeignKey("aggregates.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(sa.String(255))
    value: Mapped[str] = mapped_column(sa.String(255))


class AggregateNode(Base):
    __tablename__ = "aggregate_nodes"
    __table_args__ = (unique("aggregate_nodes", "aggregate_id", "node_id"), OPTIONS)

    aggregate_id: Mapped[int] = mapped_column(sa.ForeignKey("aggregates.id", ondelete="CASCADE"))
    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id", ondelete="CASCADE"), index=True)


class Console(Base):
    __tablename__ = "consoles"
    __table_args__ = (unique("consoles", "node_id"), OPTIONS)

    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(sa.String(16), index=True)
    #: Since when; NULL for one that has been so since before this was written down.
    status_at: Mapped[datetime | None] = mapped_column(Moment)
    #: Why it is as it is, for the tenant.
    reason: Mapped[str] = mapped_column(sa.String(1024), default="")
    #: What tokens for its stream are signed with: with another key they are all void, and the streams end.
    token_key: Mapped[str] = mapped_column(sa.String(64))
    #: The conductor that has the line, where it streams, and when it was last known to live.
    conductor: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    url: Mapped[str] = mapped_column(sa.String(1024), default="")
    seen_at: Mapped[datetime | None] = mapped_column(Moment)
    #: How often it was tried in vain to open it again, and when it is tried next.
    tries: Mapped[int] = mapped_column(sa.Integer, default=0)
    retry_at: Mapped[datetime | None] = mapped_column(Moment)
    #: Bytes that the node has written, whether they are still kept or not.
    written: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class ConsolePiece(Base):
    __tablename__ = "console_pieces"
    __table_args__ = (sa.Index("ix_console_pieces_console", "console_id", "upto"), OPTIONS)

    console_id: Mapped[int] = mapped_column(sa.ForeignKey("consoles.id", ondelete="CASCADE"))
    #: Where in all that was written this piece ends.
    upto: Mapped[int] = mapped_column(sa.BigInteger)
    data: Mapped[bytes] = mapped_column(sa.LargeBinary)


class Nic(Named, Base):
    __tablename__ = "nics"
    __table_args__ = (unique("nics", "uuid"), unique("nics", "node_id", "name"), unique("nics", "mac"), OPTIONS)

    node_id: Mapped[int] = mapped_column(sa.ForeignKey("nodes.id"))
    mac: Mapped[str] = mapped_column(sa.String(17))


class Port(Named, Base):
    __tablename__ = "ports"
    __table_args__ = (unique("ports", "uuid"), unique("ports", "switch_id", "name"), unique("ports", "nic_id"), OPTIONS)

    switch_id: Mapped[int] = mapped_column(sa.ForeignKey("switches.id"))
    nic_id: Mapped[int | None] = mapped_column(sa.ForeignKey("nics.id"))
    status: Mapped[str] = mapped_column(sa.String(16), index=True)
    status_reason: Mapped[str] = mapped_column(sa.String(1024), default="")
    observed: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    observed_at: Mapped[datetime | None] = mapped_column(Moment)
    in_sync: Mapped[bool | None] = mapped_column(sa.Boolean)


class Network(Named, Base):
    __tablename__ = "networks"
    __table_args__ = (
        unique("networks", "uuid"),
        unique("networks", "owner", "name"),
        unique("networks", "physical_network", "segment_id"),
        OPTIONS,
    )

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    project_id: Mapped[str | None] = project()
    #: The project's id, or "" for a network of the site: NULLs would not clash in the unique constraint.
    owner: Mapped[str] = mapped_column(ProjectId)
    public: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    physical_network: Mapped[str] = mapped_column(sa.String(64))
    segment_id: Mapped[str] = mapped_column(sa.String(64))
    pooled: Mapped[bool] = mapped_column(sa.Boolean)
    channels: Mapped[list[str]] = mapped_column(sa.JSON)


class NetworkAccess(Base):
    __tablename__ = "network_access"
    __table_args__ = (unique("network_access", "network_id", "project_id"), OPTIONS)

    network_id: Mapped[int] = mapped_column(sa.ForeignKey("networks.id", ondelete="CASCADE"))
    project_id: Mapped[str] = project()


class Attachment(Base):
    __tablename__ = "attachments"
    __table_args__ = (
        unique("attachments", "uuid"),
        unique("attachments", "nic_id", "channel"),
        unique("attachments", "nic_id", "network_id"),
        OPTIONS,
    )

    uuid: Mapped[str] = mapped_column(sa.String(36), default=uuidutils.generate_uuid)
    nic_id: Mapped[int] = mapped_column(sa.ForeignKey("nics.id"))
    network_id: Mapped[int] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    channel: Mapped[str] = mapped_column(sa.String(64))
    status: Mapped[str] = mapped_column(sa.String(16))
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class Subnet(Base):
    __tablename__ = "subnets"
    __table_args__ = (unique("subnets", "uuid"), unique("subnets", "network_id", "cidr"), OPTIONS)

    uuid: Mapped[str] = mapped_column(sa.String(36), default=uuidutils.generate_uuid)
    network_id: Mapped[int] = mapped_column(sa.ForeignKey("networks.id", ondelete="CASCADE"))
    cidr: Mapped[str] = mapped_column(sa.String(43))
    gateway: Mapped[str | None] = mapped_column(sa.String(39))
    #: Pairs of first and last address.
    pools: Mapped[Any] = mapped_column(sa.JSON)
    dns_servers: Mapped[list[str]] = mapped_column(sa.JSON)
    dhcp: Mapped[bool] = mapped_column(sa.Boolean, default=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class Address(Base):
    __tablename__ = "addresses"
    __table_args__ = (unique("addresses", "uuid"), unique("addresses", "network_id", "ip"), OPTIONS)

    uuid: Mapped[str] = mapped_column(sa.String(36), default=uuidutils.generate_uuid)
    network_id: Mapped[int] = mapped_column(sa.ForeignKey("networks.id"))
    subnet_id: Mapped[int] = mapped_column(sa.ForeignKey("subnets.id"), index=True)
    #: Whoever has it. It is free again as soon as the attachment is gone.
    attachment_id: Mapped[int] = mapped_column(sa.ForeignKey("attachments.id", ondelete="CASCADE"), index=True)
    ip: Mapped[str] = mapped_column(sa.String(39))
    #: The address in 32 hexadecimal digits, those of IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2): ranges are in order.
    number: Mapped[str] = mapped_column(sa.String(32), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class Flavor(Named, Base):
    __tablename__ = "flavors"
    __table_args__ = (unique("flavors", "uuid"), unique("flavors", "name"), OPTIONS)

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    resource_class: Mapped[str] = mapped_column(sa.String(80))
    traits: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    #: What aggregates of the node must say.
    aggregate_metadata: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    public: Mapped[bool] = mapped_column(sa.Boolean, default=True)
    disabled: Mapped[bool] = mapped_column(sa.Boolean, default=False)


class FlavorAccess(Base):
    __tablename__ = "flavor_access"
    __table_args__ = (unique("flavor_access", "flavor_id", "project_id"), OPTIONS)

    flavor_id: Mapped[int] = mapped_column(sa.ForeignKey("flavors.id", ondelete="CASCADE"))
    project_id: Mapped[str] = project(ondelete="CASCADE")


class Image(Named, Base):
    __tablename__ = "images"
    __table_args__ = (unique("images", "uuid"), unique("images", "owner", "name"), OPTIONS)

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    #: NULL for a public one.
    project_id: Mapped[str | None] = project()
    #: The project's id, or "" for a public one: NULLs would not clash in the unique constraint.
    owner: Mapped[str] = mapped_column(ProjectId)
    kernel: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    initrd: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    disk: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    arguments: Mapped[str] = mapped_column(sa.String(1024), default="")
    disabled: Mapped[bool] = mapped_column(sa.Boolean, default=False)


class ServerGroup(Named, Base):
    __tablename__ = "server_groups"
    __table_args__ = (unique("server_groups", "uuid"), unique("server_groups", "project_id", "name"), OPTIONS)

    project_id: Mapped[str] = project()
    policy: Mapped[str] = mapped_column(sa.String(16))


class Instance(Named, Base):
    __tablename__ = "instances"
    __table_args__ = (
        unique("instances", "uuid"),
        unique("instances", "project_id", "name"),
        unique("instances", "node_id"),
        OPTIONS,
    )

    description: Mapped[str] = mapped_column(sa.String(255), default="")
    project_id: Mapped[str] = project()
    user_id: Mapped[str] = mapped_column(sa.String(64), default="")
    flavor_id: Mapped[int | None] = mapped_column(sa.ForeignKey("flavors.id"))
    node_id: Mapped[int | None] = mapped_column(sa.ForeignKey("nodes.id"))
    server_group_id: Mapped[int | None] = mapped_column(sa.ForeignKey("server_groups.id"), index=True)
    #: What was deployed last, as a whole; and while it is rebuilt, what it is being rebuilt from.
    image_id: Mapped[int | None] = mapped_column(sa.ForeignKey("images.id"))
    next_image_id: Mapped[int | None] = mapped_column(sa.ForeignKey("images.id"))
    #: The name that the keypair had.
    keypair: Mapped[str | None] = mapped_column(sa.String(255))
    #: The tenant's; `metadata` is SQLAlchemy's own.
    labels: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    status: Mapped[str] = mapped_column(sa.String(16), index=True)
    #: The locks of the owner and of an administrator: who, when and why. An administrator's hides the owner's.
    owner_lock: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    admin_lock: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    fault: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)


class InstanceConfig(Base):
    """What an instance is given that lists have no use for. An instance without anything has no row."""

    __tablename__ = "instance_configs"
    __table_args__ = (unique("instance_configs", "instance_id"), OPTIONS)

    instance_id: Mapped[int] = mapped_column(sa.ForeignKey("instances.id", ondelete="CASCADE"))
    public_key: Mapped[str | None] = mapped_column(sa.Text)
    #: As base64.
    user_data: Mapped[str | None] = mapped_column(sa.Text)
    #: Each with `path` and, as base64, `contents`.
    files: Mapped[list[dict[str, str]]] = mapped_column(sa.JSON, default=list)
    password_hash: Mapped[str | None] = mapped_column(sa.String(255))


class Operation(Base):
    __tablename__ = "operations"
    __table_args__ = (
        unique("operations", "uuid"),
        unique("operations", "pending_key"),
        sa.Index("ix_operations_state_lane", "state", "lane", "id"),
        sa.Index("ix_operations_project", "project_id", "id"),
        sa.Index("ix_operations_created_at", "created_at", "id"),
        OPTIONS,
    )

    uuid: Mapped[str] = mapped_column(sa.String(36), default=uuidutils.generate_uuid)
    verb: Mapped[str] = mapped_column(sa.String(64))
    lane: Mapped[str] = mapped_column(sa.String(64))
    state: Mapped[str] = mapped_column(sa.String(16))
    #: What it changes, while it is open, and NULL after: the database refuses a second one.
    pending_key: Mapped[str | None] = mapped_column(sa.String(64))
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("operations.id"), index=True)
    request_id: Mapped[str] = mapped_column(sa.String(64), default="", index=True)
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
