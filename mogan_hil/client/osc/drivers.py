# SPDX-License-Identifier: Apache-2.0
"""openstack hil driver ..."""

from __future__ import annotations

from mogan_hil.client.osc import base


class List(base.List):
    """List the installed drivers, with --long also the options that they take."""

    route = "GET /v1/drivers"
    columns = ("kind", "name", "summary")
    long = ("capabilities", "options_schema")
