# SPDX-License-Identifier: Apache-2.0
"""/v1/subnets, the subnets of a network, and /v1/addresses"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.expose import Answer, Listing, Page, created, route
from mogan_hil.api.types import Base, Cidr, Flag, Ip, IpOrCidr, ListOf, Ref, attribute
from mogan_hil.common import addresses as rules
from mogan_hil.verbs import addresses, subnets
from mogan_hil.verbs.addresses import AddressView
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.subnets import SubnetView

ONE = "/v1/subnets/{subnet}"
MINE = "the addresses that NICs have stay theirs"
ASKED = "the verb asks the instances that have addresses of it"


class Pool(Base):
    start = attribute(Ip(), required=True)
    end = attribute(Ip(), required=True)


class SubnetChange(Base):
    gateway = attribute(Ip(nullable=True))
    pools = attribute([Pool])
    dns_servers = attribute(ListOf(Ip(), 8))
    dhcp = attribute(Flag())


class NewSubnet(SubnetChange):
    cidr = attribute(Cidr(), required=True)


def view(found: SubnetView) -> dict[str, Any]:
    """A subnet as it is shown."""
    subnet = found.subnet
    return {
        "uuid": subnet.uuid,
        "network": {"uuid": found.network.uuid, "name": found.network.name},
        "cidr": subnet.cidr,
        "ip_version": subnet.range.version,
        "gateway": subnet.gateway,
        "pools": [{"start": start, "end": end} for start, end in subnet.pools],
        "dns_servers": subnet.dns_servers,
        "dhcp": subnet.dhcp,
        "created_at": subnet.created_at,
    }


def address_view(found: AddressView) -> dict[str, Any]:
    """An address as it is shown in the list of all."""
    return {
        "uuid": found.address.uuid,
        "ip": found.address.ip,
        "ip_version": rules.address(found.address.ip).version,
        "subnet": {"uuid": found.subnet.uuid, "cidr": found.subnet.cidr},
        "network": {"uuid": found.network.uuid, "name": found.network.name},
        "node": {"uuid": found.node.uuid, "name": found.node.name},
        "nic": {"uuid": found.nic.uuid, "name": found.nic.name, "mac": found.nic.mac},
        "attachment": {"uuid": found.attachment.uuid, "status": found.attachment.status},
        "project_id": found.node.project_id,
        "created_at": found.address.created_at,
    }


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    if "pools" in body:
        body["pools"] = [(pool["start"], pool["end"]) for pool in body["pools"]]
    return body


@route("POST", "/v1/networks/{network}/subnets", body=NewSubnet, exempt=MINE)
def create(call: Call, network: str, body: dict[str, Any]) -> Answer:
    """Give a network a subnet."""
    found = subnets.create(call, network, body.pop("cidr"), _settings(body))
    return created(view(found), "subnets", found.subnet.uuid)


@route("GET", "/v1/networks/{network}/subnets", listing=Listing("subnets"))
def list_(call: Call, network: str) -> list[dict[str, Any]]:
    """List the subnets of a network."""
    return [view(found) for found in subnets.list_(call, network)]


@route("GET", ONE)
def get(call: Call, subnet: str) -> dict[str, Any]:
    """Show a subnet."""
    return view(subnets.get(call, subnet))


@route("PATCH", ONE, body=SubnetChange, exempt=ASKED)
def update(call: Call, subnet: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change a subnet."""
    return view(subnets.update(call, subnet, _settings(body)))


@route("DELETE", ONE, exempt="no NIC has an address of it")
def delete(call: Call, subnet: str) -> None:
    """Delete a subnet."""
    subnets.delete(call, subnet)


@route(
    "GET",
    "/v1/addresses",
    query={"ip": IpOrCidr(), "network": Ref(), "subnet": Ref(), "node": Ref(), "project": Ref()},
    listing=Listing("addresses", addresses.SORT_KEYS),
)
def list_addresses(call: Call, page: Page, **filters: Any) -> list[dict[str, Any]]:
    """List the addresses that NICs of the own project have."""
    return [address_view(found) for found in addresses.list_(call, page, **filters)]
