# SPDX-License-Identifier: Apache-2.0
"""Adoptions: a node becomes an instance as it is; and an instance is forgotten, its node left as it is."""

from __future__ import annotations

from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.db import models
from mogan_hil.drivers.deploy.base import OFFER
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import instance as rules
from mogan_hil.verbs import locks, quotas
from mogan_hil.verbs.base import Call, journal, not_claimed, resolve_project, visible_node, writes
from mogan_hil.verbs.instances import InstanceView, view, visible_instance


@writes
def adopt(call: Call, name: str, node: str, project: str | None = None) -> InstanceView:
    """Make an instance of a node as it is: nothing is switched, wired or booted.

    :param project: whose it is to be, which gets a node that is free; None takes that of a node that is claimed
    :raises exception.NotFound: there is no such node, or project
    :raises exception.NodeFree: it belongs to no project, and none is named
    :raises exception.NodeClaimed: it is another project's than the one that is named
    :raises exception.NodeQuarantined: it is free and may not be given away now
    :raises exception.QuotaExceeded: the project may not have one more instance, or node
    :raises exception.Conflict: it has an instance
    :raises exception.Busy: something is being done on it, or on others together with it
    :raises exception.Duplicate: its project has an instance of this name
    """
    call.check(rules.ADOPT)
    with call.writer() as session:
        found = visible_node(session, call, node, lock="update")
        owner = found.project_id if project is None else resolve_project(session, call, project)
        if owner is None:
            raise exception.NodeFree(name=found.name)
        quotas.room(session, call, owner, 1, 1, "instances", *(["nodes"] if found.project_id is None else []))
        if found.project_id != owner and not found.claim(session, owner):
            raise not_claimed(session, found)
        if Instance.find(session, models.Instance.node_id == found.id):
            raise exception.Conflict(reason=f"Node {found.name!r} has an instance already.")
        if Operation.works_on(session, found.uuid):
            raise exception.Busy(kind="node", name=found.name)
        instance = Instance.create(
            session,
            name=name,
            project_id=owner,
            user_id=call.context.user_id or "",
            node_id=found.id,
            status=states.Instance.ACTIVE,
            details={"adopted": True},
        )
        return view(session, call, instance.uuid)


@writes
def release(call: Call, ident: str) -> None:
    """Forget an instance; its node stays claimed, wired and switched as it is.

    What the node is offered to boot is taken away: it has the instance's secrets, and whoever has the node next must
    not boot it. The node is not given back before that has ended.

    :raises exception.NotFound: there is none
    :raises exception.InstanceLocked: it is locked
    :raises exception.Busy: an operation on it is not finished
    """
    call.check(rules.RELEASE)
    driver = call.services.drivers.deploy(call.services.conf.conductor.deploy_driver)
    operation = None
    with call.writer() as session:
        seen = visible_instance(session, call, ident)
        nodes = Node.find(session, models.Node.id == seen.node_id, lock="update")
        instance = visible_instance(session, call, seen.uuid, lock="update")
        locks.check_instance(call, instance)
        if Operation.open_keys(session, [instance.pending_key, instance.deletion_key]):
            raise exception.Busy(kind="instance", name=instance.name)
        if instance.node_id != seen.node_id:  # it was built elsewhere meanwhile
            raise exception.Busy(kind="instance", name=instance.name)
        if nodes and OFFER in driver.capabilities:
            operation = _undeploy(session, call, instance, nodes[0])
        instance.delete(session)
    if operation is not None:
        call.services.client.wake(operation.lane)


def _undeploy(session: orm.Session, call: Call, instance: Instance, node: Node) -> Operation:
    return journal(
        session,
        call,
        "undeploy",
        node.deploy_lane,
        pending_key=node.deploy_lane,
        busy=exception.Busy(kind="node", name=node.name),
        project_id=node.project_id,
        node=node.uuid,
        payload={"node": node.name, "instance_uuid": instance.uuid},
        overrides_lock=True,
    )
