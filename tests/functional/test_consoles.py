# SPDX-License-Identifier: Apache-2.0
"""Consoles through the API and the pretend controller: recorded, followed, typed on, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import fixtures
import requests
import testtools
from sqlalchemy import orm

from mogan_hil.common import console_tokens
from mogan_hil.conductor.service import Conductor
from mogan_hil.db import models
from mogan_hil.drivers.obm import fake
from mogan_hil.objects.console import Console
from tests import service

SETTINGS = {
    ("console", "check_interval"): 0.1,
    ("console", "lease"): 30.0,
    ("console", "record_size"): 4096,
    ("console", "max_readers"): 3,
    ("console", "max_streams"): 20,
}


class Follower:
    """Reads a stream in a thread, until the stream ends."""

    def __init__(self, url: str, **headers: str) -> None:
        self.answer = requests.get(url, stream=True, timeout=60, headers=headers)
        self.data = b""
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        # What is closed by another thread fails in any way.
        with contextlib.suppress(requests.RequestException, AttributeError, ValueError, OSError):
            for piece in self.answer.iter_content(None):
                self.data += piece
        self.ended.set()


class ConsoleTestCase(testtools.TestCase):
    """Node n1 of red's."""

    settings: dict[tuple[str, str], Any] = SETTINGS
    database = "sqlite"

    def setUp(self) -> None:
        super().setUp()
        self.service = self.useFixture(service.Embedded(self.settings, database=self.database))
        self.admin = self.service.admin
        for project in ("red", "blue"):
            self.admin.add_project(project)
        self.red, self.reader = self.admin.as_user("red-member"), self.admin.as_user("red-reader")
        self.blue = self.admin.as_user("blue-member")
        self.node = self.admin.add_node("n1", obm={"driver": "fake"})
        self.red.put("nodes/n1/project", {})

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        end = time.monotonic() + service.WAIT
        while not condition():
            self.assertLess(time.monotonic(), end, what or "it did not come about in time")
            time.sleep(0.02)

    def faults(self, **faults: object) -> None:
        fake.set_faults(self.service.state_dir, self.node["uuid"], **faults)

    def write(self, text: str) -> None:
        fake.write_console(self.service.state_dir, self.node["uuid"], text)

    def typed(self) -> str:
        return fake.typed(self.service.state_dir, self.node["uuid"])

    def start(self, state: str = "done") -> Any:
        return self.red.wait(self.red.put("nodes/n1/console", status=202), state)

    def stop(self) -> Any:
        return self.red.wait(self.red.delete("nodes/n1/console", 202))

    def record(self, query: str = "") -> Any:
        answer = self.red.call("GET", f"nodes/n1/console{query}")
        self.assertEqual(200 if answer.text else 204, answer.status, answer.text)
        return answer

    def url(self, caller: service.Api | None = None) -> str:
        answer = (caller or self.red).call("GET", "nodes/n1/console/stream", status=307)
        return str(answer.headers["Location"])

    def follow(self, caller: service.Api | None = None, **headers: str) -> Follower:
        follower = Follower(self.url(caller), **headers)
        self.assertEqual(200, follower.answer.status_code, follower.answer.reason)
        return follower

    def row(self) -> Console | None:
        with self.service.database.reader() as session:
            found = Console.find(session)
        return found[0] if found else None

    def status(self) -> str | None:
        row = self.row()
        return None if row is None else str(row.status)


