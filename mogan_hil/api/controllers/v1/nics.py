# SPDX-License-Identifier: Apache-2.0
"""/v1/nodes/{node}/nics, and the attachments of a NIC"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.expose import Answer, Listing, accepted, created, route
from mogan_hil.api.types import Base, Ip, ListOf, Mac, Name, Ref, Text, attribute
from mogan_hil.verbs import attachments, nics
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.nics import Attached, NicView

PATH = "/v1/nodes/{node}/nics"
#: One of each IP version.
ADDRESSES = ListOf(Ip(), 2)


class NewNic(Base):
    name = attribute(Name(), required=True)
    mac = attribute(Mac(), required=True)


class NewAttachment(Base):
    network = attribute(Ref(), required=True)
    channel = attribute(Text(64, 1))
    addresses = attribute(ADDRESSES)


def attachment_view(item: Attached) -> dict[str, Any]:
    """An attachment as it is shown."""
    return {
        "uuid": item.uuid,
        "network": {"uuid": item.network_uuid, "name": item.network_name},
        "channel": item.channel,
        "status": item.status,
        "addresses": [{"ip": given.ip, "subnet": given.subnet} for given in item.addresses],
    }


def view(found: NicView, shows_cabling: bool) -> dict[str, Any]:
    """A NIC as it is shown."""
    shown: dict[str, Any] = {
        "uuid": found.nic.uuid,
        "name": found.nic.name,
        "mac": found.nic.mac,
        "cabled": found.port is not None,
        "attachments": [attachment_view(item) for item in found.attachments],
        "created_at": found.nic.created_at,
    }
    if shows_cabling:
        shown["port"] = shown["switch"] = None
        if found.port is not None and found.switch is not None:
            shown["port"] = {"uuid": found.port.uuid, "name": found.port.name}
            shown["switch"] = {"uuid": found.switch.uuid, "name": found.switch.name}
    return shown


@route("POST", PATH, body=NewNic)
def create(call: Call, node: str, body: dict[str, Any]) -> Answer:
    """Register a NIC of a node."""
    found = nics.create(call, node, body["name"], body["mac"])
    return created(view(found, True), "nodes", node, "nics", found.nic.uuid)


@route("GET", PATH, listing=Listing("nics"))
def list_(call: Call, node: str) -> list[dict[str, Any]]:
    """List the NICs of a node."""
    found, shows_cabling = nics.list_(call, node)
    return [view(item, shows_cabling) for item in found]


@route("GET", PATH + "/{nic}")
def get(call: Call, node: str, nic: str) -> dict[str, Any]:
    """Show a NIC."""
    return view(*nics.get(call, node, nic))


@route("DELETE", PATH + "/{nic}")
def delete(call: Call, node: str, nic: str) -> None:
    """Remove a NIC."""
    nics.delete(call, node, nic)


@route("POST", PATH + "/{nic}/attachments", body=NewAttachment)
def attach(call: Call, node: str, nic: str, body: dict[str, Any]) -> Answer:
    """Attach a NIC to a network."""
    wanted = body.get("addresses", [])
    return accepted(call, attachments.create(call, node, nic, body["network"], body.get("channel"), wanted))


@route("GET", PATH + "/{nic}/attachments", listing=Listing("attachments"))
def list_attachments(call: Call, node: str, nic: str) -> list[dict[str, Any]]:
    """List the networks on a NIC."""
    return [attachment_view(item) for item in attachments.list_(call, node, nic)]


@route("DELETE", PATH + "/{nic}/attachments/{network}")
def detach(call: Call, node: str, nic: str, network: str) -> Answer:
    """Detach a NIC from a network."""
    return accepted(call, attachments.delete(call, node, nic, network))
