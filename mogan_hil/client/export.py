# SPDX-License-Identifier: Apache-2.0
"""An inventory of what the service has."""

from __future__ import annotations

from typing import Any

from mogan_hil.client.plan import MASK, SUBNET_FIELDS
from mogan_hil.client.world import Entry, World


def _given(entry: Entry, *names: str) -> dict[str, Any]:
    return {name: entry[name] for name in names if entry[name]}


def _shown(options: Entry) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value != MASK}


def export(world: World) -> dict[str, Any]:
    """The inventory. Secrets are not in it: the service does not tell them."""
    names = {uuid: name for name, uuid in world.projects.items()}
    return {
        "projects": sorted(world.projects),
        "switches": {name: _switch(world, name) for name in sorted(world.switches)},
        "nodes": {name: _node(world, name) for name in sorted(world.nodes)},
        "networks": [
            {
                "name": network["name"],
                "project": names.get(network["project_id"], network["project_id"]),
                **_given(network, "description", "public", "segment_id", "physical_network"),
                **({"access": [names.get(item, item) for item in network["access"]]} if network["access"] else {}),
                **_subnets(world, network["uuid"]),
            }
            for network in sorted(world.networks.values(), key=lambda item: str(item["name"]))
        ],
        "aggregates": {
            name: {**_given(entry, "description", "metadata"), "nodes": sorted(entry["nodes"])}
            for name, entry in sorted(world.aggregates.items())
        },
        "quotas": {names.get(uuid, uuid): limits for uuid, limits in world.quotas.items() if limits},
    }


def _subnets(world: World, network: str) -> dict[str, Any]:
    found = [
        {"cidr": cidr, **{name: subnet[name] for name in SUBNET_FIELDS}}
        for (owner, cidr), subnet in sorted(world.subnets.items())
        if owner == network
    ]
    return {"subnets": found} if found else {}


def _switch(world: World, name: str) -> dict[str, Any]:
    entry = world.switches[name]
    found = _given(entry, "driver", "physical_network", "description")
    found["options"] = _shown(entry["options"])
    found["ports"] = sorted(port for owner, port in world.ports if owner == name)
    return found


def _node(world: World, name: str) -> dict[str, Any]:
    entry = world.details[name]
    found = _given(entry, "description", "resource_class", "traits", "maintenance", "maintenance_reason", "metadata")
    if entry["obm"] is not None:
        found["obm"] = {"driver": entry["obm"]["driver"], "options": _shown(entry["obm"]["options"])}
    found["nics"] = {}
    for nic in entry["nics"]:
        card = found["nics"][nic["name"]] = {"mac": nic["mac"]}
        if nic["port"] is not None:
            card["port"] = f"{nic['switch']['name']}/{nic['port']['name']}"
    return found
