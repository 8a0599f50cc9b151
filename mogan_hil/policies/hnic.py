# SPDX-License-Identifier: Apache-2.0
"""NICs of headnodes."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "hnic:create"
LIST = "hnic:list"
DELETE = "hnic:delete"
CONNECT = "hnic:connect"
DISCONNECT = "hnic:disconnect"

ALL = "/v1/headnodes/{headnode}/hnics"
ONE = ALL + "/{hnic}"

RULES = [
    base.rule(CREATE, base.PROJECT_MEMBER, "Give a headnode a NIC.", ("POST", ALL)),
    base.rule(LIST, base.PROJECT_READER, "List the NICs of a headnode.", ("GET", ALL)),
    base.rule(DELETE, base.PROJECT_MEMBER, "Take a NIC from a headnode.", ("DELETE", ONE)),
    base.rule(CONNECT, base.PROJECT_MEMBER, "Say which network a NIC is to be on.", ("PUT", ONE + "/network")),
    base.rule(DISCONNECT, base.PROJECT_MEMBER, "Let a NIC be on no network.", ("DELETE", ONE + "/network")),
]
