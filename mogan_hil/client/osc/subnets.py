# SPDX-License-Identifier: Apache-2.0
"""openstack hil subnet ..."""

from __future__ import annotations

import argparse

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import Argument, many, pair, plain, switch, text

ONE = "/v1/subnets/{subnet}"


def _pool(written: str) -> dict[str, str]:
    start, dash, end = written.partition("-")
    if not dash:
        raise argparse.ArgumentTypeError(f"{written!r} is not <start>-<end>")
    return {"start": start, "end": end}


FIELDS = (
    text("gateway", "Address of the gateway (default: the first)"),
    switch("gateway", "--no-gateway", "It has no gateway", value=None),
    Argument(
        "pools",
        ("--pool",),
        {
            "action": "append",
            "type": _pool,
            "metavar": "<start>-<end>",
            "help": "Addresses for NICs; all pools are named anew (default: the whole subnet; may be repeated)",
        },
    ),
    many("dns_servers", "--dns-server", "Address of a DNS server; all of them are named anew"),
    *pair("dhcp", "--dhcp", "--no-dhcp", "Nodes are told their addresses by DHCP", "Nodes are told nothing"),
)


class Create(base.Show):
    """Give a network a subnet."""

    route = "POST /v1/networks/{network}/subnets"
    arguments = (plain("cidr", "Its addresses, like 192.0.2.0/24"), *FIELDS)


class List(base.List):
    """List the subnets of a network."""

    route = "GET /v1/networks/{network}/subnets"
    columns = ("uuid", "cidr", "gateway", "dhcp")
    long = ("pools", "dns_servers", "network", "created_at")


class Show(base.Show):
    """Show a subnet."""

    route = f"GET {ONE}"


class Set(base.Change):
    """Change a subnet."""

    route = f"PATCH {ONE}"
    arguments = FIELDS


class Unset(base.Change):
    """Empty fields of a subnet."""

    route = f"PATCH {ONE}"
    arguments = (
        switch("gateway", "--gateway", "It has no gateway", value=None),
        switch("dns_servers", "--dns-servers", "It has no DNS servers", value=[]),
    )


class Delete(base.Do):
    """Delete subnets of which no NIC has an address."""

    route = f"DELETE {ONE}"
    many = True
