# SPDX-License-Identifier: Apache-2.0
"""Users (auth local)."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "user:create"
LIST = "user:list"
GET = "user:get"
UPDATE = "user:update"
DELETE = "user:delete"
ASSIGN = "user:assign"
UNASSIGN = "user:unassign"

RULES = [
    base.rule(CREATE, base.ADMIN, "Create a user.", ("PUT", "/v1/users/{user}")),
    base.rule(LIST, base.SITE_READER, "List users.", ("GET", "/v1/users")),
    base.rule(GET, base.SITE_READER, "Show a user.", ("GET", "/v1/users/{user}")),
    base.rule(UPDATE, base.ADMIN, "Change the password of a user.", ("PATCH", "/v1/users/{user}")),
    base.rule(DELETE, base.ADMIN, "Delete a user.", ("DELETE", "/v1/users/{user}")),
    base.rule(ASSIGN, base.ADMIN, "Give a user a role in a project.", ("PUT", "/v1/users/{user}/projects/{project}")),
    base.rule(UNASSIGN, base.ADMIN, "Take a user out of a project.", ("DELETE", "/v1/users/{user}/projects/{project}")),
]
