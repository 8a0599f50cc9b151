# SPDX-License-Identifier: Apache-2.0
"""Switches, their ports and cabling."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "switch:create"
LIST = "switch:list"
GET = "switch:get"
UPDATE = "switch:update"
DELETE = "switch:delete"
DRIFT = "switch:drift"
HEAL = "switch:heal"

RULES = [
    base.rule(CREATE, base.ADMIN, "Register a switch.", ("POST", "/v1/switches")),
    base.rule(LIST, base.SITE_READER, "List switches.", ("GET", "/v1/switches")),
    base.rule(GET, base.SITE_READER, "Show a switch.", ("GET", "/v1/switches/{switch}")),
    base.rule(UPDATE, base.ADMIN, "Change a switch.", ("PATCH", "/v1/switches/{switch}")),
    base.rule(DELETE, base.ADMIN, "Remove a switch that has no ports.", ("DELETE", "/v1/switches/{switch}")),
    base.rule(
        DRIFT,
        base.SITE_READER,
        "Show the ports that are not as the database says.",
        ("GET", "/v1/switches/{switch}/drift"),
    ),
    base.rule(HEAL, base.ADMIN, "Make every port as the database says.", ("POST", "/v1/switches/{switch}/heal")),
]
