# SPDX-License-Identifier: Apache-2.0
"""NICs: register, show, remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.node import Nic
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.port import Port
from mogan_hil.policies import nic as rules
from mogan_hil.policies import port as port_rules
from mogan_hil.verbs import locks
from mogan_hil.verbs.base import Call, visible_node, writes


@dataclass(frozen=True, slots=True)
class GivenIp:
    """An address, and the uuid of its subnet."""

    ip: str
    subnet: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A network on a NIC, named as both users and programs need it."""

    uuid: str
    channel: str
    status: str
    network_uuid: str
    network_name: str
    addresses: list[GivenIp] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NicView:
    """A NIC, where it is cabled, and what is attached."""

    nic: models.Nic
    port: models.Port | None
    switch: models.Switch | None
    attachments: list[Attached] = field(default_factory=list)


def nics_of(session: orm.Session, node_id: int, *where: sa.ColumnElement[bool]) -> list[NicView]:
    """The NICs of a node, with everything on them, in one statement."""
    attachments, networks, given = models.Attachment, models.Network, models.Address
    query = (
        sa.select(
            models.Nic,
            models.Port,
            models.Switch,
            attachments,
            networks.uuid,
            networks.name,
            given.ip,
            models.Subnet.uuid,
        )
        .outerjoin(models.Port, models.Port.nic_id == models.Nic.id)
        .outerjoin(models.Switch, models.Switch.id == models.Port.switch_id)
        .outerjoin(attachments, attachments.nic_id == models.Nic.id)
        .outerjoin(networks, networks.id == attachments.network_id)
        .outerjoin(given, given.attachment_id == attachments.id)
        .outerjoin(models.Subnet, models.Subnet.id == given.subnet_id)
        .where(models.Nic.node_id == node_id, *where)
        .order_by(models.Nic.id, attachments.id, given.id)
        .execution_options(populate_existing=True)
    )
    found: dict[int, NicView] = {}
    for nic, port, switch, attached, network_uuid, network_name, ip, subnet in session.execute(query):
        view = found.setdefault(nic.id, NicView(nic, port, switch))
        if attached is None:
            continue
        if not view.attachments or view.attachments[-1].uuid != attached.uuid:
            view.attachments.append(
                Attached(attached.uuid, attached.channel, attached.status, network_uuid, network_name)
            )
        if ip is not None:
            view.attachments[-1].addresses.append(GivenIp(ip, subnet))
    return list(found.values())


@writes
def create(call: Call, node: str, name: str, mac: str) -> NicView:
    """Register a NIC of a node.

    :param mac: six pairs of lower-case hexadecimal digits with colons between
    :raises exception.NotFound: there is no such node
    :raises exception.InstanceLocked: its instance is locked
    :raises exception.Duplicate: the node has a NIC of this name, or some NIC has this MAC address
    """
    call.check(rules.CREATE)
    with call.writer() as session:
        owner = visible_node(session, call, node, lock="update")
        locks.check_node(session, call, owner, settled=False)
        nic = Nic.create(session, node_id=owner.id, name=name, mac=mac)
        return nics_of(session, owner.id, models.Nic.id == nic.id)[0]


def list_(call: Call, node: str) -> tuple[Sequence[NicView], bool]:
    """Every NIC of a node, and whether the caller may see the cabling.

    :raises exception.NotFound: there is no such node, or it is another project's
    """
    with call.reader() as session:
        owner = visible_node(session, call, node)
        call.check(rules.GET_FREE if owner.project_id is None else rules.LIST, owner.project_id)
        return nics_of(session, owner.id), call.allows(rules.GET_CABLING, owner.project_id)


def get(call: Call, node: str, nic: str) -> tuple[NicView, bool]:
    """One NIC, and whether the caller may see its cabling.

    :raises exception.NotFound: there is no such node or NIC, or the node is another project's
    """
    with call.reader() as session:
        owner = visible_node(session, call, node)
        call.check(rules.GET_FREE if owner.project_id is None else rules.GET, owner.project_id)
        found = nics_of(session, owner.id, Nic.identified(nic))
        if not found:
            raise exception.NotFound(kind="NIC", name=nic)
        return found[0], call.allows(rules.GET_CABLING, owner.project_id)


@writes
def delete(call: Call, node: str, nic: str) -> None:
    """Remove a NIC.

    :raises exception.NotFound: there is no such node or NIC
    :raises exception.InstanceLocked: the instance of the node is locked
    :raises exception.InUse: it is cabled or networks are attached
    """
    call.check(rules.DELETE)
    with call.writer() as session:
        owner = visible_node(session, call, node, lock="update")
        locks.check_node(session, call, owner, settled=False)
        found = Nic.get(session, nic, models.Nic.node_id == owner.id, lock="update")
        found.delete(session, exception.InUse(kind="NIC", name=found.name, what="a cable or networks"))


@writes
def remove(call: Call, node: str, nic: str) -> None:
    """Remove a NIC of a free node with its cable. The port stays registered, and parked.

    :raises exception.NotFound: there is no such node or NIC
    :raises exception.NodeClaimed: the node belongs to a project
    :raises exception.InUse: networks are attached
    :raises exception.Busy: an operation on it is not finished
    """
    call.check(rules.DELETE)
    with call.writer() as session:
        owner = visible_node(session, call, node, lock="update")
        found = Nic.get(session, nic, models.Nic.node_id == owner.id, lock="update")
        if owner.project_id is not None:
            raise exception.NodeClaimed(name=owner.name)
        for port in Port.find(session, models.Port.nic_id == found.id, lock="update"):
            call.check(port_rules.UNCABLE)
            if Operation.open_keys(session, [port.pending_key]):
                raise exception.Busy(kind="NIC", name=found.name)
            port.update(session, nic_id=None)
        found.delete(session, exception.InUse(kind="NIC", name=found.name, what="networks"))
