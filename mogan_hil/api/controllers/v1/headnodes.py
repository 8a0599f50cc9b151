# SPDX-License-Identifier: Apache-2.0
"""/v1/headnodes, their NICs, and /v1/headnode_images"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.expose import Answer, Listing, Page, accepted, created, route
from mogan_hil.api.types import NAME, Base, Choice, Name, Ref, Text, attribute
from mogan_hil.verbs import headnodes, hnics
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.headnodes import HeadnodeView, HnicView

PATH = "/v1/headnodes"
ONE = PATH + "/{headnode}"
HNICS = ONE + "/hnics"

#: Nothing that a locked instance has is beneath a headnode.
FREE = "a headnode is beneath no instance"


class NewHeadnode(Base):
    name = attribute(Name(), required=True)
    description = attribute(Text())
    project_id = attribute(Text(255, 1, NAME))
    image = attribute(Ref(), required=True)


class PowerTarget(Base):
    target = attribute(Choice("on", "off"), required=True)


class NewHnic(Base):
    name = attribute(Name(), required=True)


class HnicNetwork(Base):
    network = attribute(Ref(), required=True)


def hnic_view(found: HnicView) -> dict[str, Any]:
    """A NIC as it is shown."""
    network = None
    if found.network_uuid is not None:
        network = {"uuid": found.network_uuid, "name": found.network_name}
    return {
        "uuid": found.hnic.uuid,
        "name": found.hnic.name,
        "mac": found.hnic.mac,
        "network": network,
        "created_at": found.hnic.created_at,
    }


def view(found: HeadnodeView) -> dict[str, Any]:
    """A headnode as it is shown."""
    item = found.headnode
    return {
        "uuid": item.uuid,
        "name": item.name,
        "description": item.description,
        "project_id": item.project_id,
        "image": item.image,
        "memory": item.memory,
        "cpus": item.cpus,
        "status": item.status,
        "frozen": item.frozen,
        "fault": item.fault,
        "vnc": None if item.vnc_port is None else {"address": item.vnc_address, "port": item.vnc_port},
        "hnics": [hnic_view(hnic) for hnic in found.hnics],
        "created_at": item.created_at,
    }


@route("GET", "/v1/headnode_images", listing=Listing("headnode_images"))
def list_images(call: Call) -> list[dict[str, Any]]:
    """List the images of headnodes."""
    return [{"name": image.name, "memory": image.memory, "cpus": image.cpus} for image in headnodes.images(call)]


@route("POST", PATH, body=NewHeadnode, exempt=FREE)
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Create a headnode."""
    project = body.pop("project_id", None)
    found = headnodes.create(call, body.pop("name"), body.pop("image"), project=project, **body)
    return created(view(found), "headnodes", found.headnode.uuid)


@route("GET", PATH, query={"project": Ref()}, listing=Listing("headnodes", headnodes.SORT_KEYS))
def list_(call: Call, page: Page, **filters: Any) -> list[dict[str, Any]]:
    """List headnodes."""
    return [view(found) for found in headnodes.list_(call, page, **filters)]


@route("GET", ONE)
def get(call: Call, headnode: str) -> dict[str, Any]:
    """Show a headnode."""
    return view(headnodes.get(call, headnode))


@route("DELETE", ONE, exempt=FREE)
def delete(call: Call, headnode: str) -> Answer:
    """Delete a headnode with its disk."""
    return accepted(call, headnodes.delete(call, headnode))


@route("PUT", ONE + "/power", body=PowerTarget, exempt=FREE)
def set_power(call: Call, headnode: str, body: dict[str, Any]) -> Answer:
    """Start or stop a headnode."""
    return accepted(call, headnodes.set_power(call, headnode, body["target"] == "on"))


@route("POST", HNICS, body=NewHnic, exempt=FREE)
def create_hnic(call: Call, headnode: str, body: dict[str, Any]) -> Answer:
    """Give a headnode a NIC."""
    found = hnics.create(call, headnode, body["name"])
    return created(hnic_view(found), "headnodes", headnode, "hnics", found.hnic.uuid)


@route("GET", HNICS, listing=Listing("hnics"))
def list_hnics(call: Call, headnode: str) -> list[dict[str, Any]]:
    """List the NICs of a headnode."""
    return [hnic_view(found) for found in hnics.list_(call, headnode)]


@route("DELETE", HNICS + "/{hnic}", exempt=FREE)
def delete_hnic(call: Call, headnode: str, hnic: str) -> None:
    """Take a NIC from a headnode."""
    hnics.delete(call, headnode, hnic)


@route("PUT", HNICS + "/{hnic}/network", body=HnicNetwork, exempt=FREE)
def connect(call: Call, headnode: str, hnic: str, body: dict[str, Any]) -> dict[str, Any]:
    """Say which network a NIC of a headnode is to be on."""
    return hnic_view(hnics.connect(call, headnode, hnic, body["network"]))


@route("DELETE", HNICS + "/{hnic}/network", exempt=FREE)
def disconnect(call: Call, headnode: str, hnic: str) -> None:
    """Let a NIC of a headnode be on no network."""
    hnics.disconnect(call, headnode, hnic)
