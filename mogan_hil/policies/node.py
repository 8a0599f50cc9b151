# SPDX-License-Identifier: Apache-2.0
"""Nodes: machines, who has them, and their labels."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "node:create"
LIST = "node:list"
GET = "node:get"
GET_FREE = "node:get_free"
GET_OBM = "node:get_obm"
UPDATE = "node:update"
DELETE = "node:delete"
CLAIM = "node:claim"
RELEASE = "node:release"
GET_METADATA = "node:get_metadata"
GET_FREE_METADATA = "node:get_free_metadata"
SET_METADATA = "node:set_metadata"
DELETE_METADATA = "node:delete_metadata"

RULES = [
    base.rule(CREATE, base.ADMIN, "Register a node.", ("POST", "/v1/nodes")),
    base.rule(
        LIST,
        base.ANYBODY,
        "List nodes: the free ones and those of the own project; an administrator sees all.",
        ("GET", "/v1/nodes"),
    ),
    base.rule(GET, base.PROJECT_READER, "Show a node of a project.", ("GET", "/v1/nodes/{node}")),
    base.rule(GET_FREE, base.ANYBODY, "Show a node that belongs to no project.", ("GET", "/v1/nodes/{node}")),
    base.rule(
        GET_OBM,
        base.SITE_READER,
        "See how a node is managed out of band; secrets are masked.",
        ("GET", "/v1/nodes/{node}"),
    ),
    base.rule(UPDATE, base.ADMIN, "Change a node.", ("PATCH", "/v1/nodes/{node}")),
    base.rule(DELETE, base.ADMIN, "Remove a free node that has no NICs.", ("DELETE", "/v1/nodes/{node}")),
    base.rule(
        CLAIM,
        base.PROJECT_MEMBER,
        "Give a free node to a project.",
        ("PUT", "/v1/nodes/{node}/project"),
        ("POST", "/v1/claims"),
    ),
    base.rule(
        RELEASE, base.PROJECT_MEMBER, "Take a node back from its project.", ("DELETE", "/v1/nodes/{node}/project")
    ),
    base.rule(
        GET_METADATA,
        base.PROJECT_READER,
        "Read the labels of a node of a project.",
        ("GET", "/v1/nodes/{node}"),
        ("GET", "/v1/nodes/{node}/metadata"),
        ("GET", "/v1/nodes/{node}/metadata/{label}"),
    ),
    base.rule(
        GET_FREE_METADATA,
        base.ANYBODY,
        "Read the labels of a node that belongs to no project: by them one is chosen.",
        ("GET", "/v1/nodes/{node}"),
        ("GET", "/v1/nodes/{node}/metadata"),
        ("GET", "/v1/nodes/{node}/metadata/{label}"),
    ),
    base.rule(SET_METADATA, base.ADMIN, "Set a label of a node.", ("PUT", "/v1/nodes/{node}/metadata/{label}")),
    base.rule(
        DELETE_METADATA, base.ADMIN, "Remove a label of a node.", ("DELETE", "/v1/nodes/{node}/metadata/{label}")
    ),
]
