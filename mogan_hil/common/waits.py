# SPDX-License-Identifier: Apache-2.0
"""How many requests of a process may wait for devices at a time, so that others are answered meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

#: Seconds for which somebody waits for a place: a controller that is well has answered by then, and whoever has many
#: slow ones cannot hold up the others for longer.
BRIEF = 0.5


class Waits:
    """The places of those who wait. Nobody waits long for a place.

    :param places: how many there are, at least one
    """

    def __init__(self, places: int) -> None:
        self._free = threading.BoundedSemaphore(places)

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """A place for as long as the block lasts; False if all are taken, and stay so."""
        got = self._free.acquire(timeout=BRIEF)
        try:
            yield got
        finally:
            if got:
                self._free.release()
