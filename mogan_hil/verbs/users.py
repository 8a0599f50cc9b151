# SPDX-License-Identifier: Apache-2.0
"""Users of auth `local`, and their roles in projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception, passwords
from mogan_hil.db import models
from mogan_hil.objects.keypair import Keypair
from mogan_hil.objects.project import Project
from mogan_hil.objects.user import ROLES, Grant, RoleAssignment, User
from mogan_hil.policies import user as rules
from mogan_hil.verbs.base import Call, writes
from mogan_hil.verbs.listing import Page, paged

SORT_KEYS = ("name", "created_at")


@dataclass(frozen=True, slots=True)
class UserView:
    """A user, and its role in each of its projects."""

    user: models.User | User
    projects: Sequence[Grant]


def _check_local(call: Call) -> None:
    if call.services.conf.auth.strategy != "local":
        raise exception.Conflict(reason="Users are Keystone's here; manage them there.")


def _view(session: orm.Session, users: Sequence[models.User | User]) -> list[UserView]:
    roles = RoleAssignment.of_users(session, [user.id for user in users])
    return [UserView(user, [role for role in roles if role.user_id == user.id]) for user in users]


@writes
def create(call: Call, name: str, password: str, admin_of: str | None = None) -> UserView:
    """Create a user, who belongs to no project yet.

    :param password: 1 to 72 bytes
    :param admin_of: a project that it is an administrator of, by id or name, after all
    :raises exception.NotFound: there is no such project
    :raises exception.Duplicate: the name is taken
    :raises exception.Conflict: users are Keystone's
    """
    call.check(rules.CREATE)
    if admin_of is not None:
        call.check(rules.ASSIGN)
    _check_local(call)
    password_hash = passwords.hashed(password, call.services.conf.auth.hash_cost)
    with call.writer() as session:
        user = User.create(session, name=name, password_hash=password_hash)
        if admin_of is None:
            return UserView(user, [])
        _give(session, user, admin_of, "admin")
        return _view(session, [user])[0]


def list_(call: Call, page: Page) -> Sequence[UserView]:
    """A page of users."""
    call.check(rules.LIST)
    with call.reader() as session:
        return _view(session, [row[0] for row in paged(session, sa.select(models.User), models.User, page)])


def get(call: Call, ident: str) -> UserView:
    """One user.

    :raises exception.NotFound: there is none
    """
    call.check(rules.GET)
    with call.reader() as session:
        return _view(session, [User.get(session, ident)])[0]


@writes
def update(call: Call, ident: str, password: str) -> UserView:
    """Set a user's password.

    :raises exception.NotFound: there is none
    """
    call.check(rules.UPDATE)
    password_hash = passwords.hashed(password, call.services.conf.auth.hash_cost)
    with call.writer() as session:
        user = User.get(session, ident)
        user.update(session, password_hash=password_hash)
        return _view(session, [user])[0]


@writes
def delete(call: Call, ident: str) -> None:
    """Delete a user, and the user's keypairs.

    :raises exception.NotFound: there is none
    :raises exception.Conflict: it is the last administrator
    """
    call.check(rules.DELETE)
    with call.writer() as session:
        user = User.get(session, ident)
        if not any(role.user_id != user.id for role in RoleAssignment.admins(session)):
            raise _last_admin(user)
        user.delete(session)
        Keypair.forget(session, user.uuid)


@writes
def assign(call: Call, ident: str, project: str, role: str) -> UserView:
    """Give a user a role in a project, in place of the one that it may have there.

    :param role: admin, member or reader; each includes those after it
    :raises exception.NotFound: there is no such user or project
    :raises exception.Conflict: it would take the role from the last administrator
    """
    call.check(rules.ASSIGN)
    if role not in ROLES:
        raise exception.BadField(field="role", reason=f"it is one of {', '.join(ROLES)}")
    with call.writer() as session:
        user = User.get(session, ident, lock="update")
        _give(session, user, project, role)
        return _view(session, [user])[0]


@writes
def set_admin(call: Call, ident: str, project: str, wanted: bool) -> None:
    """Make a user an administrator, or take that role from it wherever it has it. The same again changes nothing.

    :param project: where administrators are it, by name; elsewhere they become members
    :raises exception.NotFound: there is no such user, or no such project to make it an administrator of
    :raises exception.Conflict: it is the last administrator
    """
    call.check(rules.ASSIGN)
    if not wanted:
        call.check(rules.UNASSIGN)
    with call.writer() as session:
        user = User.get(session, ident, lock="update")
        if wanted:
            _give(session, user, project, "admin")
            return
        admins = RoleAssignment.admins(session)
        roles = [role for role in admins if role.user_id == user.id]
        if roles and len(roles) == len(admins):
            raise _last_admin(user)
        there = {found.uuid for found in Project.find(session, Project.identified(project))}
        for role in roles:
            if role.project_id in there:
                role.delete(session)
            else:
                role.update(session, role="member")


@writes
def unassign(call: Call, ident: str, project: str) -> None:
    """Take a user out of a project.

    :raises exception.NotFound: there is no such user or project, or the user is not in it
    :raises exception.Conflict: it is the last administrator
    """
    call.check(rules.UNASSIGN)
    with call.writer() as session:
        user = User.get(session, ident, lock="update")
        found = _assignment(session, user, project)
        if found is None:
            raise exception.NotFound(kind="role in project", name=project)
        _check_not_last_admin(session, user, found)
        found.delete(session)


def _give(session: orm.Session, user: User, project: str, role: str) -> None:
    found = _assignment(session, user, project)
    if found is None:
        uuid = Project.get(session, project, lock="share").uuid
        RoleAssignment.create(session, user_id=user.id, project_id=uuid, role=role)
    elif found.role != role:
        _check_not_last_admin(session, user, found)
        found.update(session, role=role)


def _assignment(session: orm.Session, user: User, project: str) -> RoleAssignment | None:
    roles = models.RoleAssignment
    uuid = Project.get(session, project).uuid
    found = RoleAssignment.find(session, roles.user_id == user.id, roles.project_id == uuid)
    return found[0] if found else None


def _check_not_last_admin(session: orm.Session, user: User, leaving: RoleAssignment) -> None:
    if leaving.role == "admin" and not any(role.id != leaving.id for role in RoleAssignment.admins(session)):
        raise _last_admin(user)


def _last_admin(user: User) -> exception.Conflict:
    return exception.Conflict(reason=f"User {user.name!r} is the last administrator.")
