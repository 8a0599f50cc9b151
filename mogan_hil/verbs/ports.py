# SPDX-License-Identifier: Apache-2.0
"""Ports: register, show, cable, revert, remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.db import models
from mogan_hil.objects.base import Lock, column
from mogan_hil.objects.network import Attachment
from mogan_hil.objects.node import Nic, Node
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.port import Port
from mogan_hil.objects.switch import Switch
from mogan_hil.policies import port as rules
from mogan_hil.verbs import locks
from mogan_hil.verbs.base import Call, journal, writes
from mogan_hil.verbs.listing import Page, paged
from mogan_hil.verbs.nics import Attached

SORT_KEYS = ("name", "created_at", "status")


@dataclass(frozen=True, slots=True)
class PortView:
    """A port, its switch, and what is cabled to it.

    :param attachments: None in lists
    """

    port: models.Port
    switch: models.Switch
    nic: models.Nic | None
    node: models.Node | None
    attachments: Sequence[Attached] | None = None


def _query() -> Any:
    return (
        sa.select(models.Port, models.Switch, models.Nic, models.Node)
        .join(models.Switch, models.Switch.id == models.Port.switch_id)
        .outerjoin(models.Nic, models.Nic.id == models.Port.nic_id)
        .outerjoin(models.Node, models.Node.id == models.Nic.node_id)
        .execution_options(populate_existing=True)
    )


def _find(session: orm.Session, switch: str, port: str, lock: Lock = None) -> tuple[Switch, Port]:
    owner = Switch.get(session, switch)
    return owner, Port.get(session, port, models.Port.switch_id == owner.id, lock=lock)


@writes
def create(call: Call, switch: str, name: str) -> tuple[PortView, Operation]:
    """Register a port of a switch. It is parked: whatever was configured on it before is taken off.

    :raises exception.NotFound: there is no such switch
    :raises exception.BadField: the switch cannot have a port of this name
    :raises exception.Duplicate: the port is registered
    """
    call.check(rules.CREATE)
    with call.writer() as session:
        owner = Switch.get(session, switch, lock="share")
        try:
            call.services.drivers.switch(owner.driver).check_port_name(name)
        except ValueError as error:
            raise exception.BadField(field="name", reason=str(error)) from None
        port = Port.create(session, name=name, switch_id=owner.id, status=states.Port.NEW)
        operation = _journal(session, call, "port_park", owner, port, None)
        row = session.execute(_query().where(models.Port.id == port.id)).one()
    call.services.client.wake(operation.lane)
    return PortView(*row), operation


def list_(call: Call, switch: str, page: Page, in_sync: bool | None = None) -> Sequence[PortView]:
    """A page of a switch's ports.

    :raises exception.NotFound: there is no such switch
    """
    call.check(rules.LIST)
    with call.reader() as session:
        owner = Switch.get(session, switch)
        query = _query().where(models.Port.switch_id == owner.id)
        if in_sync is not None:
            query = query.where(models.Port.in_sync.is_(in_sync))
        return [PortView(*row) for row in paged(session, query, models.Port, page)]


def get(call: Call, switch: str, port: str) -> PortView:
    """One port, with what is attached through it.

    :raises exception.NotFound: there is no such switch or port
    """
    call.check(rules.GET)
    with call.reader() as session:
        query = _query().where(Switch.identified(switch), Port.identified(port))
        row = session.execute(query).one_or_none()
        if row is None:
            raise exception.NotFound(kind="port", name=port)
        attached = sa.select(
            models.Attachment.uuid,
            models.Attachment.channel,
            models.Attachment.status,
            models.Network.uuid,
            models.Network.name,
        ).join(models.Network, models.Network.id == models.Attachment.network_id)
        found = session.execute(
            attached.where(models.Attachment.nic_id == row[0].nic_id).order_by(models.Attachment.id)
        )
        return PortView(row[0], row[1], row[2], row[3], [Attached(*item) for item in found])


@writes
def delete(call: Call, switch: str, port: str) -> None:
    """Remove a port. On the switch it stays parked.

    :raises exception.NotFound: there is no such switch or port
    :raises exception.InUse: a NIC is cabled to it
    :raises exception.Conflict: it is not parked
    :raises exception.Busy: an operation on it is not finished
    """
    call.check(rules.DELETE)
    with call.writer() as session:
        _, found = _find(session, switch, port, lock="update")
        if found.nic_id is not None:
            raise exception.InUse(kind="Port", name=found.name, what="a NIC")
        if found.in_sync is False:
            raise exception.Conflict(reason=f"Port {found.name!r} is not parked; heal its switch first.")
        if Operation.open_keys(session, [found.pending_key]):
            raise exception.Busy(kind="port", name=found.name)
        found.delete(session)


@writes
def cable(call: Call, switch: str, port: str, node: str, nic: str) -> PortView:
    """Say that a NIC is plugged into a port. The same again changes nothing.

    :raises exception.NotFound: there is no such switch, port, node or NIC
    :raises exception.InstanceLocked: the instance of the node is locked
    :raises exception.Conflict: the port or the NIC is cabled otherwise
    """
    call.check(rules.CABLE)
    with call.writer() as session:
        machine = Node.get(session, node, lock="update")
        locks.check_node(session, call, machine, settled=False)
        _, found = _find(session, switch, port, lock="update")
        card = Nic.get(session, nic, models.Nic.node_id == machine.id, lock="update")
        taken = exception.Conflict(reason=f"Port {found.name!r} or NIC {card.name!r} is cabled otherwise already.")
        if found.nic_id is not None and found.nic_id != card.id:
            raise taken
        try:
            found.update(session, nic_id=card.id)
        except exception.Duplicate:
            raise taken from None
        return PortView(*session.execute(_query().where(models.Port.id == found.id)).one())


@writes
def uncable(call: Call, switch: str, port: str) -> None:
    """Say that nothing is plugged into a port.

    :raises exception.NotFound: there is no such switch or port, or nothing is plugged in
    :raises exception.NodeClaimed: the node belongs to a project
    :raises exception.InUse: networks are attached
    :raises exception.Busy: an operation on it is not finished
    """
    call.check(rules.UNCABLE)
    with call.writer() as session:
        _, found = _find(session, switch, port)
        if found.nic_id is None:
            raise exception.NotFound(kind="NIC at port", name=found.name)
        card, node = _plugged(session, found)
        if node.project_id is not None:
            raise exception.NodeClaimed(name=node.name)
        if Attachment.find(session, models.Attachment.nic_id == card.id):
            raise exception.InUse(kind="NIC", name=card.name, what="networks")
        if Operation.open_keys(session, [found.pending_key]):
            raise exception.Busy(kind="port", name=found.name)
        found.update(session, models.Port.nic_id == card.id, nic_id=None)


def _plugged(session: orm.Session, port: Port) -> tuple[Nic, Node]:
    """The NIC at a port, and its node, locked.

    :raises exception.NotFound: it was unplugged meanwhile
    """
    nics = Nic.find(session, models.Nic.id == port.nic_id)
    nodes = Node.find(session, models.Node.id == nics[0].node_id, lock="update") if nics else []
    if not nodes:
        raise exception.NotFound(kind="NIC at port", name=port.name)
    return nics[0], nodes[0]


@writes
def revert(call: Call, switch: str, port: str) -> Operation:
    """Take a port off every network and park it, whatever is configured on it.

    :raises exception.NotFound: there is no such switch or port, or what was plugged in was unplugged meanwhile
    :raises exception.InstanceLocked: the instance of the node that is plugged in is locked
    :raises exception.Busy: an operation on it is not finished, or something was plugged in meanwhile
    """
    call.check(rules.REVERT)
    with call.writer() as session:
        _, seen = _find(session, switch, port)
        node = None
        if seen.nic_id is not None:  # its node first, as whoever attaches or unplugs
            _, node = _plugged(session, seen)
            locks.check_node(session, call, node, settled=False)
        owner, found = _find(session, switch, port, lock="update")
        if found.nic_id != seen.nic_id:
            raise exception.Busy(kind="port", name=found.name)
        operation = _journal(session, call, "port_revert", owner, found, node)
        if found.nic_id is not None:
            on_it = Attachment.find(session, models.Attachment.nic_id == found.nic_id)
            Attachment.move(session, column(on_it, "id"), states.Attachment.ACTIVE, states.Attachment.DETACHING)
    call.services.client.wake(operation.lane)
    return operation


def _journal(session: orm.Session, call: Call, verb: str, switch: Switch, port: Port, node: Node | None) -> Operation:
    return journal(
        session,
        call,
        verb,
        switch.lane,
        pending_key=port.pending_key,
        busy=exception.Busy(kind="port", name=port.name),
        project_id=node.project_id if node else None,
        node=node.uuid if node else None,
        payload={"port_uuid": port.uuid, "port": port.name, "switch": switch.name},
    )
