# SPDX-License-Identifier: Apache-2.0
"""Switches and controllers as HIL's users describe them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from mogan_hil.api.hil_v0.errors import HilError
from mogan_hil.common import hil_types
from mogan_hil.verbs.base import Call

Translation = Callable[[Mapping[str, Any], Collection[str]], tuple[str, dict[str, Any]]]


def obm(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    """The controller of a node: a type and its arguments.

    :raises HilError: there is no such type, or an argument is not known
    """
    return _controller(call, hil_types.obm, given)


def obmd(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    """The controller of a node: a node of an obmd.

    :raises HilError: it is not described so, or there is no driver for it
    """
    if set(given) != {"uri", "admin_token"}:
        raise HilError("ValidationError", "obmd has uri and admin_token.")
    return _controller(call, hil_types.obmd, given)


def _controller(call: Call, translate: Translation, given: Mapping[str, Any]) -> dict[str, Any]:
    driver, options = _told(translate, given, call.services.drivers.names("obm"))
    return {"driver": driver, "options": options}


def switch(call: Call, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A switch: its driver and options.

    :raises HilError: there is no such type, or an argument is not known
    """
    return _told(hil_types.switch, given, call.services.drivers.names("switch"))


def _told(translate: Translation, given: Mapping[str, Any], known: Collection[str]) -> tuple[str, dict[str, Any]]:
    try:
        return translate(given, known)
    except ValueError as error:
        raise HilError("BadArgumentError", str(error)) from None
