# SPDX-License-Identifier: Apache-2.0
"""openstack hil network ..."""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import many, pair, plain, switch, text

ONE = "/v1/networks/{network}"
COLUMNS = ("uuid", "name", "project_id", "public", "segment_id")
LONG = ("physical_network", "access", "channels", "pooled", "description", "created_at")
SORT_KEYS = ("name", "created_at", "segment_id")
DESCRIPTION = text("description", "What people should know of it")
PUBLIC = pair("public", "--public", "--private", "Every project may use it", "Only those with access may use it")


class Create(base.Show):
    """Create a network."""

    route = "POST /v1/networks"
    arguments = (
        plain("name", "Name of the network"),
        text("project_id", "Name or UUID of the project that owns it (default: one's own)", flag="--project"),
        switch("project_id", "--site", "No project owns it: it is the site's", value=None),
        many("access", "--access", "Let this project use it"),
        *PUBLIC,
        text("segment_id", "The segment (VLAN) that carries it (default: one of the pool)"),
        text("physical_network", "The physical network that it is on, if there are several"),
        DESCRIPTION,
    )


class List(base.List):
    """List the networks that the own project may use; all for an administrator."""

    route = "GET /v1/networks"
    arguments = (
        text("project", "Only those that this project owns (name or UUID)"),
        *pair("public", "--public", "--private", "Only those that all may use", "Only the others"),
        text("name", "Only those of this name"),
    )
    columns = COLUMNS
    long = LONG
    sort_keys = SORT_KEYS


class Show(base.Show):
    """Show a network."""

    route = f"GET {ONE}"


class Set(base.Change):
    """Change a network."""

    route = f"PATCH {ONE}"
    arguments = (text("name", "Its new name"), DESCRIPTION, *PUBLIC)


class Unset(base.Change):
    """Empty fields of a network."""

    route = f"PATCH {ONE}"
    arguments = (switch("description", "--description", "Empty the description", value=""),)


class Delete(base.Do):
    """Delete networks. Nothing must be attached to them."""

    route = f"DELETE {ONE}"
    many = True


class AccessGrant(base.Do):
    """Let projects use a network."""

    route = f"PUT {ONE}/access/{{project}}"
    many = True


class AccessRevoke(base.Do):
    """Let projects use a network no more."""

    route = f"DELETE {ONE}/access/{{project}}"
    many = True


class AttachmentList(base.List):
    """List what is attached to a network."""

    route = f"GET {ONE}/attachments"
    columns = ("uuid", "node", "nic", "channel", "status")
    long = ("project_id",)
    sort_keys = ("created_at",)


class IsolationShow(base.Show):
    """Ask the switches which ports can carry a network now."""

    route = f"GET {ONE}/isolation"
