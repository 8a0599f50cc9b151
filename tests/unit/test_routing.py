# SPDX-License-Identifier: Apache-2.0
"""From a path to a route."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

import testtools
from hypothesis import example, given
from hypothesis import strategies as st

from mogan_hil.api.app import all_routes
from mogan_hil.api.expose import Route
from mogan_hil.api.hil_v0.app import all_calls
from mogan_hil.api.hil_v0.paths import FIRST, HilPaths
from mogan_hil.api.routing import Router, sent_path
from mogan_hil.common import exception

ROUTER = Router(all_routes())
PORT = "/v1/switches/{switch}/ports/{port:path}"
PARTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n"), min_size=1).filter(
    lambda text: text not in (".", "..")
)


def _environ(raw: str, *, keeps: str | None = "REQUEST_URI", cheroot: bool = False) -> dict[str, str]:
    """What a server makes of a path that was sent."""
    if cheroot:  # it leaves %2F as it is
        decoded = b"%2F".join(unquote_to_bytes(part) for part in raw.replace("%2f", "%2F").split("%2F"))
    else:
        decoded = unquote_to_bytes(raw)
    found = {"PATH_INFO": decoded.decode("latin-1")}
    return {**found, keeps: raw} if keeps else found


class TestSentPath(testtools.TestCase):
    """Parts of a path come back, whatever is in them."""

    @given(PARTS, PARTS)
    @example("s", "gi1/0/1")
    @example("s", "x/nic")
    @example("a/b", "c/revert")
    @example("%", "%2F")
    def test_parts_come_back(self, switch: str, port: str) -> None:
        raw = f"/v1/switches/{quote(switch, safe='')}/ports/{quote(port, safe='')}"
        for keeps in ("REQUEST_URI", "RAW_URI"):
            route, parts = ROUTER.match("GET", sent_path(_environ(raw, keeps=keeps)))
            self.assertEqual((PORT, switch, port), (route.path, parts["switch"], parts["port"]))
            route, parts = ROUTER.match("PUT", sent_path(_environ(raw + "/nic", keeps=keeps)))
            self.assertEqual((PORT + "/nic", switch, port), (route.path, parts["switch"], parts["port"]))

    @given(PARTS.filter(lambda text: "%2f" not in text.lower()))
    @example("gi1/0/1")
    def test_behind_cheroot(self, port: str) -> None:
        raw = f"/v1/switches/s/ports/{quote(port, safe='')}"
        _, parts = ROUTER.match("GET", sent_path(_environ(raw, cheroot=True)))
        self.assertEqual(port, parts["port"])

    def test_behind_a_server_that_keeps_nothing(self) -> None:
        _, parts = ROUTER.match("GET", sent_path(_environ("/v1/switches/s/ports/gi1%2F0%2F1", keeps=None)))
        self.assertEqual("gi1/0/1", parts["port"])

    def test_below_a_prefix(self) -> None:
        environ = {"SCRIPT_NAME": "/hil/api", **_environ("/v1/switches/s/ports/a%2Fnic")}
        environ["REQUEST_URI"] = "/hil/api/v1/switches/s/ports/a%2Fnic?x=%2F"
        self.assertEqual("a/nic", ROUTER.match("GET", sent_path(environ))[1]["port"])

    def test_a_proxy_that_rewrites(self) -> None:
        """Then only what the server decoded counts."""
        environ = {"PATH_INFO": "/v1/nodes/n1", "REQUEST_URI": "/other%2Fpath"}
        self.assertEqual("/v1/nodes/n1", sent_path(environ))

    def test_refused(self) -> None:
        for path in ("\xff", "/v1/\xed\xa0\x80", "/v1/a\0", "/v1/a\nb"):
            self.assertRaises(exception.BadRequest, sent_path, {"PATH_INFO": path})

    @given(st.text(st.characters(max_codepoint=255)), st.text())
    @example("/x", "//[%2f")
    @example("/x", "http://[::1%2f")
    def test_any_path_is_answered(self, path: str, raw: str) -> None:
        try:
            ROUTER.match("GET", sent_path({"PATH_INFO": path, "REQUEST_URI": raw}))
        except exception.MoganHilError as error:
            self.assertIn(error.status, (400, 404, 405))


def _fits(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{.*?\}", "[^/]+", pattern), path) is not None


class TestRouter(testtools.TestCase):
    """Which route answers."""

    def test_every_route_finds_itself(self) -> None:
        for route in ROUTER.routes:
            path = route.path.replace("{port:path}", "a/b").replace("{", "").replace("}", "")
            self.assertIs(route, ROUTER.match(route.method, path)[0])
            self.assertIs(route, ROUTER.match(route.method, path + "/")[0])

    def test_head_is_get(self) -> None:
        self.assertEqual("GET", ROUTER.match("HEAD", "/v1/nodes")[0].method)

    def test_another_method(self) -> None:
        error = self.assertRaises(exception.MethodNotAllowed, ROUTER.match, "PATCH", "/v1/nodes")
        self.assertEqual(("GET", "POST"), error.allowed)

    def test_named_like_a_word_of_another_path(self) -> None:
        """What is named so is reached with each method that the other path does not take."""
        found = 0
        for router in (ROUTER, Router(all_calls())):
            for literal in {route.path for route in router.routes}:
                path = re.sub(r"\{.*?\}", "a", literal)
                taken = {route.method for route in router.routes if route.path == literal}
                others = [one for one in router.routes if one.path != literal and _fits(one.path, path)]
                for other in others:
                    if other.method not in taken:
                        self.assertEqual(other.method, router.match(other.method, path)[0].method, path)
                        found += 1
                allowed = taken | {other.method for other in others}
                error = self.assertRaises(exception.MethodNotAllowed, router.match, "TRACE", path)
                self.assertEqual(tuple(sorted(allowed)), error.allowed)
        self.assertLessEqual(4, found)

    def test_no_port_by_a_wrong_method(self) -> None:
        """It is the wrong method for the word at the end, and no port whose name ends with the word."""
        for router, method, path in (
            (ROUTER, "DELETE", "/v1/switches/s/ports/p/revert"),
            (ROUTER, "GET", "/v1/switches/s/ports/p/nic"),
            (Router(all_calls()), "PUT", "/v0/switch/s/port/p/revert"),
        ):
            self.assertRaises(exception.MethodNotAllowed, router.match, method, path)
            self.assertIn("port", router.match(method, path.replace("p/", "p\0"))[1])

    def test_nothing(self) -> None:
        for path in ("/v2", "/v1/nodes/a/b/c/d/e", "/v1/switches/a/b", "v1", "/v1//nodes"):
            self.assertRaises(exception.RouteNotFound, ROUTER.match, "GET", path)

    def test_no_route_twice(self) -> None:
        routes = [Route("GET", "/x", print), Route("GET", "/x", print)]
        self.assertRaises(ValueError, Router, routes)


class TestHilPaths(testtools.TestCase):
    """HIL's paths with and without /v0."""

    router = Router(all_calls())

    def _put(self, raw: str, script: str = "", *, keeps: str | None = "REQUEST_URI", cheroot: bool = False) -> str:
        """The path that the application sees."""
        environ = {**_environ(raw, keeps=keeps, cheroot=cheroot), "SCRIPT_NAME": script}
        if script and keeps:
            environ[keeps] = script + raw
        HilPaths(lambda *_: None, None)(environ, None)  # type: ignore[arg-type,return-value]
        return sent_path(environ)

    def test_all_of_them(self) -> None:
        for route in self.router.routes:
            path = route.path.replace("{", "").replace("}", "").replace(":path", "")
            for sent in (path, path.removeprefix("/v0"), path.replace("/v0/", "/v0//")):
                self.assertEqual(path, self._put(sent))

    def test_nothing_else(self) -> None:
        mine = {route.path.split("/")[1] for route in all_routes()}
        self.assertEqual(set(), FIRST & {*mine, "v0", "v1", "healthcheck", ""})
        for path in (
            "/",
            "",
            "/v0",
            "/v0/",
            "/v1/nodes/n",
            "/v1//nodes",
            "/v0nodes/all",
            "/healthcheck",
            "//",
            "/x/node",
        ):
            self.assertEqual(path, self._put(path))

    @given(PARTS.filter(lambda text: "%2f" not in text.lower()))
    @example("gi1/0/1")
    @example("x/revert")
    def test_slashes_of_ports(self, port: str) -> None:
        raw = f"/switch/s/port/{quote(port, safe='')}"
        for cheroot in (False, True):
            for script in ("", "/hil/api"):
                _, parts = self.router.match("GET", self._put(raw, script, cheroot=cheroot))
                self.assertEqual(port, parts["port"])
        _, parts = self.router.match("GET", self._put("/switch/s/port/gi1%2F0%2F1", keeps=None))
        self.assertEqual("gi1/0/1", parts["port"])
        _, parts = self.router.match("GET", self._put("/switch/s/port/gi1/0/1"))
        self.assertEqual("gi1/0/1", parts["port"])
