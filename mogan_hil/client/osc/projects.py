# SPDX-License-Identifier: Apache-2.0
"""openstack hil project ..."""

from __future__ import annotations

from mogan_hil.client.osc import base, headnodes, networks, nodes

ONE = "/v1/projects/{project}"


class Create(base.Show):
    """Create a project (auth local)."""

    route = f"PUT {ONE}"


class List(base.List):
    """List projects."""

    route = "GET /v1/projects"
    columns = ("uuid", "name")
    long = ("created_at",)
    sort_keys = ("name", "created_at")


class Show(base.Show):
    """Show a project."""

    route = f"GET {ONE}"


class Delete(base.Do):
    """Delete projects that have nothing (auth local)."""

    route = f"DELETE {ONE}"
    many = True


class NodeList(base.List):
    """List the nodes of a project."""

    route = f"GET {ONE}/nodes"
    columns = nodes.COLUMNS
    long = nodes.LONG
    sort_keys = nodes.SORT_KEYS


class NetworkList(base.List):
    """List the networks that a project owns or was given access to."""

    route = f"GET {ONE}/networks"
    columns = networks.COLUMNS
    long = networks.LONG
    sort_keys = networks.SORT_KEYS


class HeadnodeList(base.List):
    """List the headnodes of a project."""

    route = f"GET {ONE}/headnodes"
    columns = headnodes.COLUMNS
    long = headnodes.LONG
    sort_keys = headnodes.SORT_KEYS
