# SPDX-License-Identifier: Apache-2.0
"""/v1/claims"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.controllers.v1.nics import ADDRESSES
from mogan_hil.api.controllers.v1.nodes import RESOURCE_CLASS, TRAITS, summary
from mogan_hil.api.expose import Answer, accepted, route
from mogan_hil.api.types import NAME, Base, ListOf, Number, Ref, Text, attribute
from mogan_hil.objects.node import Criteria
from mogan_hil.verbs import claims
from mogan_hil.verbs.base import Call


class Wire(Base):
    network = attribute(Ref(), required=True)
    nic = attribute(Ref())
    channel = attribute(Text(64, 1))
    addresses = attribute(ADDRESSES)


class Claim(Base):
    count = attribute(Number(1, 1000))
    nodes = attribute(ListOf(Ref(), 1000))
    resource_class = attribute(RESOURCE_CLASS)
    traits = attribute(TRAITS)
    availability_zone = attribute(Ref())
    project_id = attribute(Text(255, 1, NAME))
    networks = attribute([Wire])


@route("POST", "/v1/claims", body=Claim, exempt="the nodes are free")
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Claim several nodes and attach networks to them: all, or none."""
    nodes, operation = claims.create(
        call,
        count=body.get("count"),
        nodes=body.get("nodes", []),
        criteria=Criteria(body.get("resource_class"), body.get("traits", []), body.get("availability_zone")),
        project=body.get("project_id"),
        wires=[claims.Wire(**wire) for wire in body.get("networks", [])],
    )
    if operation is not None:
        return accepted(call, operation)
    return Answer(201, {"nodes": [summary(node) for node in nodes]})
