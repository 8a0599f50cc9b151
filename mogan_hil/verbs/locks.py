# SPDX-License-Identifier: Apache-2.0
"""The lock of an instance, for every verb that changes the instance or what is beneath it.

What a verb finds unlocked stays so until its transaction ends: whoever locks the instance waits for it, and whoever
comes after finds the lock.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from mogan_hil.policies import base as rules
from mogan_hil.verbs.base import Call


def check_node(session: orm.Session, call: Call, node: Node) -> None:
    """Refuse a change of a node whose instance is locked.

    :raises exception.InstanceLocked: it is, and the caller may not override it
    """
    check_nodes(session, call, [models.Node.id == node.id])


def check_nodes(session: orm.Session, call: Call, where: Collection[sa.ColumnElement[bool]]) -> None:
    """Refuse a change of nodes of which one has a locked instance; see :func:`check_node`.

    :param where: the conditions for the nodes
    """
    nodes = sa.select(models.Node.id).where(*where)
    for instance in Instance.find(session, models.Instance.node_id.in_(nodes), lock="update"):
        check_instance(call, instance)


def check_instance(call: Call, instance: Instance) -> None:
    """Refuse a change of a locked instance. The caller has its row locked.

    :raises exception.InstanceLocked: it is, and the caller may not override it
    """
    holder = instance.locked_by
    if not call.allows(rules.WRITABLE, instance.project_id, locked_by=holder or "nobody"):
        raise exception.InstanceLocked(name=instance.name, holder=holder)
