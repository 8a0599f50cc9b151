# SPDX-License-Identifier: Apache-2.0
"""What the service has, read with as few requests as the question needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from mogan_hil.client import document
from mogan_hil.client.document import Document
from mogan_hil.client.rest import Api

#: Told of long work: how much of how much is done, and with what.
Progress = Callable[[int, int, str], None]

Entry = Mapping[str, Any]


@dataclass(slots=True)
class World:
    """What the service has, by name.

    :ivar projects: name to uuid
    :ivar ports: by switch and name
    :ivar cables: by node and NIC: the port's entry
    :ivar nodes: as in lists; those of which more must be known are also in `details`
    :ivar networks: by the owner's uuid, None for the site, and name
    :ivar subnets: by the network's uuid and CIDR
    :ivar aggregates: each with the names of its `nodes`
    :ivar quotas: by the project's uuid and resource: the limit
    """

    projects: dict[str, str] = field(default_factory=dict)
    switches: dict[str, Entry] = field(default_factory=dict)
    ports: dict[tuple[str, str], Entry] = field(default_factory=dict)
    cables: dict[str, dict[str, Entry]] = field(default_factory=dict)
    nodes: dict[str, Entry] = field(default_factory=dict)
    details: dict[str, Entry] = field(default_factory=dict)
    networks: dict[tuple[str | None, str], Entry] = field(default_factory=dict)
    subnets: dict[tuple[str, str], Entry] = field(default_factory=dict)
    aggregates: dict[str, Entry] = field(default_factory=dict)
    quotas: dict[str, dict[str, int]] = field(default_factory=dict)

    def nics(self, node: str) -> dict[str, Entry]:
        """The NICs of a node that are known: all of them with details, else those that are cabled."""
        if node in self.details:
            return {nic["name"]: nic for nic in self.details[node]["nics"]}
        return {nic: port["nic"] for nic, port in self.cables.get(node, {}).items()}


def read(api: Api, wanted: Document | None, progress: Progress) -> World:
    """Read what an inventory speaks of, or everything.

    :raises mogan_hil.client.rest.ApiError: refused, or no answer
    """

    def asks(kind: str) -> bool:
        return wanted is None or kind in wanted

    world = World()
    if asks("projects") or asks("networks") or asks("quotas"):
        world.projects = {item["name"]: item["uuid"] for item in api.pages("projects", "projects")}
    if asks("networks"):
        for item in api.pages("networks", "networks"):
            world.networks[item["project_id"], item["name"]] = item
        _read_subnets(api, world, wanted)
    if asks("aggregates"):
        _read_aggregates(api, world, wanted)
    if asks("quotas"):
        _read_quotas(api, world, wanted)
    if asks("switches") or asks("nodes"):
        world.switches = {item["name"]: item for item in api.pages("switches", "switches")}
        _read_ports(api, world, wanted, progress)
    if asks("nodes"):
        world.nodes = {item["name"]: item for item in api.pages("nodes", "nodes")}
        names = [
            name for name in world.nodes if wanted is None or _is_unclear(wanted, name, world.cables.get(name, {}))
        ]
        for number, name in enumerate(names, 1):
            progress(number, len(names), f"reading node {name}")
            world.details[name] = api.get("nodes", world.nodes[name]["uuid"])
    return world


def _read_subnets(api: Api, world: World, wanted: Document | None) -> None:
    names = None if wanted is None else {item["name"] for item in wanted["networks"] if "subnets" in item}
    for (_, name), item in world.networks.items():
        if names is None or name in names:
            for subnet in api.get("networks", item["uuid"], "subnets")["subnets"]:
                world.subnets[item["uuid"], subnet["cidr"]] = subnet


def _read_aggregates(api: Api, world: World, wanted: Document | None) -> None:
    for item in api.pages("aggregates", "aggregates"):
        if wanted is None or item["name"] in wanted["aggregates"]:
            nodes = [node["name"] for node in api.pages("nodes", "aggregates", item["uuid"], "nodes")]
            world.aggregates[item["name"]] = {**item, "nodes": nodes}


def _read_quotas(api: Api, world: World, wanted: Document | None) -> None:
    usual = api.get("quotas", "defaults")["quotas"] if wanted is None else {}  # of these an export says nothing
    for name, uuid in world.projects.items():
        if wanted is None or {name, uuid} & wanted["quotas"].keys():
            shown = api.get("quotas", uuid)["quotas"]
            limits = {resource: entry["limit"] for resource, entry in shown.items()}
            world.quotas[uuid] = {
                key: limit for key, limit in limits.items() if usual.get(key, {}).get("limit") != limit
            }


def _read_ports(api: Api, world: World, wanted: Document | None, progress: Progress) -> None:
    names: Collection[str] = world.switches
    if wanted is not None:
        meant = {*wanted.get("switches", {}), *(switch for _, _, switch, _ in document.cabled(wanted))}
        names = [name for name in world.switches if name in meant]
    for number, name in enumerate(names, 1):
        progress(number, len(names), f"reading the ports of switch {name}")
        for port in api.pages("ports", "switches", world.switches[name]["uuid"], "ports"):
            world.ports[name, port["name"]] = port
            if port["nic"] is not None:
                world.cables.setdefault(port["nic"]["node"]["name"], {})[port["nic"]["name"]] = port


def _is_unclear(wanted: Document, name: str, known: Mapping[str, Entry]) -> bool:
    """Whether lists do not tell all that the inventory says of a node."""
    entry = wanted["nodes"].get(name)
    return entry is not None and (
        bool({"metadata", "obm"} & entry.keys()) or not entry.get("nics", {}).keys() <= known.keys()
    )
