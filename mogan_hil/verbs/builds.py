# SPDX-License-Identifier: Apache-2.0
"""Builds: instances that are to be, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oslo_utils import uuidutils
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.drivers.obm.base import BOOT_DEVICE
from mogan_hil.objects.instance import Flavor, Instance
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import instance as rules
from mogan_hil.verbs.base import Call, not_claimed, resolve_project, visible_node, writes
from mogan_hil.verbs.claims import Wire, in_order, wire_node
from mogan_hil.verbs.flavors import visible_flavor
from mogan_hil.verbs.instances import begin
from mogan_hil.verbs.obm import check_controller

#: So many nodes that do not fit are passed over before a choice is given up.
UNFIT = 20

#: What one node lacks and another may have.
NOT_THERE = (
    exception.NotFound,
    exception.NotCabled,
    exception.WrongPhysicalNetwork,
    exception.NoObm,
    exception.ObmDisabled,
)


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


@dataclass(frozen=True, slots=True)
class _Build:
    instance: Instance
    operation: Operation
    lanes: frozenset[str]


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
    :raises exception.NoObm: no node can be told what to boot from
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
        if wanted.node is not None:
            found = [_on_named(session, call, wanted, owner)]
        else:
            found = _on_chosen(session, call, wanted, owner, min_count, max_count)
    for lane in sorted({lane for build in found for lane in build.lanes}):
        call.services.client.wake(lane)
    return [build.instance for build in found], [build.operation for build in found]


def _on_named(session: orm.Session, call: Call, wanted: Wanted, owner: str) -> _Build:
    node = visible_node(session, call, wanted.node or "", lock="update")
    if not node.claim(session, owner):
        raise not_claimed(session, node)
    return _begin(session, call, wanted, wanted.name, owner, None, node)


def _on_chosen(
    session: orm.Session, call: Call, wanted: Wanted, owner: str, min_count: int, max_count: int
) -> list[_Build]:
    """Take nodes that fit; one that cannot be wired as wanted is passed over."""
    flavor = visible_flavor(session, call, wanted.flavor or "")
    found: list[_Build] = []
    unfit: list[int] = []
    why: exception.MoganHilError | None = None
    while len(found) < max_count and len(unfit) < UNFIT:
        nodes = Node.choose(session, max_count - len(found), flavor.resource_class, flavor.traits, unfit)
        for node in nodes:
            name = wanted.name if max_count == 1 else f"{wanted.name}-{len(found) + 1}"
            try:
                with session.begin_nested():
                    if not node.claim(session, owner):
                        raise exception.NodeClaimed(name=node.name)
                    found.append(_begin(session, call, wanted, name, owner, flavor, node))
            except (exception.NodeClaimed, *NOT_THERE) as error:
                unfit.append(node.id)
                why = error
        if not nodes:
            break
    if len(found) < min_count:
        raise why or exception.NotEnoughNodes(wanted=min_count, found=len(found))
    return found


def _begin(
    session: orm.Session, call: Call, wanted: Wanted, name: str, owner: str, flavor: Flavor | None, node: Node
) -> _Build:
    if wanted.boot_device is not None:
        check_controller(call, node, BOOT_DEVICE)
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
    wires = in_order(wanted.wires)
    payload = {
        "networks": [{"network": wire.network, "nic": wire.nic, "channel": wire.channel} for wire in wires],
        "boot_device": wanted.boot_device,
        "round": 0,
        "resource_class": flavor.resource_class if flavor else None,
        "traits": flavor.traits if flavor else [],
    }
    # A lock that is laid meanwhile is for what comes after the build.
    operation = begin(session, call, "instance_create", instance, payload, node.uuid, overrides_lock=True)
    lanes = wire_node(session, call, node, wires, operation.id)
    return _Build(instance, operation, frozenset({operation.lane, *lanes}))
