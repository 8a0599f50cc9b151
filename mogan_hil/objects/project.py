# SPDX-License-Identifier: Apache-2.0
"""Projects: the tenants. With Keystone they are its own and are written down here when they first own something."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from oslo_db import exception as db_exception
from sqlalchemy import orm

from mogan_hil.db import models
from mogan_hil.objects import base


class Project(base.Stored):
    MODEL = models.Project
    KIND = "project"

    name: str
    created_at: datetime

    @classmethod
    def identified(cls, ident: str) -> sa.ColumnElement[bool]:
        """A project's id need not be a uuid with dashes: Keystone's have none."""
        return sa.or_(models.Project.uuid == ident, models.Project.name == ident)

    @staticmethod
    def ensure(session: orm.Session, uuid: str) -> None:
        """Write down a project of Keystone's, if it is not yet."""
        if session.scalar(sa.select(models.Project.id).where(models.Project.uuid == uuid)) is not None:
            return
        try:
            with session.begin_nested():
                session.add(models.Project(uuid=uuid, name=uuid))
        except db_exception.DBDuplicateEntry:
            pass
