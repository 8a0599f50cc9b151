# SPDX-License-Identifier: Apache-2.0
"""/v1/server_groups"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.expose import Answer, Listing, Page, created, route
from mogan_hil.api.types import NAME, Base, Choice, Name, Ref, Text, attribute
from mogan_hil.common import states
from mogan_hil.verbs import server_groups
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.server_groups import GroupView

FREE = "it has no instance"


class NewServerGroup(Base):
    name = attribute(Name(), required=True)
    policy = attribute(Choice(*states.GroupPolicy), required=True)
    project_id = attribute(Text(255, 1, NAME))


def view(found: GroupView) -> dict[str, Any]:
    """A server group as it is shown."""
    row = found.group
    return {
        "uuid": row.uuid,
        "name": row.name,
        "project_id": row.project_id,
        "policy": row.policy,
        "instances": [{"uuid": member.uuid, "name": member.name} for member in found.instances],
        "created_at": row.created_at,
    }


@route("POST", "/v1/server_groups", body=NewServerGroup, exempt=FREE)
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Create a server group."""
    found = server_groups.create(call, body["name"], body["policy"], body.get("project_id"))
    return created(view(found), "server_groups", found.group.uuid)


@route(
    "GET",
    "/v1/server_groups",
    query={"project": Ref(), "name": Ref()},
    listing=Listing("server_groups", server_groups.SORT_KEYS),
)
def list_(call: Call, page: Page, **filters: Any) -> list[dict[str, Any]]:
    """List the server groups of the own project."""
    return [view(found) for found in server_groups.list_(call, page, **filters)]


@route("GET", "/v1/server_groups/{group}")
def get(call: Call, group: str) -> dict[str, Any]:
    """Show a server group."""
    return view(server_groups.get(call, group))


@route("DELETE", "/v1/server_groups/{group}", exempt=FREE)
def delete(call: Call, group: str) -> None:
    """Delete a server group that no instance is in."""
    server_groups.delete(call, group)
