# SPDX-License-Identifier: Apache-2.0
"""Request bodies: from bytes to a checked value of a WSME type. All the WSME glue is here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import webob
import wsme.types

from mogan_hil.common import exception

#: Deeper JSON is nobody's configuration.
MAX_DEPTH = 32
#: JSON numbers beyond 64 bits are not kept by every database: RFC 8259, section 6.
MAX_INTEGER = 2**63 - 1


def read(request: webob.Request) -> bytes:
    """The body of a request.

    :raises exception.BadRequest: it cannot be read
    """
    try:
        data = bytes(request.body)
    except (ValueError, OSError):  # chunks that are none, or a client that went away
        raise exception.BadRequest(reason="the body cannot be read") from None
    if not data and "HTTP_TRANSFER_ENCODING" in request.environ:  # uWSGI keeps chunks from applications
        raise exception.BadRequest(reason="the body came in chunks and is empty; send it with its length")
    return data


def load(data: bytes) -> Any:
    """Parse JSON strictly: no duplicate keys, no NaN, no lone surrogates, no NUL, numbers of 64 bits, 32 levels.

    :raises exception.BadRequest: it is not such JSON
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_float
        )
    except RecursionError:
        raise exception.BadRequest(reason=f"the JSON is nested deeper than {MAX_DEPTH} levels") from None
    except UnicodeDecodeError:
        raise exception.BadRequest(reason="the body is not UTF-8") from None
    except ValueError as error:
        raise exception.BadRequest(reason=f"the body is not JSON: {_brief(error)}") from None
    _check(value, MAX_DEPTH)
    return value


def _brief(error: ValueError) -> str:
    return str(error)[:200]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


def _int(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > MAX_INTEGER:
        raise ValueError("a number is out of range")
    return int(text)


def _check(value: Any, depth: int) -> None:
    if depth == 0:
        raise exception.BadRequest(reason=f"the JSON is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key)
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)


def check_text(text: str) -> None:
    """Refuse a text that not every database can keep.

    :raises exception.BadRequest: it has a NUL or half a surrogate pair
    """
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise exception.BadRequest(reason="a text has a NUL or half a surrogate pair")


def parse(body_type: Any, value: Any, where: str = "") -> dict[str, Any]:
    """Check a value against a body type.

    :param body_type: a subclass of `wsme.types.Base`
    :returns: the attributes that were given
    :raises exception.BadField: the first thing that is wrong
    """
    if not isinstance(value, Mapping):
        raise exception.BadField(field=where or "body", reason="it must be an object")
    attributes = {attribute.name: attribute for attribute in wsme.types.list_attributes(body_type)}
    unknown = sorted(set(value) - set(attributes))
    if unknown:
        reason = f"there is no such field; there are {', '.join(sorted(attributes)) or 'none'}"
        raise exception.BadField(field=where + unknown[0][:100], reason=reason)
    found = {}
    for name, attribute in attributes.items():
        if name in value:
            found[name] = _field(attribute.datatype, value[name], where + name, attribute.nullable)
        elif attribute.mandatory:
            raise exception.BadField(field=where + name, reason="it is required")
    return found


def _field(datatype: Any, value: Any, where: str, nullable: bool = False) -> Any:
    if value is None:
        if nullable or getattr(datatype, "nullable", False):
            return None
        raise exception.BadField(field=where, reason="it must not be null")
    if wsme.types.iscomplex(datatype):
        return parse(datatype, value, f"{where}.")
    if isinstance(datatype, wsme.types.ArrayType):
        return _array(datatype, value, where)
    try:
        return datatype.validate(value)
    except ValueError as error:
        raise exception.BadField(field=where, reason=str(error)) from None


def _array(datatype: wsme.types.ArrayType, value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise exception.BadField(field=where, reason="it must be a list")
    if len(value) > 64:
        raise exception.BadField(field=where, reason="it must not have more than 64 items")
    return [_field(datatype.item_type, item, f"{where}.{index}") for index, item in enumerate(value)]


def schema(body_type: Any) -> dict[str, Any]:
    """The JSON schema of a body type, for the OpenAPI document."""
    properties, required = {}, []
    for attribute in wsme.types.list_attributes(body_type):
        properties[attribute.name] = _field_schema(attribute.datatype, attribute.nullable)
        if attribute.mandatory:
            required.append(attribute.name)
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        found["required"] = required
    return found


def _field_schema(datatype: Any, nullable: bool = False) -> dict[str, Any]:
    if wsme.types.iscomplex(datatype):
        found = schema(datatype)
        return {**found, "type": ["object", "null"]} if nullable else found
    if isinstance(datatype, wsme.types.ArrayType):
        return {"type": "array", "maxItems": 64, "items": _field_schema(datatype.item_type)}
    found = dict(datatype.schema)
    if datatype.nullable and "type" in found:
        found["type"] = [found["type"], "null"]
    return found
