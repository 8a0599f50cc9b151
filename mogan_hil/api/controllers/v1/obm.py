# SPDX-License-Identifier: Apache-2.0
"""/v1/nodes/{node}/power, /boot_device and /obm"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mogan_hil.api.expose import Answer, accepted, route
from mogan_hil.api.types import Base, Choice, Flag, Text, attribute
from mogan_hil.drivers.obm.base import Power
from mogan_hil.verbs import obm
from mogan_hil.verbs.base import Call

DEVICE = re.compile(r"[a-z][a-z0-9_]*")


class PowerTarget(Base):
    target = attribute(Choice(*Power), required=True)


class BootDevice(Base):
    device = attribute(Text(32, 1, DEVICE), required=True)
    persistent = attribute(Flag())


class Enabled(Base):
    enabled = attribute(Flag(), required=True)


@route("GET", "/v1/nodes/{node}/power")
def get_power(call: Call, node: str) -> Mapping[str, Any]:
    """Ask whether a node is on."""
    return obm.power(call, node)


@route("PUT", "/v1/nodes/{node}/power", body=PowerTarget)
def set_power(call: Call, node: str, body: dict[str, Any]) -> Answer:
    """Switch a node on or off."""
    return accepted(call, obm.set_power(call, node, Power(body["target"])))


@route("GET", "/v1/nodes/{node}/boot_device")
def get_boot_device(call: Call, node: str) -> Mapping[str, Any]:
    """Ask what a node boots from."""
    return obm.boot_device(call, node)


@route("PUT", "/v1/nodes/{node}/boot_device", body=BootDevice)
def set_boot_device(call: Call, node: str, body: dict[str, Any]) -> Answer:
    """Set what a node boots from."""
    return accepted(call, obm.set_boot_device(call, node, body["device"], body.get("persistent", False)))


@route("PUT", "/v1/nodes/{node}/obm", body=Enabled)
def enable(call: Call, node: str, body: dict[str, Any]) -> dict[str, Any]:
    """Allow or forbid power, boot device and console of a node."""
    return {"enabled": obm.enable(call, node, body["enabled"]).obm_enabled}
