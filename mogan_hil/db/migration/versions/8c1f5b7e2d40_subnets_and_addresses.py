# SPDX-License-Identifier: Apache-2.0
"""Subnets of networks, and the addresses of attachments

Revises: 7c1f52a9d3e0
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "8c1f5b7e2d40"
down_revision = "7c1f52a9d3e0"

OPTIONS: Any = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment() -> sa.DateTime:
    fine = mysql.DATETIME(fsp=6)
    return sa.DateTime().with_variant(fine, "mariadb").with_variant(fine, "mysql")


def upgrade() -> None:
    op.create_table(
        "subnets",
        sa.Column("id", _id(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("network_id", _id(), nullable=False),
        sa.Column("cidr", sa.String(length=43), nullable=False),
        sa.Column("gateway", sa.String(length=39), nullable=True),
        sa.Column("pools", sa.JSON(), nullable=False),
        sa.Column("dns_servers", sa.JSON(), nullable=False),
        sa.Column("dhcp", sa.Boolean(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid", name="uniq_subnets0uuid"),
        sa.UniqueConstraint("network_id", "cidr", name="uniq_subnets0network_id0cidr"),
        **OPTIONS,
    )
    op.create_table(
        "addresses",
        sa.Column("id", _id(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("network_id", _id(), nullable=False),
        sa.Column("subnet_id", _id(), nullable=False),
        sa.Column("attachment_id", _id(), nullable=False),
        sa.Column("ip", sa.String(length=39), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"]),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"]),
        sa.ForeignKeyConstraint(["attachment_id"], ["attachments.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uuid", name="uniq_addresses0uuid"),
        sa.UniqueConstraint("network_id", "ip", name="uniq_addresses0network_id0ip"),
        **OPTIONS,
    )
    for column in ("subnet_id", "attachment_id", "number"):
        op.create_index(op.f(f"ix_addresses_{column}"), "addresses", [column], unique=False)
