# SPDX-License-Identifier: Apache-2.0
"""Server groups

Revises: 8c1f5b7e2d40
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "a90d64e7b2c5"
down_revision = "8c1f5b7e2d40"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "server_groups",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.uuid"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid", name="uniq_server_groups0uuid"),
        sa.UniqueConstraint("project_id", "name", name="uniq_server_groups0project_id0name"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_server_groups_project_id", "server_groups", ["project_id"])
    if op.get_bind().dialect.name == "sqlite":
        # Otherwise the table would be made anew, and what refers to it lost.
        op.execute("ALTER TABLE instances ADD COLUMN server_group_id INTEGER REFERENCES server_groups (id)")
    else:
        op.add_column("instances", sa.Column("server_group_id", ID, nullable=True))
        op.create_foreign_key(None, "instances", "server_groups", ["server_group_id"], ["id"])
    op.create_index("ix_instances_server_group_id", "instances", ["server_group_id"])
