# SPDX-License-Identifier: Apache-2.0
"""The lanes on which instances are watched over: each operation on one is a saga."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.conductor.builds import Build
from mogan_hil.conductor.lanes import keep
from mogan_hil.conductor.sagas import Change, Deletion, Saga, fault
from mogan_hil.conductor.steps import Steps
from mogan_hil.db import models
from mogan_hil.db.api import Database, again, when_committed
from mogan_hil.drivers.ipam.base import Ipam
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.release import Releases

#: Seconds until it is tried again what somebody else's operation on the node hindered.
BUSY = 0.5

SAGAS: Mapping[str, type[Saga]] = {
    "instance_create": Build,
    "instance_delete": Deletion,
    "instance_power": Change,
    "instance_rebuild": Change,
}


class InstanceLane:
    """Does what `SAGAS` has. See :class:`.lanes.Handler`.

    :param steps: what the operations are made of
    :param ipam: chooses the addresses on another node
    :param releases: where nodes go that are given back
    :param wake: told of the lanes of the operations that it begins
    """

    def __init__(
        self, database: Database, steps: Steps, ipam: Ipam, releases: Releases, wake: Callable[[str], None]
    ) -> None:
        self._database = database
        self._steps = steps
        self._ipam = ipam
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
        except (exception.Busy, exception.NotEnoughNodes):  # somebody began something on the node, or holds those left
            again(self._wait)(operation)
            return set()

    def _wait(self, operation: Operation) -> None:
        with self._database.writer() as session:
            keep(operation.wait(session, BUSY))

    def _advance(self, operation: Operation) -> set[str]:
        mine = operation.obj_clone()  # the next try begins with what was read
        with self._database.writer() as session:
            instance = locked_instance(session, operation.payload["instance_uuid"])
            if instance is None:
                reason = "The instance was removed."
                keep(mine.fail(session, reason, reason))
                return set()
            saga = SAGAS[operation.verb](session, mine, instance, self._steps, self._ipam, self._releases)
            lanes = saga.advance()
        operation.state = mine.state
        return lanes

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`: no state of an instance lasts longer than its operation."""
        instance = locked_instance(session, operation.payload["instance_uuid"])
        if instance is None or (instance.status == states.Instance.DELETING and operation.verb != "instance_delete"):
            return  # it was deleted meanwhile, which is another operation
        if (instance.status, states.Event.ABANDON) in states.INSTANCE_NEXT:
            what = fault(operation.error or "", operation)
            instance.move(session, states.Event.ABANDON, overrides_lock=True, fault=what)
            self._offer_again(session, operation, instance)

    def _offer_again(self, session: orm.Session, operation: Operation, instance: Instance) -> None:
        """After a rebuild: have the node offered its own image again, in place of the one that did not come to be its.

        It is an operation of its own, behind whatever the rebuild has begun on the lane and nobody waits for any more.
        It holds the instance as the rebuild did, so that a deletion takes the offer away after it, and not before.
        """
        if operation.payload.get("image") is None:
            return
        for node in Node.find(session, models.Node.id == instance.node_id):
            for step in self._steps.offer(node):
                Operation.create(
                    session,
                    verb=step.verb,
                    lane=step.lane,
                    state=states.Operation.PENDING,
                    pending_key=instance.pending_key,
                    request_id=operation.request_id,
                    user_id=operation.user_id,
                    project_id=operation.project_id,
                    node=node.uuid,
                    overrides_lock=True,
                    payload={"node": node.name, "instance_uuid": instance.uuid},
                )
                when_committed(session, functools.partial(self._wake, step.lane))

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`."""
        instance = locked_instance(session, operation.payload["instance_uuid"])
        if instance is None:
            return
        before = states.Instance(operation.payload["before"])
        if before == states.Instance.BUILDING and not Operation.open_keys(session, [instance.pending_key]):
            before = states.Instance.ERROR  # the build gave up meanwhile
        instance.back(session, before)

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`. Instances touch no device themselves."""


def locked_instance(session: orm.Session, uuid: str) -> Instance | None:
    """The instance, with its node locked before it, as the verbs do."""
    for seen in Instance.find(session, models.Instance.uuid == uuid):
        Node.find(session, models.Node.id == seen.node_id, lock="update")
    found = Instance.find(session, models.Instance.uuid == uuid, lock="update")
    return found[0] if found else None
