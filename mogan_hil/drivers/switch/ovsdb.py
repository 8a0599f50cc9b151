# SPDX-License-Identifier: Apache-2.0
"""One connection to one OVSDB server (RFC 7047), with a time limit on everything.

ovsdbapp brings the thread and the queue, python-ovs the replica of the database (IDL). Four of their habits do not fit
a service that talks to many switches, and are replaced here:

* ovsdbapp's back end keeps one connection a class, so every switch of a process would share the first one's;
* their commit and their first fetch of the schema wait for ever for a server that is stopped;
* their poller is select(2), which cannot hold a file descriptor above 1023, and then spins;
* TLS files are set for the whole process, and not for one connection.
"""

from __future__ import annotations

import logging
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import ovs.timeval
from ovs import socket_util, stream
from ovs.db import idl as ovs_idl
from ovsdbapp.backend.ovs_idl import connection, idlutils

LOG = logging.getLogger(__name__)
T = TypeVar("T")

#: Milliseconds between attempts to connect; the least that python-ovs allows. It would go up to 8000.
RECONNECT = 1000
#: Milliseconds of silence before the server is asked whether it lives; as much again, and the connection is dropped.
PROBE = 5000


class LateError(Exception):
    """The server did not answer in time."""


class RefusedError(Exception):
    """The server answered a transaction with an error."""


class Poll:
    """What python-ovs calls a poller, by poll(2)."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._events: dict[int, int] = {}
        self._limit: float | None = None

    def fd_wait(self, fd: int | socket.socket, events: int) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        if number < 0:
            self.immediate_wake()
        else:
            self._events[number] = self._events.get(number, 0) | events

    def timer_wait(self, msec: float) -> None:
        self._limit = max(0, msec if self._limit is None else min(msec, self._limit))

    def timer_wait_until(self, msec: float) -> None:
        self.timer_wait(msec - ovs.timeval.msec())

    def immediate_wake(self) -> None:
        self._limit = 0

    def block(self) -> None:
        poll = select.poll()
        for fd, events in self._events.items():
            poll.register(fd, events)
        limit = self._limit
        self._reset()
        poll.poll(limit)


def tls_context(files: tuple[str, str, str]) -> ssl.SSLContext:
    """How to talk TLS with these files.

    :param files: paths of the private key, the certificate and the CA certificate, each PEM
    :raises OSError: a file cannot be read or is not what it should be
    """
    key, certificate, authority = files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Who signed it is what counts: an OVS PKI names switches by their uuid.
    context.check_hostname = False
    context.load_verify_locations(authority)
    context.load_cert_chain(certificate, key)
    return context


class TlsStream(stream.SSLStream):
    """A TLS connection with files of its own, read anew for each connection."""

    files: tuple[str, str, str]

    @classmethod
    def _open(cls, suffix: str, dscp: int) -> tuple[int, ssl.SSLSocket | None]:
        try:
            context = tls_context(cls.files)
        except OSError as error:
            LOG.error("The TLS files of %(suffix)s cannot be used: %(error)s", {"suffix": suffix, "error": error})
            return error.errno or 1, None
        address = socket_util.inet_parse_active(suffix, 0, raises=False)
        family, plain = socket_util.inet_create_socket_active(socket.SOCK_STREAM, address)
        if plain is None:
            return int(family), None
        wrapped = context.wrap_socket(plain, do_handshake_on_connect=False)
        return int(socket_util.inet_connect_active(wrapped, address, family, dscp)), wrapped

    def wait(self, poller: Poll, wait: int) -> None:
        """In a handshake, wait for the server's answer: the socket can always be written, so that would be a spin."""
        if wait == stream.Stream.W_CONNECT and self.connect_done():
            poller.fd_wait(self.socket, select.POLLIN)
        else:
            super().wait(poller, wait)

    def connect_done(self) -> bool:
        """Whether TCP stands, with or without TLS."""
        return self.socket is not None and stream.Stream.connect(self) == 0


_tls_methods: dict[tuple[str, str, str], str] = {}
_tls_lock = threading.Lock()


def tls_remote(address: str, files: tuple[str, str, str]) -> str:
    """The name under which python-ovs opens a TLS connection with these files.

    :param address: host:port
    :param files: as for :func:`tls_context`
    :raises OSError: likewise
    """
    tls_context(files)
    with _tls_lock:
        if files not in _tls_methods:
            method = f"tls{len(_tls_methods)}"
            stream.Stream.register_method(method, type("TlsStream", (TlsStream,), {"files": files}))
            _tls_methods[files] = method
        return f"{_tls_methods[files]}:{address}"


