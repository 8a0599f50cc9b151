# SPDX-License-Identifier: Apache-2.0
"""Policy, in code: one file a noun, each rule a documented default with its routes and scopes."""

from __future__ import annotations

from oslo_policy import policy

from mogan_hil.policies import (
    attachment,
    base,
    driver,
    flavor,
    instance,
    network,
    nic,
    node,
    obm,
    operation,
    port,
    project,
    switch,
    user,
)

NOUNS = (attachment, driver, flavor, instance, network, nic, node, obm, operation, port, project, switch, user)


def list_rules() -> list[policy.RuleDefault]:
    """Every rule, for the enforcer and for the sample generator."""
    return [rule for noun in (base, *NOUNS) for rule in noun.RULES]
