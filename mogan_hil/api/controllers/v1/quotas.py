# SPDX-License-Identifier: Apache-2.0
"""/v1/quotas"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.expose import route
from mogan_hil.api.types import Base, Number, attribute
from mogan_hil.verbs import quotas
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.quotas import QuotaView

FREE = "it changes no instance"
#: -1 for no limit; null takes the default.
LIMIT = Number(-1, 2**31 - 1, nullable=True)


class Quotas(Base):
    headnode_cpus = attribute(LIMIT)
    headnode_memory = attribute(LIMIT)
    headnodes = attribute(LIMIT)
    images = attribute(LIMIT)
    instances = attribute(LIMIT)
    keypairs = attribute(LIMIT)
    networks = attribute(LIMIT)
    nodes = attribute(LIMIT)
    server_groups = attribute(LIMIT)


def view(found: QuotaView) -> dict[str, Any]:
    """Quotas as they are shown."""
    shown = {name: {"limit": found.limits[name], "in_use": found.in_use[name]} for name in sorted(found.limits)}
    return {"project_id": found.project_id, "quotas": shown}


@route("GET", "/v1/quotas")
def get_own(call: Call) -> dict[str, Any]:
    """Show the quotas of the own project, and what it uses of them."""
    return view(quotas.get(call, None))


@route("GET", "/v1/quotas/defaults")
def get_defaults(call: Call) -> dict[str, Any]:
    """Show the quotas of projects for which none were set."""
    return {"quotas": {name: {"limit": limit} for name, limit in sorted(quotas.defaults(call).items())}}


@route("GET", "/v1/quotas/{project}")
def get(call: Call, project: str) -> dict[str, Any]:
    """Show the quotas of a project, and what it uses of them."""
    return view(quotas.get(call, project))


@route("PUT", "/v1/quotas/{project}", body=Quotas, exempt=FREE)
def put(call: Call, project: str, body: dict[str, Any]) -> dict[str, Any]:
    """Set quotas of a project; those that are not named stay as they are."""
    return view(quotas.put(call, project, body))


@route("DELETE", "/v1/quotas/{project}", exempt=FREE)
def reset(call: Call, project: str) -> None:
    """Give a project the default quotas again."""
    quotas.reset(call, project)
