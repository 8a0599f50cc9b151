# SPDX-License-Identifier: Apache-2.0
"""Drift: notice what was changed behind the service's back.

A switch that pushes its changes is watched by whichever conductor has its lock; the others are polled. What is seen is
written to the ports' rows only where nothing else wrote to them since it was asked for, so that an old look never hides
a newer one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import exception, metrics, states
from mogan_hil.conductor import ports as port_rules
from mogan_hil.conductor.devices import Device, Switches
from mogan_hil.conductor.failures import log_failure
from mogan_hil.conductor.locks import Lock, Locks, release
from mogan_hil.conductor.ports import Target
from mogan_hil.db import models
from mogan_hil.db.api import Database, again
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.switch.base import READ, WATCH, PortState, SwitchDriver, Watch
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.switch import Switch

LOG = log.getLogger(__name__)

#: Seconds until a reported port is looked at again: one that something else was working on, and one of a switch that
#: could not be asked. Nothing reports it a second time.
AGAIN = 0.2
AFTER_ERROR = 5.0
#: Switches that are connected to at a time.
AT_ONCE = 8


class Observer:
    """Looks at switches, on its own connections: it never waits for a lane, and no lane waits for it.

    :param wake: told of lanes that have to heal
    """

    def __init__(
        self, conf: cfg.ConfigOpts, database: Database, switches: Switches, wake: Callable[[str], None]
    ) -> None:
        self._heals = conf.conductor.on_drift == "heal"
        self._database = database
        self._switches = switches
        self._wake = wake

    def observe(self, switch: Switch, names: Collection[str] | None = None) -> set[str]:
        """Look at a switch and write down what is there.

        :param names: these ports only
        :returns: the ports that something else was working on, so that nothing could be said of them yet
        :raises DriverError: it could not be asked
        """
        device = self._switches.get(switch)
        if READ not in device.driver.capabilities:
            return set()
        idle, busy = self._idle(switch, names)
        if not idle:
            return busy
        seen = device.guard.call(device.driver.read, list(idle))
        wrong = set()
        for name, target in idle.items():
            state = seen.get(name)
            in_sync = state is not None and state.matches(target.config)
            if not again(self._write)(switch, target, state, in_sync):
                busy.add(name)
            elif not in_sync and target.port.status != states.Port.ERROR:  # those in error are mended anyway
                wrong.add(name)
        if self._heals:
            if wrong and not again(self._heal)(switch):
                busy |= wrong
        else:
            again(self._close)(switch, [idle[name] for name in wrong if not idle[name].config.enabled])
        return busy

    def _close(self, switch: Switch, opened: Collection[Target]) -> None:
        """A port that is not in use is closed again whatever the configuration says: that undoes nobody's work."""
        for target in opened:
            payload: dict[str, object] = {
                "port_uuid": target.port.uuid,
                "port": target.port.name,
                "switch": switch.name,
            }
            with self._database.writer() as session:
                system_operation(session, switch, "port_mend", target.port.pending_key, payload)
        if opened:
            self._wake(switch.lane)

    def device(self, switch: Switch) -> Device[SwitchDriver]:
        """The observer's own connection to a switch.

        :raises DriverError: its driver is not installed here
        """
        return self._switches.get(switch)

    def _idle(self, switch: Switch, names: Collection[str] | None) -> tuple[Mapping[str, Target], set[str]]:
        where: list[sa.ColumnElement[bool]] = [models.Port.switch_id == switch.id]
        if names is not None:
            where.append(models.Port.name.in_(names))
        with self._database.reader() as session:
            wanted = port_rules.targets(session, *where)
            busy = Operation.open_keys(session, [target.port.pending_key for target in wanted])
        free = [target for target in wanted if target.port.pending_key not in busy]
        idle = {target.port.name: target for target in free if target.port.status != states.Port.NEW}
        return idle, {target.port.name for target in wanted if target.port.pending_key in busy}

    def _write(self, switch: Switch, target: Target, state: PortState | None, in_sync: bool) -> bool:
        """Returns False if somebody else wrote meanwhile: nothing is written then."""
        port = target.port
        found = port_rules.observed(state)
        news = (found, in_sync) != (port.observed, port.in_sync)
        if in_sync and not news:
            return True
        with self._database.writer() as session:
            if Operation.open_keys(session, [port.pending_key]):  # it was begun since, and may be what was seen
                return False
            if not port.update(session, port.as_seen(), observed=found, in_sync=in_sync, observed_at=models.now()):
                return False
        if not news:  # written all the same: a heal that is under way must not take it for healed
            return True
        (metrics.DRIFT_HEALED if in_sync else metrics.DRIFT_FOUND).inc()
        if in_sync:
            LOG.info("Port %(port)s of switch %(switch)s is right again", {"port": port.name, "switch": switch.name})
            return True
        LOG.warning(
            "Port %(port)s of switch %(switch)s was changed by somebody else: it should be %(wanted)s and is %(state)s",
            {
                "port": port.name,
                "switch": switch.name,
                "wanted": PortState(target.config.native, target.config.tagged, target.config.enabled),
                "state": state or "not there",
            },
        )
        return True

    def _heal(self, switch: Switch) -> bool:
        """Returns False if the switch is being healed already, and may have been read for it too early."""
        with self._database.writer() as session:
            if not system_operation(session, switch, "switch_heal", switch.lane, {"switch": switch.name}):
                return False
        self._wake(switch.lane)
        return True


