# SPDX-License-Identifier: Apache-2.0
"""HIL's networks, and what is attached to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mogan_hil.api.hil_v0 import names
from mogan_hil.api.hil_v0.errors import HilError
from mogan_hil.api.hil_v0.expose import Caller, everything, hil
from mogan_hil.common import exception, states
from mogan_hil.objects.operation import Operation
from mogan_hil.verbs import attachments, networks, nodes, operations
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.networks import Member, NetworkView

#: HIL's words for what an operation is.
STATUS = {states.Operation.DONE: "DONE", states.Operation.ERROR: "ERROR"}
TYPES = {"attach": "modify_port", "detach": "modify_port", "port_revert": "revert_port"}


def _seen(caller: Caller, ident: str) -> list[tuple[Call, NetworkView]]:
    """A network as each of the caller's projects sees it. Of several with one name their own is meant, else the site's.

    :raises exception.NotFound: there is none, or none of the projects may use it
    :raises HilError: several of the projects have one of this name
    """
    found = caller.each(lambda call: (call, networks.get(call, ident)))
    for owners in ({call.project_id for call in caller.calls}, {None}):
        found = [one for one in found if one[1].network.project_id in owners] or found
    meant = {view.network.uuid for _, view in found}
    if len(meant) > 1:
        raise HilError("BlockedError", f"Several projects of yours have a network {ident[:100]!r}; give its id.")
    uuid = meant.pop()
    return caller.each(lambda call: (call, networks.get(call, uuid)))


def _meant(caller: Caller, ident: str) -> str:
    """The id of the network that is meant, so that none of another project is changed in its place."""
    return ident if len(caller.calls) == 1 else str(_seen(caller, ident)[0][1].network.uuid)


def _names(call: Call, view: NetworkView) -> tuple[str, list[str] | None]:
    """The owner of a network and who has access, None for everybody."""
    network = view.network
    ids = {*view.access, *([network.project_id] if network.project_id else [])}
    known = names.project_names(call, ids)
    shown = sorted(known.get(project, project) for project in ids)
    owner = names.ADMIN if network.project_id is None else known.get(network.project_id, network.project_id)
    return owner, None if network.public else shown


@hil("GET", "/networks", "GET /v1/networks")
def list_networks(caller: Caller) -> dict[str, Any]:
    """List the public networks, or all for an administrator."""
    call = caller.first
    public = None if call.sees_all else True
    found = everything(call, lambda page: networks.list_(call, page, public=public), lambda view: view.network.uuid)
    return {
        shown: {"network_id": view.network.segment_id, "projects": _names(call, view)[1]}
        for shown, view in zip(idents(found, call.project_id), found, strict=True)
    }


def idents(views: Sequence[NetworkView], project_id: str | None) -> list[str]:
    """What networks are called in a list: their names, or their ids where a name would mean another of them, or none.

    :param project_id: who asks with such a name later
    """
    owners: dict[str, list[str | None]] = {}
    for view in views:
        owners.setdefault(view.network.name, []).append(view.network.project_id)
    meant = {name: project_id if project_id in known else None for name, known in owners.items()}
    return [
        view.network.name
        if len(owners[view.network.name]) == 1 or view.network.project_id == meant[view.network.name]
        else view.network.uuid
        for view in views
    ]


@hil("PUT", "/network/{network}", "POST /v1/networks", owner=names.TEXT, access=names.TEXT, net_id=names.TEXT)
def network_create(caller: Caller, network: str, owner: str, access: str, net_id: str) -> None:
    """Create a network.

    What HIL called legal is: the site's network, public or for one project, with any segment; and a project's own, for
    itself alone, with one of the pool.
    """
    name = names.new(network)
    if owner == names.ADMIN:
        call = caller.for_admin()
        granted = [names.project_id(call, access)] if access else []
        networks.create(call, name, site=True, access=granted, public=not access, segment_id=net_id or None)
        return
    if access != owner:
        raise HilError("BadArgumentError", "A project's network is for that project; grant access to others later.")
    if net_id:
        raise HilError("BadArgumentError", "A project's network has a segment of the pool.")
    caller.do(lambda call: networks.create(call, name, project=owner))


@hil("GET", "/network/{network}", "GET /v1/networks/{network}", "GET /v1/networks/{network}/attachments")
def show_network(caller: Caller, network: str) -> dict[str, Any]:
    """Show a network."""

    views = _seen(caller, network)
    connected: dict[str, set[str]] = {}
    access: set[str] | None = set()
    for call, view in views:
        owner, shown = _names(call, view)
        access = None if access is None or shown is None else access | {*shown}
        for member in _members(call, view):
            connected.setdefault(member.node.name, set()).add(member.nic.name)
    return {
        "name": view.network.name,
        "channels": view.network.channels,
        "owner": owner,
        "access": None if access is None else sorted(access),
        "connected-nodes": {node: sorted(nics) for node, nics in connected.items()},
    }


def _members(call: Call, view: NetworkView) -> list[Member]:
    uuid = view.network.uuid
    found: list[Member] = everything(
        call, lambda page: networks.attachments(call, uuid, page), lambda member: member.attachment.uuid
    )
    return [member for member in found if member.attachment.status != states.Attachment.ATTACHING]


@hil(
    "GET",
    "/network/{network}/attachments",
    "GET /v1/networks/{network}/attachments",
    project=names.TEXT,
    optional=["project"],
)
def list_network_attachments(caller: Caller, network: str, project: str | None = None) -> dict[str, Any]:
    """List what is attached: everything for the owner, else the nodes of one project."""

    meant = _meant(caller, network)

    def act(call: Call) -> dict[str, Any]:
        view = networks.get(call, meant)
        owner = view.network.project_id
        own = call.allows("admin") or (owner is not None and owner == call.project_id)
        if not own and (project is None or project not in (call.project_id, call.context.project_name)):
            raise exception.Forbidden(rule="network:list_attachments")
        if project is not None and call.allows("admin"):
            names.project_id(call, project)  # whether there is such a project is not for the owner of a network to know
        members = _members(call, view)
        known = names.project_names(call, {one.node.project_id for one in members if one.node.project_id})
        wanted = {uuid for uuid, name in known.items() if project and names.is_project(call, project, uuid, name)}
        return {
            one.node.name: {
                "nic": one.nic.name,
                "channel": one.attachment.channel,
                "project": known.get(one.node.project_id or ""),
            }
            for one in members
            if project is None or one.node.project_id in wanted
        }

    return caller.do(act)


@hil("DELETE", "/network/{network}", "DELETE /v1/networks/{network}")
def network_delete(caller: Caller, network: str) -> None:
    """Delete a network."""
    meant = _meant(caller, network)
    caller.do(lambda call: networks.delete(call, meant))


@hil("PUT", "/network/{network}/access/{project}", "PUT /v1/networks/{network}/access/{project}")
def network_grant_project_access(caller: Caller, network: str, project: str) -> None:
    """Let a project use a network. A public one is then private: to HIL it was public as nobody had access."""
    meant = _meant(caller, network)
    if not caller.do(lambda call: networks.grant(call, meant, project, closes=True)):
        raise HilError("DuplicateError", f"Project {project!r} has access to network {network!r} already.")


@hil("DELETE", "/network/{network}/access/{project}", "DELETE /v1/networks/{network}/access/{project}")
def network_revoke_project_access(caller: Caller, network: str, project: str) -> None:
    """Let a project use a network no more. With nobody left it is its owner's alone, and never public."""

    meant = _meant(caller, network)

    def act(call: Call) -> None:
        owner = networks.get(call, meant).network.project_id
        if owner is not None and names.is_project(call, project, owner, names.project_names(call, [owner]).get(owner)):
            raise exception.InUse(kind="Network", name=network, what="its owner")
        networks.revoke(call, meant, project)

    caller.do(act)


