# SPDX-License-Identifier: Apache-2.0
"""Quotas."""

from __future__ import annotations

from mogan_hil.policies import base

GET = "quota:get"
GET_DEFAULTS = "quota:get_defaults"
SET = "quota:set"
RESET = "quota:reset"

ALL = "/v1/quotas"
ONE = "/v1/quotas/{project}"

RULES = [
    base.rule(
        GET, base.PROJECT_READER, "Show the quotas of a project, and what it uses of them.", ("GET", ALL), ("GET", ONE)
    ),
    base.rule(GET_DEFAULTS, base.ANYBODY, "Show the quotas of projects that have none.", ("GET", f"{ALL}/defaults")),
    base.rule(SET, base.ADMIN, "Set quotas of a project.", ("PUT", ONE)),
    base.rule(RESET, base.ADMIN, "Give a project the default quotas again.", ("DELETE", ONE)),
]
