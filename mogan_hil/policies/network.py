# SPDX-License-Identifier: Apache-2.0
"""Networks and who may use them."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "network:create"
CREATE_SPECIAL = "network:create_special"
LIST = "network:list"
GET = "network:get"
GET_ACCESS = "network:get_access"
UPDATE = "network:update"
UPDATE_PUBLIC = "network:update_public"
DELETE = "network:delete"
GRANT = "network:grant"
REVOKE = "network:revoke"
RENOUNCE = "network:renounce"
LIST_ATTACHMENTS = "network:list_attachments"
GET_ISOLATION = "network:get_isolation"

RULES = [
    base.rule(CREATE, base.PROJECT_MEMBER, "Create a network that belongs to a project.", ("POST", "/v1/networks")),
    base.rule(
        CREATE_SPECIAL,
        base.ADMIN,
        "Create a network of the site, a public one, or one with a given segment or access list.",
        ("POST", "/v1/networks"),
    ),
    base.rule(
        LIST,
        base.ANYBODY,
        "List the networks that the own project may use; an administrator sees all.",
        ("GET", "/v1/networks"),
    ),
    base.rule(GET, base.ANYBODY, "Show a network that the own project may use.", ("GET", "/v1/networks/{network}")),
    base.rule(
        GET_ACCESS,
        base.PROJECT_READER,
        "See every project that has access to a network.",
        ("GET", "/v1/networks"),
        ("GET", "/v1/networks/{network}"),
    ),
    base.rule(UPDATE, base.PROJECT_MEMBER, "Rename or describe a network.", ("PATCH", "/v1/networks/{network}")),
    base.rule(UPDATE_PUBLIC, base.ADMIN, "Make a network public, or private.", ("PATCH", "/v1/networks/{network}")),
    base.rule(
        DELETE,
        base.PROJECT_MEMBER,
        "Delete a network that nothing is attached to.",
        ("DELETE", "/v1/networks/{network}"),
    ),
    base.rule(
        GRANT,
        base.PROJECT_MEMBER,
        "Let another project use a network. The answer tells whether a project of that name or id exists: who shares a "
        "network has to know that it is shared with somebody. Where members must not learn it, make this an "
        "administrator's.",
        ("PUT", "/v1/networks/{network}/access/{project}"),
    ),
    base.rule(
        REVOKE,
        base.PROJECT_MEMBER,
        "Let another project use a network no more.",
        ("DELETE", "/v1/networks/{network}/access/{project}"),
    ),
    base.rule(
        RENOUNCE,
        "rule:admin or (rule:member and project_id:%(access_project_id)s)",
        "Give up the own access to a network.",
        ("DELETE", "/v1/networks/{network}/access/{project}"),
    ),
    base.rule(
        LIST_ATTACHMENTS,
        base.ANYBODY,
        "List what is attached to a network: everything for its owner, the own nodes for others.",
        ("GET", "/v1/networks/{network}/attachments"),
    ),
    base.rule(
        GET_ISOLATION,
        base.PROJECT_READER,
        "Ask the switches which ports can carry the network now.",
        ("GET", "/v1/networks/{network}/isolation"),
    ),
]
