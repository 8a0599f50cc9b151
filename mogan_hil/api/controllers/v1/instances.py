# SPDX-License-Identifier: Apache-2.0
"""/v1/instances"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.controllers.v1.claims import Wire
from mogan_hil.api.controllers.v1.configurations import METADATA, Configuration, wish
from mogan_hil.api.controllers.v1.nics import ADDRESSES, attachment_view
from mogan_hil.api.controllers.v1.obm import DEVICE
from mogan_hil.api.expose import Answer, Listing, Page, accepted, created, operation_views, route
from mogan_hil.api.types import NAME, Base, Choice, Flag, IpOrCidr, Name, Number, Ref, Text, attribute
from mogan_hil.common import exception, states
from mogan_hil.objects.instance import locked_by
from mogan_hil.verbs import adoptions, builds, claims, instances
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.instances import InstanceView

ONE = "/v1/instances/{instance}"
NEW = "a new instance is not locked"
LOCKS = "it is the lock; its own policy says who may lift it"
#: The suffix of the last of a hundred.
NAME_LENGTH = 250


class NewInstance(Configuration):
    name = attribute(Name(max_length=NAME_LENGTH), required=True)
    description = attribute(Text())
    project_id = attribute(Text(255, 1, NAME))
    flavor = attribute(Ref())
    node = attribute(Ref())
    networks = attribute([Wire])
    boot_device = attribute(Text(32, 1, DEVICE))
    availability_zone = attribute(Ref())
    server_group = attribute(Ref())
    min_count = attribute(Number(1, 100))
    max_count = attribute(Number(1, 100))


class InstanceChange(Base):
    name = attribute(Name())
    description = attribute(Text())
    metadata = attribute(METADATA)


class PowerTarget(Base):
    target = attribute(Choice(*instances.POWER_EVENTS), required=True)


class Rebuild(Base):
    image = attribute(Ref())
    boot_device = attribute(Text(32, 1, DEVICE))


class Lock(Base):
    target = attribute(Flag(), required=True)
    reason = attribute(Text())


class NewInterface(Base):
    network = attribute(Ref(), required=True)
    nic = attribute(Ref(), required=True)
    channel = attribute(Text(64, 1))
    addresses = attribute(ADDRESSES)


class Adopted(Base):
    name = attribute(Name(), required=True)
    node = attribute(Ref(), required=True)
    project_id = attribute(Text(255, 1, NAME))


def view(found: InstanceView) -> dict[str, Any]:
    """An instance as it is shown."""
    row, flavor, node = found.instance, found.flavor, found.node
    group, image = found.group, found.image
    holder = locked_by(row)
    lock = (row.admin_lock if holder == "admin" else row.owner_lock) or {}
    return {
        "uuid": row.uuid,
        "name": row.name,
        "description": row.description,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "status": row.status,
        "fault": row.fault,
        "flavor": None if flavor is None else {"uuid": flavor.uuid, "name": flavor.name},
        "node": None if node is None else {"uuid": node.uuid, "name": node.name},
        "maintenance": node is not None and node.maintenance,
        "server_group": None if group is None else {"uuid": group.uuid, "name": group.name},
        "availability_zone": None if node is None else node.availability_zone,
        "addresses": [
            {"ip": given.ip, "network": {"uuid": given.network_uuid, "name": given.network_name}, "mac": given.mac}
            for given in found.addresses
        ],
        "image": None if image is None else {"uuid": image.uuid, "name": image.name},
        "keypair": row.keypair,
        "metadata": row.labels,
        "locked": holder is not None,
        "locked_by": holder,
        "locked_at": lock.get("at"),
        "lock_reason": lock.get("reason"),
        "lock_user_id": lock.get("by"),
        "created_at": row.created_at,
    }


@route("POST", "/v1/instances", body=NewInstance, exempt=NEW)
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Create instances: all that are asked for, or none."""
    lowest = body.get("min_count", body.get("max_count", 1))
    highest = body.get("max_count", lowest)
    if lowest > highest:
        raise exception.BadField(field="min_count", reason="it must not be more than max_count")
    wanted = builds.Wanted(
        name=body["name"],
        description=body.get("description", ""),
        flavor=body.get("flavor"),
        node=body.get("node"),
        wires=[claims.Wire(**wire) for wire in body.get("networks", [])],
        boot_device=body.get("boot_device"),
        availability_zone=body.get("availability_zone"),
        server_group=body.get("server_group"),
        wish=wish(body),
    )
    found, operations, password = builds.create(call, wanted, body.get("project_id"), lowest, highest)
    shown = [
        {"uuid": instance.uuid, "name": instance.name, "status": instance.status, "operation": operation}
        for instance, operation in zip(found, operation_views(call, operations), strict=True)
    ]
    once = {} if password is None else {"admin_password": password}
    return Answer(202, {"instances": shown, **once}, f"/v1/instances/{found[0].uuid}")


