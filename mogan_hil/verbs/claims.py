# SPDX-License-Identifier: Apache-2.0
"""Claims: many nodes at once, wired or not; all of them or none."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.network import usable_by
from mogan_hil.objects.node import Criteria, Nic, Node, wirable
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import node as rules
from mogan_hil.verbs import quotas
from mogan_hil.verbs.aggregates import check_zone
from mogan_hil.verbs.attachments import attach
from mogan_hil.verbs.base import Call, journal, not_claimed, resolve_project, visible_node, writes
from mogan_hil.verbs.networks import find_network

#: Lanes on which claims are watched over. More only mean that more of them are settled at a time.
LANES = 16

#: How many NICs one claim may wire: all of them are written in one transaction.
MAX_WIRES = 4096


@dataclass(frozen=True, slots=True)
class Wire:
    """A network for every claimed node.

    :param addresses: those that the NIC is to have, for one node alone
    :param nic: the NIC's name; None takes the first one that is cabled where the network is and no other wire has
    """

    network: str
    nic: str | None = None
    channel: str | None = None
    addresses: Sequence[str] = ()


@writes
def create(
    call: Call,
    *,
    count: int | None,
    nodes: Collection[str],
    criteria: Criteria,
    project: str | None,
    wires: Sequence[Wire],
) -> tuple[Sequence[Node], Operation | None]:
    """Claim nodes for a project and attach networks to them.

    :param count: how many of those that fit; None where the nodes are named
    :param nodes: which ones
    :param criteria: what those that are chosen must be
    :returns: the nodes, and the operation that wires them, None where nothing is to be wired. When one NIC cannot be
        wired that operation takes every network off again, gives the nodes back and ends in error.
    :raises exception.BadField: neither count nor nodes, or both; one NIC named by two wires; too many wires
    :raises exception.QuotaExceeded: the project may not have so many
    :raises exception.NotEnoughNodes: fewer fit
    :raises exception.NodeClaimed: one that is named is another's
    :raises: what attaching a network raises
    """
    _check_question(count, nodes, wires)
    if project is not None and project not in (call.project_id, call.context.project_name):
        call.check(rules.CLAIM, project)
    with call.writer() as session:
        owner = resolve_project(session, call, project)
        call.check(rules.CLAIM, owner)
        if criteria.availability_zone is not None:
            check_zone(session, criteria.availability_zone)
        named = _named(session, call, nodes) if nodes else []
        wanted = len(named) or count or 1
        quotas.room(session, call, owner, wanted, wanted, "nodes")
        places = places_of(session, owner, wires)
        found = named or _chosen(session, wanted, criteria, wired_as(wires, places))
        for node in found:
            if not node.claim(session, owner):
                raise not_claimed(session, node)
        operation, lanes = _wire(session, call, owner, found, wires, places) if wires else (None, set())
    for lane in sorted(lanes):
        call.services.client.wake(lane)
    return found, operation


def _check_question(count: int | None, nodes: Collection[str], wires: Sequence[Wire]) -> None:
    if (count is None) == (not nodes):
        raise exception.BadField(field="count", reason="give either a count or the nodes")
    if (count or len(nodes)) * len(wires) > MAX_WIRES:
        raise exception.BadField(field="networks", reason=f"nodes times networks must not be more than {MAX_WIRES}")
    if (count or len(nodes)) > 1:
        check_common(wires)
    check_wires(wires)


def check_wires(wires: Sequence[Wire]) -> None:
    """Check wires of one node.

    :raises exception.BadField: two name one NIC
    """
    named = Counter(wire.nic for wire in wires if wire.nic is not None)
    if twice := sorted(name for name, count in named.items() if count > 1):
        raise _named_twice(twice[0])


def _named_twice(nic: str) -> exception.BadField:
    reason = f"NIC {nic!r} is named twice: each can be wired to one network here, and to more later"
    return exception.BadField(field="networks", reason=reason)


def check_common(wires: Sequence[Wire]) -> None:
    """Check wires that are for several nodes.

    :raises exception.BadField: one has addresses
    """
    if any(wire.addresses for wire in wires):
        raise exception.BadField(field="networks", reason="an address is one NIC's: several nodes cannot have it")


def _named(session: orm.Session, call: Call, nodes: Collection[str]) -> list[Node]:
    # In one order, whoever asks: two claims of the same nodes must not wait for each other's locks.
    found = sorted((visible_node(session, call, ident) for ident in set(nodes)), key=lambda node: node.id)
    if len({node.id for node in found}) != len(found):
        raise exception.BadField(field="nodes", reason="a node is named twice")
    return found


def places_of(session: orm.Session, owner: str, wires: Sequence[Wire]) -> Mapping[str, str]:
    """The physical networks of the networks that a project wants; what it may not use is left out."""
    found = {}
    for network in {wire.network for wire in wires}:
        with contextlib.suppress(exception.NotFound, exception.NameAmbiguous):  # said when it is to be attached
            found[network] = find_network(session, network, owner, usable_by(owner)).physical_network
    return found


def wired_as(wires: Sequence[Wire], places: Mapping[str, str]) -> list[sa.ColumnElement[bool]]:
    """The conditions for nodes that are cabled for this."""
    return wirable([(places[wire.network], wire.nic) for wire in wires if wire.network in places])


def _chosen(
    session: orm.Session, count: int, criteria: Criteria, fitting: Sequence[sa.ColumnElement[bool]]
) -> list[Node]:
    found = Node.choose(session, count, criteria, (), *fitting, least=count)
    if len(found) < count:  # one that does not fit says what it lacks
        found = Node.choose(session, count, criteria, least=count)
    if len(found) < count:
        raise exception.NotEnoughNodes(wanted=count, found=len(found))
    return found


def _wire(
    session: orm.Session,
    call: Call,
    owner: str,
    nodes: Sequence[Node],
    wires: Sequence[Wire],
    places: Mapping[str, str],
) -> tuple[Operation, set[str]]:
    uuid = uuidutils.generate_uuid()
    lane = f"claims:{int(uuid[0], 16) % LANES}"
    parent = journal(
        session,
        call,
        "claim",
        lane,
        pending_key=f"claim:{uuid}",
        project_id=owner,
        busy=exception.Busy(kind="claim", name=uuid),
        payload={"nodes": [{"uuid": node.uuid, "name": node.name} for node in nodes]},
    )
    lanes = {lane}
    for node in nodes:
        lanes |= wire_node(session, call, node, wires, places, parent.id)
    return parent, lanes


def in_order(wires: Sequence[Wire]) -> list[Wire]:
    """The order in which a node is wired: who names a NIC has it first."""
    return sorted(wires, key=lambda wire: wire.nic is None)


def wire_node(
    session: orm.Session, call: Call, node: Node, wires: Sequence[Wire], places: Mapping[str, str], parent_id: int
) -> set[str]:
    """Attach networks to a node on behalf of an operation. Returns the lanes that have work now.

    :param places: see :func:`places_of`
    :raises exception.BadField: one NIC is named twice, by its name and its uuid
    :raises: what :func:`.attachments.attach` raises
    """
    taken: set[int] = set()
    lanes = set()
    for wire in in_order(wires):
        nic = _nic_for(session, node, wire, places.get(wire.network), taken)
        if nic.id in taken:
            raise _named_twice(nic.name)
        taken.add(nic.id)
        lanes.add(attach(session, call, node, nic, wire.network, wire.channel, parent_id, wire.addresses).lane)
    return lanes


def _nic_for(session: orm.Session, node: Node, wire: Wire, place: str | None, taken: Collection[int]) -> Nic:
    nics, ports, switches = models.Nic, models.Port, models.Switch
    if wire.nic is not None:
        return Nic.get(session, wire.nic, nics.node_id == node.id)
    cabled = sa.exists().where(ports.nic_id == nics.id)
    free = Nic.find(session, nics.node_id == node.id, nics.id.not_in(taken), cabled)
    if not free:
        raise exception.NotCabled(f"Node {node.name!r} has no free cabled NIC for network {wire.network!r}.")
    query = sa.select(ports.nic_id).join(switches, switches.id == ports.switch_id)
    query = query.where(ports.nic_id.in_([nic.id for nic in free]), switches.physical_network == place)
    there = set(session.scalars(query))
    return min(free, key=lambda nic: (nic.id not in there, nic.name))
