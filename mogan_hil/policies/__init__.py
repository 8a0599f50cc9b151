# SPDX-License-Identifier: Apache-2.0
"""Policy, in code: one file a noun, each rule a documented default with its routes and scopes."""

from __future__ import annotations

from oslo_policy import policy

from mogan_hil.policies import (
    address,
    aggregate,
    attachment,
    base,
    console,
    driver,
    flavor,
    headnode,
    hnic,
    image,
    instance,
    keypair,
    network,
    nic,
    node,
    obm,
    operation,
    port,
    project,
    quota,
    server_group,
    subnet,
    switch,
    user,
)

NOUNS = (
    address,
    aggregate,
    attachment,
    console,
    driver,
    flavor,
    headnode,
    hnic,
    image,
    instance,
    keypair,
    network,
    nic,
    node,
    obm,
    operation,
    port,
    project,
    quota,
    subnet,
    server_group,
    switch,
    user,
)


def list_rules() -> list[policy.RuleDefault]:
    """Every rule, for the enforcer and for the sample generator."""
    return [rule for noun in (base, *NOUNS) for rule in noun.RULES]
