# SPDX-License-Identifier: Apache-2.0
"""Users of auth `local`, and the roles that they have in projects."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

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


class Account(NamedTuple):
    """A user as whoever logs in: all of it from one statement, which each request makes.

    :ivar grants: by the names of the projects
    """

    uuid: str
    name: str
    password_hash: str
    grants: Sequence[Grant]


class User(base.Stored):
    MODEL = models.User
    KIND = "user"

    name: str
    password_hash: str
    created_at: datetime

    @staticmethod
    def account(session: orm.Session, name: str) -> Account | None:
        """The user of a name with its roles, None if there is none."""
        users, roles, projects = models.User, models.RoleAssignment, models.Project
        query = (
            sa.select(users.id, projects.uuid, projects.name, roles.role, users.uuid, users.name, users.password_hash)
            .outerjoin(roles, roles.user_id == users.id)
            .outerjoin(projects, projects.uuid == roles.project_id)
            .where(users.name == name)
            .order_by(projects.name)
        )
        # MariaDB takes names for the same that differ in spaces at their end.
        rows = [row for row in session.execute(query) if row[5] == name]
        if not rows:
            return None
        return Account(*rows[0][4:], [Grant(*row[:4]) for row in rows if row[1] is not None])

    @staticmethod
    def highest_cost(session: orm.Session) -> int:
        """The highest cost of a hash that there is, 0 if there is none. See :func:`.passwords.cost_of`."""
        found = session.scalar(sa.select(sa.func.max(sa.func.substr(models.User.password_hash, 5, 2))))
        return int(found) if found and found.isdigit() else 0

    @staticmethod
    def renew(session: orm.Session, name: str, known: str, fresh: str) -> bool:
        """Replace the hash of a password by another one of the same. Returns whether it was still there."""
        users = models.User
        statement = sa.update(users).where(users.name == name, users.password_hash == known)
        result = session.execute(statement.values(password_hash=fresh).execution_options(synchronize_session=False))
        return typing.cast("sa.CursorResult[Any]", result).rowcount == 1


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
