# SPDX-License-Identifier: Apache-2.0
"""Operations: the journal."""

from __future__ import annotations

from mogan_hil.policies import base

LIST = "operation:list"
GET = "operation:get"
GET_DETAIL = "operation:get_detail"

RULES = [
    base.rule(
        LIST, base.ANYBODY, "List operations of the own project; an administrator sees all.", ("GET", "/v1/operations")
    ),
    base.rule(GET, base.PROJECT_READER, "Show an operation.", ("GET", "/v1/operations/{operation}")),
    base.rule(
        GET_DETAIL,
        base.SITE_READER,
        "See what is meant for operators: the details of an error, the lane, the port and the switch.",
        ("GET", "/v1/operations"),
        ("GET", "/v1/operations/{operation}"),
    ),
]
