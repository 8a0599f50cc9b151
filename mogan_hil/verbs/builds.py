# SPDX-License-Identifier: Apache-2.0
"""Builds: instances that are to be. All that are asked for are begun, or none; each is then built by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.db import models
from mogan_hil.drivers.obm.base import BOOT_DEVICE
from mogan_hil.objects.instance import Flavor, Instance
from mogan_hil.objects.node import Criteria, Node, obedient
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.server_group import ServerGroup, Where
from mogan_hil.policies import instance as rules
from mogan_hil.verbs import configurations, quotas
from mogan_hil.verbs.aggregates import check_zone
from mogan_hil.verbs.base import Call, not_claimed, resolve_project, visible_node, writes
from mogan_hil.verbs.claims import Wire, check_common, check_wires, in_order, places_of, wire_node, wired_as
from mogan_hil.verbs.flavors import visible_flavor
from mogan_hil.verbs.instances import begin
from mogan_hil.verbs.obm import check_controller

#: So many nodes that do not fit, and cannot be known not to beforehand, are passed over before a choice is given up.
UNFIT = 20

#: What one node lacks and another may have.
NOT_THERE = (
    exception.NotFound,
    exception.NotCabled,
    exception.WrongPhysicalNetwork,
    exception.NoObm,
    exception.ObmDisabled,
)
UNFITTING = (exception.NodeClaimed, *NOT_THERE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What instances are to be.

    :param node: a named node; None takes one that fits
    :param boot_device: what it boots from the first time; None leaves that as it is
    :param availability_zone: None takes the configured one, and if there is none any, for a node that is not named
    """

    name: str
    description: str = ""
    flavor: str | None = None
    node: str | None = None
    wires: Sequence[Wire] = ()
    boot_device: str | None = None
    availability_zone: str | None = None
    server_group: str | None = None
    wish: configurations.Wish = field(default_factory=configurations.Wish)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What node each of them takes.

    :param fitting: the conditions for those that have what is known to be needed
    :param places: see :func:`.claims.places_of`
    """

    flavor: Flavor | None
    criteria: Criteria
    group: ServerGroup | None
    places: Mapping[str, str]
    fitting: Sequence[sa.ColumnElement[bool]] = ()
    single: bool = True


@dataclass(frozen=True, slots=True)
class _Build:
    instance: Instance
    operation: Operation
    lanes: frozenset[str]


@writes
def create(
    call: Call, wanted: Wanted, project: str | None, min_count: int, max_count: int
) -> tuple[Sequence[Instance], Sequence[Operation], str | None]:
    """Begin to create instances: at least `min_count` of them, or none. Each may still fail by itself.

    :param project: the owner; the caller's own project if None
    :returns: the instances; the operations that build them, each of which tries other nodes when one fails; and the
        password of their administrators, if it was generated, which is kept nowhere
    :raises exception.BadField: neither a flavor nor a node is named; or several instances on one node; or one NIC by
        two wires; or they are to be given what cannot be
    :raises exception.NotFound: there is no such flavor, node, network, availability zone, server group, image,
        keypair or project
    :raises exception.FlavorDisabled: nobody gets it now
    :raises exception.NotEnoughNodes: fewer than `min_count` nodes fit
    :raises exception.QuotaExceeded: the project may not have `min_count` more; of up to `max_count` it gets
        what it may have
    :raises exception.NodeClaimed: the named node is another's
    :raises exception.NodeElsewhere: the named node is not where the instance, or its server group, is wanted
    :raises exception.NoObm: no node can be told what to boot from
    :raises exception.Duplicate: the project has an instance of this name
    :raises: what attaching a network raises
    """
    if (wanted.flavor is None) == (wanted.node is None):
        raise exception.BadField(field="flavor", reason="name either a flavor or a node")
    if wanted.node is not None and max_count > 1:
        raise exception.BadField(field="max_count", reason="one node holds one instance")
    check_wires(wanted.wires)
    if max_count > 1:
        check_common(wanted.wires)
    configurations.check(wanted.wish)
    own = project in (None, call.project_id, call.context.project_name)
    if call.project_id is not None or not own:
        call.check(rules.CREATE, call.project_id if own else project)
    password_hash, password = configurations.hashed(wanted.wish)
    with call.writer() as session:
        owner = resolve_project(session, call, project)
        call.check(rules.CREATE, owner)
        if wanted.availability_zone is not None:
            check_zone(session, wanted.availability_zone)
        gift = configurations.gift(session, call, wanted.wish, owner, password_hash)
        single = max_count == 1
        max_count = quotas.room(session, call, owner, min_count, max_count, "instances", "nodes")
        if wanted.node is not None:
            found = [_on_named(session, call, wanted, owner)]
        else:
            found = _on_chosen(session, call, wanted, owner, single, min_count, max_count)
        for build in found:
            gift.give(session, build.instance)
    for lane in sorted({lane for build in found for lane in build.lanes}):
        call.services.client.wake(lane)
    return [build.instance for build in found], [build.operation for build in found], password


def _on_named(session: orm.Session, call: Call, wanted: Wanted, owner: str) -> _Build:
    node = visible_node(session, call, wanted.node or "", lock="update")
    group = _group(session, wanted, owner)
    if wanted.availability_zone not in (None, node.availability_zone):
        raise exception.NodeElsewhere(name=node.name, where=f"in availability zone {wanted.availability_zone!r}")
    if group is not None and not Node.find(session, models.Node.id == node.id, *group.fits(session)):
        raise exception.NodeElsewhere(name=node.name, where=f"where server group {group.name!r} lets it be")
    if not node.claim(session, owner):
        raise not_claimed(session, node)
    kind = _Kind(None, Criteria(), group, places_of(session, owner, wanted.wires))
    return _begin(session, call, wanted, wanted.name, owner, kind, node)


def _group(session: orm.Session, wanted: Wanted, owner: str) -> ServerGroup | None:
    if wanted.server_group is None:
        return None
    return ServerGroup.get(session, wanted.server_group, models.ServerGroup.project_id == owner, lock="update")


def _on_chosen(
    session: orm.Session, call: Call, wanted: Wanted, owner: str, single: bool, min_count: int, max_count: int
) -> list[_Build]:
    flavor = visible_flavor(session, call, wanted.flavor or "")
    if flavor.disabled:  # only who may see it hears of it
        raise exception.FlavorDisabled(name=flavor.name)
    zone = wanted.availability_zone or call.services.conf.default_availability_zone
    criteria = Criteria(flavor.resource_class, flavor.traits, zone, flavor.aggregate_metadata)
    group = _group(session, wanted, owner)
    places = places_of(session, owner, wanted.wires)
    fitting = [*wired_as(wanted.wires, places), *(obedient() if wanted.boot_device is not None else [])]
    kind = _Kind(flavor, criteria, group, places, fitting, single)
    why: exception.MoganHilError | None = None
    for where in group.beginnings(session, criteria) if group else [[]]:
        try:
            with session.begin_nested():
                return _fill(session, call, wanted, owner, kind, where, min_count, max_count)
        except (exception.NotEnoughNodes, *UNFITTING) as error:
            why = why or error
    raise why or exception.NotEnoughNodes(wanted=min_count, found=0)


def _fill(
    session: orm.Session,
    call: Call,
    wanted: Wanted,
    owner: str,
    kind: _Kind,
    where: Where,
    min_count: int,
    max_count: int,
) -> list[_Build]:
    """Take nodes that fit; one that cannot be wired as wanted is passed over."""
    found: list[_Build] = []
    unfit: list[int] = []
    why: exception.MoganHilError | None = None
    fitting = kind.fitting
    while len(found) < max_count and len(unfit) < UNFIT:
        among = [*where, *fitting, *(kind.group.fits(session) if kind.group else [])]
        count, least = max_count - len(found), max(min_count - len(found), 0)
        if kind.group:  # each changes where it lets the next be
            count, least = 1, min(least, 1)
        nodes = Node.choose(session, count, kind.criteria, unfit, *among, least=least)
        for node in nodes:
            name = wanted.name if kind.single else f"{wanted.name}-{len(found) + 1}"
            try:
                with session.begin_nested():
                    if not node.claim(session, owner):
                        raise exception.NodeClaimed(name=node.name)
                    found.append(_begin(session, call, wanted, name, owner, kind, node))
            except UNFITTING as error:
                unfit.append(node.id)
                why = error
        if not nodes:
            if not fitting or len(found) >= min_count:
                break
            fitting = ()  # one that does not fit says what it lacks
    if len(found) < min_count:
        raise why or exception.NotEnoughNodes(wanted=min_count, found=len(found))
    return found


def _begin(session: orm.Session, call: Call, wanted: Wanted, name: str, owner: str, kind: _Kind, node: Node) -> _Build:
    if wanted.boot_device is not None:
        check_controller(call, node, BOOT_DEVICE)
    instance = Instance.create(
        session,
        uuid=uuidutils.generate_uuid(),
        name=name,
        description=wanted.description,
        project_id=owner,
        user_id=call.context.user_id or "",
        flavor_id=kind.flavor.id if kind.flavor else None,
        node_id=node.id,
        server_group_id=kind.group.id if kind.group else None,
        status=states.Instance.BUILDING,
        details={},
    )
    wires = in_order(wanted.wires)
    payload = {
        "networks": [
            {"network": wire.network, "nic": wire.nic, "channel": wire.channel, "addresses": list(wire.addresses)}
            for wire in wires
        ],
        "boot_device": wanted.boot_device,
        "round": 0,
        **kind.criteria.payload(),
    }
    # A lock that is laid meanwhile is for what comes after the build.
    operation = begin(session, call, "instance_create", instance, payload, node.uuid, overrides_lock=True)
    lanes = wire_node(session, call, node, wires, kind.places, operation.id)
    return _Build(instance, operation, frozenset({operation.lane, *lanes}))
