# SPDX-License-Identifier: Apache-2.0
"""Questions that many ask at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import testtools

from mogan_hil.common.turns import Turns

#: Seconds for what takes none.
PATIENCE = 60.0


class TestTurns(testtools.TestCase):
    """A thing that answers when the test lets it."""

    def setUp(self) -> None:
        super().setUp()
        self.turns: Turns[str, int] = Turns()
        self.pool = ThreadPoolExecutor(20)
        self.addCleanup(self.pool.shutdown)
        self.asked = 0
        self.answers = threading.Semaphore(0)

    def question(self, _left: float) -> int:
        self.asked += 1
        number = self.asked
        assert self.answers.acquire(timeout=PATIENCE)
        if number == 13:
            raise ZeroDivisionError
        return number

    def ask(self, timeout: float = PATIENCE, thing: str = "thing") -> Future[int]:
        return self.pool.submit(self.turns.ask, thing, self.question, timeout)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.001)

    def waiting(self, count: int) -> None:
        """So many wait for the next answer: one for its turn, the others for that one."""

        def others() -> int:
            turn = self.turns._next.get("thing")
            return 0 if turn is None else 1 + len(turn._condition._waiters)  # type: ignore[attr-defined]

        self.until(lambda: others() == count)

    def test_who_comes_meanwhile_is_told_by_the_next_answer(self) -> None:
        first = self.ask()
        self.until(lambda: self.asked == 1)
        others = [self.ask() for _ in range(12)]
        self.waiting(12)
        self.assertEqual(1, self.asked)
        self.answers.release(2)
        self.assertEqual(1, first.result(PATIENCE))
        self.assertEqual({2}, {other.result(PATIENCE) for other in others})
        self.assertEqual(2, self.asked)

    def test_another_thing_does_not_wait(self) -> None:
        first = self.ask()
        self.until(lambda: self.asked == 1)
        other = self.ask(thing="other")
        self.until(lambda: self.asked == 2)
        self.answers.release(2)
        self.assertEqual({1, 2}, {first.result(PATIENCE), other.result(PATIENCE)})

    def test_an_error_is_told_to_all_and_ends_there(self) -> None:
        self.asked = 11
        first = self.ask()
        self.until(lambda: self.asked == 12)
        others = [self.ask() for _ in range(3)]
        self.waiting(3)
        self.answers.release(3)
        self.assertEqual(12, first.result(PATIENCE))
        for other in others:
            self.assertIsInstance(other.exception(PATIENCE), ZeroDivisionError)
        self.assertEqual(14, self.ask().result(PATIENCE))
        self.assertEqual(({}, {}), (self.turns._asked, self.turns._next))

    def test_one_that_does_not_answer(self) -> None:
        """Whoever waits for the turn after it is told in time, and it is not asked a second time meanwhile."""
        first = self.ask()
        self.until(lambda: self.asked == 1)
        for other in [self.ask(0.05) for _ in range(3)]:
            self.assertIsInstance(other.exception(PATIENCE), TimeoutError)
        self.assertEqual(1, self.asked)
        self.answers.release(2)
        self.assertEqual(1, first.result(PATIENCE))
        self.assertEqual(2, self.ask().result(PATIENCE))
        self.assertEqual(({}, {}), (self.turns._asked, self.turns._next))
