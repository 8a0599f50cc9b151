# SPDX-License-Identifier: Apache-2.0
"""What instances are given

Revises: 7c19a4e5d083
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "d40a7be8136f"
down_revision = "7c19a4e5d083"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.add_column(sa.Column("image_id", _ID, nullable=True))
        batch_op.add_column(sa.Column("next_image_id", _ID, nullable=True))
        batch_op.add_column(sa.Column("keypair", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("labels", sa.JSON(), nullable=True))
        batch_op.create_foreign_key("fk_instances_image_id", "images", ["image_id"], ["id"])
        batch_op.create_foreign_key("fk_instances_next_image_id", "images", ["next_image_id"], ["id"])
    op.execute("UPDATE instances SET labels = '{}'")
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.alter_column("labels", existing_type=sa.JSON(), nullable=False)
    op.create_table(
        "instance_configs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("instance_id", _ID, nullable=False),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("user_data", sa.Text(), nullable=True),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("instance_id", name="uniq_instance_configs0instance_id"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