class TestRecord(ConsoleTestCase):
    def test_nothing_yet(self) -> None:
        for path in ("nodes/n1/console", "nodes/n1/console/stream"):
            self.assertEqual("not_found", self.red.call("GET", path, status=404).json["errors"][0]["code"])

    def test_what_was_written_is_recorded(self) -> None:
        self.write("before")
        self.start()
        self.write("hello")
        self.until(lambda: "hello" in self.record().text)
        answer = self.record()
        self.assertNotIn("before", answer.text)
        self.assertEqual("text/plain; charset=utf-8", answer.headers["Content-Type"])
        self.assertEqual("nosniff", answer.headers["X-Content-Type-Options"])
        self.assertEqual("active", answer.headers["Console-Status"])
        self.assertEqual(("0", "7"), (answer.headers["Console-Start"], answer.headers["Console-End"]))
        self.stop()
        self.assertEqual("hello\r\n", self.record().text)
        self.assertEqual("stopped", self.record().headers["Console-Status"])

    def test_parts_of_it(self) -> None:
        self.start()
        self.write("0123456789")
        self.until(lambda: "789" in self.record().text)
        self.assertEqual("89\r\n", self.record("?length=4").text)
        self.assertEqual("", self.record("?length=0").text)
        self.assertEqual("6789\r\n", self.record("?offset=6").text)
        self.assertEqual("89\r\n", self.record("?offset=3&length=4").text)
        self.write("more")
        self.until(lambda: self.record("?offset=12").text == "more\r\n")
        self.assertEqual("", self.record("?offset=9000000000000000000").text)
        for query in ("?length=-1", "?length=x", "?offset=1e3", "?lines=1", "?offset=99999999999999999999"):
            self.red.call("GET", f"nodes/n1/console{query}", status=400)

    def test_it_has_a_bound(self) -> None:
        self.faults(console_flood=200_000)
        self.start()
        self.until(lambda: self.record().headers["Console-End"] == "200000")
        self.write("the end")
        self.until(lambda: "the end" in self.record().text)
        answer = self.record()
        self.assertEqual(4096, len(answer.text))
        self.assertEqual(200009 - 4096, int(answer.headers["Console-Start"]))
        with self.service.database.reader() as session:
            kept = sum(len(piece.data) for piece in session.query(models.ConsolePiece))
        self.assertLess(kept, 4096 + 32768)

    def test_little_by_little_it_stays_few_rows(self) -> None:
        self.start()
        for number in range(3):
            self.write(f"line {number}")
            self.until(lambda number=number: f"line {number}" in self.record().text)
        with self.service.database.reader() as session:
            self.assertEqual(1, session.query(models.ConsolePiece).count())

    def test_it_goes_on_after_a_stop(self) -> None:
        for word in ("one", "two"):
            self.start()
            self.write(word)
            self.until(lambda word=word: word in self.record().text)
            self.stop()
        self.assertEqual("one\r\ntwo\r\n", self.record().text)

    def test_bytes_that_are_no_text(self) -> None:
        self.start()
        self.write("\udcff\x00\x1b[31m")
        self.until(lambda: self.record().text == "\ufffd\x00\x1b[31m\r\n")

    def test_started_twice(self) -> None:
        self.start()
        key = getattr(self.row(), "token_key", None)
        self.start()
        self.assertEqual(key, getattr(self.row(), "token_key", None))
        self.stop()
        self.stop()


class TestShown(ConsoleTestCase):
    """What is shown of a console with its node."""

    def shown(self, caller: service.Api | None = None) -> Any:
        return (caller or self.red).get("nodes/n1")["console"]

    def test_life(self) -> None:
        self.assertIsNone(self.shown())
        times = []
        for act, status in ((self.start, "active"), (self.stop, "stopped"), (self.start, "active")):
            act()
            self.assertEqual((status, ""), (self.shown()["status"], self.shown()["reason"]))
            times.append(self.shown()["since"])
        self.assertEqual(sorted(set(times)), times)
        self.assertEqual(self.shown(), self.shown(self.reader))
        self.assertEqual(self.shown(), self.shown(self.admin))
        self.faults(console_lost=True)
        self.until(lambda: self.shown()["status"] == "lost")
        self.assertIn("controller", self.shown()["reason"])
        self.assertLess(times[-1], self.shown()["since"])

    def test_not_to_others(self) -> None:
        self.start()
        self.blue.get("nodes/n1", 404)
        self.red.delete("nodes/n1/project")
        self.assertNotIn("console", self.blue.get("nodes/n1"))
        self.assertIsNone(self.shown(self.admin))
        self.blue.put("nodes/n1/project", {})
        self.assertIsNone(self.shown(self.blue))


