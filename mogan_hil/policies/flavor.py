# SPDX-License-Identifier: Apache-2.0
"""Flavors: which sort of node an instance takes."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "flavor:create"
LIST = "flavor:list"
LIST_ALL = "flavor:list_all"
GET = "flavor:get"
UPDATE = "flavor:update"
DELETE = "flavor:delete"
GRANT = "flavor:grant"
REVOKE = "flavor:revoke"

ONE = "/v1/flavors/{flavor}"

RULES = [
    base.rule(CREATE, base.ADMIN, "Create a flavor.", ("POST", "/v1/flavors")),
    base.rule(LIST, base.ANYBODY, "List the flavors that the own project may use.", ("GET", "/v1/flavors")),
    base.rule(
        LIST_ALL, base.SITE_READER, "See every flavor, and who may use it.", ("GET", "/v1/flavors"), ("GET", ONE)
    ),
    base.rule(GET, base.ANYBODY, "Show a flavor that the own project may use.", ("GET", ONE)),
    base.rule(UPDATE, base.ADMIN, "Change a flavor.", ("PATCH", ONE)),
    base.rule(DELETE, base.ADMIN, "Delete a flavor that no instance has.", ("DELETE", ONE)),
    base.rule(GRANT, base.ADMIN, "Let a project use a private flavor.", ("PUT", f"{ONE}/access/{{project}}")),
    base.rule(
        REVOKE, base.ADMIN, "Let a project use a private flavor no more.", ("DELETE", f"{ONE}/access/{{project}}")
    ),
]
