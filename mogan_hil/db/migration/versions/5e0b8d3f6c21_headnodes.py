# SPDX-License-Identifier: Apache-2.0
"""Headnodes and their NICs

Revises: c3f817a0e9d4
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "5e0b8d3f6c21"
down_revision = "c3f817a0e9d4"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: Any = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "headnodes",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("image", sa.String(length=255), nullable=False),
        sa.Column("memory", sa.Integer(), nullable=False),
        sa.Column("cpus", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("frozen", sa.Boolean(), nullable=False),
        sa.Column("fault", sa.String(length=1024), nullable=True),
        sa.Column("vnc_address", sa.String(length=64), nullable=True),
        sa.Column("vnc_port", sa.Integer(), nullable=True),
        sa.Column("unsettled_until", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.uuid"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid", name="uniq_headnodes0uuid"),
        sa.UniqueConstraint("project_id", "name", name="uniq_headnodes0project_id0name"),
        **OPTIONS,
    )
    op.create_index("ix_headnodes_project_id", "headnodes", ["project_id"])
    op.create_table(
        "hnics",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("headnode_id", ID, nullable=False),
        sa.Column("network_id", ID, nullable=True),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["headnode_id"], ["headnodes.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid", name="uniq_hnics0uuid"),
        sa.UniqueConstraint("headnode_id", "name", name="uniq_hnics0headnode_id0name"),
        sa.UniqueConstraint("mac", name="uniq_hnics0mac"),
        **OPTIONS,
    )
    op.create_index("ix_hnics_network_id", "hnics", ["network_id"])
