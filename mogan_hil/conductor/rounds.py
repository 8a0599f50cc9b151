# SPDX-License-Identifier: Apache-2.0
"""What a conductor does unasked, time and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from futurist import periodics
from oslo_config import cfg
from oslo_log import log

from mogan_hil.common import states
from mogan_hil.conductor.failures import log_failure
from mogan_hil.conductor.lanes import Lanes
from mogan_hil.conductor.observer import Observer, Watchers, system_operation
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError
from mogan_hil.objects.port import Port
from mogan_hil.objects.switch import Switch

LOG = log.getLogger(__name__)

#: Switches that are looked at at a time.
AT_ONCE = 8

#: The longest wait between two tries to mend a port, in seconds.
LONGEST_MEND = 3600.0


class Rounds:
    """Sweep the journal, look at switches that do not push, and mend ports in error."""

    def __init__(
        self, conf: cfg.ConfigOpts, database: Database, lanes: Lanes, observer: Observer, watchers: Watchers
    ) -> None:
        self._settings = conf.conductor
        self._database = database
        self._lanes = lanes
        self._observer = observer
        self._watchers = watchers
        #: By switch and port: seconds until the try after the next, and when the next may be.
        self._mends: dict[str, dict[str, tuple[float, float]]] = {}
        self._known: set[str] = set()
        self._news = threading.Event()
        self._stopped = False
        self._tasks: list[tuple[Callable[[], None], tuple[()], dict[str, object]]] = []
        self.every(conf.conductor.sweep_interval, lanes.sweep)
        self.every(conf.conductor.poll_interval, self._poll)
        self._worker: periodics.PeriodicWorker | None = None
        self._watching = threading.Thread(target=self._keep_watch, name="watches", daemon=True)

    def every(self, seconds: float, task: Callable[[], None]) -> None:
        """Do something time and again, from :meth:`start` on.

        :param seconds: between the beginnings of two rounds; 0 is never
        """
        if seconds:
            self._tasks.append((_every(seconds, task), (), {}))

    def start(self) -> None:
        """Begin with a round of each at once."""
        tasks = self._tasks
        self._worker = periodics.PeriodicWorker(tasks, executor_factory=lambda: ThreadPoolExecutor(len(tasks)))
        threading.Thread(target=self._worker.start, name="rounds", daemon=True).start()
        self._watching.start()

    def hear(self, lane: str) -> None:
        """A lane was mentioned: if it is a switch that nobody told of yet, watch it soon."""
        if lane.startswith("switch:") and lane not in self._known:
            self._known.add(lane)
            self._news.set()

    def stop(self) -> None:
        """Finish the rounds that are being made."""
        self._stopped = True
        self._news.set()
        if self._worker is not None:
            self._worker.stop()
            self._worker.wait()
            self._watching.join()  # it would else watch again what is let go of next

    def _keep_watch(self) -> None:
        while not self._stopped:
            self._news.clear()
            try:
                self._watchers.refresh(self._switches())
            except Exception:  # the next look must come
                log_failure(LOG, "The switches to watch could not be gone through")
            self._news.wait(self._settings.sweep_interval)

    def _switches(self) -> list[Switch]:
        with self._database.reader() as session:
            return Switch.find(session)

    def _poll(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, "poll") as pool:  # one that does not answer keeps no other waiting
            list(pool.map(self._poll_one, self._switches()))

    def _poll_one(self, switch: Switch) -> None:
        if not self._watchers.watches(switch):
            try:
                self._observer.observe(switch)
            except DriverError as error:
                LOG.warning("Switch %(name)s: %(error)s", {"name": switch.name, "error": error.operator})
            except Exception:  # the others are to be looked at
                log_failure(LOG, "Switch %s could not be looked at", switch.name)
        self._mend(switch)

    def _mend(self, switch: Switch) -> None:
        """Try ports in error again, at growing intervals: what is wanted of them may be possible now."""
        rows = models.Port
        with self._database.reader() as session:
            broken = Port.find(session, rows.switch_id == switch.id, rows.status == states.Port.ERROR)
        before = self._mends.get(switch.uuid, {})
        tries = {port.uuid: before.get(port.uuid, (self._settings.poll_interval, 0.0)) for port in broken}
        self._mends[switch.uuid] = tries  # one that was mended begins anew, should it fail again
        for port in broken:
            delay, after = tries[port.uuid]
            if time.monotonic() < after:
                continue
            tries[port.uuid] = (min(delay * 2, LONGEST_MEND), time.monotonic() + delay)
            payload: dict[str, object] = {"port_uuid": port.uuid, "port": port.name, "switch": switch.name}
            with self._database.writer() as session:
                # It may have come right meanwhile: whoever takes its node would find it busy for nothing.
                left = Port.find(session, rows.id == port.id, rows.status == states.Port.ERROR)
                written = bool(left) and system_operation(session, switch, "port_mend", port.pending_key, payload)
            if written:
                self._lanes.wake(switch.lane)


def _every(seconds: float, task: Callable[[], None]) -> Callable[[], None]:
    @periodics.periodic(seconds, run_immediately=True)
    def round_() -> None:
        try:
            task()
        except Exception:  # the next round must come
            log_failure(LOG, "The round %s failed", getattr(task, "__qualname__", task))

    return round_