@hil(
    "POST",
    "/node/{node}/nic/{nic}/connect_network",
    "POST /v1/nodes/{node}/nics/{nic}/attachments",
    network=names.TEXT,
    channel=names.TEXT,
    optional=["channel"],
)
def node_connect_network(
    caller: Caller, node: str, nic: str, network: str, channel: str | None = None
) -> dict[str, Any]:
    """Attach a NIC to a network. HIL's command line sends an empty channel where none was given."""

    def act(call: Call) -> Operation:
        try:
            return attachments.create(call, node, nic, network, channel or None)
        except exception.Forbidden:
            _check_claimed(call, node)
            raise
        except exception.ChannelTaken as error:
            raise _taken(call, node, nic, network) or error from None

    return _begun(caller.do(act))


def _check_claimed(call: Call, node: str) -> None:
    """Networks are for nodes of projects. HIL said so to everybody, before it asked who may."""
    if names.node_project(call, node) is None:
        raise exception.NodeFree(name=node)


def _taken(call: Call, node: str, nic: str, network: str) -> exception.Conflict | None:
    """Why a network cannot be attached once more; None if it is only its channel that is taken.

    M2 attaches again and again until the text says `already attached`: only then it goes on.
    """
    for item in attachments.list_(call, node, nic):
        if network in (item.network_name, item.network_uuid):
            if item.status == states.Attachment.ACTIVE:
                return exception.Conflict(reason=f"Network {network!r} is already attached to NIC {nic!r}.")
            return exception.Busy(kind="NIC", name=nic)
    return None


