# SPDX-License-Identifier: Apache-2.0
"""openstack hil instance ..."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mogan_hil.client import rest
from mogan_hil.client.osc import arguments, base, cells, nics, waiting
from mogan_hil.client.osc.arguments import (
    Argument,
    contents,
    first_line,
    number,
    pair,
    pairs,
    placed_files,
    plain,
    switch,
    text,
)

ONE = "/v1/instances/{instance}"
BOOT_DEVICE = text("boot_device", "What it boots from, for example pxe")
DESCRIPTION = text("description", "What people should know of it")


METADATA = pairs("metadata", "--property", "What its programs and people should know")
PASSWORD = {"type": first_line, "metavar": "<file>", "help": "Its administrator's password, from a file; - to type it"}
GIVEN = (
    text("image", "Name or UUID of the image that it boots, or is said to"),
    text("keypair", "Name of the keypair that may log in"),
    METADATA,
    contents("user_data", "--user-data", "A file for the system's first start, such as cloud-init's"),
    placed_files("files", "--file", "Put a file there"),
    Argument("admin_password", ("--admin-password-file",), PASSWORD),
    switch("generate_admin_password", "--generate-admin-password", "Make a password; it is shown once"),
)


class Create(base.Work):
    """Create instances: claim a node for each, wire it and switch it on."""

    route = "POST /v1/instances"
    arguments = (
        plain("name", "Name of the instance; several get -1, -2 and so on behind it"),
        text("flavor", "Name or UUID of the flavor"),
        text("node", "This node, in place of a flavor"),
        text("availability_zone", "A node of this zone"),
        text("server_group", "Put it as this group says"),
        arguments.wires(),
        BOOT_DEVICE,
        text("project_id", "Name or UUID of the project that gets it (default: one's own)", flag="--project"),
        number("min_count", "At least so many, or none", flag="--min"),
        number("max_count", "At the most so many", flag="--max"),
        DESCRIPTION,
        *GIVEN,
    )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], list[Any]]:
        ((name, path),) = self.paths(parsed_args)
        answer = self.call(name, path, parsed_args)
        made, password = answer["instances"], answer.get("admin_password")
        ended = self.ended(parsed_args, [instance["operation"] for instance in made])
        shown = []
        for instance, operation in zip(made, ended, strict=True):
            error = waiting.outcome(operation, parsed_args.wait)
            status = self._status(instance["uuid"]) if parsed_args.wait else instance["status"]
            also = {"operation": operation["uuid"], "error": error, "admin_password": password}
            shown.append({**instance, "status": status, **also})
            self.failed += bool(error)
        self.total = len(shown)
        columns = ["uuid", "name", "status", "operation", "error"]
        return cells.rows(shown, [*columns, "admin_password"] if password else columns)

    def _status(self, uuid: str) -> str:
        try:
            return str(self.api.get("instances", uuid)["status"])
        except rest.ApiError as error:
            if error.status != 404:
                raise
            return "deleted"  # by somebody else, while it was built


class List(base.List):
    """List the instances of the own project; all for an administrator."""

    route = "GET /v1/instances"
    arguments = (
        text("name", "Only those of this name"),
        text("status", "Only those in this state"),
        text("project", "Only those of this project (name or UUID)"),
        text("flavor", "Only those of this flavor"),
        text("node", "Only the one on this node"),
        text("availability_zone", "Only those in this zone"),
        text("ip", "Only the one with this address"),
        text("image", "Only those with this image"),
        *pair("locked", "--locked", "--unlocked", "Only those that are locked", "Only those that are not"),
    )
    columns = ("uuid", "name", "status", "locked_by", "addresses", "flavor", "node")
    long = (
        "project_id",
        "availability_zone",
        "server_group",
        "image",
        "maintenance",
        "lock_reason",
        "locked_at",
        "fault",
        "description",
        "created_at",
    )
    sort_keys = ("name", "created_at", "status")


class Show(base.Show):
    """Show an instance."""

    route = f"GET {ONE}"


class Set(base.SetProperties):
    """Rename or describe an instance, or say what its programs should know."""

    route = f"PATCH {ONE}"
    arguments = (text("name", "Its new name"), DESCRIPTION, METADATA)


class Unset(base.UnsetProperties):
    """Empty fields of an instance."""

    route = f"PATCH {ONE}"
    arguments = (switch("description", "--description", "Empty the description", value=""),)


class ConfigShow(base.Show):
    """Show what an instance was given: keys, properties, user data and files."""

    route = f"GET {ONE}/config"


class Delete(base.Work):
    """Delete instances and give their nodes back."""

    route = f"DELETE {ONE}"
    many = True


class Start(base.Work):
    """Switch instances on."""

    route = f"PUT {ONE}/power"
    fixed = {"target": "on"}
    many = True


class Stop(base.Work):
    """Switch instances off."""

    route = f"PUT {ONE}/power"
    arguments = (switch("target", "--soft", "Ask the operating system to shut down", value="soft_off"),)
    fixed = {"target": "off"}
    many = True


class Reboot(base.Work):
    """Switch instances off and on again."""

    route = f"PUT {ONE}/power"
    arguments = (switch("target", "--soft", "Ask the operating system to shut down first", value="soft_reboot"),)
    fixed = {"target": "reboot"}
    many = True


class Rebuild(base.Work):
    """Boot instances anew."""

    route = f"PUT {ONE}/rebuild"
    arguments = (BOOT_DEVICE, text("image", "Name or UUID of another image"))
    many = True


class Lock(base.Do):
    """Lock instances: nobody but an administrator can change them, or what is beneath them, until they are unlocked."""

    route = f"PUT {ONE}/lock"
    arguments = (text("reason", "Why, for those who find it locked"),)
    fixed = {"target": True}
    many = True


class Unlock(base.Do):
    """Unlock instances."""

    route = f"PUT {ONE}/lock"
    fixed = {"target": False}
    many = True


class Adopt(base.Show):
    """Make an instance of a node as it is."""

    route = "POST /v1/instances/adopt"
    arguments = (
        plain("name", "Name of the instance"),
        plain("node", "Name or UUID of the node"),
        text("project_id", "Name or UUID of the project that gets a free node (default: its own)", flag="--project"),
    )


class Release(base.Do):
    """Forget instances and leave their nodes as they are."""

    route = f"POST {ONE}/release"
    many = True


class InterfaceList(base.List):
    """List the networks of an instance."""

    route = f"GET {ONE}/interfaces"
    columns = ("uuid", "network", "nic", "channel", "addresses", "status")


class InterfaceAttach(base.Work):
    """Attach a NIC of an instance to a network."""

    route = f"POST {ONE}/interfaces"
    arguments = (
        plain("network", "Name or UUID of the network"),
        plain("nic", "Name or UUID of the NIC"),
        text("channel", "How it rides on the NIC: vlan/native, or vlan/<id> for tagged (default: as the network says)"),
        nics.ADDRESSES,
    )


class InterfaceDetach(base.Work):
    """Detach an instance from networks."""

    route = f"DELETE {ONE}/interfaces/{{attachment}}"
    many = True
