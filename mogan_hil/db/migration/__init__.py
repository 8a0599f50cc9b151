# SPDX-License-Identifier: Apache-2.0
"""Schema versions, by alembic. Revisions go forward only: a way back is a backup."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import autogenerate, command, config, script
from alembic.runtime import migration

from mogan_hil.db import models

HERE = Path(__file__).parent


def _config(engine: sa.Engine) -> config.Config:
    settings = config.Config()
    settings.set_main_option("script_location", str(HERE))
    settings.attributes["engine"] = engine
    return settings


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring the schema to a revision. Safe to call again, and from several processes on one SQLite file.

    :param revision: an id, or `head`
    """
    command.upgrade(_config(engine), revision)


def version(engine: sa.Engine) -> str | None:
    """The revision that the database has, None for an empty one."""
    with engine.connect() as connection:
        return migration.MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The newest revision that this code knows."""
    settings = config.Config()
    settings.set_main_option("script_location", str(HERE))
    return script.ScriptDirectory.from_config(settings).get_current_head()


def revision(engine: sa.Engine, message: str) -> None:
    """Write a new revision from what the models have and the database does not; for developers."""
    command.revision(_config(engine), message, autogenerate=True)


def differences(engine: sa.Engine) -> list[object]:
    """What the database lacks of the models, or has beyond them; empty when they agree."""
    with engine.connect() as connection:
        context = migration.MigrationContext.configure(connection, opts={"compare_type": True})
        return list(autogenerate.compare_metadata(context, models.Base.metadata))
