# SPDX-License-Identifier: Apache-2.0
"""How many requests of a process may wait for devices at a time, so that others are answered meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Waits:
    """The places of those who wait. Nobody waits for a place.

    :param places: how many there are, at least one
    """

    def __init__(self, places: int) -> None:
        self._free = threading.BoundedSemaphore(places)

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """A place for as long as the block lasts; False if all are taken."""
        got = self._free.acquire(blocking=False)
        try:
            yield got
        finally:
            if got:
                self._free.release()
