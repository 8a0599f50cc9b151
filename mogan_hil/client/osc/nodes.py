# SPDX-License-Identifier: Apache-2.0
"""openstack hil node ..."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from mogan_hil.client.osc import arguments, base
from mogan_hil.client.osc.arguments import many, options, pair, plain, switch, text

ONE = "/v1/nodes/{node}"
#: The fields of a node in a list.
COLUMNS = ("uuid", "name", "project_id", "resource_class", "maintenance")
LONG = ("traits", "availability_zone", "description", "maintenance_reason", "created_at")
SORT_KEYS = ("name", "created_at", "resource_class")
FIELDS = (
    text("description", "What people should know of it"),
    text("resource_class", "What kind of machine it is, for claims and flavors"),
    many("traits", "--trait", "What it has or can; all of them are named anew"),
    *pair("maintenance", "--maintenance", "--no-maintenance", "Nobody can claim it", "It can be claimed again"),
    text("maintenance_reason", "Why it is in maintenance"),
    text("obm.driver", "The driver of its controller; see openstack hil driver list", flag="--obm-driver"),
    options("obm.options", "--obm-option", "An option of that driver (may be repeated)"),
)


class Create(base.Show):
    """Register a node."""

    route = "POST /v1/nodes"
    arguments = (plain("name", "Name of the node"), *FIELDS)


class List(base.List):
    """List nodes: those that are free and the own project's; all for an administrator."""

    route = "GET /v1/nodes"
    arguments = (
        *pair("free", "--free", "--claimed", "Only those that nobody has", "Only those that somebody has"),
        text("project", "Only those of this project (name or UUID)"),
        text("resource_class", "Only those of this kind"),
        many("traits", "--trait", "Only those that have it"),
        *pair("maintenance", "--maintenance", "--no-maintenance", "Only those in maintenance", "Only the others"),
        text("availability_zone", "Only those of this zone"),
    )
    columns = COLUMNS
    long = LONG
    sort_keys = SORT_KEYS


class Show(base.Show):
    """Show a node with its NICs and what they are attached to."""

    route = f"GET {ONE}"


class Set(base.Change):
    """Change a node."""

    route = f"PATCH {ONE}"
    arguments = (text("name", "Its new name"), *FIELDS)


class Unset(base.Change):
    """Empty fields of a node."""

    route = f"PATCH {ONE}"
    arguments = (
        switch("description", "--description", "Empty the description", value=""),
        switch("traits", "--traits", "Take all traits away", value=[]),
        switch("maintenance_reason", "--maintenance-reason", "Empty the reason of the maintenance", value=""),
        switch("obm", "--obm", "Forget how its controller is reached", value=None),
    )


class Delete(base.Do):
    """Remove nodes. They must be free and have no NICs."""

    route = f"DELETE {ONE}"
    many = True


class Claim(base.Do):
    """Claim nodes for a project: each that is free. All or none: openstack hil claim create."""

    route = f"PUT {ONE}/project"
    arguments = (text("project_id", "Name or UUID of the project (default: one's own)", flag="--project"),)
    many = True


class Release(base.Do):
    """Release nodes. They must be off every network."""

    route = f"DELETE {ONE}/project"
    many = True


class MetadataList(base.List):
    """List the labels of a node."""

    route = f"GET {ONE}/metadata"
    columns = ("label", "value")

    def items(self, parsed: argparse.Namespace) -> list[Mapping[str, Any]]:
        ((_, path),) = self.paths(parsed)
        found = self.api.get(*path)["metadata"]
        return [{"label": label, "value": value} for label, value in sorted(found.items())]


class MetadataShow(base.Show):
    """Show a label of a node."""

    route = f"GET {ONE}/metadata/{{label}}"


class MetadataSet(base.Show):
    """Set a label of a node."""

    route = f"PUT {ONE}/metadata/{{label}}"
    arguments = (plain("value", "Its value: JSON, or else a text", type=arguments.json_or_text),)


class MetadataUnset(base.Do):
    """Remove labels of a node."""

    route = f"DELETE {ONE}/metadata/{{label}}"
    many = True


class PowerShow(base.Show):
    """Ask a node's controller whether it is on."""

    route = f"GET {ONE}/power"


class PowerOn(base.Work):
    """Switch nodes on."""

    route = f"PUT {ONE}/power"
    fixed = {"target": "on"}
    many = True


class PowerOff(base.Work):
    """Switch nodes off."""

    route = f"PUT {ONE}/power"
    arguments = (switch("target", "--soft", "Ask the operating system to shut down", value="soft_off"),)
    fixed = {"target": "off"}
    many = True


class PowerCycle(base.Work):
    """Switch nodes off and on again."""

    route = f"PUT {ONE}/power"
    arguments = (switch("target", "--reset", "Reset them instead, without taking the power away", value="reset"),)
    fixed = {"target": "cycle"}
    many = True


class BootDeviceShow(base.Show):
    """Ask a node's controller what it boots from."""

    route = f"GET {ONE}/boot_device"


class BootDeviceSet(base.Work):
    """Set what a node boots from the next time."""

    route = f"PUT {ONE}/boot_device"
    arguments = (
        plain("device", "For example pxe or disk; the driver knows which there are"),
        *pair("persistent", "--persistent", "--once", "Every time", "The next time alone (default)"),
    )


class ObmEnable(base.Do):
    """Allow power and boot device of nodes."""

    route = f"PUT {ONE}/obm"
    fixed = {"enabled": True}
    many = True


class ObmDisable(base.Do):
    """Forbid power and boot device of nodes."""

    route = f"PUT {ONE}/obm"
    fixed = {"enabled": False}
    many = True