class TestRefused(ConsoleTestCase):
    def test_strangers_and_readers(self) -> None:
        self.start()
        for method, path in (("PUT", ""), ("DELETE", ""), ("GET", ""), ("GET", "/stream")):
            self.blue.call(method, f"nodes/n1/console{path}", status=404)
            expected = {"GET": {"": 204, "/stream": 307}}.get(method, {}).get(path, 403)
            self.reader.call(method, f"nodes/n1/console{path}", status=expected)

    def test_nodes_without(self) -> None:
        self.admin.add_node("bare")
        options = {"address": "https://192.0.2.1", "username": "u", "password": "p"}
        self.admin.add_node("fish", obm={"driver": "redfish", "options": options})
        for name in ("bare", "fish"):
            answer = self.admin.call("PUT", f"nodes/{name}/console", status=409)
            self.assertEqual("obm.unavailable", answer.json["errors"][0]["code"])

    def test_disabled(self) -> None:
        self.red.put("nodes/n1/obm", {"enabled": False})
        self.assertEqual("obm.disabled", self.red.call("PUT", "nodes/n1/console").json["errors"][0]["code"])

    def test_not_open(self) -> None:
        self.start()
        self.stop()
        answer = self.red.call("GET", "nodes/n1/console/stream", status=409)
        self.assertEqual("console.not_active", answer.json["errors"][0]["code"])

    def test_controller_refuses(self) -> None:
        self.faults(unreadable=True)
        ended = self.start("error")
        self.assertIn("does not answer", ended["error"])
        self.assertEqual("stopped", self.status())
        self.faults(crash=False)
        self.start()

    def test_locked(self) -> None:
        self.admin.post("instances/adopt", {"name": "i1", "node": "n1"})
        self.red.put("instances/i1/lock", {"target": True}, 202)
        for path in ("nodes/n1/console", "instances/i1/console"):
            for method in ("PUT", "DELETE"):
                answer = self.red.call(method, path, status=409)
                self.assertEqual("instance.locked", answer.json["errors"][0]["code"])
        self.admin.wait(self.admin.put("instances/i1/console", status=202))
        shown = self.red.get("instances/i1/console/stream?redirect=false")
        self.assertEqual("read-only", shown["mode"])
        self.assertEqual("read-write", self.admin.get("instances/i1/console/stream?redirect=false")["mode"])
        self.assertEqual("read-only", self.reader.get("nodes/n1/console/stream?redirect=false")["mode"])

    def test_locked_before_it_was_begun(self) -> None:
        """The lock is asked again when the conductor comes to it."""
        idle = self.useFixture(service.Embedded(self.settings, conductor=False))
        idle.admin.add_project("red")
        red = idle.admin.as_user("red-member")
        idle.admin.add_node("n1", obm={"driver": "fake"})
        red.put("nodes/n1/project", {})
        idle.admin.post("instances/adopt", {"name": "i1", "node": "n1"})
        operation = red.put("nodes/n1/console", status=202)
        red.put("instances/i1/lock", {"target": True}, 202)
        idle.start_conductor()
        red.wait(operation, "error")
        self.assertEqual("stopped", red.call("GET", "nodes/n1/console").headers["Console-Status"])

    def test_lost_and_locked_before_it_was_begun(self) -> None:
        """Who asked for a console that was to be opened again anyway, and was too late, takes it from nobody."""
        self.start()
        self.admin.post("instances/adopt", {"name": "i1", "node": "n1"})
        self.service.conductor.stop()
        self.service.conductor._locks.start()  # it is stopped once more in the end
        self.assertEqual("lost", self.status())
        operation = self.red.put("nodes/n1/console", status=202)
        self.red.put("instances/i1/lock", {"target": True}, 202)
        again = Conductor(self.service.conf, self.service.database, self.service.drivers)
        again.start()
        self.addCleanup(again.stop)
        self.assertIn("locked", self.red.wait(operation, "error")["error"])
        self.until(lambda: self.status() == "active")


