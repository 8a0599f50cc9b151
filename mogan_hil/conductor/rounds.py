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
from mogan_hil.conductor.lanes import Lanes
from mogan_hil.conductor.observer import Observer, Watchers, system_operation
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError
from mogan_hil.objects.port import Port
from mogan_hil.objects.switch import Switch

LOG = log.getLogger(__name__)

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
        tasks: list[tuple[Callable[[], None], tuple[()], dict[str, object]]] = [
            (_every(conf.conductor.sweep_interval, lanes.sweep), (), {}),
            (_every(conf.conductor.poll_interval, self._poll), (), {}),
        ]
        self._worker = periodics.PeriodicWorker(tasks, executor_factory=lambda: ThreadPoolExecutor(len(tasks)))

    def start(self) -> None:
        """Begin with a round of each at once."""
        threading.Thread(target=self._worker.start, name="rounds", daemon=True).start()
        threading.Thread(target=self._keep_watch, name="watches", daemon=True).start()

    def hear(self, lane: str) -> None:
        """A lane was mentioned: if it is a switch that nobody told of yet, watch it soon."""
        if lane.startswith("switch:") and lane not in self._known:
            self._known.add(lane)
            self._news.set()

    def stop(self) -> None:
        """Finish the rounds that are being made."""
        self._stopped = True
        self._news.set()
        self._worker.stop()
        self._worker.wait()

    def _keep_watch(self) -> None:
        while not self._stopped:
            self._news.clear()
            try:
                self._watchers.refresh(self._switches())
            except Exception:  # the next look must come
                LOG.exception("The switches to watch could not be gone through")
            self._news.wait(self._settings.sweep_interval)

    def _switches(self) -> list[Switch]:
        with self._database.reader() as session:
            return Switch.find(session)

    def _poll(self) -> None:
        for switch in self._switches():
            if not self._watchers.watches(switch):
                try:
                    self._observer.observe(switch)
                except DriverError as error:
                    LOG.warning("Switch %(name)s: %(error)s", {"name": switch.name, "error": error.operator})
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
                written = system_operation(session, switch, "port_mend", port.pending_key, payload)
            if written:
                self._lanes.wake(switch.lane)


def _every(seconds: float, task: Callable[[], None]) -> Callable[[], None]:
    @periodics.periodic(seconds, run_immediately=True)
    def round_() -> None:
        try:
            task()
        except Exception:  # the next round must come
            LOG.exception("A round failed")

    return round_
