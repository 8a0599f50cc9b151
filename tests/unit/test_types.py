# SPDX-License-Identifier: Apache-2.0
"""Types of fields."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import testtools
from hypothesis import given
from hypothesis import strategies as st

from mogan_hil.api import types
from mogan_hil.api.controllers.v1.ports import PORT_NAME

NO_TEXTS = (None, True, 1, 1.5, [], {}, b"x")


class TestTypes(testtools.TestCase):
    """What each takes, and what not."""

    def _check(self, field: types.Field, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
        for value in good:
            self.assertEqual(value, field.validate(value))
        for value in bad:
            error = self.assertRaises(ValueError, field.validate, value)
            if isinstance(value, str) and len(value) > 4:
                self.assertNotIn(value, str(error), "it may be a secret")

    def test_text(self) -> None:
        bad = ("a\nb", "a\0", "\x7f", "\x85", "\u2028", "a" * 6, "")
        self._check(types.Text(5, 1), ("a", "\u00e9\U0001f600", "a b"), (*bad, *NO_TEXTS))

    def test_strings(self) -> None:
        good = ({}, {"a": "b"}, {"rack.row:1@x": "a b \u00e9"}, {str(number): "x" for number in range(64)})
        bad = (None, [], "a", 1, {"": "a"}, {"a b": "a"}, {"a": ""}, {"a": 1}, {"a": None}, {"a": ["b"]}, {"a": "x\n"})
        many = {str(number): "x" for number in range(65)}
        self._check(types.Strings(), good, (*bad, many, {"a": "x" * 256}, {"a" * 256: "x"}))

    def test_name(self) -> None:
        good = ("a", "A_1", "n-1.rack:2@x+y", "0", "a" * 255, "_x")
        bad = ("", "-a", ".a", "a b", "a/b", "\u00e9", "a\n", "a" * 256, "a;b", "$(x)", "a%", *NO_TEXTS)
        uuids = ("0b6e8a1c-0b6e-0b6e-0b6e-0b6e8a1c0b6e", "0b6e8a1c0b6e0b6e0b6e0b6e8a1c0b6e")
        self._check(types.Name(), good, (*bad, *uuids))

    def test_port_name(self) -> None:
        good = ("gi1/0/1", "Eth1/1:2", "100%", "a" * 63)
        self._check(types.Name(PORT_NAME, 63), good, ("", "a b", "\u00e9", "a" * 64, "a\n", *NO_TEXTS))

    def test_secret(self) -> None:
        good = ("x", "a b", "\u00e9" * 36, "x" * 72)
        self._check(types.Secret(), good, ("", "x" * 73, "\u00e9" * 37, "secret\n", *NO_TEXTS))

    def test_flag(self) -> None:
        self._check(types.Flag(), (True, False), (None, 0, 1, "true", "", [], {}))

    def test_number(self) -> None:
        self._check(types.Number(1, 3), (1, 2, 3), (0, 4, True, 1.0, "1", None, [], 10**400))

    def test_choice(self) -> None:
        self._check(types.Choice("a", "b"), ("a", "b"), ("", "A", "c", *NO_TEXTS))

    def test_object(self) -> None:
        self._check(types.Object(), ({}, {"a": [1]}), (None, [], "x", 1))

    def test_mac(self) -> None:
        field = types.Mac()
        for text in ("52:54:00:aa:bb:cc", "52-54-00-AA-BB-CC", "5254.00aa.bbcc", "525400aabbcc", "52:54:0:aa:bb:cc"):
            self.assertEqual("52:54:00:aa:bb:cc", field.validate(text))
        bad = (
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "52:54:00:aa:bb",
            "52:54:00:aa:bb:cc:dd:ee",
        )
        self._check(field, (), (*bad, "x", "", "\uff15" * 12, "a" * 100, "1 2 3 4 5 6", *NO_TEXTS))

    @given(st.integers(1, 2**48 - 1).filter(lambda number: not number >> 40 & 1))
    def test_every_mac_comes_back(self, number: int) -> None:
        text = ":".join(re.findall("..", f"{number:012x}"))
        self.assertEqual(text, types.Mac().validate(text))

    @given(st.text())
    def test_a_name_needs_no_quoting(self, text: str) -> None:
        with contextlib.suppress(ValueError):
            self.assertRegex(types.Name().validate(text), r"\A[\w.@:+-]+\Z")
