# SPDX-License-Identifier: Apache-2.0
"""Values that nobody means well with, and where they can be put. Both follow from the routes and their types."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import wsme.types

from mogan_hil.api.expose import Route

#: Texts for everywhere. None of them is a name or a number that could be meant.
TEXTS: tuple[str, ...] = (
    "",
    " ",
    "a b",
    "-rf",
    ".",
    "..",
    "../../etc/passwd",
    "/",
    "a/b/c",
    "\\",
    "x\nno shutdown",
    "x\r\nX-Roles: admin",
    "\t",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\u2028",
    "; rm -rf /",
    "$(reboot)",
    "`reboot`",
    "| cat /etc/shadow",
    "&& halt",
    "' OR 1=1 --",
    '" OR ""="',
    "1); DROP TABLE nodes; --",
    "%",
    "_",
    "%00",
    "%2e%2e%2f",
    "%s%n%d",
    "{0.__class__}",
    "${jndi:ldap://x}",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "switchport mode trunk",
    "vlan/native; shutdown",
    "\u202etxt.exe",
    "e\u0301\u0301\u0301",
    "\U0001f4a3",
    "\U000e0001" * 250,
    "\u0131\u017f",  # letters that turn into ASCII when their case is folded
    "\uff11\uff12",  # digits that int() takes
    "\uffff",
    "a" * 256,
    "\u00e9" * 255,
    "null",
    "NaN",
    "-1",
    "0x10",
    "1e999",
    "99999999999999999999",
    "00000000-0000-0000-0000-000000000000",
    "{00000000-0000-0000-0000-000000000000}",
    "*",
    "admin ",
    "ADMIN",
)
NUL = "a\0b"
LONG = "x" * 1_000_000

#: The same for paths, percent-encoded; the bytes at the end are not UTF-8.
PATH_TEXTS: tuple[str, ...] = (
    *(quote(text, safe="") for text in (*TEXTS, NUL) if text),
    *("%FF", "%C0%AF", "%ED%A0%80", "%F8%88%80%80%80", "%", "%zz", "%u0041", "a%0Ano%20shutdown", "%00"),
    quote("y" * 5000),
)

#: JSON values for every field, as JSON text: some cannot be written by json.dumps.
VALUES: tuple[str, ...] = (
    *("null", "true", "false", "0", "-1", "1", "1.5", "-0.0", "1e999", "-1e999", "NaN", "Infinity", "1e-400"),
    *("9007199254740993", "9223372036854775808", "-9223372036854775809", "1" * 400, "[]", "{}", "[[]]", "[null]"),
    *('[""]', '{"":null}', '{"a":{"b":[{}]}}', '[1,"a",null]', '["a","a"]', '{"$ref":"#"}', '{"__proto__":{}}'),
    *('"\\ud800"', '"\\udfff\\ud800"', '"a\\u0000b"', '{"\\u0000":1}', '{"\\ud800":1}', '["\\u0000"]', '"\\u2029"'),
    *("[" * 40 + "]" * 40, '{"a":' * 40 + "1" + "}" * 40),
)

#: Whole bodies, in place of the right one.
BODIES: tuple[bytes, ...] = (
    *(b"null", b"true", b"0", b'""', b"[]", b"[{}]", b"{", b"}", b"{]", b"\xff", b"\xef\xbb\xbf{}", b"\x00", b"'{}'"),
    *(b"{}{}", b"{} x", b'{"a":1,}', b"{'a':1}", b'{"a":1,"a":2}', b"{a:1}", b"<?xml version='1.0'?><x/>", b"a=1&b=2"),
    *(b"// x\n{}", "{}".encode("utf-16"), b'{"unknown":1}', b'{"unknown":{"a":{}}}', b'{"__class__":"x"}', b"NaN"),
    *(b"[" * 100_000, b'{"a":' * 40_000, b"[" * 100_000 + b"]" * 100_000, b'"' + b"x" * 200_000),
    *(b'{"id":1}', b'{"uuid":"x"}', b'{"created_at":"2000-01-01"}', b'{"lane":"x"}', b"\x1f\x8b\x08\x00"),
)

Place = tuple[str | int, ...]


def share(texts: Sequence[str], number: int) -> Sequence[str]:
    """A third of the texts, another one for each number: what is checked by one code is not sent everywhere."""
    return texts[number % 3 :: 3]


def places(body_type: Any, prefix: Place = ()) -> Iterator[Place]:
    """Every field of a body type, also those of objects and lists within it."""
    for attribute in wsme.types.list_attributes(body_type):
        here = (*prefix, attribute.name)
        yield here
        datatype = attribute.datatype
        if wsme.types.iscomplex(datatype):
            yield from places(datatype, here)
        elif isinstance(datatype, wsme.types.ArrayType) and wsme.types.iscomplex(datatype.item_type):
            yield from places(datatype.item_type, (*here, 0))


def with_value(body: Any, place: Place, text: str) -> bytes:
    """The JSON of a body in which one place has another value.

    :param text: the value, as JSON text
    """
    mark = "0b6e8a1c"
    changed = copy.deepcopy(body) if isinstance(body, dict) else {}
    at: Any = changed
    for step, following in zip(place, (*place[1:], None), strict=True):
        if following is None:
            at[step] = mark
        elif isinstance(step, int):
            at = at[step]
        else:
            at = at.setdefault(step, [{}] if isinstance(following, int) else {})
    return json.dumps(changed).replace(f'"{mark}"', text).encode("utf-8", "surrogatepass")


def queries(route: Route) -> Iterator[str]:
    """Query strings that a route has to refuse, or to take for what they are."""
    names = [*route.query, "limit", "marker", "sort_key", "sort_dir", "fields"]
    for number, name in enumerate(names):
        for text in (*share(TEXTS, number), NUL, "1,,2", ",", "true,false", "b1", "id", "password_hash", "__class__"):
            yield f"{name}={quote(text)}"
        yield from (f"{name}", f"{name}=%FF", f"{name}=%ED%A0%80", f"{name}=a&{name}=b", f"{name}[]=1", f"{name}=%zz")
        yield f"{name}={'z' * 5000}"
    yield from (
        "unknown=1",
        "=",
        "=1",
        "&",
        "&&&",
        "?",
        "a",
        "%00=1",
        "%FF=1",
        "limit=1;marker=2",
        "a=1" + "&a=1" * 100,
    )
