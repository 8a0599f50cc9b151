# SPDX-License-Identifier: Apache-2.0
"""Lanes: take one, drain it, let it go.

What a lane has to do stands in the journal. Whoever hears of it takes the lane's lock, and does everything that is
open, oldest first, also what a conductor left behind that died. Nobody waits for a lock: the one that has it looks at
the journal once more after letting go, so that nothing which was written meanwhile is overlooked.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from oslo_config import cfg
from oslo_db import exception as db_exception
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.conductor.failures import log_failure
from mogan_hil.conductor.locks import Locks, release
from mogan_hil.db.api import Database, again
from mogan_hil.drivers.base import DriverError
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)

UNEXPECTED = "The service failed unexpectedly; its operators find the reason in the log."
LOCKED = "The instance was locked before this was begun."
GAVE_UP = "The service stopped {attempts} times while it worked on this."


class Handler(Protocol):
    """Does the operations of one sort of lane."""

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """Bring each of these to an end, or postpone it. Those that are not `running` any more are to be passed over.

        :raises Exception: anything; then each is tried alone, and the one that fails alone ends in error
        """

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """Write down what is to be put right after an operation that ended in error without `run` having seen to it."""

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """Take back the intent of an operation that nothing was done for, since its instance was locked meanwhile."""

    def recheck(self, lane: str) -> None:
        """See to what this conductor may have done on a lane after another one had taken it over."""


class Lost(Exception):
    """Another conductor has taken the lane over: what was done here may not be written."""


def keep(mine: bool) -> None:
    """Go on only with what may be written.

    :param mine: what :meth:`.Operation.finish` and the like said
    :raises Lost: another conductor has the operation now
    """
    if not mine:
        raise Lost


def put_off(
    database: Database,
    settings: cfg.ConfigOpts.GroupAttr,
    operation: Operation,
    error: DriverError,
    also: Callable[[orm.Session], None] | None = None,
) -> None:
    """Try an operation again later if its error may pass, a bounded number of times; else end it in error.

    :param settings: the group `conductor` of the configuration
    :param also: what else is to be written down when it ends in error
    :raises Lost: another conductor has the operation now
    """
    said = {"uuid": operation.uuid, "error": error.operator}
    with database.writer() as session:
        if error.transient and operation.attempts < settings.max_attempts:
            LOG.warning("Operation %(uuid)s waits: %(error)s", said)
            seconds = min(settings.retry_delay * 2 ** (operation.attempts - 1), settings.max_retry_delay)
            keep(operation.postpone(session, seconds, error.user, error.operator))
        else:
            LOG.error("Operation %(uuid)s failed: %(error)s", said)
            keep(operation.fail(session, error.user, error.operator))
            if also is not None:
                also(session)


class Lanes:
    """The lanes that this conductor works on.

    :param handlers: by the part of a lane's name before the colon
    :param me: this conductor, unlike any other and unlike itself after a restart
    """

    def __init__(
        self, conf: cfg.ConfigOpts, database: Database, locks: Locks, handlers: Mapping[str, Handler], me: str
    ) -> None:
        self._settings = conf.conductor
        self._database = database
        self._locks = locks
        self._handlers = handlers
        self._me = me
        # One for each sort of lane: however many controllers do not answer, switches are worked on, and the reverse.
        self._pools = {kind: ThreadPoolExecutor(conf.conductor.workers, f"{kind}-lane") for kind in handlers}
        self._stray = ThreadPoolExecutor(1, "stray")  # what no handler is for comes to an end too
        self._busy: dict[str, bool] = {}
        self._timers: dict[str, threading.Timer] = {}
        self._lock = threading.Lock()
        self._stopped = True

    def start(self) -> None:
        """From now on work on the lanes that are told of."""
        self._stopped = False

    def wake(self, lane: str) -> None:
        """Work on a lane soon. Never waits."""
        with self._lock:
            if self._stopped:
                return
            if lane in self._busy:
                self._busy[lane] = True
                return
            self._busy[lane] = False
            self._pools.get(_kind(lane), self._stray).submit(self._work, lane)

    def sweep(self) -> None:
        """Wake every lane with open work."""
        with self._database.reader() as session:
            lanes = Operation.lanes(session)
        for lane in lanes:
            self.wake(lane)

    def stop(self) -> None:
        """Finish what is being done, and begin nothing more."""
        with self._lock:
            self._stopped = True
            for timer in self._timers.values():
                timer.cancel()
        for pool in (*self._pools.values(), self._stray):
            pool.shutdown(wait=True)

    def _work(self, lane: str) -> None:
        while True:
            try:
                while self._take(lane) and self._more(lane):
                    pass
            except Lost:
                self._lost(lane)
            except Exception:  # the sweep comes back to it
                log_failure(LOG, "Work on lane %s was interrupted", lane)
            with self._lock:
                if self._stopped or not self._busy[lane]:
                    del self._busy[lane]
                    return
                self._busy[lane] = False

    def _lost(self, lane: str) -> None:
        LOG.warning("Lane %s was taken over by another conductor", lane)
        try:
            self._handlers[_kind(lane)].recheck(lane)
        except Exception:  # the rounds find it too, later
            log_failure(LOG, "Lane %s could not be checked", lane)

    def _more(self, lane: str) -> bool:
        with self._database.reader() as session:
            seconds = Operation.next_due(session, lane)
        if seconds is None or self._stopped:
            return False
        if seconds > 0:
            self._wake_after(seconds, lane)
            return False
        return True

    def _wake_after(self, seconds: float, lane: str) -> None:
        timer = threading.Timer(seconds, self._due, (lane,))
        timer.daemon = True
        with self._lock:
            earlier = self._timers.pop(lane, None)
            if earlier is not None:
                earlier.cancel()
            self._timers[lane] = timer
        timer.start()

    def _due(self, lane: str) -> None:
        with self._lock:
            self._timers.pop(lane, None)
        self.wake(lane)

    def _take(self, lane: str) -> bool:
        lock = self._locks.get(lane)
        if not lock.acquire(blocking=False):
            return False
        try:
            self._drain(lane)
        finally:
            release(lock, lane)
        return True

    def _drain(self, lane: str) -> None:
        while not self._stopped:
            with self._database.reader() as session:
                operations = Operation.due(session, lane, self._settings.batch_size)
            if not operations:
                return
            tried = [operation for operation in operations if operation.attempts]
            self._begin(lane, [operation for operation in operations if not operation.attempts])
            # What was interrupted once may have been the cause: it is begun alone, so that no other is to blame again.
            for operation in tried:
                if not self._stopped:
                    self._begin(lane, [operation])

    def _begin(self, lane: str, operations: Sequence[Operation]) -> None:
        if operations:
            begun = again(self._mark)(lane, operations)
            self._run(lane, begun)
            self._tell_parents(begun)

    def _mark(self, lane: str, operations: Sequence[Operation]) -> list[Operation]:
        """Write down that these are begun. Returns them as they are then, some of them refused.

        The lock is asked a second time, before a device is touched. Whoever locks an instance from now on waits until
        it is written down that the operation was begun.
        """
        begun = [copy.copy(operation) for operation in operations]  # the next try begins with what was read
        bound = [item for item in begun if item.node and not item.overrides_lock and item.result is None]
        with self._database.writer() as session:
            nodes = {item.node for item in bound if item.node and item.attempts == 0}
            locked = Instance.locked_nodes(session, nodes) if nodes else set()
            Operation.begin(session, begun, self._me)
            for item in bound:
                if item.node in locked:
                    self._refuse(session, lane, item)
        return begun

    def _refuse(self, session: orm.Session, lane: str, operation: Operation) -> None:
        operation.fail(session, LOCKED, LOCKED)
        try:
            self._handlers[_kind(lane)].withdraw(session, operation)
        except db_exception.DBError:
            raise
        except Exception:  # whatever else is wrong, it must come to an end
            LOG.exception("What operation %s wanted could not be taken back", operation.uuid)

    def _run(self, lane: str, operations: Sequence[Operation]) -> None:
        operations = [operation for operation in operations if operation.state == states.Operation.RUNNING]
        if not operations:
            return
        try:
            if operations[0].attempts > self._settings.max_attempts + 1:
                self._give_up(lane, operations[0])
            else:
                self._handlers[_kind(lane)].run(lane, operations)
        except (Lost, db_exception.DBError):
            raise
        except Exception as error:
            LOG.exception("Operations %s failed unexpectedly", [operation.uuid for operation in operations])
            if len(operations) == 1:
                self._abandon(lane, operations[0], UNEXPECTED, repr(error))
                return
            for operation in operations:
                self._run(lane, [operation])

    def _tell_parents(self, operations: Sequence[Operation]) -> None:
        """Those who waited for one of these go on."""
        ended = (states.Operation.DONE, states.Operation.ERROR)
        for operation in operations:
            if operation.parent_id is not None and operation.state in ended:
                with self._database.writer() as session:
                    lane = Operation.hasten(session, operation.parent_id)
                if lane is not None:
                    self.wake(lane)

    def _give_up(self, lane: str, operation: Operation) -> None:
        LOG.error("Operation %s was interrupted too often and is given up", operation.uuid)
        reason = GAVE_UP.format(attempts=operation.attempts - 1)
        self._abandon(lane, operation, reason, reason)

    def _abandon(self, lane: str, operation: Operation, error: str, detail: str) -> None:
        try:
            with self._database.writer() as session:
                if operation.fail(session, error, detail):
                    self._handlers[_kind(lane)].abandon(session, operation)
        except db_exception.DBError:
            raise
        except Exception:  # whatever else is wrong, it must come to an end
            LOG.exception("What operation %s left behind is not known", operation.uuid)
            with self._database.writer() as session:
                operation.fail(session, error, detail)


def _kind(lane: str) -> str:
    return lane.partition(":")[0]
