# SPDX-License-Identifier: Apache-2.0
"""/v1/switches"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.controllers.v1 import ports
from mogan_hil.api.expose import Answer, Listing, Page, accepted, created, route
from mogan_hil.api.types import Base, Name, Object, Ref, Text, attribute
from mogan_hil.drivers.base import MASK
from mogan_hil.verbs import switches
from mogan_hil.verbs.base import Call


class NewSwitch(Base):
    name = attribute(Name(), required=True)
    driver = attribute(Text(64, 1), required=True)
    options = attribute(Object())
    physical_network = attribute(Text(64, 1))
    description = attribute(Text())


class SwitchChange(Base):
    name = attribute(Name())
    options = attribute(Object())
    description = attribute(Text())


def view(switch: Any) -> dict[str, Any]:
    """A switch as it is shown; secret options are masked."""
    return {
        "uuid": switch.uuid,
        "name": switch.name,
        "description": switch.description,
        "driver": switch.driver,
        "options": {**switch.options, **dict.fromkeys(switch.secrets, MASK)},
        "physical_network": switch.physical_network,
        "created_at": switch.created_at,
    }


@route("POST", "/v1/switches", body=NewSwitch, exempt="nothing is attached to it yet")
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Register a switch."""
    switch = switches.create(
        call,
        body["name"],
        body["driver"],
        body.get("options", {}),
        body.get("physical_network"),
        body.get("description", ""),
    )
    return created(view(switch), "switches", switch.uuid)


@route("GET", "/v1/switches", query={"driver": Ref()}, listing=Listing("switches", switches.SORT_KEYS))
def list_(call: Call, page: Page, **filters: Any) -> list[dict[str, Any]]:
    """List switches."""
    return [view(switch) for switch in switches.list_(call, page, **filters)]


@route("GET", "/v1/switches/{switch}")
def get(call: Call, switch: str) -> dict[str, Any]:
    """Show a switch."""
    return view(switches.get(call, switch))


@route("PATCH", "/v1/switches/{switch}", body=SwitchChange, exempt="how it is reached changes nothing on its ports")
def update(call: Call, switch: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change a switch."""
    return view(switches.update(call, switch, body))


@route("DELETE", "/v1/switches/{switch}", exempt="it has no ports")
def delete(call: Call, switch: str) -> None:
    """Remove a switch."""
    switches.delete(call, switch)


@route("GET", "/v1/switches/{switch}/drift")
def drift(call: Call, switch: str) -> dict[str, Any]:
    """Show the ports that are not as they should be, as the switch has them now."""
    found, wrong = switches.drift(call, switch)
    return {"switch": found.name, "ports": [ports.state_view(port) for port in wrong]}


@route("POST", "/v1/switches/{switch}/heal", exempt="it makes ports as they should be")
def heal(call: Call, switch: str) -> Answer:
    """Make every port of a switch as it should be."""
    return accepted(call, switches.heal(call, switch))
