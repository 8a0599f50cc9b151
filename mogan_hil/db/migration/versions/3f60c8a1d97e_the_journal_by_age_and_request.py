# SPDX-License-Identifier: Apache-2.0
"""The journal by age and by request

Revises: 2b7e41c8d905
"""

from __future__ import annotations

from alembic import op

revision = "3f60c8a1d97e"
down_revision = "2b7e41c8d905"


def upgrade() -> None:
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_index("ix_operations_created_at", ["created_at", "id"], unique=False)
        batch_op.create_index("ix_operations_request_id", ["request_id"], unique=False)
