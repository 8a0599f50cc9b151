# SPDX-License-Identifier: Apache-2.0
"""Subnets of networks."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "subnet:create"
LIST = "subnet:list"
GET = "subnet:get"
UPDATE = "subnet:update"
DELETE = "subnet:delete"

RULES = [
    base.rule(CREATE, base.PROJECT_MEMBER, "Give a network a subnet.", ("POST", "/v1/networks/{network}/subnets")),
    base.rule(
        LIST,
        base.ANYBODY,
        "List the subnets of a network that the own project may use.",
        ("GET", "/v1/networks/{network}/subnets"),
    ),
    base.rule(
        GET, base.ANYBODY, "Show a subnet of a network that the own project may use.", ("GET", "/v1/subnets/{subnet}")
    ),
    base.rule(
        UPDATE,
        base.PROJECT_MEMBER,
        "Change the gateway, the pools, the DNS servers or DHCP of a subnet.",
        ("PATCH", "/v1/subnets/{subnet}"),
    ),
    base.rule(
        DELETE,
        base.PROJECT_MEMBER,
        "Delete a subnet of which no NIC has an address.",
        ("DELETE", "/v1/subnets/{subnet}"),
    ),
]
