# SPDX-License-Identifier: Apache-2.0
"""Node aggregates, and where a node is

Revises: b2e90f3d5c17
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "7c1f52a9d3e0"
down_revision = "b2e90f3d5c17"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "aggregates",
        sa.Column("id", ID, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid", name="uniq_aggregates0uuid"),
        sa.UniqueConstraint("name", name="uniq_aggregates0name"),
        **OPTIONS,
    )
    op.create_table(
        "aggregate_metadata",
        sa.Column("id", ID, nullable=False),
        sa.Column("aggregate_id", ID, nullable=False),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["aggregate_id"], ["aggregates.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("aggregate_id", "label", name="uniq_aggregate_metadata0aggregate_id0label"),
        **OPTIONS,
    )
    op.create_index("ix_aggregate_metadata_label_value", "aggregate_metadata", ["label", "value"])
    op.create_table(
        "aggregate_nodes",
        sa.Column("id", ID, nullable=False),
        sa.Column("aggregate_id", ID, nullable=False),
        sa.Column("node_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["aggregate_id"], ["aggregates.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("aggregate_id", "node_id", name="uniq_aggregate_nodes0aggregate_id0node_id"),
        **OPTIONS,
    )
    op.create_index("ix_aggregate_nodes_node_id", "aggregate_nodes", ["node_id"])
    # Without a batch: SQLite would make the table anew, and lose what refers to it.
    for name in ("availability_zone", "failure_domain"):
        op.add_column("nodes", sa.Column(name, sa.String(length=255), nullable=True))
        op.create_index(f"ix_nodes_{name}", "nodes", [name])
    # MySQL takes no literal as the default of a JSON column, SQLite nothing else for a new one.
    nothing = "{}" if op.get_bind().dialect.name == "sqlite" else sa.text("('{}')")
    op.add_column("flavors", sa.Column("aggregate_metadata", sa.JSON(), nullable=False, server_default=nothing))
