# SPDX-License-Identifier: Apache-2.0
"""/v1/projects"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.controllers.v1 import headnodes as headnode_views
from mogan_hil.api.controllers.v1 import networks as network_views
from mogan_hil.api.controllers.v1 import nodes as node_views
from mogan_hil.api.expose import Answer, Listing, Page, location, route
from mogan_hil.api.types import Name
from mogan_hil.common import exception
from mogan_hil.verbs import headnodes, networks, nodes, projects
from mogan_hil.verbs.base import Call


def view(project: Any) -> dict[str, Any]:
    """A project as it is shown."""
    return {"uuid": project.uuid, "name": project.name, "created_at": project.created_at}


@route("GET", "/v1/projects", listing=Listing("projects", projects.SORT_KEYS))
def list_(call: Call, page: Page) -> list[dict[str, Any]]:
    """List projects."""
    return [view(project) for project in projects.list_(call, page)]


@route("PUT", "/v1/projects/{project}", exempt="it has nothing yet")
def create(call: Call, project: str) -> Answer:
    """Create a project."""
    found, new = projects.create(call, new_name("project", project))
    return Answer(201 if new else 200, view(found), location("projects", found.uuid) if new else None)


def new_name(field: str, name: str) -> str:
    """A name that comes in the path.

    :raises exception.BadField: it cannot be one
    """
    try:
        return str(Name().validate(name))
    except ValueError as error:
        raise exception.BadField(field=field, reason=str(error)) from None


@route("GET", "/v1/projects/{project}")
def get(call: Call, project: str) -> dict[str, Any]:
    """Show a project."""
    return view(projects.get(call, project))


@route("DELETE", "/v1/projects/{project}", exempt="it has nothing any more")
def delete(call: Call, project: str) -> None:
    """Delete a project."""
    projects.delete(call, project)


@route("GET", "/v1/projects/{project}/nodes", listing=Listing("nodes", nodes.SORT_KEYS))
def list_nodes(call: Call, page: Page, project: str) -> list[dict[str, Any]]:
    """List the nodes of a project."""
    return [node_views.summary(node) for node in projects.nodes(call, project, page)]


@route("GET", "/v1/projects/{project}/networks", listing=Listing("networks", networks.SORT_KEYS))
def list_networks(call: Call, page: Page, project: str) -> list[dict[str, Any]]:
    """List the networks that a project owns or was given access to."""
    return [network_views.view(found) for found in projects.networks(call, project, page)]


@route("GET", "/v1/projects/{project}/headnodes", listing=Listing("headnodes", headnodes.SORT_KEYS))
def list_headnodes(call: Call, page: Page, project: str) -> list[dict[str, Any]]:
    """List the headnodes of a project."""
    return [headnode_views.view(found) for found in projects.headnodes(call, project, page)]
