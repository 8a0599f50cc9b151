# SPDX-License-Identifier: Apache-2.0
"""The types of request fields: WSME user types that refuse what they are not, and know their JSON schema.

WSME's own types convert ("yes" is a boolean, 7 a text); these do not. A field that is refused raises ValueError with a
reason that does not repeat the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import netaddr
from oslo_utils import uuidutils
from wsme import types as wsme_types

from mogan_hil.common import addresses

wsattr = wsme_types.wsattr

#: Names go into URLs, switch descriptions and command lines of other tools: nothing in them may need quoting.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,254}")
#: As custom traits of placement, and the standard ones: https://docs.openstack.org/os-traits/latest/
TRAIT = re.compile(r"[A-Z0-9_]{1,255}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Base(wsme_types.Base):
    """A request body. Its fields have the order in which they are declared."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Without it WSME parses the source of each class, which is a sixth of the time that a process takes to start.
        declared = ((name, value) for parent in cls.__mro__ for name, value in vars(parent).items())
        fields = (name for name, value in declared if name[0] != "_" and wsme_types.iswsattr(value))
        cls._wsme_attr_order = list(dict.fromkeys(fields))


class Field(wsme_types.UserType):
    """The base: a JSON value that is checked.

    :param nullable: null is allowed, and means: none
    """

    basetype = wsme_types.text
    name = "field"

    def __init__(self, *, nullable: bool = False, **schema: Any) -> None:
        self.nullable = nullable
        self.schema: Mapping[str, Any] = schema

    def validate(self, value: Any) -> Any:
        """The value.

        :raises ValueError: it is not one of this type
        """
        return value


