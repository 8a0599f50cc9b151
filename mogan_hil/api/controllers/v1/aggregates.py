# SPDX-License-Identifier: Apache-2.0
"""/v1/aggregates and /v1/availability_zones"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mogan_hil.api.controllers.v1.nodes import summary
from mogan_hil.api.expose import Answer, Listing, Page, created, route
from mogan_hil.api.types import Base, Name, Strings, Text, attribute
from mogan_hil.common import exception
from mogan_hil.objects.aggregate import PLACES
from mogan_hil.verbs import aggregates, nodes
from mogan_hil.verbs.aggregates import AggregateView
from mogan_hil.verbs.base import Call

ONE = "/v1/aggregates/{aggregate}"
FREE = "no instance leaves the place that it was put in"


class AggregateChange(Base):
    name = attribute(Name())
    description = attribute(Text())
    metadata = attribute(Strings())


class NewAggregate(AggregateChange):
    name = attribute(Name(), required=True)


def view(found: AggregateView) -> dict[str, Any]:
    """An aggregate as it is shown."""
    row = found.aggregate
    return {
        "uuid": row.uuid,
        "name": row.name,
        "description": row.description,
        "metadata": found.metadata,
        "created_at": row.created_at,
    }


def _check_places(metadata: Mapping[str, str]) -> None:
    for key in PLACES.keys() & metadata.keys():
        try:
            Name().validate(metadata[key])
        except ValueError as error:
            raise exception.BadField(field=f"metadata.{key}", reason=str(error)) from None


@route("POST", "/v1/aggregates", body=NewAggregate, exempt=FREE)
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Create an aggregate."""
    metadata = body.get("metadata", {})
    _check_places(metadata)
    found = aggregates.create(call, body["name"], body.get("description", ""), metadata)
    return created(view(found), "aggregates", found.aggregate.uuid)


@route("GET", "/v1/aggregates", listing=Listing("aggregates", aggregates.SORT_KEYS))
def list_(call: Call, page: Page) -> list[dict[str, Any]]:
    """List the aggregates."""
    return [view(found) for found in aggregates.list_(call, page)]


@route("GET", ONE)
def get(call: Call, aggregate: str) -> dict[str, Any]:
    """Show an aggregate."""
    return view(aggregates.get(call, aggregate))


@route("PATCH", ONE, body=AggregateChange, exempt=FREE)
def update(call: Call, aggregate: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change an aggregate."""
    _check_places(body.get("metadata", {}))
    return view(aggregates.update(call, aggregate, body))


@route("DELETE", ONE, exempt=FREE)
def delete(call: Call, aggregate: str) -> None:
    """Delete an aggregate; its nodes stay."""
    aggregates.delete(call, aggregate)


@route("GET", f"{ONE}/nodes", listing=Listing("nodes", nodes.SORT_KEYS))
def list_nodes(call: Call, page: Page, aggregate: str) -> list[dict[str, Any]]:
    """List the nodes of an aggregate."""
    return [summary(node) for node in aggregates.nodes(call, aggregate, page)]


@route("PUT", f"{ONE}/nodes/{{node}}", exempt=FREE)
def add_node(call: Call, aggregate: str, node: str) -> None:
    """Add a node to an aggregate."""
    aggregates.add_node(call, aggregate, node)


@route("DELETE", f"{ONE}/nodes/{{node}}", exempt=FREE)
def remove_node(call: Call, aggregate: str, node: str) -> None:
    """Take a node out of an aggregate."""
    aggregates.remove_node(call, aggregate, node)


@route("GET", "/v1/availability_zones", listing=Listing("availability_zones"))
def list_zones(call: Call) -> list[dict[str, Any]]:
    """List the availability zones."""
    shown = []
    for zone in aggregates.zones(call):
        counts = {} if zone.nodes is None else {"nodes": zone.nodes, "free_nodes": zone.free}
        shown.append({"name": zone.name, **counts})
    return shown
