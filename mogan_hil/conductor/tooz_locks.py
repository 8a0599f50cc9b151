# SPDX-License-Identifier: Apache-2.0
"""The locks of a driver of tooz: files, or a server such as etcd.

tooz has a thread of its own that keeps locks alive. It tells each second that a server does not answer, and a
conductor could not stop while it waits for one; so that is done here.
"""

from __future__ import annotations

import threading
from typing import Any

import tooz
from oslo_log import log
from tooz import coordination, locking

LOG = log.getLogger(__name__)

#: Seconds between two tries to reach a server that does not answer.
PAUSE = 1.0

#: Seconds that the end waits for an answer that is under way.
PATIENCE = 10.0


class ToozLocks:
    """See :class:`.locks.Locks`.

    While the server that has them does not answer nobody is given a lock: work waits for it. That is said once when it
    begins and once when it is over, however often it is tried meanwhile.

    :param url: see https://docs.openstack.org/tooz/latest/user/drivers.html
    """

    def __init__(self, url: str, me: str) -> None:
        self._remote = not url.startswith("file:")
        self._coordinator = coordination.get_coordinator(url, me.encode())
        self._started = False
        self._away = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        #: Those that the server was not told of that they are let go: they would be kept alive for ever.
        self._left: list[locking.Lock] = []

    def start(self) -> None:
        """See :meth:`.locks.Locks.start`. A server that is not there yet is waited for."""
        self._ended.clear()
        if not self._remote:
            self._connect()
            return
        self._live()
        self._thread = threading.Thread(target=self._go_on, name="locks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """See :meth:`.locks.Locks.stop`."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        if self._started:
            self._started = False
            try:
                self._coordinator.stop()
            except Exception as error:  # what is held ends by itself
                LOG.warning("The server that has the locks was not told of the end: %s", error)

    def beat(self) -> None:
        """There is a thread for it."""

    def get(self, name: str) -> ToozLock:
        """See :meth:`.locks.Locks.get`."""
        return ToozLock(self, name)

    def make(self, name: str) -> locking.Lock:
        """A lock of tooz. Some drivers make none before they are connected."""
        return self._coordinator.get_lock(name.encode())

    def _connect(self) -> None:
        self._coordinator.start()
        self._started = True

    def _go_on(self) -> None:
        pause = PAUSE
        while not self._ended.wait(pause):
            pause = self._live()

    def _live(self) -> float:
        """Say that we live, once. Returns the seconds until it is to be said again."""
        pause = PAUSE
        try:
            if not self._started:
                self._connect()
            if self._coordinator.requires_beating:
                pause = (self._coordinator.heartbeat() or PAUSE) / 3
            while self._left:
                self._left[0].release()
                del self._left[0]
        except Exception as error:  # drivers of tooz raise whatever their clients do
            self.trouble(error)
            return PAUSE
        self.well()
        return pause

    @property
    def ready(self) -> bool:
        """Whether the server was reached."""
        return self._started

    def trouble(self, error: Exception) -> None:
        """The server does not answer."""
        if not self._away:
            LOG.warning("The server that has the locks does not answer; work waits for it: %s", error)
        self._away = True

    def well(self) -> None:
        """The server answers."""
        if self._away:
            LOG.warning("The server that has the locks answers again")
        self._away = False

    def leave(self, lock: locking.Lock) -> None:
        """Let a lock go as soon as the server answers."""
        self._left.append(lock)


class ToozLock:
    """See :class:`.locks.Lock`."""

    def __init__(self, locks: ToozLocks, name: str) -> None:
        self._locks = locks
        self._name = name
        self._lock: Any = None  # every driver has its own class, with `acquired`

    @property
    def acquired(self) -> bool:
        """See :attr:`.locks.Lock.acquired`."""
        return self._lock is not None and bool(self._lock.acquired)

    def acquire(self, blocking: bool) -> bool:
        """See :meth:`.locks.Lock.acquire`. While the server is away nobody is given it."""
        if not self._locks.ready:
            return False
        if self._lock is None:
            self._lock = self._locks.make(self._name)
        try:
            return bool(self._lock.acquire(blocking=blocking))
        except tooz.ToozError as error:
            self._locks.trouble(error)
            return False

    def release(self) -> bool:
        """See :meth:`.locks.Lock.release`."""
        if self._lock is None:
            return False
        try:
            return bool(self._lock.release())
        except tooz.ToozError:
            self._locks.leave(self._lock)
            raise
