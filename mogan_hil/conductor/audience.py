# SPDX-License-Identifier: Apache-2.0
"""Those who follow a console. Everything here happens on the event loop of :mod:`.streams`."""

from __future__ import annotations

import asyncio
from collections import deque

#: Seconds that a line waits, once for each reader, for one who falls behind. A slow one holds up nobody after that.
GRACE = 0.25
#: What stands in a stream in place of what was left out.
GAP = "\r\n[... {size} bytes left out: you read too slowly ...]\r\n"


class Reader:
    """One who follows: a queue with a bound.

    :param limit: bytes that wait for a slow reader; what comes then is left out, and the stream says so
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._left_out = 0
        self._news = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self.lagged = False
        self.closed: str | None = None
        self.gone = asyncio.Event()

    def put(self, data: bytes) -> None:
        """Here is more."""
        if not self.room.is_set():
            self.lagged = True
            self._left_out += len(data)
            return
        self._mark_gap()
        self._append(data)

    def _append(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= self._limit:
            self.room.clear()
        self._news.set()

    def _mark_gap(self) -> None:
        if self._left_out:
            size, self._left_out = self._left_out, 0
            self._append(GAP.format(size=size).encode())

    async def get(self, patience: float | None = None) -> bytes | None:
        """The next piece; None at the end; nothing if none came within so many seconds."""
        try:
            async with asyncio.timeout(patience):
                await self._news.wait()
        except TimeoutError:
            return b""
        if self.closed is not None:
            return None
        data = self._pieces.popleft()
        self._size -= len(data)
        if self._size < self._limit:
            self.room.set()
        if not self._pieces:
            self._news.clear()
            self._mark_gap()
        return data

    def close(self, reason: str) -> None:
        """No more is to be shown, not even what waits."""
        if self.closed is None:
            self.closed = reason
            self._pieces.clear()
            self.room.set()
            self._news.set()
            self.gone.set()


class Audience:
    """All who follow one console."""

    def __init__(self) -> None:
        self.readers: set[Reader] = set()

    async def deliver(self, data: bytes) -> None:
        """Show it to everybody."""
        behind = [asyncio.ensure_future(one.room.wait()) for one in self.readers if not one.lagged]
        if behind:
            _, late = await asyncio.wait(behind, timeout=GRACE)
            for task in late:
                task.cancel()
        for one in self.readers:
            one.put(data)

    async def close(self, reason: str) -> None:
        """End every stream."""
        for one in self.readers:
            one.close(reason)
        self.readers = set()
