# SPDX-License-Identifier: Apache-2.0
"""The lock of an instance, for every verb that changes the instance or what is beneath it.

What a verb finds unlocked stays so until its transaction ends: whoever locks the instance waits for it, and whoever
comes after finds the lock.
"""

from __future__ import annotations

from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.db import models
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from mogan_hil.policies import base as rules
from mogan_hil.verbs.base import Call


def check_node(session: orm.Session, call: Call, node: Node, *, settled: bool = True) -> None:
    """Refuse a change of a node whose instance is locked, or is being made or unmade.

    :param settled: whether the change would disturb that
    :raises exception.InstanceLocked: it is locked, and the caller may not override it
    :raises exception.InstanceState: it is being built or deleted
    """
    for instance in Instance.find(session, models.Instance.node_id == node.id, lock="update"):
        check_instance(call, instance)
        if settled and instance.status in states.INSTANCE_UNSETTLED:
            raise exception.InstanceState(name=instance.name, status=str(instance.status), event="be changed beneath")


def check_instance(call: Call, instance: Instance) -> None:
    """Refuse a change of a locked instance. The caller has its row locked.

    :raises exception.InstanceLocked: it is, and the caller may not override it
    """
    holder = instance.locked_by
    if not call.allows(rules.WRITABLE, instance.project_id, locked_by=holder or "nobody"):
        raise exception.InstanceLocked(name=instance.name, holder=holder)
