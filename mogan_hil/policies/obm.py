# SPDX-License-Identifier: Apache-2.0
"""Out-of-band management: power and boot device."""

from __future__ import annotations

from mogan_hil.policies import base

GET_POWER = "obm:get_power"
SET_POWER = "obm:set_power"
GET_BOOT_DEVICE = "obm:get_boot_device"
SET_BOOT_DEVICE = "obm:set_boot_device"
ENABLE = "obm:enable"

RULES = [
    base.rule(GET_POWER, base.PROJECT_READER, "Ask whether a node is on.", ("GET", "/v1/nodes/{node}/power")),
    base.rule(SET_POWER, base.PROJECT_MEMBER, "Switch a node on or off.", ("PUT", "/v1/nodes/{node}/power")),
    base.rule(
        GET_BOOT_DEVICE, base.PROJECT_READER, "Ask what a node boots from.", ("GET", "/v1/nodes/{node}/boot_device")
    ),
    base.rule(
        SET_BOOT_DEVICE, base.PROJECT_MEMBER, "Set what a node boots from.", ("PUT", "/v1/nodes/{node}/boot_device")
    ),
    base.rule(
        ENABLE,
        base.PROJECT_MEMBER,
        "Allow or forbid power, boot device and console of a node.",
        ("PUT", "/v1/nodes/{node}/obm"),
    ),
]
