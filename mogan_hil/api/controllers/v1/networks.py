# SPDX-License-Identifier: Apache-2.0
"""/v1/networks"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.expose import Answer, Listing, Page, created, route
from mogan_hil.api.types import NAME, Base, Flag, ListOf, Name, Ref, Text, attribute
from mogan_hil.verbs import isolation as isolations
from mogan_hil.verbs import networks
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.isolation import Carrier
from mogan_hil.verbs.networks import Member, NetworkView


class NewNetwork(Base):
    name = attribute(Name(), required=True)
    description = attribute(Text())
    #: null makes it a network of the site.
    project_id = attribute(Text(255, 1, NAME, nullable=True))
    access = attribute(ListOf(Text(255, 1, NAME), 256))
    public = attribute(Flag())
    segment_id = attribute(Text(64, 1))
    physical_network = attribute(Text(64, 1))


class NetworkChange(Base):
    name = attribute(Name())
    description = attribute(Text())
    public = attribute(Flag())


def view(found: NetworkView) -> dict[str, Any]:
    """A network as it is shown."""
    network = found.network
    return {
        "uuid": network.uuid,
        "name": network.name,
        "description": network.description,
        "project_id": network.project_id,
        "public": network.public,
        "access": found.access,
        "physical_network": network.physical_network,
        "segment_id": network.segment_id,
        "pooled": network.pooled,
        "channels": network.channels,
        "created_at": network.created_at,
    }


def member_view(member: Member) -> dict[str, Any]:
    """Something attached, as it is shown on the network's side."""
    return {
        "uuid": member.attachment.uuid,
        "node": {"uuid": member.node.uuid, "name": member.node.name},
        "nic": {"uuid": member.nic.uuid, "name": member.nic.name, "mac": member.nic.mac},
        "project_id": member.node.project_id,
        "channel": member.attachment.channel,
        "status": member.attachment.status,
        "addresses": [{"ip": given.ip, "subnet": given.subnet_uuid} for given in member.addresses],
    }


@route("POST", "/v1/networks", body=NewNetwork, exempt="nothing is attached to it yet")
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Create a network."""
    site = "project_id" in body and body["project_id"] is None
    found = networks.create(call, body.pop("name"), project=body.pop("project_id", None), site=site, **body)
    return created(view(found), "networks", found.network.uuid)


@route(
    "GET",
    "/v1/networks",
    query={"project": Ref(), "public": Flag(), "name": Ref()},
    listing=Listing("networks", networks.SORT_KEYS),
)
def list_(call: Call, page: Page, **filters: Any) -> list[dict[str, Any]]:
    """List the networks that the own project may use."""
    return [view(found) for found in networks.list_(call, page, **filters)]


@route("GET", "/v1/networks/{network}")
def get(call: Call, network: str) -> dict[str, Any]:
    """Show a network."""
    return view(networks.get(call, network))


@route(
    "PATCH",
    "/v1/networks/{network}",
    body=NetworkChange,
    exempt="names say nothing; access is not taken from who is attached",
)
def update(call: Call, network: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change a network."""
    return view(networks.update(call, network, body))


@route("DELETE", "/v1/networks/{network}", exempt="nothing is attached to it")
def delete(call: Call, network: str) -> None:
    """Delete a network."""
    networks.delete(call, network)


@route("PUT", "/v1/networks/{network}/access/{project}", exempt="it takes nothing from anyone")
def grant(call: Call, network: str, project: str) -> None:
    """Let a project use a network."""
    networks.grant(call, network, project)


@route("DELETE", "/v1/networks/{network}/access/{project}", exempt="it is not taken from who is attached")
def revoke(call: Call, network: str, project: str) -> None:
    """Let a project use a network no more."""
    networks.revoke(call, network, project)


@route("GET", "/v1/networks/{network}/attachments", listing=Listing("attachments", ("created_at",)))
def list_attachments(call: Call, page: Page, network: str) -> list[dict[str, Any]]:
    """List what is attached to a network."""
    return [member_view(member) for member in networks.attachments(call, network, page)]


@route("GET", "/v1/networks/{network}/isolation")
def isolation(call: Call, network: str) -> dict[str, Any]:
    """Ask the switches which ports can carry a network now."""
    found = isolations.isolation(call, network)
    return {
        "network": {"uuid": found.network.uuid, "name": found.network.name},
        "isolated": found.isolated,
        **({"unreachable_switches": found.silent} if found.shows_cabling else {}),
        "ports": [_carrier_view(item, found.shows_cabling) for item in found.carriers],
    }


def _carrier_view(item: Carrier, shows_cabling: bool) -> dict[str, Any]:
    cabling = {"switch": item.switch.name, "port": item.port.name} if shows_cabling else {}
    node = item.node.name if item.node else None
    return {**cabling, "node": node, "expected": item.expected, "carries": item.carries}
