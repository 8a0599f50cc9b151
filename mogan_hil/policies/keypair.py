# SPDX-License-Identifier: Apache-2.0
"""Keypairs: public keys of users. Whatever a rule says, a keypair is changed by its user alone."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "keypair:create"
LIST = "keypair:list"
GET = "keypair:get"
GET_OTHERS = "keypair:get_others"
DELETE = "keypair:delete"

ALL = "/v1/keypairs"
ONE = "/v1/keypairs/{keypair}"

MEMBER = "rule:admin or rule:member"

RULES = [
    base.rule(CREATE, MEMBER, "Create or import a keypair of one's own.", ("POST", ALL)),
    base.rule(LIST, base.ANYBODY, "List one's own keypairs.", ("GET", ALL)),
    base.rule(GET, base.ANYBODY, "Show a keypair of one's own.", ("GET", ONE)),
    base.rule(GET_OTHERS, base.SITE_READER, "List and show other users' keypairs.", ("GET", ALL), ("GET", ONE)),
    base.rule(DELETE, MEMBER, "Delete a keypair of one's own.", ("DELETE", ONE)),
]
