# SPDX-License-Identifier: Apache-2.0
"""The rules that others are made of.

An administrator has the role admin, in whatever project or for the system. Managers, members and readers act in the
project that their token is scoped to; a manager may what a member may. A role includes the lesser ones, as Keystone's
implied roles do. With a token for the system a reader sees what an administrator sees and changes nothing; nor does a
member: only administrators change what is the system's. The role service alone allows nothing. Tokens for a domain are
refused.
"""

from __future__ import annotations

from oslo_policy import policy

ADMIN = "rule:admin"
SITE_READER = "rule:site_reader"
PROJECT_MEMBER = "rule:project_member"
PROJECT_READER = "rule:project_reader"
ANYBODY = "rule:anybody"
WRITABLE = "instance_writable"

RULES = [
    policy.RuleDefault("admin", "role:admin", description="An administrator of the site."),
    policy.RuleDefault(
        "site_reader",
        "rule:admin or (system_scope:all and (rule:member or role:reader))",
        description="Somebody who sees everything: an administrator, or a reader with a token for the system.",
    ),
    policy.RuleDefault("member", "role:member or role:manager", description="Somebody who may change things."),
    policy.RuleDefault(
        "owner", "project_id:%(project_id)s", description="Somebody of the project that owns the target."
    ),
    policy.RuleDefault(
        "project_member",
        "rule:admin or (rule:member and rule:owner)",
        description="A member of the project that owns the target, or an administrator.",
    ),
    policy.RuleDefault(
        "project_reader",
        "rule:site_reader or ((rule:member or role:reader) and rule:owner)",
        description="Anybody of the project that owns the target, or somebody who sees everything.",
    ),
    policy.RuleDefault("unlocked", "'nobody':%(locked_by)s", description="An instance that nobody has locked."),
    policy.RuleDefault("owner_locked", "'owner':%(locked_by)s", description="An instance that its owner has locked."),
    policy.RuleDefault(
        "instance_writable",
        "rule:admin or rule:unlocked",
        description="Whoever may change an instance, and all that is beneath it, although it is locked.",
    ),
    policy.RuleDefault(
        "anybody",
        "rule:admin or rule:member or role:reader",
        description="Anybody with one of the roles, in some project or for the system.",
    ),
]

#: Both kinds of token are understood by every rule.
SCOPES = ["system", "project"]


def rule(name: str, check: str, description: str, *operations: tuple[str, str]) -> policy.DocumentedRuleDefault:
    """A documented default.

    :param operations: pairs of method and path
    """
    return policy.DocumentedRuleDefault(
        name, check, description, [{"method": method, "path": path} for method, path in operations], scope_types=SCOPES
    )
