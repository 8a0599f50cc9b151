# SPDX-License-Identifier: Apache-2.0
"""Users of auth `local`, and the roles that they have in projects."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.db import models
from mogan_hil.objects import base

#: Each role includes those after it.
ROLES = ("admin", "member", "reader")


class Grant(NamedTuple):
    """A role of a user in a project."""

    user_id: int
    project_id: str
    project_name: str
    role: str


class User(base.Stored):
    MODEL = models.User
    KIND = "user"

    name: str
    password_hash: str
    created_at: datetime


class RoleAssignment(base.Stored):
    MODEL = models.RoleAssignment
    KIND = "role assignment"

    user_id: int
    project_id: str
    role: str

    @staticmethod
    def of_users(session: orm.Session, users: list[int]) -> list[Grant]:
        """What these users may do where."""
        roles, projects = models.RoleAssignment, models.Project
        query = (
            sa.select(roles.user_id, projects.uuid, projects.name, roles.role)
            .join(projects, projects.uuid == roles.project_id)
            .where(roles.user_id.in_(users))
            .order_by(projects.name)
        )
        return [Grant(*row) for row in session.execute(query)]

    @classmethod
    def admins(cls, session: orm.Session) -> list[RoleAssignment]:
        """Every administrator's. The rows stay locked until the transaction ends: no two can both be the last to go."""
        return cls.find(session, models.RoleAssignment.role == "admin", lock="update")
