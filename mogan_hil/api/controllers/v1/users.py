# SPDX-License-Identifier: Apache-2.0
"""/v1/users (auth local)"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.controllers.v1.projects import new_name
from mogan_hil.api.expose import Answer, Listing, Page, created, route
from mogan_hil.api.types import Base, Choice, Secret, attribute
from mogan_hil.objects.user import ROLES
from mogan_hil.verbs import users
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.users import UserView


class Password(Base):
    password = attribute(Secret(), required=True)


class Role(Base):
    role = attribute(Choice(*ROLES))


def view(found: UserView) -> dict[str, Any]:
    """A user as it is shown."""
    return {
        "uuid": found.user.uuid,
        "name": found.user.name,
        "created_at": found.user.created_at,
        "projects": [
            {"uuid": item.project_id, "name": item.project_name, "role": item.role} for item in found.projects
        ],
    }


@route("GET", "/v1/users", listing=Listing("users", users.SORT_KEYS))
def list_(call: Call, page: Page) -> list[dict[str, Any]]:
    """List users."""
    return [view(found) for found in users.list_(call, page)]


@route("PUT", "/v1/users/{user}", body=Password, exempt="users are not instances")
def create(call: Call, user: str, body: dict[str, Any]) -> Answer:
    """Create a user."""
    found = users.create(call, new_name("user", user), body["password"])
    return created(view(found), "users", found.user.uuid)


@route("GET", "/v1/users/{user}")
def get(call: Call, user: str) -> dict[str, Any]:
    """Show a user."""
    return view(users.get(call, user))


@route("PATCH", "/v1/users/{user}", body=Password, exempt="users are not instances")
def update(call: Call, user: str, body: dict[str, Any]) -> dict[str, Any]:
    """Set the password of a user."""
    return view(users.update(call, user, body["password"]))


@route("DELETE", "/v1/users/{user}", exempt="users are not instances")
def delete(call: Call, user: str) -> None:
    """Delete a user."""
    users.delete(call, user)


@route("PUT", "/v1/users/{user}/projects/{project}", body=Role, exempt="users are not instances")
def assign(call: Call, user: str, project: str, body: dict[str, Any]) -> dict[str, Any]:
    """Give a user a role in a project; member if none is named."""
    return view(users.assign(call, user, project, body.get("role", "member")))


@route("DELETE", "/v1/users/{user}/projects/{project}", exempt="users are not instances")
def unassign(call: Call, user: str, project: str) -> None:
    """Take a user out of a project."""
    users.unassign(call, user, project)
