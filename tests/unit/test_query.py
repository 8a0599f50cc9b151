# SPDX-License-Identifier: Apache-2.0
"""Query strings."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import testtools
from hypothesis import given
from hypothesis import strategies as st

from mogan_hil.api.expose import Listing, Route
from mogan_hil.api.query import parse_page, parse_query, select
from mogan_hil.api.types import Flag, ListOf, Ref, Text
from mogan_hil.common import exception

ROUTE = Route(
    "GET",
    "/v1/things",
    print,
    query={"free": Flag(), "name": Ref(), "traits": ListOf(Text(9, 1), 3)},
    listing=Listing("things", ("name", "created_at")),
)
ONE = Route("GET", "/v1/things/{thing}", print)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50)


class TestParse(testtools.TestCase):
    """From text to filters and a page."""

    def test_filters(self) -> None:
        query = parse_query("free=TRUE&name=a%20b&traits=A,B&fields=uuid,,name", ROUTE)
        self.assertEqual({"free": True, "name": "a b", "traits": ["A", "B"]}, query.filters)
        self.assertEqual(["uuid", "name"], query.fields)
        for text, value in (("true", True), ("1", True), ("yes", True), ("false", False), ("0", False), ("No", False)):
            self.assertIs(value, parse_query(f"free={text}", ROUTE).filters["free"])
        self.assertEqual({}, parse_query("", ROUTE).filters)

    def test_refused(self) -> None:
        for text in (
            *(
                "free=",
                "free=maybe",
                "name=",
                "name=" + "x" * 256,
                "name=%0a",
                "traits=A,A",
                "traits=",
                "traits=A,B,C,D",
            ),
            *("other=1", "Free=1", "free=1&free=1", "name=%FF", "name=%ED%A0%80", "name", "&", "=", "name=%00"),
            *("free=1;name=x", "&".join(f"x{number}=1" for number in range(100))),
        ):
            self.assertRaises(exception.BadRequest, parse_query, text, ROUTE)
        for text in ("limit=1", "marker=x", "fields=x", "name=x"):
            self.assertRaises(exception.BadQuery, parse_query, text, ONE)

    def test_pages(self) -> None:
        def page(text: str) -> tuple[object, ...]:
            found = parse_page(parse_query(text, ROUTE), ("name",), 100)
            return found.limit, found.marker, found.sort_key, found.sort_dir

        self.assertEqual((100, None, "id", "asc"), page(""))
        self.assertEqual((7, "m", "name", "desc"), page("limit=7&marker=m&sort_key=name&sort_dir=desc"))
        self.assertEqual((100, None, "id", "asc"), page("limit=1000"))
        for text in (
            *("limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=1e2", "limit=%EF%BC%91", "limit=0x1"),
            *("limit=" + "9" * 30, "sort_key=id", "sort_key=", "sort_key=created_at", "sort_dir=up", "sort_dir="),
        ):
            self.assertRaises(exception.BadQuery, page, text)

    @given(WORDS, WORDS)
    def test_the_next_link_asks_the_same(self, name: str, path: str) -> None:
        query = parse_query(f"limit=2&name={_quoted(name)}", ROUTE)
        environ = {"PATH_INFO": f"/v1/{path}".encode().decode("latin-1")}
        link = urlsplit(query.next_link("https://x", environ, "last"))
        self.assertEqual([("limit", "2"), ("name", name), ("marker", "last")], parse_qsl(link.query))
        self.assertTrue(link.path.isascii())

    def test_select(self) -> None:
        items = [{"a": 1, "b": 2}]
        self.assertEqual([{"b": 2}], select(items, ["b"]))
        self.assertEqual(items, select(items, None))
        self.assertEqual([], select([], ["nothing"]))
        self.assertRaises(exception.BadQuery, select, items, ["nothing"])


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())
