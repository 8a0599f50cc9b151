# SPDX-License-Identifier: Apache-2.0
"""Quotas

Revises: d40a7be8136f
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c3f817a0e9d4"
down_revision = "d40a7be8136f"


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("maximum", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "resource", name="uniq_quotas0project_id0resource"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_quotas_project_id", "quotas", ["project_id"])
