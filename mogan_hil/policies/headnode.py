# SPDX-License-Identifier: Apache-2.0
"""Headnodes: virtual machines of projects, and the catalogue of their images."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "headnode:create"
LIST = "headnode:list"
GET = "headnode:get"
DELETE = "headnode:delete"
SET_POWER = "headnode:set_power"
LIST_IMAGES = "headnode:list_images"

ALL = "/v1/headnodes"
ONE = "/v1/headnodes/{headnode}"

RULES = [
    base.rule(CREATE, base.PROJECT_MEMBER, "Create a headnode.", ("POST", ALL)),
    base.rule(LIST, base.ANYBODY, "List the headnodes of the own project; an administrator sees all.", ("GET", ALL)),
    base.rule(GET, base.PROJECT_READER, "Show a headnode.", ("GET", ONE)),
    base.rule(DELETE, base.PROJECT_MEMBER, "Delete a headnode with its disk.", ("DELETE", ONE)),
    base.rule(SET_POWER, base.PROJECT_MEMBER, "Start or stop a headnode.", ("PUT", ONE + "/power")),
    base.rule(LIST_IMAGES, base.ANYBODY, "List the images of headnodes.", ("GET", "/v1/headnode_images")),
]
