# SPDX-License-Identifier: Apache-2.0
"""Claims of several nodes with their networks: all of them, or none.

The claim waits for the operations that attach its networks. When one of them fails it takes the other networks off
again and gives the nodes back. It may be begun anew at any point: what to do next follows from what the journal has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.conductor.lanes import Lost
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.objects.network import Attachment
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)

#: Seconds between two looks, should the wake-up of the last attachment be lost.
PATIENCE = 5.0


class ClaimLane:
    """Does claim. See :class:`.lanes.Handler`.

    :param wake: told of lanes that have to take networks off
    """

    def __init__(self, database: Database, wake: Callable[[str], None]) -> None:
        self._database = database
        self._wake = wake

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        for operation in operations:
            with self._database.writer() as session:
                lanes = _advance(session, operation)
            for other in lanes:
                self._wake(other)


def _advance(session: orm.Session, claim: Operation) -> set[str]:
    """One step. Returns the lanes that have work now."""
    children = Operation.children(session, claim.id)
    failed = [child for child in children if child.verb == "attach" and child.state == states.Operation.ERROR]
    if any(child.state in states.OPERATION_OPEN for child in children):
        _keep(claim.wait(session, PATIENCE))
        return set()
    if not failed:
        _keep(claim.finish(session, verified=all(child.verified for child in children)))
        return set()
    undone = {_key(child) for child in children if child.verb == "detach"}
    left = [child for child in children if child.verb == "attach" and child.state == states.Operation.DONE]
    todo = [child for child in left if _key(child) not in undone]
    if todo:
        lanes = {lane for child in todo if (lane := _detach(session, claim, child)) is not None}
        _keep(claim.wait(session, PATIENCE if lanes else 0))
        return lanes
    kept = _give_back(session, claim)
    reason = f"{failed[0].payload['node']}: {failed[0].error}"
    if kept:
        reason += f" These nodes could not be given back and still belong to the project: {', '.join(kept)}."
    _keep(claim.fail(session, reason, failed[0].error_detail or reason))
    return set()


def _key(child: Operation) -> tuple[str, str]:
    return child.payload["port_uuid"], child.payload["network_uuid"]


def _detach(session: orm.Session, claim: Operation, child: Operation) -> str | None:
    # The NIC's key is gone from a finished operation; what it attached is found by what it was.
    query = (
        sa.select(models.Attachment)
        .join(models.Port, models.Port.nic_id == models.Attachment.nic_id)
        .join(models.Network, models.Network.id == models.Attachment.network_id)
        .where(
            models.Port.uuid == child.payload["port_uuid"],
            models.Network.uuid == child.payload["network_uuid"],
            models.Attachment.status == states.Attachment.ACTIVE,
        )
    )
    row = session.scalars(query).one_or_none()
    pending_key = f"nic:{row.nic_id}" if row is not None else None
    if row is None or pending_key is None or Operation.open_keys(session, [pending_key]):
        return None
    Operation.create(
        session,
        verb="detach",
        lane=child.lane,
        state=states.Operation.PENDING,
        pending_key=pending_key,
        parent_id=claim.id,
        request_id=claim.request_id,
        user_id=claim.user_id,
        project_id=claim.project_id,
        node=child.node,
        payload=child.payload,
    )
    Attachment.move(session, [row.id], states.Attachment.ACTIVE, states.Attachment.DETACHING)
    return child.lane


def _give_back(session: orm.Session, claim: Operation) -> list[str]:
    """Release the nodes. Returns the names of those that something is still attached to."""
    kept = []
    for item in claim.payload["nodes"]:
        found = Node.find(session, models.Node.uuid == item["uuid"], lock="update")
        if not found or found[0].project_id != claim.project_id or claim.project_id is None:
            continue
        attached = sa.select(models.Attachment.id).join(models.Nic).where(models.Nic.node_id == found[0].id).limit(1)
        if session.scalar(attached) is not None:
            kept.append(found[0].name)
        else:
            found[0].release(session, claim.project_id)
    return kept


def _keep(mine: bool) -> None:
    if not mine:
        raise Lost
