# SPDX-License-Identifier: Apache-2.0
"""openstack hil headnode ..."""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import plain, text

ONE = "/v1/headnodes/{headnode}"
HNICS = ONE + "/hnics"
HNIC = HNICS + "/{hnic}"

COLUMNS = ("uuid", "name", "image", "status", "hnics")
LONG = ("project_id", "memory", "cpus", "frozen", "vnc", "fault", "description", "created_at")
SORT_KEYS = ("name", "created_at")


class ImageList(base.List):
    """List the images that headnodes can be made from."""

    route = "GET /v1/headnode_images"
    columns = ("name", "memory", "cpus")


class Create(base.Show):
    """Create a headnode. It is made from its image when it is first started."""

    route = "POST /v1/headnodes"
    arguments = (
        plain("name", "Name of the headnode"),
        text("image", "Name of the image of headnodes", required=True),
        text("project_id", "Name or UUID of the project that gets it (default: one's own)", flag="--project"),
        text("description", "What people should know of it"),
    )


class List(base.List):
    """List the headnodes of the own project."""

    route = "GET /v1/headnodes"
    arguments = (text("project", "Only those of this project (name or UUID)"),)
    columns = COLUMNS
    long = LONG
    sort_keys = SORT_KEYS


class Show(base.Show):
    """Show a headnode."""

    route = f"GET {ONE}"


class Delete(base.Work):
    """Delete headnodes with their disks."""

    route = f"DELETE {ONE}"
    many = True


class Start(base.Work):
    """Start headnodes. From the first start their NICs and networks stay as they are."""

    route = f"PUT {ONE}/power"
    fixed = {"target": "on"}
    many = True


class Stop(base.Work):
    """Stop headnodes, at once."""

    route = f"PUT {ONE}/power"
    fixed = {"target": "off"}
    many = True


class NicCreate(base.Show):
    """Give a headnode a NIC, until its first start."""

    route = f"POST {HNICS}"
    arguments = (plain("name", "Name of the NIC"),)


class NicList(base.List):
    """List the NICs of a headnode."""

    route = f"GET {HNICS}"
    columns = ("uuid", "name", "mac", "network")
    long = ("created_at",)


class NicDelete(base.Do):
    """Take NICs from a headnode, until its first start."""

    route = f"DELETE {HNIC}"
    many = True


class NicConnect(base.Show):
    """Say which network a NIC of a headnode is to be on, until its first start."""

    route = f"PUT {HNIC}/network"
    arguments = (plain("network", "Name or UUID of the network"),)


class NicDisconnect(base.Do):
    """Let a NIC of a headnode be on no network, until its first start."""

    route = f"DELETE {HNIC}/network"
