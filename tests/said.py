# SPDX-License-Identifier: Apache-2.0
"""What is logged, for tests."""

from __future__ import annotations

import io
import logging
import threading

import fixtures


class Said(fixtures.Fixture):
    """Takes the place of a logger's handlers.

    It may be read while others write, which :class:`fixtures.FakeLogger` cannot stand: who reads moves the place where
    the next line is written. What threads say that were there before is not heard: an earlier test's may be ending yet.

    :param name: of the logger; the root's as a rule
    :param level: that the logger has meanwhile
    """

    def __init__(self, name: str = "", level: int = logging.INFO) -> None:
        super().__init__()
        self._name = name
        self._level = level

    def _setUp(self) -> None:
        earlier = set(threading.enumerate()) - {threading.current_thread()}
        self._text = io.StringIO()
        handler = logging.StreamHandler(self._text)
        handler.addFilter(lambda _record: threading.current_thread() not in earlier)
        self.useFixture(fixtures.LogHandler(handler, name=self._name, level=self._level))

    @property
    def output(self) -> str:
        """All of it, a line each."""
        return self._text.getvalue()
