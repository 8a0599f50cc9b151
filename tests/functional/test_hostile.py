# SPDX-License-Identifier: Apache-2.0
"""Hostile and malformed requests: always a plain answer, never a 500, and a refused one changes nothing."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import socket
import threading
from collections.abc import Iterable
from typing import Any

from mogan_hil.api import process
from mogan_hil.api.app import make_app
from tests import service
from tests.functional import base, hostile

Ids = dict[str, str]

# What is refused is noted in the log at this level.
logging.getLogger("oslo_middleware").setLevel(logging.WARNING)
logging.getLogger("ironic_lib").setLevel(logging.WARNING)


class HostileTestCase(base.WorldTestCase):
    """Sends, checks, and makes the world right again after what was legitimate."""

    #: Whether the tables are compared after each refusal, and not by the test after several.
    compares = True

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> service.Answer:
        """Send as the administrator, who would be allowed."""
        answer: service.Answer = self.world.admin.call(method, path, body, **options)
        where = (method, path[:200], (body or b"")[:200] if isinstance(body, bytes) else body)
        self.assertLess(answer.status, 500, (where, answer.text[:500]))
        if answer.status >= 400:
            self.assert_error(answer)
            self.assertFalse(self.compares and self.world.changed(), where)
        elif method != "GET" or (self.compares and self.world.changed()):
            self.world.restore()
        return answer


class TestPaths(HostileTestCase):
    """Every part of every path."""

    def test_hostile_parts(self) -> None:
        numbers = itertools.count()
        for route in base.ROUTES.values():
            for name in base.PART.findall(route.path):
                for text in hostile.share(hostile.PATH_TEXTS, next(numbers)):
                    answer = self.send(route.method, self.world.path(route, raw={name: text}), self.world.body(route))
                    if route.method in ("GET", "DELETE", "PATCH", "POST"):
                        self.assertGreaterEqual(answer.status, 400, (route.method, route.path, name, text))

    def test_ids_of_the_wrong_kind(self) -> None:
        """A network's uuid is no node."""
        admin = self.world.admin
        ids: Ids = {
            "switch": admin.get("switches/rack1")["uuid"],
            "port": admin.get("switches/rack1/ports/gi1%2F0%2F1")["uuid"],
            "node": admin.get("nodes/n1")["uuid"],
            "nic": admin.get("nodes/n1/nics/eth0")["uuid"],
            "network": self.world.networks["red-net"]["uuid"],
            "project": self.world.projects["red"],
            "user": admin.get("users/red-member")["uuid"],
            "operation": self.world.operation,
        }
        for route in base.ROUTES.values():
            for name in base.PART.findall(route.path):
                for kind in set(ids) - {name}:
                    parts = {name: ids[kind]}
                    answer = self.send(route.method, self.world.path(route, parts), self.world.body(route))
                    self.assert_error(answer, 400, 404)

    def test_paths_that_are_none(self) -> None:
        for path in (
            *(
                "//",
                "/v1//nodes",
                "/v1/./nodes",
                "/v1/../v1/nodes/../..",
                "/v2",
                "/v1x",
                "/V1",
                "/v1/nodes/n1/nics/eth0/x",
            ),
            *("/v1/nodes%2Fn1", "/v1%2Fnodes", "/%2e%2e/%2e%2e/etc/passwd", "/v1/nodes;x=1", "/v1/nodes/n1%00", "/%FF"),
            *("/favicon.ico", "/healthcheck/", "/healthcheck/x", "/v1/openapi.json/x", "/v1/switches/rack1/ports//nic"),
        ):
            answer = self.send("GET", path)
            self.assertIn(answer.status, (200, 400, 404), path)

    def test_methods(self) -> None:
        for method in ("OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 200):
            for path in ("/v1/nodes", "/v1/nodes/n1", "/nothing"):
                self.assert_error(self.send(method, path), 404, 405)


class TestBodies(HostileTestCase):
    """Every field of every body, and whole bodies."""

    def test_hostile_fields(self) -> None:
        for route in base.ROUTES.values():
            if route.body is None:
                continue
            for number, place in enumerate(hostile.places(route.body)):
                for value in (*hostile.VALUES, *map(json.dumps, hostile.share(hostile.TEXTS, number))):
                    body = hostile.with_value(self.world.body(route), place, value)
                    self.send(route.method, self.world.path(route), body)

    def test_long_fields(self) -> None:
        for route in base.ROUTES.values():
            if route.body is None:
                continue
            for place in hostile.places(route.body):
                body = hostile.with_value(self.world.body(route), place, json.dumps(hostile.LONG))
                self.assert_error(self.send(route.method, self.world.path(route), body), 413)
                for value in (hostile.LONG[:200_000], ["n1"] * 30_000):
                    body = hostile.with_value(self.world.body(route), place, json.dumps(value))
                    answer = self.send(route.method, self.world.path(route), body)
                    self.assertTrue(answer.status == 400 or place == ("value",), place)  # a label may be anything

    def test_hostile_bodies(self) -> None:
        for route in base.ROUTES.values():
            for body in hostile.BODIES:
                answer = self.send(route.method, self.world.path(route), body)
                self.assertTrue(answer.status == 400 or route.method == "GET", (route.method, route.path, body[:50]))

    def test_media_types(self) -> None:
        for route in base.ROUTES.values():
            if route.body is None:
                continue
            for kind in (
                "text/plain",
                "application/xml",
                "multipart/form-data",
                "application/x-www-form-urlencoded",
                "x",
            ):
                headers = {"Content-Type": kind}
                answer = self.send(route.method, self.world.path(route), self.world.body(route), headers=headers)
                self.assert_error(answer, 415)
            answer = self.send(route.method, self.world.path(route), b"{}", headers={"Content-Type": ""})
            self.assert_error(answer, 415)
            for kind in ("application/json; charset=utf-8", "Application/JSON"):
                headers = {"Content-Type": kind}
                answer = self.send(route.method, self.world.path(route), self.world.body(route), headers=headers)
                self.assertLess(answer.status, 300, kind)

    def test_bodies_where_none_belongs(self) -> None:
        for route in base.ROUTES.values():
            if route.body is None and route.method != "GET":
                self.assert_error(self.send(route.method, self.world.path(route), {"x": 1}), 400)

    def test_a_secret_is_never_repeated(self) -> None:
        for body in (
            {"name": "x", "driver": "fake", "options": {"password": ["hush-hush"]}},
            {"name": "x", "driver": "fake", "options": {"password": "hush-hush" * 100}},
            {"name": "x", "driver": "fake", "options": {"password": "hush-hush", "delay": "hush-hush"}},
            {"name": "x\n", "driver": "fake", "options": {"password": "hush-hush"}},
            {"name": "x", "driver": "none", "options": {"password": "hush-hush"}},
        ):
            self.assertNotIn("hush-hush", self.send("POST", "switches", body).text)
        for password in ("hush-hush" * 10, "hush-hush\n", ["hush-hush"]):
            self.assertNotIn("hush-hush", self.send("PUT", "users/x", {"password": password}).text)


class TestQueriesAndHeaders(HostileTestCase):
    """Every query parameter, and the headers that mean something."""

    def test_hostile_queries(self) -> None:
        for route in base.ROUTES.values():
            if route.method != "GET":
                continue
            path = self.world.path(route)
            for query in hostile.queries(route) if route.listing is not None else ("limit=1", "fields=uuid", "a=b"):
                self.send("GET", f"{path}?{query}")

    def test_no_query_on_writes(self) -> None:
        for route in base.ROUTES.values():
            if route.method != "GET":
                path = self.world.path(route)
                self.assert_error(self.send(route.method, f"{path}?force=true", self.world.body(route)), 400)

    def test_authorization(self) -> None:
        def basic(text: bytes) -> str:
            return "Basic " + base64.b64encode(text).decode()

        for value in (
            *("", "Basic", "Basic ", "Basic !", "Basic =", "Basic ====", "Basic \u00e9", "Bearer x", "Digest x", "x"),
            *("Basic " + "A" * 60_000, "Basic YWRtaW46c2VjcmV0 x", "Basic YWRtaW4", "Negotiate x", "basic"),
            *(
                basic(b"admin"),
                basic(b":"),
                basic(b"admin:"),
                basic(b":secret"),
                basic(b"admin:wrong"),
                basic(b"\xff:\xff"),
            ),
            *(
                basic(b"admin\0:secret"),
                basic(b"admin:secret\0"),
                basic(b"admin:" + b"x" * 5000),
                basic(b"' OR 1=1 --:x"),
            ),
            *(
                basic(b"admin :secret"),
                basic(b"ADMIN:secret"),
                basic("\u202eadmin:secret".encode()),
                basic(b"x" * 5000 + b":x"),
            ),
            *(
                basic("\ud800:x".encode("utf-8", "surrogatepass")),
                basic(b"admin:secret\n"),
                basic(b"admin:\xed\xa0\x80"),
            ),
        ):
            for path in ("nodes", "/v1/nodes/n1"):
                self.assert_error(self.send("GET", path, headers={"Authorization": value}), 401)
        self.assertEqual(200, self.send("GET", "nodes", headers={"Authorization": basic(b"admin:secret")}).status)
        self.assertEqual(
            200,
            self.send(
                "GET", "nodes", headers={"Authorization": basic(b"admin:secret")[6:].join(["bAsIc ", ""])}
            ).status,
        )

    def test_project_header(self) -> None:
        for value in (
            "nothing",
            "' OR 1=1 --",
            "\u00ff",
            "x" * 5000,
            "red",
            self.world.projects["red"],
            " ",
            "*",
            "admin,red",
        ):
            self.assert_error(self.send("GET", "nodes", headers={"X-Project-Id": value}), 403)
        self.assertEqual(200, self.send("GET", "nodes", headers={"X-Project-Id": "admin"}).status)

    def test_forged_identity(self) -> None:
        """What a client says of itself counts for nothing."""
        forged = {
            "X-Roles": "admin",
            "X-Role": "admin",
            "X-Identity-Status": "Confirmed",
            "X-User-Id": "admin",
            "X-User-Name": "admin",
            "X-User": "admin",
            "X-Tenant-Id": self.world.projects["blue"],
            "X-Tenant": self.world.projects["blue"],
            "X-Project-Name": "blue",
            "X-Project-Domain-Id": "default",
            "X-Domain-Id": "default",
            "X-Is-Admin-Project": "True",
            "X-Service-Roles": "admin",
            "X-Service-Token": "x",
            "X-Service-Identity-Status": "Confirmed",
            "X-Auth-Token": "x",
            "X-Storage-Token": "x",
            "OpenStack-System-Scope": "all",
        }
        for name, value in [*forged.items(), ("", "")]:
            headers = {name: value} if name else forged
            for spelling in (headers, {key.replace("-", "_"): value for key, value in headers.items()}):
                answer = self.world.service._send("GET", "/v1/nodes", None, spelling)
                self.assert_error(answer, 401)
                reader = self.world.admin.as_user("red-reader")
                self.assert_error(reader.call("GET", "users", headers=spelling), 403)
                self.assert_error(reader.call("GET", "nodes/b1", headers=spelling), 404)
                operations = self.world.red.call("GET", "operations", headers=spelling).json["operations"]
                self.assertEqual({self.world.projects["red"]}, {item["project_id"] for item in operations})
        self.assertFalse(self.world.changed())

    def test_a_forged_author(self) -> None:
        answer = self.world.red.call(
            "POST",
            "nodes/n1/nics/eth0/attachments",
            {"network": "red-idle", "channel": self.world.words["TAGGED-IDLE"]},
            headers={"X-User-Id": "somebody"},
            status=202,
        )
        self.assertEqual(self.world.admin.get("users/red-member")["uuid"], answer.json["user_id"])

    def test_versions(self) -> None:
        for value in (
            "1.1",
            "1.99",
            "2.0",
            "0.9",
            "1",
            "1.",
            ".0",
            "1.0.0",
            "-1.0",
            "1.-0",
            "x",
            "",
            "1.99999",
            "\u00b9.0",
        ):
            answer = self.send("GET", "/", headers={"OpenStack-API-Version": f"baremetal-isolation {value}"})
            self.assert_error(answer, 406)
        for value in (
            "baremetal-isolation 1.0",
            "baremetal-isolation latest",
            "compute 2.99, baremetal-isolation 1.0",
            "\u00ff",
        ):
            self.assertEqual(200, self.send("GET", "/", headers={"OpenStack-API-Version": value}).status)

    def test_request_id(self) -> None:
        """A client's own id is not taken for the request's."""
        for value in ("x", "req-" + "a" * 500, "\u00ff", "req-00000000-0000-0000-0000-000000000000", "a\tb"):
            answer = self.send("GET", "nodes", headers={"X-Openstack-Request-Id": value})
            found = {name.lower(): text for name, text in answer.headers.items()}["x-openstack-request-id"]
            self.assertNotEqual(value, found)

    def test_other_headers(self) -> None:
        for name, value in (
            *(("Accept", "text/html"), ("Accept", "\u00ff"), ("Accept-Language", "x;q=y"), ("Range", "bytes=0-")),
            *(
                ("Host", "evil.example"),
                ("Host", "\u00ff"),
                ("X-Forwarded-Host", "evil.example"),
                ("Cookie", "a=\u00ff"),
            ),
            *(
                ("If-Match", "*"),
                ("If-Modified-Since", "x"),
                ("Origin", "http://evil.example"),
                ("X-HTTP-Method-Override", "DELETE"),
            ),
            *(("Content-Encoding", "gzip"), ("Transfer-Encoding", "x"), ("Expect", "200-ok"), ("Referer", "\u00ff")),
        ):
            self.assertEqual(200, self.send("GET", "nodes/n1", headers={name: value}).status, name)
        self.assertFalse(self.world.changed())


class TestOnMariadb(HostileTestCase):
    """What a database could take otherwise than SQLite does."""

    database = "mysql"
    compares = False
    ROUTES = (
        *(("GET", "/v1/nodes/{node}"), ("PUT", "/v1/nodes/{node}/metadata/{label}"), ("PUT", "/v1/users/{user}")),
        *(("PUT", "/v1/networks/{network}/access/{project}"), ("POST", "/v1/networks"), ("POST", "/v1/nodes")),
        *(("POST", "/v1/claims"), ("PATCH", "/v1/switches/{switch}"), ("GET", "/v1/operations"), ("GET", "/v1/nodes")),
    )

    def _send_all(self, method: str, requests: Iterable[tuple[str, Any]]) -> None:
        for path, body in requests:
            self.send(method, path, body)
        self.assertFalse(self.world.changed())

    def test_paths(self) -> None:
        for route in map(base.ROUTES.__getitem__, self.ROUTES):
            for name in base.PART.findall(route.path):
                paths = [self.world.path(route, raw={name: text}) for text in hostile.PATH_TEXTS]
                self._send_all(route.method, [(path, self.world.body(route)) for path in paths])

    def test_bodies(self) -> None:
        for route in map(base.ROUTES.__getitem__, self.ROUTES):
            for number, place in enumerate(hostile.places(route.body) if route.body is not None else ()):
                values = (*hostile.VALUES, *map(json.dumps, hostile.share(hostile.TEXTS, number)))
                sent = [hostile.with_value(self.world.body(route), place, value) for value in values]
                self._send_all(route.method, [(self.world.path(route), body) for body in sent])

    def test_queries(self) -> None:
        for route in map(base.ROUTES.__getitem__, self.ROUTES):
            if route.listing is not None:
                path = self.world.path(route)
                self._send_all("GET", [(f"{path}?{query}", None) for query in hostile.queries(route)])


class TestOnPostgresql(TestOnMariadb):
    """The same on PostgreSQL."""

    database = "postgresql"


class TestServer(base.WorldTestCase):
    """Over a socket: a client that is refused reads its answer, whatever it still wanted to send."""

    AUTHORIZATION = "Authorization: Basic " + base64.b64encode(b"admin:secret").decode()

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.server = process.Server(make_app(cls.world.service.services), ("127.0.0.1", 0), 4, alone=True)
        thread = threading.Thread(target=cls.server.serve, daemon=True)
        thread.start()
        cls.addClassCleanup(thread.join)
        cls.addClassCleanup(cls.server.stop)

    def _ask(self, head: str, *data: bytes, authorized: bool = True) -> tuple[int, Any]:
        host, port = self.server.url.removeprefix("http://").split(":")
        lines = [head, "Host: localhost", *([self.AUTHORIZATION] if authorized else []), "", ""]
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall("\r\n".join(lines).encode("latin-1"))
            for part in data:  # as a client that does not look at the answer before it has sent everything
                connection.sendall(part)
            with connection.makefile("rb") as answer:
                status = int(answer.readline().split()[1])
                length = 0
                while line := answer.readline().strip():
                    name, _, value = line.decode("latin-1").partition(":")
                    length = int(value) if name.lower() == "content-length" else length
                return status, answer.read(length)

    def _check(self, expected: int, head: str, *data: bytes, **options: Any) -> None:
        status, text = self._ask(head, *data, **options)
        self.assertEqual(expected, status, text)
        self.assertEqual(expected, json.loads(text)["errors"][0]["status"])
        self.assertFalse(self.world.changed())

    BLOCK = b" " * 65536
    CHUNK = b"10000\r\n" + BLOCK + b"\r\n"
    SIZE = 160 * len(BLOCK)

    def test_large_bodies(self) -> None:
        for path, authorized, status in (("nodes", True, 413), ("nodes", False, 413), ("nothing", True, 413)):
            head = f"POST /v1/{path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {self.SIZE}"
            self._check(status, head, *[self.BLOCK] * 160, authorized=authorized)

    def test_large_bodies_in_chunks(self) -> None:
        for path, authorized, status in (("nodes", True, 413), ("nodes", False, 401), ("nothing", True, 404)):
            head = f"POST /v1/{path} HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
            self._check(status, head, *[self.CHUNK] * 160, b"0\r\n\r\n", authorized=authorized)

    def test_a_body_in_chunks_is_read(self) -> None:
        head = "POST /v1/nodes HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
        status, text = self._ask(head, b'9\r\n{"name": \r\n', b'6\r\n"new"}\r\n', b"0\r\n\r\n")
        self.assertEqual((201, "new"), (status, json.loads(text)["name"]))
        head = "PUT /v1/nodes/n2/project HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
        self._ask(head, b'15\r\n{"project_id": "red"}\r\n', b"0\r\n\r\n")
        self.assertEqual(self.world.projects["red"], self.world.admin.get("nodes/n2")["project_id"])

    def test_broken_requests(self) -> None:
        """The server refuses these itself, in words of its own."""
        for head, data in (
            ("POST /v1/nodes HTTP/1.1\r\nContent-Length: -1", b""),
            ("POST /v1/nodes HTTP/1.1\r\nContent-Length: x", b""),
            ("GET /v1/nodes HTTP/9.9", b""),
            ("GET", b""),
            ("GET /v1/nodes HTTP/1.1\r\nX" * 3000, b""),
            ("GET /" + "x" * 100_000 + " HTTP/1.1", b""),
            ("GET /v1/nodes HTTP/1.1\r\nX-Y: " + "x" * 600_000, b""),
        ):
            try:
                self.assertIn(self._ask(head, data)[0], (400, 404, 413, 414, 505), head[:100])
            except ConnectionError:  # it was too much to read to its end
                self.assertGreater(len(head), 9000)
        self.assertFalse(self.world.changed())

    def test_malformed_chunks(self) -> None:
        head = "POST /v1/nodes HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
        for data in (b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n0\r\n\r\n", b"2\r\n{}xx\r\n0\r\n\r\n"):
            status, text = self._ask(head, data)
            self.assertEqual(400, status, (data, text))
        self.assertFalse(self.world.changed())

    def test_duplicate_headers(self) -> None:
        """Two names of a project are none."""
        self._check(403, "GET /v1/nodes HTTP/1.1\r\nX-Project-Id: admin\r\nX-Project-Id: red")

    def test_bytes_in_paths(self) -> None:
        for path in ("/v1/nodes/\xff", "/v1/nodes/%ff", "/v1/nodes/%00", "/v1/nodes/a%0ab", "/v1/nodes/\xe9"):
            self.assertEqual(400, self._ask(f"GET {path} HTTP/1.1")[0])
        for path in ("//[", "//[%2f", "http://[::1", "http://[x]/"):
            self.assertIn(self._ask(f"GET {path} HTTP/1.1")[0], (400, 404))
