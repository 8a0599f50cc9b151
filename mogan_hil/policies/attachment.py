# SPDX-License-Identifier: Apache-2.0
"""Attachments of NICs to networks."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "attachment:create"
LIST = "attachment:list"
DELETE = "attachment:delete"

RULES = [
    base.rule(
        CREATE, base.PROJECT_MEMBER, "Attach a NIC to a network.", ("POST", "/v1/nodes/{node}/nics/{nic}/attachments")
    ),
    base.rule(
        LIST, base.PROJECT_READER, "List the attachments of a NIC.", ("GET", "/v1/nodes/{node}/nics/{nic}/attachments")
    ),
    base.rule(
        DELETE,
        base.PROJECT_MEMBER,
        "Detach a NIC from a network.",
        ("DELETE", "/v1/nodes/{node}/nics/{nic}/attachments/{network}"),
    ),
]
