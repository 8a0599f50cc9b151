# SPDX-License-Identifier: Apache-2.0
"""Tells the message bus what was changed, after it was committed.

A thread of its own sends, from a queue with an end: a broker that is down makes no request wait. What does not fit is
dropped, logged and counted. Each notification is sent once at the most.
"""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

import oslo_messaging
from kombu import exceptions as kombu_exceptions
from oslo_config import cfg
from oslo_db import exception as db_exception
from oslo_log import log
from oslo_messaging import opts as messaging_opts
from sqlalchemy import orm

from mogan_hil.common import metrics
from mogan_hil.db.api import Database
from mogan_hil.objects.changes import Event, Watch

LOG = log.getLogger(__name__)

GROUP = "oslo_messaging_notifications"

#: Seconds between two tries to reach a broker.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0

#: Seconds that a try which is under way may take when a process stops.
LAST_TRY = 2.0

#: What is raised where there is no broker. Anything else is wrong with the notification itself.
NO_BROKER = (oslo_messaging.MessageDeliveryFailure, kombu_exceptions.OperationalError, OSError)

#: Drops between two lines in the log.
DROPS_A_LINE = 1000


#: Those that have told something and were not closed.
_open: set[Notifier] = set()


class Notifier:
    """Sends notifications.

    :param driver: what sends; None for what [oslo_messaging_notifications] says, as with the `url` of the broker
    """

    def __init__(
        self, conf: cfg.ConfigOpts, topics: Sequence[str], *, driver: str | None = None, url: str | None = None
    ) -> None:
        settings = conf.notifications
        self._transport = oslo_messaging.get_notification_transport(conf, url=url)
        self._send_once = self._transport._send_notification
        self._transport._send_notification = self._send_surely
        self._forever = conf[GROUP].retry < 0
        self._closing = threading.Event()
        self._notifier = oslo_messaging.Notifier(
            self._transport, f"mogan_hil:{conf.host}", driver=driver, topics=topics
        )
        self._events: queue.Queue[Event | None] = queue.Queue(maxsize=settings.queue_size)
        self._stop_timeout = settings.stop_timeout
        self._sender: threading.Thread | None = None
        self._lock = threading.Lock()
        self._drops = 0

    @contextlib.contextmanager
    def watch(self, session: orm.Session) -> Iterator[list[Event]]:
        """See what a session writes. What is to be told of it is in the list when the block ends."""
        found: list[Event] = []
        watch = Watch(session)
        yield found
        try:
            found += watch.events()
        except db_exception.DBError:
            raise
        except Exception:  # whatever is wrong with what is told, the change itself stands
            metrics.NOTIFICATIONS_DROPPED.inc()
            LOG.exception("A change cannot be told")

    def tell(self, events: list[Event]) -> None:
        """Send notifications soon. Never waits and never fails."""
        if not events:
            return
        with self._lock:  # not in the constructor: a thread does not outlive a fork
            if self._sender is None or not self._sender.is_alive():
                self._closing.clear()
                self._sender = threading.Thread(target=self._send, name="notifications", daemon=True)
                self._sender.start()
                _open.add(self)
        for event in events:
            try:
                self._events.put_nowait(event)
            except queue.Full:
                self._dropped(event)

    def _dropped(self, event: Event) -> None:
        metrics.NOTIFICATIONS_DROPPED.inc()
        with self._lock:
            self._drops += 1
            due = self._drops % DROPS_A_LINE == 1
            dropped = self._drops
        if due:
            LOG.warning(
                "The broker does not take notifications: %(name)s was dropped, as the %(count)s. of this process",
                {"name": event.name, "count": dropped},
            )

    def _send(self) -> None:
        while True:
            event = self._events.get()
            if event is None:
                self._events.task_done()
                return
            try:
                getattr(self._notifier, event.priority)({}, event.name, event.payload)
            except Exception as error:  # whatever happens to one, the next must be sent
                LOG.warning("Notification %(name)s was not sent: %(error)s", {"name": event.name, "error": error})
            finally:
                self._events.task_done()

    def _send_surely(self, *arguments: Any, **options: Any) -> None:
        """The library tries again if it loses a connection, and not if it gets none; and tells nobody what it lost."""
        pause = FIRST_PAUSE
        while True:
            try:
                self._send_once(*arguments, **options)
                metrics.NOTIFICATIONS_SENT.inc()
                return
            except NO_BROKER as error:
                LOG.warning("Notifications wait, as the broker cannot be reached: %s", error)
                if not self._forever or self._closing.wait(pause):
                    metrics.NOTIFICATIONS_DROPPED.inc()
                    raise
                pause = min(pause * 2, LONGEST_PAUSE)
            except Exception:
                metrics.NOTIFICATIONS_DROPPED.inc()
                raise

    def close(self) -> None:
        """Send what is left, and disconnect. What is told after this begins anew."""
        _open.discard(self)
        self.flush()
        self._closing.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._events.get_nowait()
                self._events.task_done()
                metrics.NOTIFICATIONS_DROPPED.inc()
        sender = self._sender
        if sender is not None and sender.is_alive():
            self._events.put(None)
            sender.join(LAST_TRY)
        self._transport.cleanup()

    def flush(self) -> None:
        """Wait until everything is sent, for as long as is configured."""
        end = monotonic() + self._stop_timeout
        with self._events.all_tasks_done:
            while self._events.unfinished_tasks and self._sender is not None and self._sender.is_alive():
                if not self._events.all_tasks_done.wait(max(end - monotonic(), 0)):
                    LOG.warning("The broker did not take the last %s notifications", self._events.unfinished_tasks)
                    return


def close_all() -> None:
    """Send what is left in this process, which ends."""
    for notifier in list(_open):
        notifier.close()


atexit.register(close_all)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the library's options."""
    conf.register_opts(dict(messaging_opts.list_opts())[GROUP], group=GROUP)


def attach(conf: cfg.ConfigOpts, database: Database) -> Notifier | None:
    """Have everything that is written to a database told, if a driver is configured. Else nothing is even looked at.

    :returns: what sends it, None if nothing is sent
    """
    if not any(conf[GROUP].driver):
        return None
    notifier = Notifier(conf, conf.notifications.topics)
    database.listener = notifier
    return notifier