@route(
    "GET",
    "/v1/instances",
    query={
        "name": Ref(),
        "status": Choice(*states.Instance),
        "project": Ref(),
        "flavor": Ref(),
        "image": Ref(),
        "node": Ref(),
        "locked": Flag(),
        "availability_zone": Ref(),
        "ip": IpOrCidr(),
    },
    listing=Listing("instances", instances.SORT_KEYS),
)
def list_(call: Call, page: Page, **filters: Any) -> list[dict[str, Any]]:
    """List the instances of the own project."""
    return [view(found) for found in instances.list_(call, page, **filters)]


@route("GET", ONE)
def get(call: Call, instance: str) -> dict[str, Any]:
    """Show an instance."""
    return view(instances.get(call, instance))


@route("PATCH", ONE, body=InstanceChange)
def update(call: Call, instance: str, body: dict[str, Any]) -> dict[str, Any]:
    """Rename or describe an instance, or replace its metadata."""
    return view(instances.update(call, instance, body))


@route("DELETE", ONE)
def delete(call: Call, instance: str) -> Answer:
    """Delete an instance and give its node back."""
    return accepted(call, instances.delete(call, instance))


@route("PUT", f"{ONE}/lock", body=Lock, exempt=LOCKS)
@route("PUT", "/v1/servers/{instance}/states/lock", body=Lock, exempt=LOCKS)
def lock(call: Call, instance: str, body: dict[str, Any]) -> Answer:
    """Lock or unlock an instance. Mogan's clients call it a server."""
    return Answer(202, view(instances.set_lock(call, instance, body["target"], body.get("reason", ""))))


@route("PUT", f"{ONE}/power", body=PowerTarget)
def power(call: Call, instance: str, body: dict[str, Any]) -> Answer:
    """Start, stop or reboot an instance."""
    return accepted(call, instances.set_power(call, instance, body["target"]))


@route("PUT", f"{ONE}/rebuild", body=Rebuild)
def rebuild(call: Call, instance: str, body: dict[str, Any]) -> Answer:
    """Boot an instance anew, perhaps from another image."""
    return accepted(call, instances.rebuild(call, instance, body.get("boot_device"), body.get("image")))


@route("GET", f"{ONE}/interfaces", listing=Listing("interfaces"))
def list_interfaces(call: Call, instance: str) -> list[dict[str, Any]]:
    """List the networks of an instance."""
    return [
        {**attachment_view(item), "nic": {"uuid": found.nic.uuid, "name": found.nic.name, "mac": found.nic.mac}}
        for found in instances.interfaces(call, instance)
        for item in found.attachments
    ]


@route("POST", f"{ONE}/interfaces", body=NewInterface)
def attach(call: Call, instance: str, body: dict[str, Any]) -> Answer:
    """Attach a NIC of an instance to a network."""
    wanted = body.get("addresses", [])
    return accepted(call, instances.attach(call, instance, body["network"], body["nic"], body.get("channel"), wanted))


@route("DELETE", f"{ONE}/interfaces/{{attachment}}")
def detach(call: Call, instance: str, attachment: str) -> Answer:
    """Detach an instance from a network."""
    return accepted(call, instances.detach(call, instance, attachment))


@route("POST", "/v1/instances/adopt", body=Adopted, exempt=NEW)
def adopt(call: Call, body: dict[str, Any]) -> Answer:
    """Make an instance of a node as it is, for its project, or for one that gets the free node."""
    found = adoptions.adopt(call, body["name"], body["node"], body.get("project_id"))
    return created(view(found), "instances", found.instance.uuid)


@route("POST", f"{ONE}/release")
def release(call: Call, instance: str) -> None:
    """Forget an instance and leave its node as it is."""
    adoptions.release(call, instance)
