# SPDX-License-Identifier: Apache-2.0
"""Are instances on or off as they are said to be? Somebody may have switched a node by hand.

What is found is written down and never put right: whoever switched it wanted it so. Nothing is written while anything
is being done on the node or the instance, nor if anything was begun since the node was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.conductor.instances import locked_instance
from mogan_hil.conductor.locks import Locks
from mogan_hil.conductor.sync import Sync
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.obm.base import Power, Turning
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)

#: What is wrong with an instance in this state whose node is so.
FOUND: Mapping[tuple[states.Instance, Power | Turning], states.Event] = {
    (states.Instance.ACTIVE, Power.OFF): states.Event.FOUND_OFF,
    (states.Instance.STOPPED, Power.ON): states.Event.FOUND_ON,
}


class PowerSync(Sync[tuple[Instance, Node]]):
    """Asks the node of each instance that nothing is done on, once a round.

    :param power: asks a node
    """

    NAME = "power-sync"
    ASKED = "Node"

    def __init__(self, database: Database, locks: Locks, power: Callable[[Node], Power | Turning]) -> None:
        super().__init__(database, locks)
        self._power = power

    def _all(self, session: orm.Session) -> Sequence[tuple[Instance, Node]]:
        return _settled(session)

    def _name(self, thing: tuple[Instance, Node]) -> str:
        return thing[1].name

    def _look(self, thing: tuple[Instance, Node]) -> None:
        instance, node = thing
        with self._database.reader() as session:
            last = _last(session, node)
            # What is not over when it is asked may be over when the answer is written.
            if Operation.open_keys(session, _keys(instance, node)):
                return
        event = FOUND.get((instance.status, self._power(node)))
        if event is not None:
            self._write(instance, node, last, event)

    def _write(self, seen: Instance, node: Node, last: int | None, event: states.Event) -> None:
        with self._database.writer() as session:
            instance = locked_instance(session, seen.uuid)
            if instance is None or (instance.status, instance.node_id) != (seen.status, node.id):
                return
            if _last(session, node) != last or Operation.open_keys(session, _keys(instance, node)):
                return
            try:
                instance.move(session, event, overrides_lock=True)
            except exception.InstanceState:
                return
        LOG.warning("Instance %s was %s by somebody else", seen.name, "switched " + event.removeprefix("found-"))


def _keys(instance: Instance, node: Node) -> list[str]:
    """What is held by whoever does something with an instance or its node."""
    return [instance.pending_key, instance.deletion_key, node.obm_key, node.deploy_lane]


def _settled(session: orm.Session) -> list[tuple[Instance, Node]]:
    """The instances that are on or off for good, with nodes that can be asked."""
    nodes, instances = models.Node, models.Instance
    query = (
        sa.select(instances, nodes)
        .join(nodes, nodes.id == instances.node_id)
        .where(
            instances.status.in_([state for state, _ in FOUND]),
            nodes.obm_driver.is_not(None),
            nodes.obm_enabled.is_(True),
            sa.or_(nodes.unsettled_until.is_(None), nodes.unsettled_until <= models.now()),
        )
        .order_by(instances.id)
    )
    return [(Instance.from_row(row[0]), Node.from_row(row[1])) for row in session.execute(query)]


def _last(session: orm.Session, node: Node) -> int | None:
    """The latest operation on a node: if there is another one later, what was seen may be what it made."""
    rows = models.Operation
    latest: int | None = session.scalar(sa.select(sa.func.max(rows.id)).where(rows.node == node.uuid))
    return latest
