# SPDX-License-Identifier: Apache-2.0
"""Owners of keypairs

Revises: e61b9d0c7a34
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2b7e41c8d905"
down_revision = "e61b9d0c7a34"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "key_owners",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user_id", name="uniq_key_owners0user_id"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
