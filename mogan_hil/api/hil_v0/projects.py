# SPDX-License-Identifier: Apache-2.0
"""HIL's projects and users."""

from __future__ import annotations

from typing import Any

from mogan_hil.api.hil_v0 import names, networks
from mogan_hil.api.hil_v0.errors import HilError
from mogan_hil.api.hil_v0.expose import Caller, everything, hil
from mogan_hil.api.types import Flag, Secret
from mogan_hil.common import exception
from mogan_hil.verbs import nodes, projects, users
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.users import UserView


@hil("GET", "/projects", "GET /v1/projects")
def list_projects(caller: Caller) -> list[str]:
    """List the projects."""
    call = caller.for_admin()
    return sorted(row.name for row in everything(call, lambda page: projects.list_(call, page), lambda row: row.uuid))


@hil("PUT", "/project/{project}", "PUT /v1/projects/{project}")
def project_create(caller: Caller, project: str) -> None:
    """Create a project."""
    _, new = projects.create(caller.for_admin(), names.new(project))
    if not new:
        raise HilError("DuplicateError", f"Project {project!r} exists already.")


@hil("DELETE", "/project/{project}", "DELETE /v1/projects/{project}")
def project_delete(caller: Caller, project: str) -> None:
    """Delete a project."""
    projects.delete(caller.for_admin(), project)


@hil("POST", "/project/{project}/connect_node", "PUT /v1/nodes/{node}/project", node=names.TEXT)
def project_connect_node(caller: Caller, project: str, node: str) -> None:
    """Give a node to a project."""

    def act(call: Call) -> None:
        if not caller.hears_of(project):
            raise exception.Forbidden(rule="node:claim")
        owner = names.project_id(call, project)
        if names.node_exists(call, node):
            try:
                if names.node_project(call, node) is None:
                    nodes.claim(call, node, owner)
                    return
            except exception.NotFound:
                pass  # it is another project's, and HIL said so
            raise exception.NodeClaimed(name=node)
        raise exception.NotFound(kind="node", name=node)

    caller.do(act)


@hil("POST", "/project/{project}/detach_node", "DELETE /v1/nodes/{node}/project", node=names.TEXT)
def project_detach_node(caller: Caller, project: str, node: str) -> None:
    """Take a node back from a project."""

    def act(call: Call) -> None:
        if not caller.hears_of(project) or names.node_project(call, node) != names.project_id(call, project):
            raise exception.NotFound(kind="node of this project", name=node)
        try:
            nodes.release(call, node)
        except exception.Busy:
            # These very words: scripts that give nodes back wait as long as they read them.
            raise HilError("BlockedError", "Node has pending network actions") from None

    caller.do(act)


@hil("GET", "/project/{project}/nodes", "GET /v1/projects/{project}/nodes")
def list_project_nodes(caller: Caller, project: str) -> list[str]:
    """List a project's nodes."""
    return caller.do(
        lambda call: [
            row.name for row in everything(call, lambda page: projects.nodes(call, project, page), lambda row: row.uuid)
        ]
    )


@hil("GET", "/project/{project}/networks", "GET /v1/projects/{project}/networks")
def list_project_networks(caller: Caller, project: str) -> list[str]:
    """List the networks that a project has or has access to; the public ones are not among them."""

    def act(call: Call) -> list[str]:
        found = everything(call, lambda page: projects.networks(call, project, page), lambda view: view.network.uuid)
        return sorted(networks.idents(found, names.project_id(call, project)))

    return caller.do(act)


def _is_admin(view: UserView) -> bool:
    return any(grant.role == "admin" for grant in view.projects)


@hil("GET", "/auth/basic/users", "GET /v1/users")
def list_users(caller: Caller) -> dict[str, Any]:
    """List the users, with their projects."""
    call = caller.for_admin()
    found = everything(call, lambda page: users.list_(call, page), lambda view: view.user.uuid)
    return {
        view.user.name: {
            "is_admin": _is_admin(view),
            "projects": sorted(grant.project_name for grant in view.projects if grant.project_name != names.ADMIN),
        }
        for view in found
    }


@hil(
    "PUT", "/auth/basic/user/{user}", "PUT /v1/users/{user}", password=Secret(), is_admin=Flag(), optional=["is_admin"]
)
def user_create(caller: Caller, user: str, password: str, is_admin: bool = False) -> None:
    """Create a user."""
    users.create(caller.for_admin(), names.new(user), password, names.ADMIN if is_admin else None)


@hil("DELETE", "/auth/basic/user/{user}", "DELETE /v1/users/{user}")
def user_delete(caller: Caller, user: str) -> None:
    """Delete a user."""
    users.delete(caller.for_admin(), user)


@hil("PATCH", "/auth/basic/user/{user}", "PUT /v1/users/{user}/projects/{project}", is_admin=Flag())
def user_set_admin(caller: Caller, user: str, is_admin: bool) -> None:
    """Make a user an administrator, or no administrator any more."""
    call = caller.for_admin()
    if users.get(call, user).user.uuid == call.context.user_id:
        raise HilError("IllegalStateError", "Nobody changes what they are themselves.")
    users.set_admin(call, user, names.ADMIN, is_admin)


@hil("POST", "/auth/basic/user/{user}/add_project", "PUT /v1/users/{user}/projects/{project}", project=names.TEXT)
def user_add_project(caller: Caller, user: str, project: str) -> None:
    """Put a user into a project."""
    call = caller.for_admin()
    wanted = names.project_id(call, project)
    if any(grant.project_id == wanted for grant in users.get(call, user).projects):
        raise HilError("DuplicateError", f"User {user!r} is in project {project!r} already.")
    users.assign(call, user, wanted, "member")


@hil("POST", "/auth/basic/user/{user}/remove_project", "DELETE /v1/users/{user}/projects/{project}", project=names.TEXT)
def user_remove_project(caller: Caller, user: str, project: str) -> None:
    """Take a user out of a project."""
    users.unassign(caller.for_admin(), user, project)
