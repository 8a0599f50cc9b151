# SPDX-License-Identifier: Apache-2.0
"""Ports of switches and their cabling."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "port:create"
LIST = "port:list"
GET = "port:get"
DELETE = "port:delete"
CABLE = "port:cable"
UNCABLE = "port:uncable"
REVERT = "port:revert"

RULES = [
    base.rule(CREATE, base.ADMIN, "Register a port; it is parked.", ("POST", "/v1/switches/{switch}/ports")),
    base.rule(LIST, base.SITE_READER, "List the ports of a switch.", ("GET", "/v1/switches/{switch}/ports")),
    base.rule(GET, base.SITE_READER, "Show a port.", ("GET", "/v1/switches/{switch}/ports/{port}")),
    base.rule(
        DELETE, base.ADMIN, "Remove a port that nothing is cabled to.", ("DELETE", "/v1/switches/{switch}/ports/{port}")
    ),
    base.rule(
        CABLE, base.ADMIN, "Say which NIC is cabled to a port.", ("PUT", "/v1/switches/{switch}/ports/{port}/nic")
    ),
    base.rule(
        UNCABLE,
        base.ADMIN,
        "Say that nothing is cabled to a port any more.",
        ("DELETE", "/v1/switches/{switch}/ports/{port}/nic"),
    ),
    base.rule(
        REVERT, base.ADMIN, "Take a port off every network.", ("POST", "/v1/switches/{switch}/ports/{port}/revert")
    ),
]
