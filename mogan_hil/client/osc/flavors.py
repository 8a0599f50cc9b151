# SPDX-License-Identifier: Apache-2.0
"""openstack hil flavor ..."""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import many, pair, pairs, plain, switch, text

ONE = "/v1/flavors/{flavor}"
FIELDS = (
    text("description", "What people should know of it"),
    *pair("public", "--public", "--private", "Every project may use it", "Only projects with access may use it"),
    *pair("disabled", "--disable", "--enable", "Nobody can create instances with it", "It can be used (again)"),
)


class Create(base.Show):
    """Create a flavor."""

    route = "POST /v1/flavors"
    arguments = (
        plain("name", "Name of the flavor"),
        text("resource_class", "The kind of nodes that it takes", required=True),
        many("traits", "--trait", "What the nodes must have"),
        pairs("aggregate_metadata", "--aggregate-property", "What aggregates of the nodes must say"),
        *FIELDS,
    )


class List(base.List):
    """List the flavors that the own project may use."""

    route = "GET /v1/flavors"
    columns = ("uuid", "name", "resource_class", "traits", "public")
    long = ("disabled", "access", "description", "created_at")
    sort_keys = ("name", "created_at", "resource_class")


class Show(base.Show):
    """Show a flavor."""

    route = f"GET {ONE}"


class Set(base.Change):
    """Change a flavor."""

    route = f"PATCH {ONE}"
    arguments = (text("name", "Its new name"), *FIELDS)


class Unset(base.Change):
    """Empty fields of a flavor."""

    route = f"PATCH {ONE}"
    arguments = (switch("description", "--description", "Empty the description", value=""),)


class Delete(base.Do):
    """Delete flavors."""

    route = f"DELETE {ONE}"
    many = True


class AccessGrant(base.Do):
    """Let projects use a private flavor."""

    route = f"PUT {ONE}/access/{{project}}"
    many = True


class AccessRevoke(base.Do):
    """Let projects use a private flavor no more."""

    route = f"DELETE {ONE}/access/{{project}}"
    many = True
