# SPDX-License-Identifier: Apache-2.0
"""One open console: two threads, one that listens and one that types, and the tape that it is recorded on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import console_tokens
from mogan_hil.conductor.audience import Audience
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.obm import base
from mogan_hil.objects.console import PIECE, Console
from mogan_hil.objects.node import Node

LOG = log.getLogger(__name__)

#: Bytes that were heard and not seen to; then nobody listens until there is room, and the controller has to wait.
HEARD = 1024 * 1024
#: Bytes that are to be typed.
TYPED = 65536

UNEXPECTED = "The node's controller cannot be used: its driver failed unexpectedly."
ENDED = "The node's controller has ended the console."


class Line:
    """See the module.

    :param poke: told when something was heard, or is to be typed
    """

    def __init__(self, node: Node, console: Console, port: base.Console, keep: int, poke: Callable[[], None]) -> None:
        self.id = console.id
        self.node = node.uuid
        self.name = node.name
        self.token_key = console.token_key
        self.audience = Audience()
        self.tape = Tape(console, keep)
        self.lost: str | None = None
        self._port = port
        self._poke = poke
        self._change = threading.Condition()
        self._heard = bytearray()
        self._asked = bytearray()
        self._granted = bytearray()
        self._used: dict[str, int] = {}
        self._ended = False
        self._listener = threading.Thread(target=self._listen, name=f"hear {node.name}", daemon=True)
        self._listener.start()
        threading.Thread(target=self._type, name=f"type {node.name}", daemon=True).start()

    # The two threads.

    def _listen(self) -> None:
        reason = ENDED
        try:
            for data in self._port:
                with self._change:
                    while len(self._heard) >= HEARD and not self._ended:
                        self._change.wait()
                    if self._ended:
                        return
                    self._heard += data
                self._poke()
        except DriverError as error:
            LOG.warning("The console of node %(name)s: %(error)s", {"name": self.name, "error": error.operator})
            reason = error.user
        except Exception:
            LOG.exception("The driver of node %s failed unexpectedly", self.name)
            reason = UNEXPECTED
        self.lost = reason
        self._poke()

    def _type(self) -> None:
        while True:
            with self._change:
                while not self._granted and not self._ended:
                    self._change.wait()
                if self._ended:
                    return
                data = bytes(self._granted)
                self._granted.clear()
            try:
                self._port.write(data)
            except Exception:
                LOG.exception("The driver of node %s failed unexpectedly", self.name)

    # For the streams.

    def use(self, grant: console_tokens.Grant) -> bool:
        """See :meth:`.streams.Followed.use`. Only the event loop's thread calls it."""
        moment = time.time()
        self._used = {nonce: expires for nonce, expires in self._used.items() if expires >= moment}
        fresh = grant.nonce not in self._used
        self._used[grant.nonce] = grant.expires
        return fresh

    def ask(self, data: bytes) -> bool:
        """See :meth:`.streams.Followed.ask`. It is typed when it was asked whether it may be."""
        with self._change:
            if len(self._asked) + len(self._granted) > TYPED:
                return False
            self._asked += data
        self._poke()
        return True

    # For the round.

    def mark(self) -> tuple[int, int]:
        """How much was heard, and how much is to be typed, until now."""
        with self._change:
            return len(self._heard), len(self._asked)

    def take(self, mark: tuple[int, int]) -> bytes:
        """What was heard until then; and what was to be typed until then may be."""
        heard, asked = mark
        with self._change:
            data = bytes(self._heard[:heard])
            del self._heard[:heard]
            self._granted += self._asked[:asked]
            del self._asked[:asked]
            self._change.notify_all()
        return data

    def forbid(self) -> None:
        """What was to be typed may not be."""
        with self._change:
            self._asked.clear()

    @property
    def crowded(self) -> bool:
        """Whether there is much to see to."""
        return len(self._heard) > HEARD // 2

    def close(self) -> None:
        """Give the controller its console back. Waits a moment until it has."""
        with self._change:
            self._ended = True
            self._change.notify_all()
        with contextlib.suppress(Exception):  # whatever its driver does, it is over
            self._port.close()
        self._listener.join(2)


class Tape:
    """What is to be recorded, and where the record was left.

    :param keep: bytes that the record has, at the most
    """

    def __init__(self, console: Console, keep: int) -> None:
        self._console = console.id
        self._keep = keep
        self._written = console.written
        self._fresh = bytearray()
        self._piece: int | None = None
        self._last = b""
        self.flushed = 0.0

    def add(self, data: bytes) -> None:
        """The node wrote this."""
        self._written += len(data)
        self._fresh += data
        if len(self._fresh) > self._keep:
            del self._fresh[: len(self._fresh) - self._keep]
            self._piece, self._last = None, b""

    @property
    def due(self) -> bool:
        """Whether there is something to be written down."""
        return bool(self._fresh)

    def flush(self, session: orm.Session, conductor: str) -> Callable[[], None]:
        """Write it down. What is returned is to be called when the transaction was committed.

        :raises NotMine: the console is another's now
        """
        data = self._last + bytes(self._fresh)
        piece = Console.record(session, self._console, conductor, data, self._written, self._piece, self._keep)
        size = len(self._fresh)

        def committed() -> None:
            del self._fresh[:size]
            self._piece = piece
            self._last = data[len(data) - len(data) % PIECE :] if piece is not None else b""
            self.flushed = time.monotonic()

        return committed
