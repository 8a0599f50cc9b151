# SPDX-License-Identifier: Apache-2.0
"""What the API asks of conductors. A cast is a wake-up and may be lost: the journal has the work, and a sweep finds it.

Version history:

* 1.0 - wake, observe
* 1.1 - ask

Each call says since when conductors know it, so that those of an older version still do what they know.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from typing import Any, Protocol

import oslo_messaging
from oslo_log import log

from mogan_hil.common import exception
from mogan_hil.common.turns import Turns

LOG = log.getLogger(__name__)

TOPIC = "mogan_hil.conductor"
VERSION = "1.1"

#: Since which version each is known.
SINCE: Mapping[str, str] = {"wake": "1.0", "observe": "1.0", "ask": "1.1"}


class Client(Protocol):
    """The conductors, as the API knows them. In the embedded shape the conductor itself is one."""

    def wake(self, lane: str) -> None:
        """Tell that a lane has work. Never waits and never fails."""

    def observe(self, switch: str, timeout: float) -> None:
        """Have the ports of a switch read now, and what they are written to their rows.

        :param switch: its uuid
        :param timeout: seconds to wait
        :raises exception.DeviceUnavailable: it could not be read in that time
        """

    def ask(self, node: str, question: str, timeout: float) -> Mapping[str, Any]:
        """Ask the controller of a node what is now.

        :param node: its uuid
        :param question: `power` or `boot_device`
        :param timeout: seconds to wait
        :raises exception.DeviceUnavailable: it did not answer in that time
        """


class RemoteClient:
    """Conductors in other processes, over oslo.messaging.

    Casts are sent by a thread of their own: a broker that is down makes no request wait. Of what many requests ask at
    once each thing is asked once: conductors have few threads for questions, and devices few sessions.

    :param transport: an RPC transport
    """

    def __init__(self, transport: oslo_messaging.RPCTransport) -> None:
        target = oslo_messaging.Target(topic=TOPIC)
        self._client = oslo_messaging.get_rpc_client(transport, target)
        self._lanes: queue.Queue[str] = queue.Queue(maxsize=10000)
        self._sender: threading.Thread | None = None
        self._lock = threading.Lock()
        self._turns: Turns[tuple[str, ...], Mapping[str, Any]] = Turns()

    def wake(self, lane: str) -> None:
        """See :meth:`Client.wake`."""
        with self._lock:  # not in the constructor: a thread does not outlive a fork
            if self._sender is None or not self._sender.is_alive():
                self._sender = threading.Thread(target=self._send, name="wake", daemon=True)
                self._sender.start()
        try:
            self._lanes.put_nowait(lane)
        except queue.Full:
            LOG.warning("The message broker does not take wake-ups; the conductors' sweep will find %s", lane)

    def _send(self) -> None:
        while True:
            lane = self._lanes.get()
            try:
                self._client.prepare(version=SINCE["wake"], retry=1).cast({}, "wake", lane=lane)
            except Exception as error:  # whatever happens to a wake-up, the next one must be sent
                LOG.warning("A wake-up for %(lane)s was not sent: %(error)s", {"lane": lane, "error": error})

    def observe(self, switch: str, timeout: float) -> None:
        """See :meth:`Client.observe`."""
        self._call("observe", timeout, switch=switch)

    def ask(self, node: str, question: str, timeout: float) -> Mapping[str, Any]:
        """See :meth:`Client.ask`."""
        return self._call("ask", timeout, node=node, question=question)

    def _call(self, method: str, timeout: float, **arguments: str) -> Mapping[str, Any]:
        def call(left: float) -> Mapping[str, Any]:
            client = self._client.prepare(version=SINCE[method], timeout=left, retry=1)
            answer: Mapping[str, Any] = client.call({}, method, timeout=left, **arguments)
            return answer

        try:
            answer = self._turns.ask((method, *arguments.values()), call, timeout)
        except (oslo_messaging.MessagingException, oslo_messaging.RemoteError, TimeoutError) as error:
            LOG.warning("A call of %(method)s was not answered: %(error)s", {"method": method, "error": error})
            raise exception.DeviceUnavailable(reason="No conductor answered in time.") from None
        if "unavailable" in answer:
            raise exception.DeviceUnavailable(reason=answer["unavailable"])
        return answer


class NoClient:
    """No conductor can be told: it finds work by its sweep alone."""

    def wake(self, lane: str) -> None:
        """Nothing."""

    def observe(self, switch: str, timeout: float) -> None:
        """Always refuses; see :meth:`Client.observe`."""
        raise exception.DeviceUnavailable(reason="No message broker is configured, so no conductor can be asked.")

    def ask(self, node: str, question: str, timeout: float) -> Mapping[str, Any]:
        """Always refuses; see :meth:`Client.ask`."""
        raise exception.DeviceUnavailable(reason="No message broker is configured, so no conductor can be asked.")
