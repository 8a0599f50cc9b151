# SPDX-License-Identifier: Apache-2.0
"""What networking-generic-switch knows of a device type: its command templates.

Only the templates are used. What that library does with them is not: it sends lines without waiting for an answer,
takes the absence of a template for success, and reads nothing back. Nor is it imported: that takes seconds, brings
eventlet and neutron-lib, adds options to the global configuration and patches paramiko. The templates are constants of
its classes, and are read from its source.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from mogan_hil.common import parsing
from mogan_hil.drivers.base import DriverError

LIBRARY = "networking_generic_switch"

#: Device types that netmiko has under another name than networking-generic-switch asks it for, so that they do not work
#: there at all (netmiko 4.8, networking-generic-switch 10.2).
RENAMED = {"hpe_comware": "hp_comware", "ruijie": "ruijie_os"}

_ADDS = "plugging adds a VLAN to those that the port has, and no template tells which those are"

#: Device types whose templates are refused, and why.
REFUSED: Mapping[str, str] = {
    "netconf_openconfig": "see the driver netconf, which reads back",
    "netmiko_brocade_fastiron": _ADDS,
    "netmiko_dell_enterprise_sonic": _ADDS,
    "netmiko_dell_force10": _ADDS,
    "netmiko_dell_powerconnect": "plugging does not make the port an access port, so that other VLANs may stay on it",
    "netmiko_fake": "it talks to nothing",
    "netmiko_nokia_srl": _ADDS,
    "netmiko_ovs_linux": "see the driver openvswitch: a port that is unplugged by these templates carries every VLAN",
    "netmiko_sonic": _ADDS,
    "restconf_openconfig": "it has no command templates; see the driver netconf",
}

#: The templates that are used.
TEMPLATES = (
    "ADD_NETWORK",
    "PLUG_PORT_TO_NETWORK",
    "DELETE_PORT",
    "SET_NATIVE_VLAN",
    "ADD_NETWORK_TO_TRUNK",
    "REMOVE_NETWORK_FROM_TRUNK",
    "ENABLE_PORT",
    "DISABLE_PORT",
    "SAVE_CONFIGURATION",
)


@dataclass(frozen=True, slots=True)
class Templates:
    """The command lines of one device type.

    :param platform: netmiko's name of it
    :param lines: the templates that there are, by name; each line may have `{port}`, `{segmentation_id}` and names
    :param errors: regular expressions of what the device says when it refuses
    """

    platform: str
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    def has(self, *names: str) -> bool:
        """Whether there are these templates."""
        return all(self.lines.get(name) for name in names)

    def render(self, name: str, vlan: int | str = "", port: str = "") -> list[str]:
        """The lines of a template.

        :param vlan: a VLAN, or a list of VLANs where the device takes one
        :raises DriverError: there is no such template: nothing would be sent, and nothing done
        """
        lines = self.lines.get(name)
        if not lines:
            raise DriverError(
                "The switch cannot be made to do this.", f"networking-generic-switch has no {name} for {self.platform}"
            )
        label = f"v{vlan}"
        return [
            line.format(port=port, segmentation_id=vlan, network_name=label, network_id=label, bond=port)
            for line in lines
        ]


@functools.lru_cache(maxsize=1)
def load() -> Mapping[str, Templates]:
    """The templates of every device type that is installed, by its name.

    :raises DriverError: networking-generic-switch is not there, or is not written as it was
    """
    try:
        spec = importlib.util.find_spec(LIBRARY)
        root = Path(next(iter((spec and spec.submodule_search_locations) or ())))
        found = {}
        for entry in metadata.entry_points(group="generic_switch.devices"):
            facts = _facts(_classes(root, entry.module), entry.attr)
            if facts is not None:
                found[entry.name] = _templates(entry.name, facts)
    except (OSError, SyntaxError, ValueError, StopIteration) as error:
        raise DriverError(
            "The switch cannot be managed by this conductor.", f"networking-generic-switch cannot be read: {error!r}"
        ) from error
    return found


def _templates(name: str, facts: Mapping[str, Any]) -> Templates:
    platform = facts.get("NETMIKO_DEVICE_TYPE") or name.removeprefix("netmiko_")
    return Templates(
        RENAMED.get(platform, platform),
        {template: tuple(facts[template]) for template in TEMPLATES if facts.get(template)},
        tuple(facts.get("ERROR_MSG_PATTERNS", ())),
    )


def _classes(root: Path, module: str) -> dict[str, ast.ClassDef]:
    """The classes of a module of the library, by name."""
    path = root.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = path.read_text()
    with parsing.ALONE:
        tree = ast.parse(text)
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _facts(classes: Mapping[str, ast.ClassDef], name: str) -> dict[str, Any] | None:
    """The constants of a class and of those above it in its module; None if it is no class of netmiko's."""
    facts: dict[str, Any] = {}
    known = False
    for base in classes[name].bases:
        if isinstance(base, ast.Attribute) and base.attr == "NetmikoSwitch":
            known = True
        elif isinstance(base, ast.Name) and base.id in classes and (above := _facts(classes, base.id)) is not None:
            known = True
            facts.update(above)
    if not known:
        return None
    facts.update(_constants(classes[name]))
    return facts


def _constants(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            if name == "ERROR_MSG_PATTERNS":
                yield (
                    name,
                    [
                        ast.literal_eval(call.args[0])
                        for call in ast.walk(statement.value)
                        if isinstance(call, ast.Call)
                    ],
                )
            elif name in (*TEMPLATES, "NETMIKO_DEVICE_TYPE"):
                yield name, ast.literal_eval(statement.value)
