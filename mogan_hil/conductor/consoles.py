# SPDX-License-Identifier: Apache-2.0
"""The consoles that this conductor has open.

One thread, the round, sees to all of them. It first notes what was heard and what is to be typed, then asks the
database which consoles are still open here and with which keys, and only then shows, records and types it: whatever a
node wrote after it was released, or a user typed after an instance was locked, goes nowhere.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.conductor.controllers import Controllers
from mogan_hil.conductor.failures import log_failure
from mogan_hil.conductor.lines import Line
from mogan_hil.conductor.observer import system_operation
from mogan_hil.conductor.streams import Streams
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.obm import base
from mogan_hil.objects.console import Console, NotMine
from mogan_hil.objects.node import Node

LOG = log.getLogger(__name__)

#: Seconds between two rounds while there is output: this many times a second the database is asked, however many
#: consoles are open.
PAUSE = 0.03
#: Seconds between two times that the output of one console is written down.
FLUSH = 1.0

DEAD = "The conductor that had the console is gone."
STOPS = "The conductor that had the console was stopped."
UNWANTED = "The console was stopped meanwhile."


class Consoles:
    """See the module.

    :param controllers: the drivers that consoles are opened with
    :param wake: told of the lanes of the operations that it begins
    :param me: this conductor
    """

    def __init__(
        self, conf: cfg.ConfigOpts, database: Database, controllers: Controllers, wake: Callable[[str], None], me: str
    ) -> None:
        self._settings = conf.console
        self._database = database
        self._controllers = controllers
        self._wake = wake
        self._me = me
        self._lines: dict[int, Line] = {}
        self._by_node: dict[str, Line] = {}
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._begun = 0
        self._seen = time.monotonic()
        self._stopped = False
        self._streams = Streams(conf, self._find, self._refresh)
        self._thread = threading.Thread(target=self._run, name="consoles", daemon=True)

    def start(self) -> None:
        """Begin to serve streams.

        :raises SystemExit: the address cannot be listened on
        """
        try:
            self._streams.start()
        except OSError as error:
            where = f"{self._settings.host} port {self._settings.port}"
            raise SystemExit(f"Consoles cannot be streamed on {where}: {error.strerror or error}.") from None
        self._thread.start()

    def stop(self) -> None:
        """Close every console; other conductors open those again."""
        if not self._thread.is_alive():
            return
        self._stopped = True
        self._news.set()
        self._thread.join()
        lines = list(self._lines.values())
        try:
            for line in lines:
                line.tape.add(line.take(line.mark()))
                self._flush(line)
            if lines:
                with self._database.writer() as session:
                    Console.lose_all(session, STOPS, before=None, conductor=self._me)
        except Exception:  # others take them for dead, a while later
            log_failure(LOG, "What consoles have written last could not be written down")
        for line in lines:
            self._drop(line, "the conductor stops")
            line.close()
        self._streams.stop()

    # For the streams.

    def _find(self, node: str) -> Line | None:
        return self._by_node.get(node)

    def _refresh(self) -> int:
        wanted = self._begun + 1
        self._news.set()
        return wanted

    # For the lane of a node.

    def open(self, node: Node) -> None:
        """Open the console of a node, unless it is open somewhere.

        :raises DriverError: it could not be opened, or is not wanted any more
        """
        with self._database.reader() as session:
            found = Console.find(session, models.Console.node_id == node.id)
        if not found or found[0].status == states.Console.STOPPED:
            raise DriverError(UNWANTED)
        console = found[0]
        if console.status == states.Console.ACTIVE:
            return
        if (old := self._lines.get(console.id)) is not None:  # it was stopped just now, in other ways than by a stop
            self._drop(old, UNWANTED)
            old.close()
        port = self._connect(node)
        with self._database.writer() as session:
            opened = console.open(session, self._me, self._streams.url)
            current = Console.find(session, models.Console.id == console.id)
        if not opened:
            port.close()
            raise DriverError(UNWANTED)
        line = Line(node, current[0], port, self._settings.record_size, self._news.set)
        with self._lock:
            self._lines[line.id] = self._by_node[line.node] = line
        self._news.set()

    def _connect(self, node: Node) -> base.Console:
        device = self._controllers.get(node)
        opened: list[base.Console] = []
        late = threading.Event()

        def connect() -> base.Console:
            opened.append(device.driver.console())
            if late.is_set():
                opened[0].close()
            return opened[0]

        try:
            return device.guard.call(connect)
        except DriverError:
            late.set()  # it may come back after all, and nobody would ever close it
            for port in opened:
                port.close()
            raise

    def held(self, node: Node) -> bool:
        """Whether a conductor still has the console of a node, although it is not to be open."""
        alive = models.now() - timedelta(seconds=self._settings.lease)
        with self._database.reader() as session:
            rows = Console.find(session, models.Console.node_id == node.id)
        return any(
            row.status == states.Console.STOPPED and row.conductor is not None and (row.seen_at or alive) > alive
            for row in rows
        )

    # For the rounds.

    def sweep(self) -> None:
        """Open again what was lost, and what dead conductors had."""
        before = models.now() - timedelta(seconds=self._settings.lease)
        with self._database.reader() as session:
            dead = Console.find(
                session, models.Console.status == states.Console.ACTIVE, models.Console.seen_at < before
            )
            due = Console.due(session)
        if dead:
            with self._database.writer() as session:
                Console.lose_all(session, DEAD, before=before)
        for console in [*dead, *due]:
            with self._database.writer() as session:
                nodes = Node.find(session, models.Node.id == console.node_id, lock="update")
                # It may have been opened since, by an operation that is over.
                still = Console.due(session, models.Console.id == console.id, lock="update")
                written = nodes and still and _resume(session, nodes[0])
            if written:
                self._wake(nodes[0].lane)

    # The round.

    def _run(self) -> None:
        while not self._stopped:
            self._news.wait(self._settings.check_interval)
            self._news.clear()
            try:
                self._round()
            except Exception:  # nothing is shown nor typed meanwhile
                log_failure(LOG, "Consoles could not be seen to")
                time.sleep(self._settings.check_interval)
            if not any(line.crowded for line in list(self._lines.values())):
                time.sleep(PAUSE)

    def _round(self) -> None:
        self._begun += 1
        with self._lock:
            lines = dict(self._lines)
        marks = {line.id: (line.lost, line.mark()) for line in lines.values()}
        if lines:
            with self._database.reader() as session:
                rows = {row.id: row for row in Console.find(session, models.Console.id.in_(lines))}
            self._beat(lines)
            for line in lines.values():
                try:
                    self._see_to(line, rows.get(line.id), *marks[line.id])
                except Exception:  # the others have theirs
                    log_failure(LOG, "The console of node %s could not be seen to", line.name)
        self._streams.refreshed(self._begun)

    def _see_to(self, line: Line, row: Console | None, lost: str | None, mark: tuple[int, int]) -> None:
        if self._lines.get(line.id) is not line:
            return
        if row is None or row.conductor != self._me or row.status != states.Console.ACTIVE:
            if row is not None and row.conductor == self._me:
                line.tape.add(line.take(mark))
            self._end(line)
            return
        if row.token_key != line.token_key:
            line.token_key = row.token_key  # from here on nobody comes with the old one
            self._streams.run(line.audience.close("it was revoked"))
            line.forbid()
        if data := line.take(mark):
            self._streams.run(line.audience.deliver(data))
            line.tape.add(data)
        if lost is not None:
            self._lose(line, row, lost)
        elif line.tape.due and time.monotonic() - line.tape.flushed > FLUSH:
            self._flush(line)

    def _beat(self, lines: Mapping[int, Line]) -> None:
        if time.monotonic() - self._seen > self._settings.lease / 4:
            with self._database.writer() as session:
                Console.seen(session, list(lines), self._me)
            self._seen = time.monotonic()

    def _flush(self, line: Line) -> None:
        if line.tape.due:
            try:
                with self._database.writer() as session:
                    committed = line.tape.flush(session, self._me)
                committed()
            except NotMine:
                LOG.info("The console of node %s is not held here any more", line.name)

    def _lose(self, line: Line, row: Console, reason: str) -> None:
        self._flush(line)
        with self._database.writer() as session:
            row.lose(session, self._me, reason)
        self._end(line)

    def _end(self, line: Line) -> None:
        self._flush(line)
        self._drop(line, "the console was closed")
        threading.Thread(target=self._let_go, args=(line,), name=f"close {line.name}", daemon=True).start()

    def _drop(self, line: Line, reason: str) -> None:
        with self._lock:
            if self._lines.get(line.id) is line:
                del self._lines[line.id], self._by_node[line.node]
        self._streams.run(line.audience.close(reason))

    def _let_go(self, line: Line) -> None:
        line.close()
        try:
            with self._database.writer() as session:
                Console.let_go(session, [line.id], self._me)
        except Exception:  # it counts as let go when its conductor has not been heard of
            log_failure(LOG, "That the console of node %s was closed could not be written down", line.name)


def _resume(session: orm.Session, node: Node) -> bool:
    """Begin to open the console of a node again, on behalf of whoever wanted it."""
    return system_operation(
        session,
        node,
        "console_resume",
        node.console_key,
        {"node": node.name},
        project_id=node.project_id,
        node=node.uuid,
        overrides_lock=True,
    )
