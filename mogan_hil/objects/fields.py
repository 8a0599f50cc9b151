# SPDX-License-Identifier: Apache-2.0
"""The field of a versioned object that goes with a Python annotation."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

from oslo_versionedobjects import fields


class Json(fields.FieldType[Any]):
    """Any JSON value, as it is."""

    @staticmethod
    def coerce(_obj: object, _attr: str, value: Any) -> Any:
        return value


class JsonField(fields.AutoTypedField[Any]):
    AUTO_TYPE = Json()


_PLAIN: dict[object, Callable[..., fields.Field[Any]]] = {
    str: fields.StringField,
    int: fields.IntegerField,
    bool: fields.BooleanField,
    list[str]: fields.ListOfStringsField,
    dict[str, Any]: JsonField,
    Any: JsonField,
}


def field_for(annotation: Any) -> fields.Field[Any]:
    """The field for a type.

    :param annotation: str, int, bool, datetime, a `StrEnum`, `list[str]`, `dict[str, Any]`, `Any`, or one or None
    :raises TypeError: another type
    """
    nullable = False
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        (annotation,) = (part for part in typing.get_args(annotation) if part is not type(None))
        nullable = True
    if annotation is datetime:
        return fields.DateTimeField(tzinfo_aware=False, nullable=nullable)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return fields.EnumField(valid_values=[str(value) for value in annotation], nullable=nullable)
    try:
        return _PLAIN[annotation](nullable=nullable or annotation is Any)
    except (KeyError, TypeError):
        raise TypeError(f"there is no field for {annotation!r}") from None
