# SPDX-License-Identifier: Apache-2.0
"""Bodies: JSON that is taken and JSON that is not."""

from __future__ import annotations

import json
from typing import Any

import testtools
from hypothesis import given
from hypothesis import strategies as st

from mogan_hil.api import bodies
from mogan_hil.api.types import Base, Flag, ListOf, Name, Number, Text, attribute
from mogan_hil.common import exception

CLEAN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(SCALARS | CLEAN, lambda inner: st.lists(inner) | st.dictionaries(CLEAN, inner), max_leaves=20)


class Inner(Base):
    flag = attribute(Flag(), required=True)


class Outer(Base):
    name = attribute(Name(), required=True)
    count = attribute(Number(1, 3))
    note = attribute(Text(nullable=True))
    inner = attribute(Inner)
    perhaps = attribute(Inner, nullable=True)
    inners = attribute([Inner])
    words = attribute(ListOf(Text(5, 1), 2))


class TestLoad(testtools.TestCase):
    """From bytes to values."""

    @given(VALUES)
    def test_what_is_json_comes_back(self, value: Any) -> None:
        self.assertEqual(value, bodies.load(json.dumps(value).encode()))

    @given(st.binary(max_size=50))
    def test_any_bytes_are_json_or_refused(self, data: bytes) -> None:
        try:
            bodies.load(data)
        except exception.BadRequest as error:
            self.assertLess(len(error.detail), 400)

    def test_refused(self) -> None:
        for text in (
            *('{"a":1,"a":1}', '{"x":{"a":1,"a":2}}', "NaN", "Infinity", "-Infinity", "1e999", "9223372036854775808"),
            *('"\\ud800"', '{"\\udc00":1}', '"\\u0000"', '{"\\u0000":1}', "[" * 33 + "]" * 33, "[" * 100_000),
            *("", "x", "{", "[1,]", "{'a':1}", "01", "1 2", "\ufeff{}", "tru", '"\n"'),
        ):
            error = self.assertRaises(exception.BadRequest, bodies.load, text.encode("utf-8"))
            self.assertEqual(400, error.status)
        for data in (b"\xff", b'"\xed\xa0\x80"', "{}".encode("utf-16")):
            self.assertRaises(exception.BadRequest, bodies.load, data)

    def test_at_the_limits(self) -> None:
        for text in ("[" * 31 + "]" * 31, "9223372036854775807", "-9223372036854775807", "1e308", '"\\ud83d\\ude00"'):
            bodies.load(text.encode())


class TestParse(testtools.TestCase):
    """From values to checked values."""

    def _refused(self, value: Any, field: str) -> None:
        error = self.assertRaises(exception.BadField, bodies.parse, Outer, value)
        self.assertTrue(error.detail.startswith(f"{field}: "), error.detail)

    def test_what_is_given_comes_back(self) -> None:
        value = {
            "name": "x",
            "count": 2,
            "note": None,
            "inner": {"flag": True},
            "perhaps": None,
            "inners": [{"flag": False}],
            "words": ["a"],
        }
        self.assertEqual(value, bodies.parse(Outer, value))
        self.assertEqual({"name": "x"}, bodies.parse(Outer, {"name": "x"}))

    def test_refused(self) -> None:
        for value, field in (
            (None, "body"),
            ([], "body"),
            ("x", "body"),
            ({}, "name"),
            ({"name": None}, "name"),
            ({"name": 1}, "name"),
            ({"name": "x", "other": 1}, "other"),
            ({"name": "x", "Name": "x"}, "Name"),
            ({"name": "x", "count": True}, "count"),
            ({"name": "x", "count": "2"}, "count"),
            ({"name": "x", "count": 4}, "count"),
            ({"name": "x", "count": 2.0}, "count"),
            ({"name": "x", "inner": {}}, "inner.flag"),
            ({"name": "x", "inner": None}, "inner"),
            ({"name": "x", "inner": {"flag": 1}}, "inner.flag"),
            ({"name": "x", "inners": {}}, "inners"),
            ({"name": "x", "inners": [{"flag": True}, {}]}, "inners.1.flag"),
            ({"name": "x", "inners": [{"flag": True}] * 65}, "inners"),
            ({"name": "x", "words": ["a", "a"]}, "words"),
            ({"name": "x", "words": ["a", 1]}, "words"),
            ({"name": "x", "words": "a"}, "words"),
            ({"name": "x", "words": ["a", "b", "c"]}, "words"),
            ({"name": "x", "words": [["a"]]}, "words"),
        ):
            self._refused(value, field)

    def test_the_schema_says_the_same(self) -> None:
        schema = bodies.schema(Outer)
        self.assertEqual(["name"], schema["required"])
        self.assertIs(False, schema["additionalProperties"])
        self.assertEqual(["string", "null"], schema["properties"]["note"]["type"])
        self.assertEqual({"type": "integer", "minimum": 1, "maximum": 3}, schema["properties"]["count"])
        self.assertEqual(["object", "null"], schema["properties"]["perhaps"]["type"])
        self.assertEqual("object", schema["properties"]["inner"]["type"])
        self.assertEqual(["flag"], schema["properties"]["inners"]["items"]["required"])
