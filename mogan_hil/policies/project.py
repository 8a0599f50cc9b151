# SPDX-License-Identifier: Apache-2.0
"""Projects."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "project:create"
LIST = "project:list"
GET = "project:get"
DELETE = "project:delete"
LIST_NODES = "project:list_nodes"
LIST_NETWORKS = "project:list_networks"
LIST_HEADNODES = "project:list_headnodes"

RULES = [
    base.rule(CREATE, base.ADMIN, "Create a project (auth local).", ("PUT", "/v1/projects/{project}")),
    base.rule(LIST, base.SITE_READER, "List projects.", ("GET", "/v1/projects")),
    base.rule(GET, base.PROJECT_READER, "Show a project.", ("GET", "/v1/projects/{project}")),
    base.rule(DELETE, base.ADMIN, "Delete a project that has nothing.", ("DELETE", "/v1/projects/{project}")),
    base.rule(LIST_NODES, base.PROJECT_READER, "List the nodes of a project.", ("GET", "/v1/projects/{project}/nodes")),
    base.rule(
        LIST_NETWORKS,
        base.PROJECT_READER,
        "List the networks that a project owns or was given access to.",
        ("GET", "/v1/projects/{project}/networks"),
    ),
    base.rule(
        LIST_HEADNODES,
        base.PROJECT_READER,
        "List the headnodes of a project.",
        ("GET", "/v1/projects/{project}/headnodes"),
    ),
]