@hil(
    "POST",
    "/node/{node}/nic/{nic}/detach_network",
    "DELETE /v1/nodes/{node}/nics/{nic}/attachments/{network}",
    network=names.TEXT,
)
def node_detach_network(caller: Caller, node: str, nic: str, network: str) -> dict[str, Any]:
    """Detach a NIC from a network."""

    def act(call: Call) -> Operation:
        networks.get(call, network)
        _check_claimed(call, node)
        uuid = _on_nic(call, node, nic, network)
        try:
            return attachments.delete(call, node, nic, uuid)
        except exception.NotFound:  # it may have come off just now
            _on_nic(call, node, nic, network)
            raise

    return _begun(caller.do(act))


def _on_nic(call: Call, node: str, nic: str, network: str) -> str:
    found = {item.network_name: item.network_uuid for item in attachments.list_(call, node, nic)}
    if network not in found and network not in found.values():
        raise HilError("BadArgumentError", f"Network {network!r} is not on this NIC.")
    return found.get(network, network)


def _begun(operation: Operation) -> dict[str, Any]:
    return {"status_id": operation.uuid}


@hil("GET", "/networking_action/{status_id}", "GET /v1/operations/{operation}")
def show_networking_action(caller: Caller, status_id: str) -> dict[str, Any]:
    """Show what became of an attachment, a detachment or a revert."""

    def act(call: Call) -> dict[str, Any]:
        found = operations.get(call, status_id)
        if found.verb not in TYPES:
            raise exception.NotFound(kind="networking action", name=status_id)
        node, nic = found.payload.get("node"), found.payload.get("nic")
        if found.verb == "port_revert":
            node, nic = _plugged(call, found)
        return {
            "status": STATUS.get(states.Operation(found.state), "PENDING"),
            "node": node,
            "nic": nic,
            "type": TYPES[found.verb],
            "channel": found.payload.get("channel"),
            "new_network": found.payload["network"] if found.verb == "attach" else None,
        }

    return caller.do(act)


def _plugged(call: Call, operation: Operation) -> tuple[str | None, str | None]:
    if operation.node is None:
        return None, None
    for view in nodes.get(call, operation.node).nics or ():
        if view.port is not None and view.port.uuid == operation.payload["port_uuid"]:
            return nodes.get(call, operation.node).node.name, view.nic.name
    return None, None
