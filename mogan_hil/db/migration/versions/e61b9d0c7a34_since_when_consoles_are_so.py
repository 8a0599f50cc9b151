# SPDX-License-Identifier: Apache-2.0
"""Since when consoles are in their state

Revises: 5e0b8d3f6c21
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "e61b9d0c7a34"
down_revision = "5e0b8d3f6c21"

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mariadb").with_variant(mysql.DATETIME(fsp=6), "mysql")


def upgrade() -> None:
    with op.batch_alter_table("consoles", schema=None) as batch_op:
        batch_op.add_column(sa.Column("status_at", MOMENT, nullable=True))
