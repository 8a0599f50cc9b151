# SPDX-License-Identifier: Apache-2.0
"""openstack hil address ..."""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import text


class List(base.List):
    """List the addresses that NICs of the own project have."""

    route = "GET /v1/addresses"
    arguments = (
        text("ip", "Only this address, or those of these: 192.0.2.0/28"),
        text("network", "Only those of this network"),
        text("subnet", "Only those of this subnet, by UUID"),
        text("node", "Only those of this node"),
        text("project", "Only those of this project (name or UUID)"),
    )
    columns = ("ip", "node", "nic", "network", "project_id")
    long = ("uuid", "subnet", "attachment", "created_at")
    sort_keys = ("created_at",)