def system_operation(
    session: orm.Session, device: Switch | Node, verb: str, pending_key: str, payload: dict[str, object], **more: Any
) -> bool:
    """Write an operation that nobody asked for, unless one is open on the same thing.

    :param more: further columns
    :returns: whether it was written
    """
    if Operation.open_keys(session, [pending_key]):
        return False
    values: dict[str, Any] = {"verb": verb, "lane": device.lane, "pending_key": pending_key, "payload": payload}
    try:
        with session.begin_nested():
            Operation.create(session, state=states.Operation.PENDING, **values, **more)
    except exception.Duplicate:  # somebody was quicker
        return False
    return True


class Watcher:
    """One watched switch: a subscription, and a thread that looks at what it reports."""

    def __init__(self, observer: Observer, switch: Switch, lock: Lock) -> None:
        self._observer = observer
        self.switch = switch
        self._lock = lock
        self._changed: set[str] = set()
        self._changes = threading.Lock()
        self._wanted = threading.Event()
        self._closed = False
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._look, name=f"watch {switch.name}", daemon=True)

    def start(self) -> None:
        """Subscribe.

        :raises DriverError: the switch could not be asked
        """
        device = self._observer.device(self.switch)
        self._watch = device.guard.call(device.driver.watch, self._tell)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the switch still reports, and no other conductor may have begun to watch it."""
        return self._watch is not None and self._watch.alive and self._lock.acquired

    def close(self) -> None:
        """End the subscription, and leave the switch to other conductors."""
        self._closed = True
        self._wanted.set()
        if self._watch is not None:
            self._watch.close()
        release(self._lock, f"watch:{self.switch.uuid}")

    def join(self) -> None:
        """Wait, after :meth:`close`, until what is being looked at is written down. Calls of drivers have limits."""
        self._thread.join()

    def _tell(self, names: Collection[str]) -> None:
        with self._changes:
            self._changed.update(names)
        self._wanted.set()

    def _look(self) -> None:
        pause: float | None = None
        while not self._closed:
            self._wanted.wait(pause)
            self._wanted.clear()
            with self._changes:
                names, self._changed = self._changed, set()
            pause = None
            if self._closed or not names:
                continue
            again, pause = self._observe(names)
            with self._changes:
                self._changed |= again

    def _observe(self, names: set[str]) -> tuple[set[str], float | None]:
        """Returns what is to be looked at again, and after how many seconds."""
        try:
            again = self._observer.observe(self.switch, names)
        except DriverError as error:
            LOG.warning("%(switch)s: %(error)s", {"switch": self.switch.name, "error": error.operator})
            return names, AFTER_ERROR
        except Exception:  # the thread must go on
            log_failure(LOG, "Switch %s could not be looked at", self.switch.name)
            return names, AFTER_ERROR
        return again, AGAIN if again else None


class Watchers:
    """Every switch that this conductor watches.

    :param locks: they say which conductor watches which switch
    """

    def __init__(self, observer: Observer, locks: Locks) -> None:
        self._observer = observer
        self._locks = locks
        self._watchers: dict[str, Watcher] = {}
        self._lock = threading.Lock()

    def refresh(self, switches: Collection[Switch]) -> None:
        """Watch what is new, and let go of what was removed, changed or fell silent."""
        current = {switch.uuid: switch for switch in switches}
        with self._lock:
            for uuid, watcher in list(self._watchers.items()):
                switch = current.get(uuid)
                if switch is None or switch.generation != watcher.switch.generation or not watcher.alive:
                    self._watchers.pop(uuid).close()
            new = [switch for uuid, switch in current.items() if uuid not in self._watchers]
            with ThreadPoolExecutor(AT_ONCE, "watch") as pool:  # one that does not answer keeps no other waiting
                list(pool.map(self._begin, new))

    def _begin(self, switch: Switch) -> None:
        try:
            if WATCH not in self._observer.device(switch).driver.capabilities:
                return
            lock = self._locks.get(f"watch:{switch.uuid}")
            if not lock.acquire(blocking=False):
                return
            watcher = Watcher(self._observer, switch, lock)
            try:
                watcher.start()
            except BaseException:
                release(lock, f"watch:{switch.uuid}")
                raise
            self._watchers[switch.uuid] = watcher
        except DriverError as error:
            LOG.warning("Switch %(name)s cannot be watched: %(error)s", {"name": switch.name, "error": error.operator})
        except Exception:  # the others are to be watched
            log_failure(LOG, "Switch %s cannot be watched", switch.name)

    def watches(self, switch: Switch) -> bool:
        """Whether this conductor is told of a switch's changes."""
        return switch.uuid in self._watchers

    def close(self) -> None:
        """Let go of all. Nothing is written any more when this returns."""
        with self._lock:
            closed = list(self._watchers.values())
            self._watchers.clear()
            for watcher in closed:
                watcher.close()
        for watcher in closed:
            watcher.join()
