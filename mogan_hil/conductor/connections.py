# SPDX-License-Identifier: Apache-2.0
"""The connections of the server of streams: so many at a time, and none for long that asks for nothing.

Without this whoever reaches the port could open connections until the conductor has no file descriptors left for its
switches and controllers. Everything here happens on the event loop of :mod:`.streams`.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

#: Seconds that a connection may take for its request.
SILENCE = 10.0
#: Seconds that a connection has that is refused.
SHORT = 1.0

REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Connections:
    """Makes a protocol for each connection, as `loop.create_server` asks for.

    :param most: connections at a time, about: a few more may come at one moment
    :param later: seconds after which one that is refused may try again
    """

    def __init__(self, server: web.Server, most: int, later: int) -> None:
        self._server = server
        self._most = most
        self._later = later
        self._asked: set[object] = set()  # of those that have still to be looked at

    def __call__(self) -> asyncio.Protocol:
        loop = asyncio.get_running_loop()
        if len(self._server.connections) >= self._most:
            return _Refused(self._later)
        handler = self._server()
        loop.call_later(SILENCE, self._hurry, handler)
        return handler

    def asked(self, request: web.BaseRequest) -> None:
        """A connection has asked for something: it is seen to by whoever answers."""
        self._asked.add(request.protocol)

    def _hurry(self, handler: web.RequestHandler) -> None:
        if handler in self._asked:
            self._asked.discard(handler)
        else:
            handler.force_close()


class _Refused(asyncio.Protocol):
    """Waits for the request, as a client may not read an answer that comes before; then says that there is no room."""

    def __init__(self, later: int) -> None:
        self._later = later

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        asyncio.get_running_loop().call_later(SHORT, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._transport.write(REFUSAL % self._later)
        self._transport.close()
