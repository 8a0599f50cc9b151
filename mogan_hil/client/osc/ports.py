# SPDX-License-Identifier: Apache-2.0
"""openstack hil port ..."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from mogan_hil.client.osc import arguments, base
from mogan_hil.client.osc.arguments import pair, plain

ONE = "/v1/switches/{switch}/ports/{port:path}"


class Create(base.Work):
    """Register ports of a switch. Each is closed by the operation that is shown."""

    route = "POST /v1/switches/{switch}/ports"
    arguments = (plain("name", "Name of the port on the switch", metavar="<port>", nargs="+"),)

    def paths(self, parsed: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
        ((_, path),) = super().paths(parsed)
        for name in arguments.given(parsed)["name"]:
            yield name, path

    def body(self, _parsed: argparse.Namespace, name: str) -> Mapping[str, Any]:
        return {"name": name}


class List(base.List):
    """List the ports of a switch."""

    route = "GET /v1/switches/{switch}/ports"
    arguments = pair("in_sync", "--in-sync", "--drifted", "Only those as they should be", "Only those that are not")
    columns = ("uuid", "name", "status", "in_sync", "nic")
    long = ("status_reason", "observed", "observed_at", "created_at")
    sort_keys = ("name", "created_at", "status")


class Show(base.Show):
    """Show a port of a switch."""

    route = f"GET {ONE}"


class Delete(base.Do):
    """Remove ports of a switch. Nothing must be plugged into them."""

    route = f"DELETE {ONE}"
    many = True


class ConnectNic(base.Show):
    """Say which NIC is plugged into a port."""

    route = f"PUT {ONE}/nic"
    arguments = (plain("node", "Name or UUID of the node"), plain("nic", "Name or UUID of its NIC"))


class DetachNic(base.Do):
    """Say that nothing is plugged into a port."""

    route = f"DELETE {ONE}/nic"


class Revert(base.Work):
    """Take ports of a switch off every network."""

    route = f"POST {ONE}/revert"
    many = True
