# SPDX-License-Identifier: Apache-2.0
"""Run by alembic: connect, and go through the revisions."""

from __future__ import annotations

from alembic import context

from mogan_hil.db import models


def run() -> None:
    """Go through the revisions in one transaction where the database has transactional DDL."""
    engine = context.config.attributes["engine"]
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=models.Base.metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()


run()
