# SPDX-License-Identifier: Apache-2.0
"""/v1/flavors"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.controllers.v1.nodes import RESOURCE_CLASS, TRAITS
from mogan_hil.api.expose import Answer, Listing, Page, created, route
from mogan_hil.api.types import Base, Flag, Name, Strings, Text, attribute
from mogan_hil.verbs import flavors
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.flavors import FlavorView

FREE = "it changes no instance"


class FlavorChange(Base):
    name = attribute(Name())
    description = attribute(Text())
    public = attribute(Flag())
    disabled = attribute(Flag())


class NewFlavor(FlavorChange):
    name = attribute(Name(), required=True)
    resource_class = attribute(RESOURCE_CLASS, required=True)
    traits = attribute(TRAITS)
    aggregate_metadata = attribute(Strings())


def view(found: FlavorView) -> dict[str, Any]:
    """A flavor as it is shown."""
    flavor = found.flavor
    shown = {
        "uuid": flavor.uuid,
        "name": flavor.name,
        "description": flavor.description,
        "resource_class": flavor.resource_class,
        "traits": flavor.traits,
        "aggregate_metadata": flavor.aggregate_metadata,
        "public": flavor.public,
        "disabled": flavor.disabled,
        "created_at": flavor.created_at,
    }
    return shown if found.access is None else {**shown, "access": found.access}


@route("POST", "/v1/flavors", body=NewFlavor, exempt=FREE)
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Create a flavor."""
    found = flavors.create(call, body.pop("name"), body.pop("resource_class"), **body)
    return created(view(found), "flavors", found.flavor.uuid)


@route("GET", "/v1/flavors", listing=Listing("flavors", flavors.SORT_KEYS))
def list_(call: Call, page: Page) -> list[dict[str, Any]]:
    """List the flavors that the own project may use."""
    return [view(found) for found in flavors.list_(call, page)]


@route("GET", "/v1/flavors/{flavor}")
def get(call: Call, flavor: str) -> dict[str, Any]:
    """Show a flavor."""
    return view(flavors.get(call, flavor))


@route("PATCH", "/v1/flavors/{flavor}", body=FlavorChange, exempt=FREE)
def update(call: Call, flavor: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change a flavor."""
    return view(flavors.update(call, flavor, body))


@route("DELETE", "/v1/flavors/{flavor}", exempt=FREE)
def delete(call: Call, flavor: str) -> None:
    """Delete a flavor."""
    flavors.delete(call, flavor)


@route("PUT", "/v1/flavors/{flavor}/access/{project}", exempt=FREE)
def grant(call: Call, flavor: str, project: str) -> None:
    """Let a project use a private flavor."""
    flavors.grant(call, flavor, project)


@route("DELETE", "/v1/flavors/{flavor}/access/{project}", exempt=FREE)
def revoke(call: Call, flavor: str, project: str) -> None:
    """Let a project use a private flavor no more."""
    flavors.revoke(call, flavor, project)