class TestStream(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start()

    def test_two_readers(self) -> None:
        first, second = self.follow(), self.follow(self.reader)
        self.assertEqual("text/plain; charset=utf-8", first.answer.headers["Content-Type"])
        self.write("to both")
        self.until(lambda: first.data == second.data == b"to both\r\n")
        self.stop()
        self.until(lambda: first.ended.is_set() and second.ended.is_set())

    def test_events(self) -> None:
        follower = self.follow(Accept="text/event-stream")
        self.write("h\u00e9llo\ndata: no")
        self.until(lambda: b"no" in follower.data)
        self.stop()
        self.until(follower.ended.is_set)
        events = [event.split("\n") for event in follower.data.decode().split("\n\n") if event and event != ":"]
        self.assertEqual("h\u00e9llo\ndata: no\r\n", json.loads(events[0][0].removeprefix("data: ")))
        self.assertEqual("event: end", events[-1][0])

    def test_a_token_is_for_once(self) -> None:
        url = self.url()
        Follower(url)
        for wrong in (url, url[:-1], url + "0", urlsplit(url)._replace(query="").geturl()):
            self.assertEqual(403, requests.get(wrong, timeout=60).status_code)
        for token in ("a.b.c.d", ".", "\u00e9", "x" * 300, "1.2.w." + "0" * 64):
            wrong = urlsplit(url)._replace(query=f"token={token}").geturl()
            self.assertEqual(403, requests.get(wrong, timeout=60).status_code, token)
        self.assertEqual(404, requests.get(f"{url.partition('?')[0]}/x", timeout=60).status_code)
        self.assertEqual(405, requests.post(url, timeout=60).status_code)

    def test_tokens_expire_and_are_for_one_console(self) -> None:
        row = self.row()
        assert row is not None
        for console, seconds, key in ((row.id, -1, row.token_key), (row.id + 1, 60, row.token_key), (row.id, 60, "k")):
            token, _ = console_tokens.issue(key, console, True, seconds)
            wrong = urlsplit(self.url())._replace(query=f"token={token}").geturl()
            self.assertEqual(403, requests.get(wrong, timeout=60).status_code)

    def test_too_many_readers(self) -> None:
        first = [requests.get(self.url(), stream=True, timeout=60) for _ in range(3)]
        self.addCleanup(lambda: [answer.close() for answer in first])
        self.no_room("Too many follow this console.\n")
        first[0].close()  # it goes away without a word
        self.until(lambda: requests.get(self.url(), timeout=60, stream=True).status_code == 200)

    def no_room(self, text: str) -> None:
        refused = requests.get(self.url(), timeout=60)
        self.assertEqual((503, "10", text), (refused.status_code, refused.headers["Retry-After"], refused.text))

    def test_too_many_streams(self) -> None:
        """Of all consoles together. The token of who was refused is good for another try."""
        self.admin.add_node("n2", obm={"driver": "fake"})
        self.red.put("nodes/n2/project", {})
        self.red.wait(self.red.put("nodes/n2/console", status=202))
        self.service.conf.set_override("max_streams", 2, group="console")
        place = self.red.call("GET", "nodes/n2/console/stream", status=307).headers["Location"]
        first = [requests.get(url, stream=True, timeout=60) for url in (place, self.url())]
        self.addCleanup(lambda: [answer.close() for answer in first])
        self.assertEqual([200, 200], [answer.status_code for answer in first])
        self.no_room("Too many consoles are followed here.\n")
        url = self.url()
        self.assertEqual(503, requests.get(url, timeout=60).status_code)
        self.assertRaises(aiohttp.WSServerHandshakeError, lambda: talking(self.url()).__enter__())
        first[0].close()
        self.until(lambda: self.service.conductor._consoles._streams._open < 2)
        self.assertEqual(200, requests.get(url, timeout=60, stream=True).status_code)
        self.assertEqual(403, requests.get(url[:-1], timeout=60).status_code)

    def test_connections_that_ask_for_nothing(self) -> None:
        """They are cut off, as are those that ask for it byte by byte; and there is a limit to them."""
        follower = self.follow()  # which is given its time to ask, also on a slow machine
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.connections.SILENCE", 1.0))
        place = urlsplit(self.url())
        most = self.service.conductor._consoles._streams._connections._most
        silent = []
        for number in range(most + 5):
            silent.append(socket.create_connection((place.hostname, place.port), timeout=60))
            self.addCleanup(silent[-1].close)
            if number % 2:
                silent[-1].sendall(b"GET /")
        with contextlib.suppress(requests.ConnectionError):  # cut off before it was heard, on a slow machine
            self.assertIn(requests.get(self.url(), timeout=60, stream=True).status_code, (200, 503))
        for each in silent:
            with contextlib.suppress(ConnectionResetError):
                while each.recv(4096):
                    pass
        self.write("still here")
        self.until(lambda: b"still here" in follower.data)
        self.until(self.answered)

    def answered(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):  # cut off before it was heard, on a slow machine
            return requests.get(self.url(), timeout=60, stream=True).status_code == 200
        return False

    def test_a_slow_reader_holds_up_nobody(self) -> None:
        slow = requests.get(self.url(), stream=True, timeout=60)
        self.addCleanup(slow.close)
        quick = self.follow()
        self.stop()
        self.faults(console_flood=20 * 1024 * 1024)
        self.start()
        slow = requests.get(self.url(), stream=True, timeout=60)
        quick = self.follow()

        def told() -> bool:
            self.write("the end")  # once more, as it is left out where the quick one is not quick on this machine
            return quick.data.endswith(b"the end\r\n")

        self.until(told)
        slow.close()

    def test_no_thread_of_the_api_is_held(self) -> None:
        before = set(threading.enumerate())
        followers = [self.follow() for _ in range(3)]
        # The followers have one each; those of pools are made when they are first needed, and stay.
        new = [thread for thread in threading.enumerate() if thread not in before and "_" not in thread.name]
        self.assertLessEqual(len(new), len(followers), new)


@contextlib.contextmanager
def talking(url: str) -> Iterator[Callable[[Any], Any]]:
    """A websocket: what is given is a coroutine function to be called with it, and run to its end."""
    loop = asyncio.new_event_loop()

    async def opened() -> Any:
        session = aiohttp.ClientSession()
        return session, await session.ws_connect(url, protocols=("binary",))

    session, socket = loop.run_until_complete(opened())
    try:
        yield lambda work: loop.run_until_complete(asyncio.wait_for(work(socket), service.WAIT))
    finally:
        loop.run_until_complete(session.close())
        loop.close()


class TestTyping(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start()

    def socket(self, caller: service.Api | None = None, **more: str) -> Any:
        shown = (caller or self.red).get("nodes/n1/console/stream?redirect=false")
        return talking(shown["websocket_url"])

    def test_both_ways(self) -> None:
        async def talk(socket: Any) -> None:
            await socket.send_bytes(b"uptime\r")
            await socket.send_str("caf\u00e9\r")
            heard = b""
            while "caf\u00e9\r".encode() not in heard:
                heard += (await socket.receive()).data
            self.assertEqual("uptime\rcaf\u00e9\r".encode(), heard)

        with self.socket() as run:
            run(talk)
        self.assertEqual("uptime\rcaf\u00e9\r", self.typed())

    def test_much(self) -> None:
        async def talk(socket: Any) -> None:
            for number in range(200):
                await socket.send_str(f"{number:04} {'x' * 1000}\r")
            heard = b""
            while b"0199 " not in heard:
                heard += (await socket.receive()).data

        with self.socket() as run:
            run(talk)

    def test_a_reader_may_not(self) -> None:
        async def talk(socket: Any) -> int:
            await socket.send_bytes(b"rm -rf /\r")
            while (await socket.receive()).type != aiohttp.WSMsgType.CLOSE:
                pass
            return int(socket.close_code)

        with self.socket(self.reader) as run:
            self.assertEqual(1008, run(talk))
        self.assertEqual("", self.typed())

    def test_too_long_a_message(self) -> None:
        async def talk(socket: Any) -> int:
            await socket.send_bytes(b"x" * 100_000)
            while (await socket.receive()).type != aiohttp.WSMsgType.CLOSE:
                pass
            return int(socket.close_code)

        with self.socket() as run:
            self.assertEqual(1009, run(talk))
        self.assertEqual("", self.typed())

    def test_a_lock_ends_it(self) -> None:
        """What is typed after the lock was laid is typed nowhere, whoever had the leave before."""
        self.admin.post("instances/adopt", {"name": "i1", "node": "n1"})

        async def talk(socket: Any) -> None:
            await socket.send_bytes(b"before\r")
            heard = b""
            while b"before" not in heard:
                heard += (await socket.receive()).data
            self.admin.put("instances/i1/lock", {"target": True}, 202)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await socket.send_bytes(b"after\r")
            while (await socket.receive()).type != aiohttp.WSMsgType.CLOSE:
                pass

        unused = self.red.get("nodes/n1/console/stream?redirect=false")["url"]
        with self.socket() as run:
            run(talk)
        self.assertEqual(403, requests.get(unused, timeout=60).status_code)
        self.assertEqual("active", self.status())
        again = self.follow()  # to read it is still allowed
        self.write("still there")
        self.until(lambda: b"still there" in again.data)
        self.assertEqual("before\r", self.typed())


class TestEnds(ConsoleTestCase):
    """A stream and what was recorded, when what they belong to goes."""

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.follower = self.follow()
        self.unused = self.url()
        self.write("secret of red")
        self.until(lambda: "secret" in self.record().text)

    def ended(self) -> None:
        self.until(self.follower.ended.is_set)
        self.assertEqual(403, requests.get(self.unused, timeout=60).status_code)

    def test_on_stop(self) -> None:
        self.stop()
        self.ended()

    def test_on_disable(self) -> None:
        self.red.put("nodes/n1/obm", {"enabled": False})
        self.ended()
        self.assertIn("secret", self.record().text)
        self.assertEqual("stopped", self.status())

    def test_on_release(self) -> None:
        self.red.delete("nodes/n1/project")
        self.write("after the release")
        self.ended()
        self.assertNotIn(b"after", self.follower.data)
        self.blue.put("nodes/n1/project", {})
        self.blue.call("GET", "nodes/n1/console", status=404)
        self.blue.wait(self.blue.put("nodes/n1/console", status=202))
        self.assertNotIn("secret", self.blue.call("GET", "nodes/n1/console").text)
        with self.service.database.reader() as session:
            self.assertEqual(0, session.query(models.ConsolePiece).count())

    def test_on_claim(self) -> None:
        """What an administrator has seen of a free node is not for who claims it."""
        self.red.delete("nodes/n1/project")
        self.admin.wait(self.admin.put("nodes/n1/console", status=202))
        follower = Follower(self.url(self.admin))
        self.blue.put("nodes/n1/project", {})
        self.until(follower.ended.is_set)
        self.blue.call("GET", "nodes/n1/console", status=404)

    def test_on_delete_of_the_node(self) -> None:
        self.red.delete("nodes/n1/project")
        self.admin.wait(self.admin.put("nodes/n1/console", status=202))
        self.admin.delete("nodes/n1/nics/eth0")
        self.admin.delete("nodes/n1")
        self.ended()
        self.assertIsNone(self.row())

    def test_on_delete_of_the_instance(self) -> None:
        self.admin.post("instances/adopt", {"name": "i1", "node": "n1"})
        self.assertIn("secret", self.red.call("GET", "instances/i1/console", status=200).text)
        self.red.call("GET", "instances/i1/console/stream", status=307)
        self.blue.call("GET", "instances/i1/console", status=404)
        self.red.wait(self.red.delete("instances/i1", 202))
        self.ended()
        self.assertIsNone(self.row())

    def test_on_unlock(self) -> None:
        self.admin.post("instances/adopt", {"name": "i1", "node": "n1"})
        self.red.put("instances/i1/lock", {"target": True}, 202)
        self.ended()
        self.follower, self.unused = self.follow(), self.url()
        self.red.put("instances/i1/lock", {"target": True}, 202)  # it is locked
        self.write("goes on")
        self.until(lambda: b"goes on" in self.follower.data)
        self.red.put("instances/i1/lock", {"target": False}, 202)
        self.ended()

    def test_on_another_controller(self) -> None:
        """It is opened again through the new one."""
        key = getattr(self.row(), "token_key", None)
        self.admin.patch("nodes/n1", {"obm": {"driver": "fake", "options": {"delay": 0.01}}})
        self.ended()
        self.until(lambda: self.status() == "active")
        self.assertNotEqual(key, getattr(self.row(), "token_key", None))
        self.admin.patch("nodes/n1", {"obm": None})
        self.until(lambda: self.status() == "stopped")

    def test_when_the_line_is_lost(self) -> None:
        self.faults(console_lost=True)
        self.ended()
        self.until(lambda: self.status() == "lost")
        self.red.call("GET", "nodes/n1/console/stream", status=409)
        self.faults()
        self.until(lambda: self.status() == "active")
        self.write("again")
        self.until(lambda: "again" in self.record().text)

    def test_when_the_line_is_lost_for_good(self) -> None:
        """It can be stopped, and the node released, whatever is tried meanwhile."""
        self.faults(console_lost=True)
        self.until(lambda: self.status() == "lost")
        self.until(lambda: self.red.get("operations?verb=console_resume")["operations"])
        self.stop()
        self.assertEqual("stopped", self.status())
        self.red.delete("nodes/n1/project")
        self.assertIsNone(self.row())

    def test_when_the_conductor_stops(self) -> None:
        self.service.conductor.stop()  # the whole: its rounds would have the console opened again
        self.service.conductor._locks.start()  # it is stopped once more in the end
        self.until(self.follower.ended.is_set)
        self.assertEqual("lost", self.status())

    def test_what_was_opened_meanwhile(self) -> None:
        """A sweep that read of it when it was lost does not have it opened once more."""
        due = Console.due

        def late(_cls: type[Console], session: orm.Session, *where: Any, **more: Any) -> list[Console]:
            return due(session, *where, **more) if where else Console.find(session)

        with fixtures.MonkeyPatch("mogan_hil.objects.console.Console.due", late):
            self.service.conductor._consoles.sweep()
        self.assertEqual([], self.admin.get("operations?verb=console_resume")["operations"])


class TestRaces(ConsoleTestCase):
    """What ends a console, while it is being opened."""

    def _at_once(self, *works: Callable[[], object]) -> None:
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _settled(self) -> None:
        open_ = ("pending", "running")
        self.until(lambda: not [one for one in self.admin.get("operations")["operations"] if one["state"] in open_])

    def test_release(self) -> None:
        for delay in (0.0, 0.02, 0.05, 0.1):
            self.faults(delay=delay)
            self._at_once(
                lambda: self.red.call("PUT", "nodes/n1/console"),
                lambda: (time.sleep(0.03), self.red.call("DELETE", "nodes/n1/project")),
            )
            self._settled()
            self.assertIsNone(self.row())
            self.until(lambda: not self.service.conductor._consoles._lines)
            self.red.put("nodes/n1/project", {})

    def test_stop(self) -> None:
        for delay in (0.0, 0.02, 0.05, 0.1):
            self.faults(delay=delay)
            self._at_once(
                lambda: self.red.call("PUT", "nodes/n1/console"),
                lambda: (time.sleep(0.03), self.red.call("DELETE", "nodes/n1/console")),
            )
            self._settled()
            row = self.row()
            self.assertIn(self.status(), ("stopped", "active"))
            if row is not None and row.status == "stopped":
                self.until(lambda: not self.service.conductor._consoles._lines)
            self.stop()

    def test_many_starts(self) -> None:
        answers: list[int] = []
        self.faults(delay=0.1)
        self._at_once(*[lambda: answers.append(self.red.call("PUT", "nodes/n1/console").status) for _ in range(6)])
        self.assertLessEqual(set(answers), {202, 409})
        self._settled()
        self.assertEqual("active", self.status())
        self.assertEqual(1, len(self.service.conductor._consoles._lines))


class TestOnMariaDB(ConsoleTestCase):
    """A life of a console, where bytes are a BLOB and rows are locked."""

    database = "mysql"

    def test_life(self) -> None:
        self.faults(console_flood=100_000)
        self.start()
        follower = self.follow()
        self.until(lambda: self.record().headers["Console-End"] == "100000")
        self.write("\udcff the end")
        self.until(lambda: self.record().text.endswith(" the end\r\n"))
        self.assertLessEqual(4094, len(self.record().text))
        self.until(lambda: b"the end" in follower.data)
        self.faults(console_lost=True)
        self.until(follower.ended.is_set)
        self.faults()
        self.until(lambda: self.status() == "active")
        follower = self.follow()
        self.admin.post("instances/adopt", {"name": "i1", "node": "n1"})
        self.red.put("instances/i1/lock", {"target": True}, 202)
        self.until(follower.ended.is_set)
        self.admin.call("POST", "instances/i1/release", status=204)
        follower = self.follow()
        self.red.delete("nodes/n1/project")
        self.until(follower.ended.is_set)
        self.assertIsNone(self.row())


class TestOnPostgreSQL(TestOnMariaDB):
    database = "postgresql"


class TestTime(ConsoleTestCase):
    settings = {**SETTINGS, ("console", "stream_time"): 1.0}

    def test_a_stream_ends(self) -> None:
        self.start()
        follower = self.follow()
        self.until(follower.ended.is_set)
        self.follow()
