# SPDX-License-Identifier: Apache-2.0
"""Addresses of NICs."""

from __future__ import annotations

from mogan_hil.policies import base

LIST = "address:list"
TAKE_UNPOOLED = "address:take_unpooled"

RULES = [
    base.rule(
        LIST,
        base.ANYBODY,
        "List the addresses of the own project's nodes; an administrator sees all.",
        ("GET", "/v1/addresses"),
    ),
    base.rule(
        TAKE_UNPOOLED,
        base.PROJECT_MEMBER,
        "Ask for an address outside of the pools of its subnet. The target is the network: who only has access to it "
        "may ask for one in the pools.",
        ("POST", "/v1/nodes/{node}/nics/{nic}/attachments"),
        ("POST", "/v1/instances/{instance}/interfaces"),
        ("POST", "/v1/instances"),
        ("POST", "/v1/claims"),
    ),
]
