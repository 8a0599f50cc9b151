# SPDX-License-Identifier: Apache-2.0
"""Node aggregates, and the availability zones that they make."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "aggregate:create"
LIST = "aggregate:list"
GET = "aggregate:get"
UPDATE = "aggregate:update"
DELETE = "aggregate:delete"
LIST_NODES = "aggregate:list_nodes"
ADD_NODE = "aggregate:add_node"
REMOVE_NODE = "aggregate:remove_node"
LIST_ZONES = "aggregate:list_zones"
COUNT_ZONES = "aggregate:count_zones"

ALL = "/v1/aggregates"
ONE = "/v1/aggregates/{aggregate}"
NODE = f"{ONE}/nodes/{{node}}"
ZONES = ("GET", "/v1/availability_zones")

RULES = [
    base.rule(CREATE, base.ADMIN, "Create an aggregate.", ("POST", ALL)),
    base.rule(LIST, base.SITE_READER, "List the aggregates.", ("GET", ALL)),
    base.rule(GET, base.SITE_READER, "Show an aggregate.", ("GET", ONE)),
    base.rule(UPDATE, base.ADMIN, "Change an aggregate.", ("PATCH", ONE)),
    base.rule(DELETE, base.ADMIN, "Delete an aggregate; its nodes stay.", ("DELETE", ONE)),
    base.rule(LIST_NODES, base.SITE_READER, "List the nodes of an aggregate.", ("GET", f"{ONE}/nodes")),
    base.rule(ADD_NODE, base.ADMIN, "Add a node to an aggregate.", ("PUT", NODE)),
    base.rule(REMOVE_NODE, base.ADMIN, "Take a node out of an aggregate.", ("DELETE", NODE)),
    base.rule(LIST_ZONES, base.ANYBODY, "List the availability zones.", ZONES),
    base.rule(COUNT_ZONES, base.SITE_READER, "See how many nodes are in each availability zone.", ZONES),
]
