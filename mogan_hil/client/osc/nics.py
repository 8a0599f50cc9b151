# SPDX-License-Identifier: Apache-2.0
"""openstack hil nic ..."""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import many, plain, text

NICS = "/v1/nodes/{node}/nics"
ONE = NICS + "/{nic}"
ADDRESSES = many("addresses", "--address", "Give it this address (default: one of each subnet)")


class Create(base.Show):
    """Register a NIC of a node."""

    route = f"POST {NICS}"
    arguments = (plain("name", "Name of the NIC"), plain("mac", "Its MAC address"))


class List(base.List):
    """List the NICs of a node."""

    route = f"GET {NICS}"
    columns = ("uuid", "name", "mac", "cabled", "attachments")
    long = ("switch", "port", "created_at")


class Show(base.Show):
    """Show a NIC of a node."""

    route = f"GET {ONE}"


class Delete(base.Do):
    """Remove NICs of a node. They must be neither cabled nor attached."""

    route = f"DELETE {ONE}"
    many = True


class Attach(base.Work):
    """Attach a NIC to a network."""

    route = f"POST {ONE}/attachments"
    arguments = (
        plain("network", "Name or UUID of the network"),
        text("channel", "How it rides on the NIC: vlan/native, or vlan/<id> for tagged (default: as the network says)"),
        ADDRESSES,
    )


class Detach(base.Work):
    """Detach a NIC from a network."""

    route = f"DELETE {ONE}/attachments/{{network}}"


class AttachmentList(base.List):
    """List the networks on a NIC."""

    route = f"GET {ONE}/attachments"
    columns = ("uuid", "network", "channel", "addresses", "status")
