# SPDX-License-Identifier: Apache-2.0
"""The first schema

Revises:
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "4bedcda12a11"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: Any = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    _create_journal()
    _create_people()
    _create_switches()
    _create_networks()
    _create_flavors()
    _create_nodes()
    _create_nics_and_ports()
    _create_instances()
    _create_attachments()


def _create_journal() -> None:
    op.create_table(
        "operations",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("verb", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("pending_key", sa.String(length=64), nullable=True),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("node", sa.String(length=36), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("verified", sa.Boolean(), nullable=True),
        sa.Column("error", sa.String(length=1024), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", MOMENT, nullable=True),
        sa.Column("conductor", sa.String(length=255), nullable=True),
        sa.Column("overrides_lock", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["parent_id"], ["operations.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pending_key", name="uniq_operations0pending_key"),
        sa.UniqueConstraint("uuid", name="uniq_operations0uuid"),
        **OPTIONS,
    )
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operations_node"), ["node"], unique=False)
        batch_op.create_index(batch_op.f("ix_operations_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index("ix_operations_project", ["project_id", "id"], unique=False)
        batch_op.create_index("ix_operations_state_lane", ["state", "lane", "id"], unique=False)


def _create_people() -> None:
    op.create_table(
        "projects",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uniq_projects0name"),
        sa.UniqueConstraint("uuid", name="uniq_projects0uuid"),
        **OPTIONS,
    )
    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uniq_users0name"),
        sa.UniqueConstraint("uuid", name="uniq_users0uuid"),
        **OPTIONS,
    )
    op.create_table(
        "role_assignments",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.uuid"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user_id", "project_id", name="uniq_role_assignments0user_id0project_id"),
        **OPTIONS,
    )
    with op.batch_alter_table("role_assignments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_role_assignments_project_id"), ["project_id"], unique=False)


def _create_switches() -> None:
    op.create_table(
        "switches",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("driver", sa.String(length=64), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.JSON(), nullable=False),
        sa.Column("physical_network", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.String(length=255), nullable=True),
        sa.Column("unsettled_until", MOMENT, nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("identity", name="uniq_switches0identity"),
        sa.UniqueConstraint("name", name="uniq_switches0name"),
        sa.UniqueConstraint("uuid", name="uniq_switches0uuid"),
        **OPTIONS,
    )


def _create_networks() -> None:
    op.create_table(
        "networks",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("physical_network", sa.String(length=64), nullable=False),
        sa.Column("segment_id", sa.String(length=64), nullable=False),
        sa.Column("pooled", sa.Boolean(), nullable=False),
        sa.Column("channels", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.uuid"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("owner", "name", name="uniq_networks0owner0name"),
        sa.UniqueConstraint("physical_network", "segment_id", name="uniq_networks0physical_network0segment_id"),
        sa.UniqueConstraint("uuid", name="uniq_networks0uuid"),
        **OPTIONS,
    )
    with op.batch_alter_table("networks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_networks_project_id"), ["project_id"], unique=False)
    op.create_table(
        "network_access",
        sa.Column("id", ID, nullable=False),
        sa.Column("network_id", ID, nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.uuid"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("network_id", "project_id", name="uniq_network_access0network_id0project_id"),
        **OPTIONS,
    )
    with op.batch_alter_table("network_access", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_network_access_project_id"), ["project_id"], unique=False)


def _create_flavors() -> None:
    op.create_table(
        "flavors",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("resource_class", sa.String(length=80), nullable=False),
        sa.Column("traits", sa.JSON(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uniq_flavors0name"),
        sa.UniqueConstraint("uuid", name="uniq_flavors0uuid"),
        **OPTIONS,
    )
    op.create_table(
        "flavor_access",
        sa.Column("id", ID, nullable=False),
        sa.Column("flavor_id", ID, nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["flavor_id"], ["flavors.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("flavor_id", "project_id", name="uniq_flavor_access0flavor_id0project_id"),
        **OPTIONS,
    )
    with op.batch_alter_table("flavor_access", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_flavor_access_project_id"), ["project_id"], unique=False)


def _create_nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("resource_class", sa.String(length=80), nullable=False),
        sa.Column("traits", sa.JSON(), nullable=False),
        sa.Column("maintenance", sa.Boolean(), nullable=False),
        sa.Column("maintenance_reason", sa.String(length=255), nullable=False),
        sa.Column("obm_driver", sa.String(length=64), nullable=True),
        sa.Column("obm_options", sa.JSON(), nullable=False),
        sa.Column("obm_secrets", sa.JSON(), nullable=False),
        sa.Column("obm_enabled", sa.Boolean(), nullable=False),
        sa.Column("unsettled_until", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.uuid"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uniq_nodes0name"),
        sa.UniqueConstraint("uuid", name="uniq_nodes0uuid"),
        **OPTIONS,
    )
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_nodes_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_nodes_resource_class"), ["resource_class"], unique=False)
    op.create_table(
        "node_metadata",
        sa.Column("id", ID, nullable=False),
        sa.Column("node_id", ID, nullable=False),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("node_id", "label", name="uniq_node_metadata0node_id0label"),
        **OPTIONS,
    )
    op.create_table(
        "node_traits",
        sa.Column("id", ID, nullable=False),
        sa.Column("node_id", ID, nullable=False),
        sa.Column("trait", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("node_id", "trait", name="uniq_node_traits0node_id0trait"),
        **OPTIONS,
    )
    with op.batch_alter_table("node_traits", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_node_traits_trait"), ["trait"], unique=False)


def _create_nics_and_ports() -> None:
    op.create_table(
        "nics",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("node_id", ID, nullable=False),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mac", name="uniq_nics0mac"),
        sa.UniqueConstraint("node_id", "name", name="uniq_nics0node_id0name"),
        sa.UniqueConstraint("uuid", name="uniq_nics0uuid"),
        **OPTIONS,
    )
    op.create_table(
        "ports",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("switch_id", ID, nullable=False),
        sa.Column("nic_id", ID, nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_reason", sa.String(length=1024), nullable=False),
        sa.Column("observed", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("observed_at", MOMENT, nullable=True),
        sa.Column("in_sync", sa.Boolean(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["nic_id"], ["nics.id"]),
        sa.ForeignKeyConstraint(["switch_id"], ["switches.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("nic_id", name="uniq_ports0nic_id"),
        sa.UniqueConstraint("switch_id", "name", name="uniq_ports0switch_id0name"),
        sa.UniqueConstraint("uuid", name="uniq_ports0uuid"),
        **OPTIONS,
    )
    with op.batch_alter_table("ports", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ports_status"), ["status"], unique=False)


def _create_instances() -> None:
    op.create_table(
        "instances",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("flavor_id", ID, nullable=True),
        sa.Column("node_id", ID, nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("owner_lock", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("admin_lock", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("fault", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["flavor_id"], ["flavors.id"]),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"]),
        sa.ForeignKeyConstraint(["project_id"], ["projects.uuid"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("node_id", name="uniq_instances0node_id"),
        sa.UniqueConstraint("project_id", "name", name="uniq_instances0project_id0name"),
        sa.UniqueConstraint("uuid", name="uniq_instances0uuid"),
        **OPTIONS,
    )
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_instances_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_instances_status"), ["status"], unique=False)


def _create_attachments() -> None:
    op.create_table(
        "attachments",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("nic_id", ID, nullable=False),
        sa.Column("network_id", ID, nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"]),
        sa.ForeignKeyConstraint(["nic_id"], ["nics.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("nic_id", "channel", name="uniq_attachments0nic_id0channel"),
        sa.UniqueConstraint("nic_id", "network_id", name="uniq_attachments0nic_id0network_id"),
        sa.UniqueConstraint("uuid", name="uniq_attachments0uuid"),
        **OPTIONS,
    )
    with op.batch_alter_table("attachments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attachments_network_id"), ["network_id"], unique=False)
