# SPDX-License-Identifier: Apache-2.0
"""openstack hil availability zone ..."""

from __future__ import annotations

from mogan_hil.client.osc import base


class List(base.List):
    """List the availability zones; an administrator also sees how many nodes they have."""

    route = "GET /v1/availability_zones"
    columns = ("name",)
    long = ("nodes", "free_nodes")
