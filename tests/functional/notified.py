# SPDX-License-Identifier: Apache-2.0
"""What a service within the test's process tells."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from oslo_messaging.notify import _impl_test
from sqlalchemy import orm

from mogan_hil.db.api import Database
from tests import service

SETTINGS: Mapping[tuple[str, str], Any] = {
    ("oslo_messaging_notifications", "driver"): ["test"],
    ("notifications", "stop_timeout"): 60.0,  # for which it is waited that all is told
}


def names(messages: Sequence[dict[str, Any]]) -> list[str]:
    """The types of events."""
    return [message["event_type"] for message in messages]


def data(message: dict[str, Any]) -> dict[str, Any]:
    """The fields of a payload."""
    return dict(message["payload"]["mogan_hil_object.data"])


class _Writers:
    """Who writes to a database just now. What somebody has committed can be read a moment before it is told."""

    def __init__(self, database: Database) -> None:
        self._write = database.writer
        self._busy: set[object] = set()
        self._left = threading.Condition()
        database.writer = self.writer  # type: ignore[method-assign]

    @classmethod
    def of(cls, database: Database) -> _Writers:
        """Those of a database, the same ones whoever asks."""
        known = getattr(database.writer, "__self__", None)
        return known if isinstance(known, cls) else cls(database)

    @contextlib.contextmanager
    def writer(self) -> Iterator[orm.Session]:
        """See :meth:`mogan_hil.db.api.Database.writer`."""
        me = object()
        with self._left:
            self._busy.add(me)
        try:
            with self._write() as session:
                yield session
        finally:
            with self._left:
                self._busy.discard(me)
                self._left.notify_all()

    def wait(self) -> None:
        """Until all are done that write now."""
        with self._left:
            now = set(self._busy)
            if not self._left.wait_for(lambda: now.isdisjoint(self._busy), service.WAIT):
                raise AssertionError("somebody does not end to write")


class Told:
    """The notifications of a service that has `SETTINGS`. To be made before anything is asked of the service."""

    def __init__(self, served: service.Embedded) -> None:
        self._served = served
        self._writers = _Writers.of(served.database)
        self._all: list[dict[str, Any]] = []
        self.new()

    def new(self) -> list[dict[str, Any]]:
        """What was told since it was last asked, of all that is committed when this is asked."""
        self._writers.wait()
        self._served.database.listener.flush()  # type: ignore[union-attr]
        count = len(_impl_test.NOTIFICATIONS)
        found = [message for _, message, _, _ in _impl_test.NOTIFICATIONS[:count]]
        del _impl_test.NOTIFICATIONS[:count]
        self._all += found
        return found

    def all(self) -> list[dict[str, Any]]:
        """Everything that was told."""
        self.new()
        return self._all

    def until(self, name: str, condition: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Wait until something is told; returns the fields of its payload."""
        end = time.monotonic() + service.WAIT
        while time.monotonic() < end:
            for message in self.all():
                if message["event_type"] == name and condition(data(message)):
                    return data(message)
            time.sleep(0.05)
        raise AssertionError(f"{name} was not told, but {names(self._all)}")
