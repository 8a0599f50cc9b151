# SPDX-License-Identifier: Apache-2.0
"""openstack hil server group ..."""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import plain, text

ONE = "/v1/server_groups/{group}"


class Create(base.Show):
    """Create a server group: its instances are put together, or apart."""

    route = "POST /v1/server_groups"
    arguments = (
        plain("name", "Name of the group"),
        text("policy", "affinity or anti-affinity", required=True),
        text("project_id", "Name or UUID of the project that gets it (default: one's own)", flag="--project"),
    )


class List(base.List):
    """List the server groups of the own project."""

    route = "GET /v1/server_groups"
    arguments = (text("project", "Only those of this project (name or UUID)"), text("name", "Only those of this name"))
    columns = ("uuid", "name", "policy", "instances")
    long = ("project_id", "created_at")
    sort_keys = ("name", "created_at")


class Show(base.Show):
    """Show a server group."""

    route = f"GET {ONE}"


class Delete(base.Do):
    """Delete server groups that no instance is in."""

    route = f"DELETE {ONE}"
    many = True
