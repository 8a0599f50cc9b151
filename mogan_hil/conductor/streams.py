# SPDX-License-Identifier: Apache-2.0
"""The server of live streams: one event loop in a thread of the conductor, whatever the number of readers.

`GET <url>/<node's uuid>?token=...` is plain text as it comes, server-sent events for who accepts `text/event-stream`
(https://html.spec.whatwg.org/multipage/server-sent-events.html), and a websocket for who asks for one (RFC 6455): what
the node writes comes in binary messages, and what the client sends is typed.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMsgType, web
from oslo_config import cfg
from oslo_log import log

from mogan_hil.common import console_tokens
from mogan_hil.conductor.audience import Audience, Reader
from mogan_hil.conductor.connections import Connections

LOG = log.getLogger(__name__)

#: Seconds between two signs of life on a stream that is silent, of those kinds that can have them.
KEEP_ALIVE = 15.0
#: Bytes that a client may send in one message.
MESSAGE = 65536
#: Seconds that a client has to take the end of its stream before the connection is cut.
LAST_WORDS = 1.0
#: Seconds that a client with an unknown token waits until the database was asked again.
PATIENCE = 5.0
#: Seconds between two tries to type what does not fit.
FULL = 0.05
#: Seconds after which whoever found no room may try again.
LATER = 10
#: Connections for requests that are not admitted yet, besides half as many as there may be streams.
SPARE = 16

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",  # else nginx keeps it until there is more
}


class Followed(Protocol):
    """A console that can be followed."""

    id: int
    token_key: str
    audience: Audience

    def use(self, grant: console_tokens.Grant) -> bool:
        """Whether a token was not used before."""

    def ask(self, data: bytes) -> bool:
        """Type this; False if that must wait."""


class Streams:
    """The server.

    :param find: the console of a node, by its uuid, if it is open here
    :param refresh: have the database asked again which consoles and keys there are; then :meth:`refreshed` is called
    """

    def __init__(
        self, conf: cfg.ConfigOpts, find: Callable[[str], Followed | None], refresh: Callable[[], int]
    ) -> None:
        self._settings = conf.console
        self._me = conf.host
        self._find = find
        self._refresh = refresh
        self._loop: asyncio.AbstractEventLoop
        self._rounds = 0
        self._round = asyncio.Event()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._connections: Connections
        self._open = 0
        self.url = ""

    def start(self) -> None:
        """Listen.

        :raises OSError: it cannot be listened on
        """
        host = self._settings.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, self._settings.port), family=family, backlog=128)
        port = self._socket.getsockname()[1]
        named = self._me if host in ("0.0.0.0", "::") else host  # noqa: S104 (it is told from a name)
        told = f"http://[{named}]:{port}" if ":" in named else f"http://{named}:{port}"
        self.url = (self._settings.public_url or told).rstrip("/")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._thread.start()
        self.run(self._serve())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done on the loop, and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def refreshed(self, number: int) -> None:
        """The database has been asked, for the so-manieth time."""

        def tell() -> None:
            self._rounds = number
            self._round.set()
            self._round = asyncio.Event()

        self._loop.call_soon_threadsafe(tell)

    def stop(self) -> None:
        """End, with every stream."""
        if self._thread is None:
            return
        if self._runner is not None and self._server is not None:
            self._loop.call_soon_threadsafe(self._server.close)
            self.run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/{node}", self._answer, allow_head=False)
        app.on_response_prepare.append(_once)
        # A client that goes away is noticed at once, not when there is something to write.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=LAST_WORDS)
        await self._runner.setup()
        assert self._runner.server is not None
        assert self._socket is not None
        self._connections = Connections(self._runner.server, self._settings.max_streams * 3 // 2 + SPARE, LATER)
        self._server = await self._loop.create_server(self._connections, sock=self._socket)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self._connections.asked(request)
        line, grant = await self._admit(request)
        if line is not None and grant is not None:  # who is refused for want of room may come again with the token
            if self._open >= self._settings.max_streams:
                return _no_room("Too many consoles are followed here.\n")
            if len(line.audience.readers) >= self._settings.max_readers:
                return _no_room("Too many follow this console.\n")
        if line is None or grant is None or not line.use(grant):
            return web.Response(status=403, text="The token is unknown, used or expired; ask the API for another.\n")
        self._open += 1
        try:
            return await self._follow(request, line, grant)
        finally:
            self._open -= 1

    async def _follow(self, request: web.Request, line: Followed, grant: console_tokens.Grant) -> web.StreamResponse:
        reader = Reader(self._settings.reader_buffer)
        line.audience.readers.add(reader)
        too_long = self._loop.call_later(self._settings.stream_time, reader.close, "the time is over")
        try:
            async with _cut_off(request, reader):
                if request.headers.get("Upgrade", "").lower() == "websocket":
                    return await _talk(request, line, reader, grant.types)
                return await _show(request, reader)
        except ConnectionError:
            raise asyncio.CancelledError from None  # it went away
        finally:
            too_long.cancel()
            line.audience.readers.discard(reader)

    async def _admit(self, request: web.Request) -> tuple[Followed | None, console_tokens.Grant | None]:
        """The console and the token. What is not known may only not be known here yet: the database is asked once."""
        token = request.query.get("token", "")
        line, grant = self._known(request.match_info["node"], token)
        if grant is None and 0 < len(token) <= console_tokens.MAX_LENGTH:
            wanted = self._refresh()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while self._rounds < wanted:
                        await self._round.wait()
            line, grant = self._known(request.match_info["node"], token)
        return line, grant

    def _known(self, node: str, token: str) -> tuple[Followed | None, console_tokens.Grant | None]:
        line = self._find(node)
        return line, None if line is None else console_tokens.read(line.token_key, line.id, token)


def _no_room(text: str) -> web.Response:
    return web.Response(status=503, text=text, headers={"Retry-After": str(LATER)})


async def _once(_request: web.Request, response: web.StreamResponse) -> None:
    """A connection is for one request: none is kept for a second one, which may never come."""
    if not isinstance(response, web.WebSocketResponse):
        response.force_close()


@contextlib.asynccontextmanager
async def _cut_off(request: web.Request, reader: Reader) -> AsyncIterator[None]:
    """Cut the connection of a client that does not take the end of its stream."""
    transport = request.transport
    done = asyncio.Event()

    async def watch() -> None:
        await reader.gone.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await done.wait()
                return
        if transport is not None:
            transport.abort()

    watching = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        done.set()
        if not reader.gone.is_set():
            watching.cancel()


async def _show(request: web.Request, reader: Reader) -> web.StreamResponse:
    """Plain text, or server-sent events: each is a JSON string, as any text but line ends may stand in one."""
    events = "text/event-stream" in request.headers.get("Accept", "")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    kind = "text/event-stream" if events else "text/plain; charset=utf-8"
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": kind})
    await response.prepare(request)
    while (data := await reader.get(KEEP_ALIVE if events else None)) is not None:
        if not events:
            await response.write(data)
        elif not data:
            await response.write(b":\n\n")
        elif text := decoder.decode(data):
            await response.write(f"data: {json.dumps(text)}\n\n".encode())
    if events:
        await response.write(f"event: end\ndata: {json.dumps(reader.closed)}\n\n".encode())
    await response.write_eof()
    return response


async def _talk(request: web.Request, line: Followed, reader: Reader, types: bool) -> web.StreamResponse:
    """A websocket. The protocol `binary` is what clients of other consoles ask for; it means nothing here."""
    answer = web.WebSocketResponse(
        protocols=("binary",), timeout=LAST_WORDS, heartbeat=KEEP_ALIVE, max_msg_size=MESSAGE, compress=False
    )
    await answer.prepare(request)
    showing = asyncio.ensure_future(_send(answer, reader))
    try:
        async for message in answer:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                break
            data = message.data.encode() if isinstance(message.data, str) else message.data
            if data and not types:
                await answer.close(code=WSCloseCode.POLICY_VIOLATION, message=b"read-only")
                break
            while reader.closed is None and not line.ask(data):
                await asyncio.sleep(FULL)
    finally:
        if reader.closed is None:
            showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing  # it says good-bye
    return answer


async def _send(answer: web.WebSocketResponse, reader: Reader) -> None:
    with contextlib.suppress(ConnectionError):
        while (data := await reader.get()) is not None:
            await answer.send_bytes(data)
        await answer.close(code=WSCloseCode.GOING_AWAY, message=(reader.closed or "").encode())