class Idl(connection.OvsdbIdl):
    """The replica of the tables in the schema.

    :param schema: the part of the server's schema that is wanted; so the server's need not be fetched first
    :param ran: called after each batch of messages, in the connection's thread, with the rows that they touched
    """

    def __init__(self, remote: str, schema: Mapping[str, Any], ran: Callable[[list[Any]], None]) -> None:
        helper = ovs_idl.SchemaHelper(None, schema)
        helper.register_all()
        super().__init__(remote, helper, probe_interval=PROBE, leader_only=False)
        # python-ovs does not probe unix sockets, but a server can be stopped behind one too.
        self._session.reconnect.set_probe_interval(PROBE)
        self._session.reconnect.set_backoff(RECONNECT, RECONNECT)
        self._ran = ran
        self._touched: list[Any] = []

    @property
    def current(self) -> bool:
        """Whether the replica follows the server now."""
        return bool(self.state == self.IDL_S_MONITORING and self._session.is_connected())

    def notify(self, event: str, row: Any, updates: Any = None) -> None:
        self._touched.append(row)

    def run(self) -> bool:
        changed = bool(super().run())
        if self._touched:
            touched, self._touched = self._touched, []
            self._ran(touched)
        return changed


class _Call:
    """What ovsdbapp's thread takes from its queue: it calls `do_commit` and puts the answer in `results`."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.do_commit = work
        self.results: queue.Queue[Any] = queue.Queue(1)


class _Thread(connection.Connection):
    """ovsdbapp's thread, which does not wait for a connection before it starts."""

    def start(self) -> None:
        self.poller = Poll()
        self.is_running = True
        self.thread = threading.Thread(target=self.run, daemon=True, name="ovsdb")
        self.thread.start()


class Ovsdb:
    """A connection and its thread, which connects by itself, and again after each loss.

    Use `call` from outside; `settle` and `transact` are for the work that runs inside the thread.
    """

    def __init__(self, remote: str, schema: Mapping[str, Any], ran: Callable[[list[Any]], None]) -> None:
        self.idl = Idl(remote, schema, ran)
        self._connection = _Thread(self.idl, None)

    def start(self) -> None:
        """Start the thread."""
        self._connection.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        thread = self._connection.thread
        return bool(self._connection.is_running and thread is not None and thread.is_alive())

    def call(self, work: Callable[[float], T], timeout: float) -> T:
        """Run work in the thread, with its deadline by `time.monotonic`.

        :param timeout: seconds
        :raises LateError: it took longer
        """
        start = time.monotonic()
        # The work keeps the deadline itself, a little earlier, because it knows what it waits for.
        call = _Call(lambda: work(start + 0.95 * timeout))
        try:
            self._connection.txns.put(call, timeout=timeout)
            result = call.results.get(timeout=max(0.0, start + timeout - time.monotonic()))
        except (queue.Full, queue.Empty):
            raise LateError("The connection's thread is busy") from None
        if isinstance(result, idlutils.ExceptionResult):
            raise result.ex
        return result  # type: ignore[no-any-return]

    def settle(self, done: Callable[[], bool], deadline: float, what: str) -> None:
        """Follow the server until something is so.

        :raises LateError: with `what` is missing
        """
        while True:
            self.idl.run()
            if done():
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise LateError(what)
            poll = Poll()
            self.idl.wait(poll)
            poll.timer_wait(left * 1000 + 1)
            poll.block()

    def transact(self, fill: Callable[[Any], None], deadline: float) -> Any:
        """Commit one transaction, again for as long as its `verify` finds that somebody was faster.

        :param fill: puts the changes into an `ovs.db.idl.Transaction`; may be called several times
        :returns: the transaction; its updates are in the replica
        :raises LateError: the server did not answer in time. It may still carry the transaction out.
        :raises RefusedError: the server refused it
        """
        while True:
            self.settle(lambda: self.idl.current, deadline, "There is no connection to the server")
            seqno = self.idl.change_seqno
            transaction = ovs_idl.Transaction(self.idl)
            try:
                fill(transaction)
            except BaseException:
                transaction.abort()
                raise
            status = self._commit(transaction, deadline)
            if status in (transaction.SUCCESS, transaction.UNCHANGED):
                return transaction
            if status != transaction.TRY_AGAIN:
                raise RefusedError(transaction.get_error())
            self._settle_change(seqno, deadline)

    def _commit(self, transaction: Any, deadline: float) -> str:
        if transaction.commit() == transaction.INCOMPLETE:
            self.settle(lambda: transaction.commit() != transaction.INCOMPLETE, deadline, "The server has not answered")
        return str(transaction.commit())

    def _settle_change(self, seqno: int, deadline: float) -> None:
        self.settle(lambda: self.idl.change_seqno != seqno, deadline, "The connection was lost")

    def close(self, timeout: float) -> None:
        """End the thread and the connection.

        :param timeout: seconds to wait for work that is under way
        """
        thread = self._connection.thread
        self._connection.is_running = False
        self._connection.txns.alert_notify()
        thread.join(timeout)
        if thread.is_alive():
            LOG.warning("The thread of %(name)s is still busy", {"name": self.idl.session_name()})
        else:
            self._connection.txns.close()
