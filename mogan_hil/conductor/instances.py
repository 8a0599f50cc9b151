# SPDX-License-Identifier: Apache-2.0
"""The lanes on which instances are watched over: each operation on one is a :class:`.sagas.Saga`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oslo_db import api as db_retry
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.conductor.sagas import Saga, fault, keep
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation

#: Seconds until it is tried again what somebody else's operation on the node hindered.
BUSY = 0.5

#: Runs a step again when the database gave up its transaction for another's.
_again = db_retry.wrap_db_retry(max_retries=20, retry_interval=0.02, max_retry_interval=0.5, retry_on_deadlock=True)


class InstanceLane:
    """Does instance_create, instance_delete, instance_power and instance_rebuild. See :class:`.lanes.Handler`.

    :param wake: told of the lanes of the operations that it begins
    """

    def __init__(self, database: Database, wake: Callable[[str], None]) -> None:
        self._database = database
        self._wake = wake

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        for operation in operations:
            for other in self._step(operation):
                self._wake(other)

    def _step(self, operation: Operation) -> set[str]:
        try:
            lanes: set[str] = _again(self._advance)(operation)
            return lanes
        except exception.Busy:  # somebody began something on the node just now
            with self._database.writer() as session:
                keep(operation.wait(session, BUSY))
            return set()

    def _advance(self, operation: Operation) -> set[str]:
        mine = operation.obj_clone()  # the next try begins with what was read
        with self._database.writer() as session:
            instance = _locked(session, operation.payload["instance_uuid"])
            if instance is None:
                reason = "The instance was removed."
                keep(mine.fail(session, reason, reason))
                return set()
            lanes = Saga(session, mine, instance).advance()
        operation.state = mine.state
        return lanes

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`: no state of an instance lasts longer than its operation."""
        instance = _locked(session, operation.payload["instance_uuid"])
        if instance is not None and (instance.status, states.Event.ABANDON) in states.INSTANCE_NEXT:
            what = fault(operation.error or "", operation)
            instance.move(session, states.Event.ABANDON, overrides_lock=True, fault=what)

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`."""
        instance = _locked(session, operation.payload["instance_uuid"])
        if instance is not None:
            instance.back(session, states.Instance(operation.payload["before"]))

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`. Instances touch no device themselves."""


def _locked(session: orm.Session, uuid: str) -> Instance | None:
    """The instance, with its node locked before it, as the verbs do."""
    for seen in Instance.find(session, models.Instance.uuid == uuid):
        Node.find(session, models.Node.id == seen.node_id, lock="update")
    found = Instance.find(session, models.Instance.uuid == uuid, lock="update")
    return found[0] if found else None
