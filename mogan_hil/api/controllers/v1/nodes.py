# SPDX-License-Identifier: Apache-2.0
"""/v1/nodes"""

from __future__ import annotations

import re
from typing import Any

from mogan_hil.api.controllers.v1 import nics
from mogan_hil.api.expose import Answer, Listing, Page, created, location, route
from mogan_hil.api.types import NAME, TRAIT, Base, Field, Flag, ListOf, Name, Object, Ref, Text, attribute
from mogan_hil.common import exception
from mogan_hil.drivers.base import MASK
from mogan_hil.verbs import nodes
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.nodes import NodeView

TRAITS = ListOf(Text(255, 1, TRAIT), 64)
#: As resource classes of placement: https://docs.openstack.org/api-ref/placement/#resource-classes
RESOURCE_CLASS = Text(80, 1, re.compile(r"[A-Za-z0-9_.-]{1,80}"))


#: What is told of a node's console.
CONSOLE = ("status", "reason", "since")


class Obm(Base):
    driver = attribute(Text(64, 1), required=True)
    options = attribute(Object())


class NodeChange(Base):
    name = attribute(Name())
    description = attribute(Text())
    resource_class = attribute(RESOURCE_CLASS)
    traits = attribute(TRAITS)
    maintenance = attribute(Flag())
    maintenance_reason = attribute(Text())
    #: null takes it away.
    obm = attribute(Obm, nullable=True)


class NewNode(NodeChange):
    name = attribute(Name(), required=True)


class Owner(Base):
    project_id = attribute(Text(255, 1, NAME))


class Label(Base):
    value = attribute(Field(nullable=True), required=True)


def summary(node: Any) -> dict[str, Any]:
    """A node in a list."""
    return {
        "uuid": node.uuid,
        "name": node.name,
        "description": node.description,
        "project_id": node.project_id,
        "resource_class": node.resource_class,
        "traits": node.traits,
        "maintenance": node.maintenance,
        "maintenance_reason": node.maintenance_reason,
        "availability_zone": node.availability_zone,
        "created_at": node.created_at,
    }


def view(found: NodeView) -> dict[str, Any]:
    """A node as it is shown."""
    shown = summary(found.node)
    shown["nics"] = None if found.nics is None else [nics.view(nic, found.shows_cabling) for nic in found.nics]
    if found.metadata is not None:
        shown["metadata"] = found.metadata
    if found.shows_cabling:
        shown["failure_domain"] = found.node.failure_domain
    shown["obm_enabled"] = found.node.obm_driver is not None and found.node.obm_enabled
    if found.shows_console:
        shown["console"] = None if found.console is None else dict(zip(CONSOLE, found.console, strict=True))
    if found.shows_obm:
        node = found.node
        options = {**node.obm_options, **dict.fromkeys(node.obm_secrets, MASK)}
        shown["obm"] = None if node.obm_driver is None else {"driver": node.obm_driver, "options": options}
    return shown


@route("POST", "/v1/nodes", body=NewNode, exempt="nobody has it yet")
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Register a node."""
    found = nodes.create(call, body.pop("name"), body.pop("obm", None), **body)
    return created(view(found), "nodes", found.node.uuid)


@route(
    "GET",
    "/v1/nodes",
    query={
        "free": Flag(),
        "project": Ref(),
        "resource_class": Ref(),
        "traits": TRAITS,
        "maintenance": Flag(),
        "availability_zone": Ref(),
    },
    listing=Listing("nodes", nodes.SORT_KEYS),
)
def list_(call: Call, page: Page, **filters: Any) -> list[dict[str, Any]]:
    """List nodes: the free ones and the own project's."""
    return [summary(node) for node in nodes.list_(call, page, **filters)]


@route("GET", "/v1/nodes/{node}")
def get(call: Call, node: str) -> dict[str, Any]:
    """Show a node."""
    return view(nodes.get(call, node))


@route("PATCH", "/v1/nodes/{node}", body=NodeChange)
def update(call: Call, node: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change a node."""
    return view(nodes.update(call, node, body))


@route("DELETE", "/v1/nodes/{node}", exempt="it is free")
def delete(call: Call, node: str) -> None:
    """Remove a node."""
    nodes.delete(call, node)


@route("PUT", "/v1/nodes/{node}/project", body=Owner, exempt="it is free")
def claim(call: Call, node: str, body: dict[str, Any]) -> dict[str, Any]:
    """Claim a node for a project."""
    return view(nodes.claim(call, node, body.get("project_id")))


@route("DELETE", "/v1/nodes/{node}/project")
def release(call: Call, node: str) -> None:
    """Release a node."""
    nodes.release(call, node)


@route("GET", "/v1/nodes/{node}/metadata")
def get_labels(call: Call, node: str) -> dict[str, Any]:
    """Show every label of a node."""
    return {"metadata": nodes.get_metadata(call, node)}


@route("GET", "/v1/nodes/{node}/metadata/{label}")
def get_label(call: Call, node: str, label: str) -> dict[str, Any]:
    """Show a label of a node."""
    found = nodes.get_metadata(call, node)
    if label not in found:
        raise exception.NotFound(kind="metadata label", name=label)
    return {"label": label, "value": found[label]}


@route("PUT", "/v1/nodes/{node}/metadata/{label}", body=Label)
def set_label(call: Call, node: str, label: str, body: dict[str, Any]) -> Answer:
    """Set a label of a node."""
    try:
        Name().validate(label)
    except ValueError as error:
        raise exception.BadField(field="label", reason=str(error)) from None
    new = nodes.set_metadata(call, node, label, body["value"])
    place = location("nodes", node, "metadata", label) if new else None
    return Answer(201 if new else 200, {"label": label, "value": body["value"]}, place)


@route("DELETE", "/v1/nodes/{node}/metadata/{label}")
def delete_label(call: Call, node: str, label: str) -> None:
    """Remove a label of a node."""
    nodes.delete_metadata(call, node, label)
