# SPDX-License-Identifier: Apache-2.0
"""Consoles, and what they have written

Revises: a90d64e7b2c5
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "7c19a4e5d083"
down_revision = "a90d64e7b2c5"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "consoles",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("node_id", BIG_ID, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=1024), nullable=False),
        sa.Column("token_key", sa.String(length=64), nullable=False),
        sa.Column("conductor", sa.String(length=255), nullable=True),
        sa.Column("url", sa.String(length=1024), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry_at", MOMENT, nullable=True),
        sa.Column("written", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("node_id", name="uniq_consoles0node_id"),
        **OPTIONS,
    )
    op.create_index("ix_consoles_status", "consoles", ["status"])
    op.create_index("ix_consoles_conductor", "consoles", ["conductor"])
    op.create_table(
        "console_pieces",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("console_id", BIG_ID, nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["console_id"], ["consoles.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("ix_console_pieces_console", "console_pieces", ["console_id", "upto"])