class Text(Field):
    """A text of one line."""

    def __init__(
        self, max_length: int = 255, min_length: int = 0, pattern: re.Pattern[str] | None = None, **options: Any
    ) -> None:
        schema: dict[str, Any] = {"type": "string", "minLength": min_length, "maxLength": max_length}
        if pattern is not None:
            schema["pattern"] = f"^{pattern.pattern}$"
        super().__init__(**schema, **options)
        self._bounds = (min_length, max_length)
        self._pattern = pattern

    def validate(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("it must be a string")
        if not self._bounds[0] <= len(value) <= self._bounds[1]:
            raise ValueError(f"it must have {self._bounds[0]} to {self._bounds[1]} characters")
        if CONTROL.search(value):
            raise ValueError("it must not have control characters or line breaks")
        if self._pattern is not None and self._pattern.fullmatch(value) is None:
            raise ValueError(f"it must match {self._pattern.pattern}")
        return value


class Name(Text):
    """The name of a new thing. It does not look like a uuid, so that a name and a uuid never mean two things."""

    def __init__(self, pattern: re.Pattern[str] = NAME, max_length: int = 255, **options: Any) -> None:
        super().__init__(max_length, 1, pattern, **options)

    def validate(self, value: Any) -> Any:
        super().validate(value)
        if uuidutils.is_uuid_like(value):
            raise ValueError("a name must not look like a uuid")
        return value


class Ref(Text):
    """The name or the uuid of something that exists."""

    def __init__(self, **options: Any) -> None:
        super().__init__(255, 1, **options)


class Secret(Text):
    """A password: any text of up to 72 bytes, which is what bcrypt reads."""

    def __init__(self, **options: Any) -> None:
        super().__init__(72, 1, **options)

    def validate(self, value: Any) -> Any:
        super().validate(value)
        if len(value.encode()) > 72:
            raise ValueError("it must not be longer than 72 bytes in UTF-8")
        return value


class Flag(Field):
    """true or false."""

    def __init__(self, **options: Any) -> None:
        super().__init__(type="boolean", **options)

    def validate(self, value: Any) -> Any:
        if not isinstance(value, bool):
            raise ValueError("it must be true or false")
        return value


class Number(Field):
    """A whole number."""

    def __init__(self, minimum: int, maximum: int, **options: Any) -> None:
        super().__init__(type="integer", minimum=minimum, maximum=maximum, **options)
        self._bounds = (minimum, maximum)

    def validate(self, value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("it must be a whole number")
        if not self._bounds[0] <= value <= self._bounds[1]:
            raise ValueError(f"it must be {self._bounds[0]} to {self._bounds[1]}")
        return value


class Choice(Field):
    """One of some texts."""

    def __init__(self, *values: str, **options: Any) -> None:
        super().__init__(type="string", enum=list(values), **options)
        self._values = values

    def validate(self, value: Any) -> Any:
        if not isinstance(value, str) or value not in self._values:
            raise ValueError(f"it must be one of {', '.join(self._values)}")
        return value


class Mac(Field):
    """A MAC address of one machine, in any usual notation; kept as six lower-case pairs (IEEE 802-2014, 8.1)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(type="string", examples=["52:54:00:12:34:56"], maxLength=23, **options)

    def validate(self, value: Any) -> Any:
        if not isinstance(value, str) or len(value) > 23 or not value.isascii() or not netaddr.valid_mac(value):
            raise ValueError("it must be a MAC address, like 52:54:00:12:34:56")
        address = netaddr.EUI(value, version=48, dialect=netaddr.mac_unix_expanded)
        if int(address) >> 40 & 1 or not int(address):
            raise ValueError("it must be the address of one machine, not a group's")
        return str(address)


class Ip(Field):
    """An IP address of either version, kept in canonical notation (RFC 5952 for IPv6)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(type="string", examples=["192.0.2.1", "2001:db8::1"], maxLength=45, **options)

    def validate(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("it must be an IP address")
        return str(addresses.address(value))


class Cidr(Field):
    """A subnet of either version, kept in canonical notation."""

    def __init__(self, **options: Any) -> None:
        super().__init__(type="string", examples=["192.0.2.0/24", "2001:db8::/64"], maxLength=43, **options)

    def validate(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("it must be a subnet, like 192.0.2.0/24 or 2001:db8::/64")
        return str(addresses.cidr(value))


class IpOrCidr(Field):
    """An IP address or a range of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(type="string", examples=["192.0.2.1", "2001:db8::/64"], maxLength=45, **options)

    def validate(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("it must be an IP address or a subnet")
        addresses.numbers(value)
        return value


class Object(Field):
    """A JSON object, whatever is in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(type="object", **options)

    def validate(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("it must be an object")
        return value


class Strings(Field):
    """An object of texts. Its keys are like names, its values of one line."""

    def __init__(self, max_items: int = 64, **options: Any) -> None:
        values = {"type": "string", "minLength": 1, "maxLength": 255}
        keys = {"pattern": f"^{NAME.pattern}$"}
        super().__init__(
            type="object", additionalProperties=values, propertyNames=keys, maxProperties=max_items, **options
        )
        self._key, self._value = Text(255, 1, NAME), Text(255, 1)
        self._max_items = max_items

    def validate(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("it must be an object")
        if len(value) > self._max_items:
            raise ValueError(f"it must not have more than {self._max_items} entries")
        for key, item in value.items():
            try:
                self._key.validate(key)
                self._value.validate(item)
            except ValueError as error:
                raise ValueError(f"in a key or a value of it: {error}") from None
        return value


class ListOf(Field):
    """A list without repetitions of texts."""

    def __init__(self, item: Field, max_items: int, **options: Any) -> None:
        super().__init__(type="array", items=item.schema, maxItems=max_items, uniqueItems=True, **options)
        self._item = item
        self._max_items = max_items

    def validate(self, value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError("it must be a list")
        if len(value) > self._max_items:
            raise ValueError(f"it must not have more than {self._max_items} items")
        checked = [self._item.validate(item) for item in value]
        if len(set(checked)) != len(checked):
            raise ValueError("it must not have the same item twice")
        return checked


def attribute(field: Any, *, required: bool = False, nullable: bool = False) -> Any:
    """An attribute of a body type.

    :param nullable: null is allowed, and means: none. For an object; the other types say so themselves
    """
    found = wsattr(field, mandatory=required)
    found.nullable = nullable
    return found
