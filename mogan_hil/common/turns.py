# SPDX-License-Identifier: Apache-2.0
"""Questions that many ask at once: they are asked one after another, and whoever waits is told by the same answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class Turns(Generic[K, R]):
    """Asks each thing one question at a time.

    Who comes while it is being asked waits for the next answer, together with all others who come until then: an answer
    is never older than the question. So one asks and one is next, however many want to know.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By thing: the answer that is being asked for, and the one that will be.
        self._asked: dict[K, Future[R]] = {}
        self._next: dict[K, Future[R]] = {}

    def ask(self, thing: K, question: Callable[[float], R], timeout: float) -> R:
        """The answer to a question that was begun after this call.

        :param question: the same for the same thing, whoever asks; it is given the seconds that are left
        :param timeout: seconds to wait for the answer, and for the turn before
        :raises TimeoutError: there was none in time
        :raises Exception: what the question raised
        """
        with self._lock:
            turn, before = self._next.get(thing), self._asked.get(thing)
            if mine := turn is None:
                turn = self._next[thing] = Future()
        assert turn is not None
        if mine:
            self._take(thing, turn, before, question, timeout)
        return turn.result(timeout)

    def _take(
        self, thing: K, turn: Future[R], before: Future[R] | None, question: Callable[[float], R], timeout: float
    ) -> None:
        end = time.monotonic() + timeout
        try:
            if before is not None:
                before.exception(timeout)
            with self._lock:
                self._asked[thing] = self._next.pop(thing)
            turn.set_result(question(max(0.1, end - time.monotonic())))
        except BaseException as error:  # whoever waits has to be told
            turn.set_exception(error)
        finally:
            with self._lock:
                for turns in (self._next, self._asked):
                    if turns.get(thing) is turn:
                        del turns[thing]
