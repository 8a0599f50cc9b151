# SPDX-License-Identifier: Apache-2.0
"""Claims of several nodes with their networks: all of them, or none.

The claim waits for the operations that attach its networks. When one of them fails it takes the other networks off
again and gives the nodes back. It may be begun anew at any point: what to do next follows from what the journal has.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.conductor.lanes import keep
from mogan_hil.db import models
from mogan_hil.db.api import Database, again
from mogan_hil.objects.network import Attachment
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.release import Releases

LOG = log.getLogger(__name__)

#: Seconds between two looks, should the wake-up of the last attachment be lost.
PATIENCE = 5.0


class ClaimLane:
    """Does claim. See :class:`.lanes.Handler`.

    :param releases: where nodes go that are given back
    :param wake: told of lanes that have to take networks off
    """

    def __init__(self, database: Database, releases: Releases, wake: Callable[[str], None]) -> None:
        self._database = database
        self._releases = releases
        self._wake = wake

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        for operation in operations:
            for other in self._step(operation):
                self._wake(other)

    def _step(self, operation: Operation) -> set[str]:
        try:
            lanes: set[str] = again(self._advance)(operation)
            return lanes
        except exception.Busy:  # somebody began something on one of the NICs just now
            again(self._wait)(operation)
            return set()

    def _advance(self, operation: Operation) -> set[str]:
        mine = copy.copy(operation)  # the next try begins with what was read
        with self._database.writer() as session:
            lanes = _advance(session, mine, self._releases)
        operation.state = mine.state
        return lanes

    def _wait(self, operation: Operation) -> None:
        with self._database.writer() as session:
            keep(operation.wait(session, PATIENCE))

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`. The nodes stay with the project, which may release them."""

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`. Claims are on nodes without instances."""

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`. Claims touch no device."""


def _advance(session: orm.Session, claim: Operation, releases: Releases) -> set[str]:
    """One step. Returns the lanes that have work now.

    :raises exception.Busy: somebody else began something on one of the NICs at the same moment
    """
    children = Operation.children(session, claim.id)
    failed = [child for child in children if child.verb == "attach" and child.state == states.Operation.ERROR]
    if any(child.state in states.OPERATION_OPEN for child in children):
        keep(claim.wait(session, PATIENCE))
        return set()
    if not failed:
        keep(claim.finish(session, verified=all(child.verified for child in children)))
        return set()
    lanes, busy = _take_off(session, claim, children)
    if lanes or busy or _in_use(session, claim):
        keep(claim.wait(session, PATIENCE))
        return lanes
    kept, lanes = _give_back(session, claim, releases)
    reason = f"{failed[0].payload['node']}: {failed[0].error}"
    if kept:
        reason += f" These nodes could not be given back and still belong to the project: {', '.join(kept)}."
    keep(claim.fail(session, reason, failed[0].error_detail or reason))
    return lanes


def _take_off(session: orm.Session, claim: Operation, children: Sequence[Operation]) -> tuple[set[str], bool]:
    """Begin to take off what was attached, each once.

    :returns: the lanes that have work now, and whether something else is being done on one of the NICs
    """
    tried = {_key(child) for child in children if child.verb == "detach"}
    lanes, busy = set(), False
    for child in children:
        row = _attachment(session, child) if child.verb == "attach" else None
        if row is None:  # it never came to be, or is off again, whoever did it
            continue
        if Operation.open_keys(session, [f"nic:{row.nic_id}"]):
            busy = True
        elif _key(child) not in tried:
            _detach(session, claim, child, row)
            lanes.add(child.lane)
    return lanes, busy


def _key(child: Operation) -> tuple[str, str]:
    return child.payload["port_uuid"], child.payload["network_uuid"]


def _attachment(session: orm.Session, child: Operation) -> models.Attachment | None:
    # The NIC's key is gone from a finished operation; what it attached is found by what it was.
    query = (
        sa.select(models.Attachment)
        .join(models.Port, models.Port.nic_id == models.Attachment.nic_id)
        .join(models.Network, models.Network.id == models.Attachment.network_id)
        .where(models.Port.uuid == child.payload["port_uuid"], models.Network.uuid == child.payload["network_uuid"])
    )
    return session.scalars(query).one_or_none()


def _detach(session: orm.Session, claim: Operation, child: Operation, row: models.Attachment) -> None:
    Operation.create(
        session,
        exception.Busy(kind="NIC", name=child.payload["nic"]),
        verb="detach",
        lane=child.lane,
        state=states.Operation.PENDING,
        pending_key=f"nic:{row.nic_id}",
        parent_id=claim.id,
        request_id=claim.request_id,
        user_id=claim.user_id,
        project_id=claim.project_id,
        node=child.node,
        payload=child.payload,
    )
    Attachment.move(session, [row.id], states.Attachment.ACTIVE, states.Attachment.DETACHING)


def _in_use(session: orm.Session, claim: Operation) -> bool:
    """Whether somebody does something on a node that is to be given back: it must not reach who has it next."""
    uuids = [item["uuid"] for item in claim.payload["nodes"]]
    nodes = Node.find(
        session, models.Node.uuid.in_(uuids), models.Node.project_id == (claim.project_id or ""), lock="update"
    )
    keys = [key for node in nodes for key in node.keys(session)]
    return bool(Operation.open_keys(session, keys)) or any(node.unsettled for node in nodes)


def _give_back(session: orm.Session, claim: Operation, releases: Releases) -> tuple[list[str], set[str]]:
    """Release the nodes.

    :returns: the names of those that something is still attached to, and the lanes that have work now
    """
    kept: list[str] = []
    lanes: set[str] = set()
    for item in claim.payload["nodes"]:
        found = Node.find(session, models.Node.uuid == item["uuid"], lock="update")
        if not found or found[0].project_id != claim.project_id or claim.project_id is None:
            continue
        attached = sa.select(models.Attachment.id).join(models.Nic).where(models.Nic.node_id == found[0].id).limit(1)
        if session.scalar(attached) is not None:
            kept.append(found[0].name)
        else:
            lanes |= releases.give_back(session, found[0], claim.project_id, claim.request_id, claim.user_id)
    return kept, lanes
