# SPDX-License-Identifier: Apache-2.0
"""Server groups."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "server_group:create"
LIST = "server_group:list"
GET = "server_group:get"
DELETE = "server_group:delete"

ALL = "/v1/server_groups"
ONE = "/v1/server_groups/{group}"

RULES = [
    base.rule(CREATE, base.PROJECT_MEMBER, "Create a server group of a project.", ("POST", ALL)),
    base.rule(LIST, base.ANYBODY, "List the server groups of the own project.", ("GET", ALL)),
    base.rule(GET, base.PROJECT_READER, "Show a server group.", ("GET", ONE)),
    base.rule(DELETE, base.PROJECT_MEMBER, "Delete a server group that no instance is in.", ("DELETE", ONE)),
]
