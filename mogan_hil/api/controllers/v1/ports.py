# SPDX-License-Identifier: Apache-2.0
"""/v1/switches/{switch}/ports"""

from __future__ import annotations

import re
from typing import Any

from mogan_hil.api.controllers.v1.nics import attachment_view
from mogan_hil.api.expose import Answer, Listing, Page, accepted, location, operation_view, route
from mogan_hil.api.types import Base, Flag, Name, Ref, attribute
from mogan_hil.verbs import ports
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.ports import PortView

#: What any make of switch may call a port; the switch's driver is stricter.
PORT_NAME = re.compile(r"[!-~]{1,63}")
PATH = "/v1/switches/{switch}/ports"
ONE = PATH + "/{port:path}"


class NewPort(Base):
    name = attribute(Name(PORT_NAME, 63), required=True)


class Cable(Base):
    node = attribute(Ref(), required=True)
    nic = attribute(Ref(), required=True)


def state_view(port: Any) -> dict[str, Any]:
    """What was last seen on a port."""
    return {
        "uuid": port.uuid,
        "name": port.name,
        "status": port.status,
        "status_reason": port.status_reason,
        "in_sync": port.in_sync,
        "observed": port.observed,
        "observed_at": port.observed_at,
    }


def view(found: PortView) -> dict[str, Any]:
    """A port as it is shown."""
    shown = {
        **state_view(found.port),
        "switch": {"uuid": found.switch.uuid, "name": found.switch.name},
        "nic": None,
        "created_at": found.port.created_at,
    }
    if found.nic is not None and found.node is not None:
        shown["nic"] = {
            "uuid": found.nic.uuid,
            "name": found.nic.name,
            "mac": found.nic.mac,
            "node": {"uuid": found.node.uuid, "name": found.node.name},
        }
    if found.attachments is not None:
        shown["attachments"] = [attachment_view(item) for item in found.attachments]
    return shown


@route("POST", PATH, body=NewPort, exempt="nothing is attached to it yet")
def create(call: Call, switch: str, body: dict[str, Any]) -> Answer:
    """Register a port; the operation that parks it is in the answer."""
    found, operation = ports.create(call, switch, body["name"])
    place = location("switches", found.switch.uuid, "ports", found.port.uuid)
    return Answer(201, {**view(found), "operation": operation_view(call, operation)}, place)


@route("GET", PATH, query={"in_sync": Flag()}, listing=Listing("ports", ports.SORT_KEYS))
def list_(call: Call, page: Page, switch: str, **filters: Any) -> list[dict[str, Any]]:
    """List the ports of a switch."""
    return [view(found) for found in ports.list_(call, switch, page, **filters)]


@route("GET", ONE)
def get(call: Call, switch: str, port: str) -> dict[str, Any]:
    """Show a port."""
    return view(ports.get(call, switch, port))


@route("DELETE", ONE, exempt="nothing is cabled to it")
def delete(call: Call, switch: str, port: str) -> None:
    """Remove a port."""
    ports.delete(call, switch, port)


@route("PUT", ONE + "/nic", body=Cable)
def cable(call: Call, switch: str, port: str, body: dict[str, Any]) -> dict[str, Any]:
    """Say which NIC is plugged into a port."""
    return view(ports.cable(call, switch, port, body["node"], body["nic"]))


@route("DELETE", ONE + "/nic", exempt="its node is free")
def uncable(call: Call, switch: str, port: str) -> None:
    """Say that nothing is plugged into a port."""
    ports.uncable(call, switch, port)


@route("POST", ONE + "/revert")
def revert(call: Call, switch: str, port: str) -> Answer:
    """Take a port off every network."""
    return accepted(call, ports.revert(call, switch, port))
