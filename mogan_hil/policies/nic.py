# SPDX-License-Identifier: Apache-2.0
"""NICs of nodes."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "nic:create"
LIST = "nic:list"
GET = "nic:get"
GET_FREE = "nic:get_free"
GET_CABLING = "nic:get_cabling"
DELETE = "nic:delete"

RULES = [
    base.rule(CREATE, base.ADMIN, "Register a NIC.", ("POST", "/v1/nodes/{node}/nics")),
    base.rule(
        LIST,
        base.PROJECT_READER,
        "List the NICs of a node of a project, also as a part of the node.",
        ("GET", "/v1/nodes/{node}"),
        ("GET", "/v1/nodes/{node}/nics"),
    ),
    base.rule(GET, base.PROJECT_READER, "Show a NIC of a node of a project.", ("GET", "/v1/nodes/{node}/nics/{nic}")),
    base.rule(
        GET_FREE,
        base.ANYBODY,
        "List and show the NICs of a node that belongs to no project, without their cabling.",
        ("GET", "/v1/nodes/{node}"),
        ("GET", "/v1/nodes/{node}/nics"),
        ("GET", "/v1/nodes/{node}/nics/{nic}"),
    ),
    base.rule(
        GET_CABLING,
        base.SITE_READER,
        "See which port a NIC is cabled to, and the ports and switches of an isolation report.",
        ("GET", "/v1/nodes/{node}"),
        ("GET", "/v1/nodes/{node}/nics"),
        ("GET", "/v1/nodes/{node}/nics/{nic}"),
        ("GET", "/v1/networks/{network}/isolation"),
    ),
    base.rule(DELETE, base.ADMIN, "Remove a NIC that is not cabled.", ("DELETE", "/v1/nodes/{node}/nics/{nic}")),
]
