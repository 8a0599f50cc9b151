# SPDX-License-Identifier: Apache-2.0
"""Tells people of long work."""

from __future__ import annotations

import sys
import time


class Progress:
    """One line about long work: rewritten on a terminal, else every five seconds."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = time.monotonic()
        self._dirty = False

    def __call__(self, number: int, total: int, text: str) -> None:
        now = time.monotonic()
        if now - self._last < (0.1 if self._terminal else 5):
            return
        self._last = now
        line = f"[{number}/{total}] {text}"
        print(f"\r\033[K{line[:100]}" if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr)
        sys.stderr.flush()
        self._dirty = self._terminal

    def end(self) -> None:
        """Wipe the line."""
        if self._dirty:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self._dirty = False
