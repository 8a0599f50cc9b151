# SPDX-License-Identifier: Apache-2.0
"""Builds: instances that are to be, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oslo_utils import uuidutils
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.objects.instance import Flavor, Instance
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import instance as rules
from mogan_hil.verbs.base import Call, resolve_project, visible_node, writes
from mogan_hil.verbs.claims import Wire, wire_node
from mogan_hil.verbs.flavors import visible_flavor
from mogan_hil.verbs.instances import begin


@dataclass(frozen=True, slots=True)
class Wanted:
    """What instances are to be.

    :param node: a named node; None takes one that fits
    :param boot_device: what it boots from the first time; None leaves that as it is
    """

    name: str
    description: str = ""
    flavor: str | None = None
    node: str | None = None
    wires: Sequence[Wire] = ()
    boot_device: str | None = None


@writes
def create(
    call: Call, wanted: Wanted, project: str | None, min_count: int, max_count: int
) -> tuple[Sequence[Instance], Sequence[Operation]]:
    """Create instances: at least `min_count` of them, or none.

    :param project: the owner; the caller's own project if None
    :returns: the instances, each with the operation that builds it. One that fails is tried on other nodes.
    :raises exception.BadField: neither a flavor nor a node is named; or several instances on one node
    :raises exception.NotFound: there is no such flavor, node, network or project
    :raises exception.NotEnoughNodes: fewer than `min_count` nodes fit
    :raises exception.NodeClaimed: the named node is another's
    :raises exception.Duplicate: the project has an instance of this name
    :raises: what attaching a network raises
    """
    if (wanted.flavor is None) == (wanted.node is None):
        raise exception.BadField(field="flavor", reason="name either a flavor or a node")
    if wanted.node is not None and max_count > 1:
        raise exception.BadField(field="max_count", reason="one node holds one instance")
    if project is not None and project not in (call.project_id, call.context.project_name):
        call.check(rules.CREATE, project)
    with call.writer() as session:
        owner = resolve_project(session, call, project)
        call.check(rules.CREATE, owner)
        flavor, nodes = _nodes(session, call, wanted, owner, min_count, max_count)
        found = [
            _begin(session, call, wanted, owner, flavor, node, index, max_count) for index, node in enumerate(nodes)
        ]
    for lane in sorted({lane for _, _, lanes in found for lane in lanes}):
        call.services.client.wake(lane)
    return [item[0] for item in found], [item[1] for item in found]


def _nodes(
    session: orm.Session, call: Call, wanted: Wanted, owner: str, min_count: int, max_count: int
) -> tuple[Flavor | None, list[Node]]:
    if wanted.node is not None:
        node = visible_node(session, call, wanted.node, lock="update")
        if not node.claim(session, owner):
            raise (
                exception.NodeUnavailable(name=node.name) if node.maintenance else exception.NodeClaimed(name=node.name)
            )
        return None, [node]
    flavor = visible_flavor(session, call, wanted.flavor or "")
    nodes = Node.choose(session, max_count, flavor.resource_class, flavor.traits)
    if len(nodes) < min_count:
        raise exception.NotEnoughNodes(wanted=min_count, found=len(nodes))
    for node in nodes:
        if not node.claim(session, owner):
            raise exception.NodeClaimed(name=node.name)
    return flavor, nodes


def _begin(
    session: orm.Session,
    call: Call,
    wanted: Wanted,
    owner: str,
    flavor: Flavor | None,
    node: Node,
    index: int,
    count: int,
) -> tuple[Instance, Operation, set[str]]:
    name = wanted.name if count == 1 else f"{wanted.name}-{index + 1}"
    instance = Instance.create(
        session,
        uuid=uuidutils.generate_uuid(),
        name=name,
        description=wanted.description,
        project_id=owner,
        user_id=call.context.user_id or "",
        flavor_id=flavor.id if flavor else None,
        node_id=node.id,
        status=states.Instance.BUILDING,
        details={},
    )
    operation = begin(
        session,
        call,
        "instance_create",
        instance,
        {
            "networks": [{"network": wire.network, "nic": wire.nic, "channel": wire.channel} for wire in wanted.wires],
            "boot_device": wanted.boot_device,
            "round": 0,
            "resource_class": flavor.resource_class if flavor else None,
            "traits": flavor.traits if flavor else [],
        },
        node.uuid,
    )
    return instance, operation, {operation.lane, *wire_node(session, call, node, wanted.wires, operation.id)}
