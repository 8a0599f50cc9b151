# SPDX-License-Identifier: Apache-2.0
"""Attachments: put a NIC on a network, take it off, list them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import channels, exception, states
from mogan_hil.db import models
from mogan_hil.drivers.switch.base import TAGGED, TAGGED_ONLY
from mogan_hil.objects.network import Attachment, Network, usable_by
from mogan_hil.objects.node import Nic, Node
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.port import Port
from mogan_hil.objects.switch import Switch
from mogan_hil.policies import attachment as rules
from mogan_hil.verbs import addresses, locks
from mogan_hil.verbs.base import Call, journal, visible_node, writes
from mogan_hil.verbs.networks import find_network
from mogan_hil.verbs.nics import Attached, nics_of


@writes
def create(call: Call, node: str, nic: str, network: str, channel: str | None, wanted: Sequence[str] = ()) -> Operation:
    """Attach a NIC to a network.

    :param channel: one of the network's channels; its default if None
    :param wanted: addresses of the network's subnets, one of each IP version at the most
    :raises exception.NotFound: there is no such node, NIC or network, or the caller may not see it
    :raises exception.NodeFree: the node belongs to no project
    :raises exception.BadField: the network has no such channel, or no such addresses
    :raises exception.NotCabled: the NIC is not cabled
    :raises exception.ProjectMismatch: the node's project may not use the network
    :raises exception.WrongPhysicalNetwork: the network cannot reach the NIC's switch
    :raises exception.ChannelTaken: the channel is taken, or the network is attached already
    :raises exception.AddressTaken: an address that is asked for is another NIC's
    :raises exception.NoAddress: the network has subnets, and no free address
    :raises exception.Busy: an operation on the NIC is not finished
    """
    with call.writer() as session:
        machine = visible_node(session, call, node, lock="update")
        call.check(rules.CREATE, machine.project_id)
        locks.check_node(session, call, machine)
        card = Nic.get(session, nic, models.Nic.node_id == machine.id)
        operation = attach(session, call, machine, card, network, channel, wanted=wanted)
    call.services.client.wake(operation.lane)
    return operation


def attach(
    session: orm.Session,
    call: Call,
    node: Node,
    nic: Nic,
    network: str,
    channel: str | None,
    parent_id: int | None = None,
    wanted: Sequence[str] = (),
) -> Operation:
    """Write the intent and its operation. The node is locked by the caller, who has also been authorized.

    :raises: see :func:`create`
    """
    port, switch, target, channel = write(
        session, call, node, nic, network, channel, states.Attachment.ATTACHING, wanted=wanted
    )
    return _journal(session, call, "attach", node, nic, port, switch, target, channel, parent_id)


def write(
    session: orm.Session,
    call: Call,
    node: Node,
    nic: Nic,
    network: str,
    channel: str | None,
    status: states.Attachment,
    *,
    wanted: Sequence[str] = (),
) -> tuple[Port, Switch, Network, str]:
    """Check that a NIC may have a network, and write that it has it. The node is locked by the caller.

    :raises: see :func:`create`
    """
    if node.project_id is None:
        raise exception.NodeFree(name=node.name)
    port, switch = _cabled(session, nic)
    target = _usable(session, call, node, network)
    channel = channel or target.channels[0]
    if channel not in target.channels:
        raise exception.BadField(
            field="channel", reason=f"network {target.name!r} rides on {', '.join(target.channels)} only"
        )
    if target.physical_network != switch.physical_network:
        raise exception.WrongPhysicalNetwork(
            network=target.name, wanted=target.physical_network, nic=nic.name, actual=switch.physical_network
        )
    _check_native(session, call, switch, nic, adding=channel)
    attachment = Attachment.create(
        session,
        exception.ChannelTaken(nic=nic.name, channel=channel),
        nic_id=nic.id,
        network_id=target.id,
        channel=channel,
        status=status,
    )
    addresses.give(session, call, target, attachment, wanted)
    return port, switch, target, channel


def _cabled(session: orm.Session, nic: Nic) -> tuple[Port, Switch]:
    query = sa.select(models.Port, models.Switch).join(models.Switch, models.Switch.id == models.Port.switch_id)
    row = session.execute(query.where(models.Port.nic_id == nic.id)).one_or_none()
    if row is None:
        raise exception.NotCabled(name=nic.name)
    return Port.from_row(row[0]), Switch.from_row(row[1])


def _usable(session: orm.Session, call: Call, node: Node, ident: str) -> Network:
    # Locked against deletion and against losing access until this transaction ends. Who waited for the lock still sees
    # the access of before the wait, so that it is looked at again.
    usable = usable_by(node.project_id)
    try:
        found = find_network(session, ident, node.project_id, usable, lock="share")
        return Network.get(session, found.uuid, usable)
    except exception.NotFound:
        if call.sees_all and Network.find(session, Network.identified(ident)):
            raise exception.ProjectMismatch(node=node.name, network=ident) from None
        raise


def _check_native(
    session: orm.Session, call: Call, switch: Switch, nic: Nic, *, adding: str = "", removing: str = ""
) -> None:
    """Some switches cannot carry tagged networks at all, or not on a port without a native one."""
    capabilities = call.services.drivers.switch(switch.driver).capabilities_of(switch.options)
    if adding not in ("", channels.NATIVE) and TAGGED not in capabilities:
        raise exception.Conflict(
            reason=f"The switch of NIC {nic.name!r} cannot carry tagged networks: attach one on vlan/native."
        )
    if TAGGED_ONLY in capabilities:
        return
    found = {item.channel for item in Attachment.find(session, models.Attachment.nic_id == nic.id)}
    found = (found | {adding}) - {removing, ""}
    if found and channels.NATIVE not in found:
        raise exception.Conflict(
            reason=f"The switch of NIC {nic.name!r} cannot carry tagged networks without a network on vlan/native: "
            "attach that one first and detach it last."
        )


def _journal(
    session: orm.Session,
    call: Call,
    verb: str,
    node: Node,
    nic: Nic,
    port: Port,
    switch: Switch,
    network: Network,
    channel: str,
    parent_id: int | None,
) -> Operation:
    return journal(
        session,
        call,
        verb,
        switch.lane,
        pending_key=nic.pending_key,
        project_id=node.project_id,
        node=node.uuid,
        parent_id=parent_id,
        busy=exception.Busy(kind="NIC", name=nic.name),
        payload={
            "port_uuid": port.uuid,
            "node": node.name,
            "nic": nic.name,
            "network": network.name,
            "network_uuid": network.uuid,
            "channel": channel,
        },
    )


@writes
def delete(call: Call, node: str, nic: str, network: str) -> Operation:
    """Detach a NIC from a network.

    :raises exception.NotFound: there is no such node or NIC, or the network is not attached to it
    :raises exception.Busy: an operation on the NIC is not finished
    """
    with call.writer() as session:
        machine = visible_node(session, call, node, lock="update")
        call.check(rules.DELETE, machine.project_id)
        locks.check_node(session, call, machine)
        card = Nic.get(session, nic, models.Nic.node_id == machine.id)
        operation = detach(session, call, machine, card, network)
    call.services.client.wake(operation.lane)
    return operation


def detach(session: orm.Session, call: Call, node: Node, nic: Nic, network: str) -> Operation:
    """Write the intent and its operation. The node is locked by the caller, who has also been authorized.

    :raises: see :func:`delete`
    """
    port, switch = _cabled(session, nic)
    query = sa.select(models.Attachment, models.Network).join(
        models.Network, models.Network.id == models.Attachment.network_id
    )
    rows = session.execute(query.where(models.Attachment.nic_id == nic.id, Network.identified(network))).all()
    if not rows:
        raise exception.NotFound(kind="network on this NIC", name=network)
    if len(rows) > 1:
        raise exception.NameAmbiguous(kind="network", name=network)
    attachment, target = Attachment.from_row(rows[0][0]), Network.from_row(rows[0][1])
    _check_native(session, call, switch, nic, removing=attachment.channel)
    operation = _journal(session, call, "detach", node, nic, port, switch, target, attachment.channel, None)
    attachment.update(session, status=states.Attachment.DETACHING)
    return operation


def list_(call: Call, node: str, nic: str) -> Sequence[Attached]:
    """Every network on a NIC.

    :raises exception.NotFound: there is no such node or NIC, or the node is another project's
    """
    with call.reader() as session:
        owner = visible_node(session, call, node)
        call.check(rules.LIST, owner.project_id)
        found = nics_of(session, owner.id, Nic.identified(nic))
        if not found:
            raise exception.NotFound(kind="NIC", name=nic)
        return found[0].attachments
