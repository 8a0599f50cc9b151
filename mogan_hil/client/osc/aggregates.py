# SPDX-License-Identifier: Apache-2.0
"""openstack hil aggregate ..."""

from __future__ import annotations

from mogan_hil.client.osc import base, nodes
from mogan_hil.client.osc.arguments import pairs, plain, switch, text

ONE = "/v1/aggregates/{aggregate}"
FIELDS = (
    text("description", "What people should know of it"),
    pairs("metadata", "--property", "What is said of its nodes, like availability_zone=<zone>"),
)


class Create(base.Show):
    """Create an aggregate of nodes."""

    route = "POST /v1/aggregates"
    arguments = (plain("name", "Name of the aggregate"), *FIELDS)


class List(base.List):
    """List the aggregates."""

    route = "GET /v1/aggregates"
    columns = ("uuid", "name", "metadata")
    long = ("description", "created_at")
    sort_keys = ("name", "created_at")


class Show(base.Show):
    """Show an aggregate."""

    route = f"GET {ONE}"


class Set(base.SetProperties):
    """Change an aggregate."""

    route = f"PATCH {ONE}"
    arguments = (text("name", "Its new name"), *FIELDS)


class Unset(base.UnsetProperties):
    """Empty fields of an aggregate."""

    route = f"PATCH {ONE}"
    arguments = (switch("description", "--description", "Empty the description", value=""),)


class Delete(base.Do):
    """Delete aggregates; their nodes stay."""

    route = f"DELETE {ONE}"
    many = True


class NodeList(base.List):
    """List the nodes of an aggregate."""

    route = f"GET {ONE}/nodes"
    columns = nodes.COLUMNS
    long = nodes.LONG
    sort_keys = nodes.SORT_KEYS


class NodeAdd(base.Do):
    """Add nodes to an aggregate."""

    route = f"PUT {ONE}/nodes/{{node}}"
    many = True


class NodeRemove(base.Do):
    """Take nodes out of an aggregate."""

    route = f"DELETE {ONE}/nodes/{{node}}"
    many = True
