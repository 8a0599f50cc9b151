# SPDX-License-Identifier: Apache-2.0
"""From what there is to what an inventory says: the requests that are missing. Nothing is ever deleted."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mogan_hil.client import document
from mogan_hil.client.document import Document
from mogan_hil.client.world import Entry, World

#: How the service shows a secret.
MASK = "******"

#: In a path: the uuid of what an earlier step makes. No name is so.
OF = "{of}"

SUBNET_FIELDS = ("gateway", "pools", "dns_servers", "dhcp")
NODE_FIELDS = ("description", "resource_class", "traits", "maintenance", "maintenance_reason")


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and what it means.

    :param text: begins with `+` for something new and `~` for something that changes
    :param of: the step that makes what is meant by `OF` in the path
    """

    text: str
    method: str
    path: tuple[str, ...]
    body: Mapping[str, Any] | None = None
    of: Step | None = None


@dataclass(slots=True)
class Plan:
    """The steps, in an order in which they can be made.

    :ivar obstacles: what the inventory says and the API cannot change; nothing should be applied while there is one
    """

    steps: list[Step] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)


def make(wanted: Document, world: World, *, send_secrets: bool = False) -> Plan:
    """Compare.

    :param send_secrets: write options that hold secrets again: whether a secret is another one cannot be seen
    """
    plan = Plan()
    for name in wanted.get("projects", []):
        if name not in world.projects:
            plan.steps.append(Step(f"+ project {name}", "PUT", ("projects", name)))
    for name, entry in wanted.get("switches", {}).items():
        _switch(plan, world, name, entry, send_secrets)
    _ports(plan, wanted, world)
    for name, entry in wanted.get("nodes", {}).items():
        _node(plan, world, name, entry, send_secrets)
    for entry in wanted.get("networks", []):
        _network(plan, world, entry)
    for name, entry in wanted.get("aggregates", {}).items():
        _aggregate(plan, world, name, entry)
    for name, limits in wanted.get("quotas", {}).items():
        _quotas(plan, world, name, limits)
    return plan


def _differ(wanted: Mapping[str, Any], current: Mapping[str, Any], send_secrets: bool) -> bool:
    """Whether options are not as they are shown. One that is masked counts as right."""
    masked = {name for name, value in current.items() if value == MASK}
    if send_secrets and masked & wanted.keys():
        return True
    return any(wanted.get(name) != current.get(name) for name in (wanted.keys() | current.keys()) - masked)


def _switch(plan: Plan, world: World, name: str, entry: Entry, send_secrets: bool) -> None:
    values = {key: value for key, value in entry.items() if key != "ports"}
    current = world.switches.get(name)
    if current is None:
        text = f"+ switch {name} ({entry['driver']})"
        plan.steps.append(Step(text, "POST", ("switches",), {"name": name, **values}))
        return
    for key in ("driver", "physical_network"):
        if key in values and values[key] != current[key]:
            plan.obstacles.append(
                f"switch {name}: its {key} is {current[key]}, not {values[key]}, and cannot change; register it anew"
            )
    changes = {}
    if values.get("description", current["description"]) != current["description"]:
        changes["description"] = values["description"]
    if "options" in values and _differ(values["options"], current["options"], send_secrets):
        changes["options"] = values["options"]
    if changes:
        plan.steps.append(
            Step(f"~ switch {name}: {', '.join(changes)}", "PATCH", ("switches", current["uuid"]), changes)
        )


def _ports(plan: Plan, wanted: Document, world: World) -> None:
    """Those that are listed, and those that something is cabled to."""
    listed = [(name, port) for name, entry in wanted.get("switches", {}).items() for port in entry.get("ports", [])]
    used = [(switch, port) for _, _, switch, port in document.cabled(wanted)]
    unknown = {switch for switch, _ in used} - wanted.get("switches", {}).keys() - world.switches.keys()
    plan.obstacles += [f"switch {name}: NICs are cabled to it, and there is none" for name in sorted(unknown)]
    for switch, port in dict.fromkeys(listed + used):
        if (switch, port) not in world.ports:
            plan.steps.append(Step(f"+ port {switch}/{port}", "POST", ("switches", switch, "ports"), {"name": port}))


def _node(plan: Plan, world: World, name: str, entry: Entry, send_secrets: bool) -> None:
    current = world.details.get(name, world.nodes.get(name))
    fields = {key: entry[key] for key in (*NODE_FIELDS, "obm") if key in entry}
    if current is None:
        plan.steps.append(Step(f"+ node {name}", "POST", ("nodes",), {"name": name, **fields}))
    else:
        changes = dict(_changes(fields, current, send_secrets))
        if changes:
            plan.steps.append(
                Step(f"~ node {name}: {', '.join(changes)}", "PATCH", ("nodes", current["uuid"]), changes)
            )
    labels = (current or {}).get("metadata") or {}
    for label, value in entry.get("metadata", {}).items():
        if label not in labels or labels[label] != value:
            text = f"{'~' if label in labels else '+'} label {name}/{label}"
            plan.steps.append(Step(text, "PUT", ("nodes", name, "metadata", label), {"value": value}))
    nics = world.nics(name) if current else {}
    for nic, card in entry.get("nics", {}).items():
        _nic(plan, world, name, nic, card, nics.get(nic))


def _changes(fields: Entry, current: Entry, send_secrets: bool) -> Iterator[tuple[str, Any]]:
    for key, value in fields.items():
        if key == "traits":
            same = set(value) == set(current["traits"])
        elif key == "obm":
            shown = current.get("obm") or {"driver": None, "options": {}}
            same = shown["driver"] == value["driver"]
            same = same and not _differ(value.get("options", {}), shown["options"], send_secrets)
        else:
            same = value == current[key]
        if not same:
            yield key, value


def _nic(plan: Plan, world: World, node: str, nic: str, card: Entry, current: Entry | None) -> None:
    address = document.mac(card["mac"])
    if current is None:
        plan.steps.append(
            Step(f"+ nic {node}/{nic} ({address})", "POST", ("nodes", node, "nics"), {"name": nic, "mac": address})
        )
    elif current["mac"] != address:
        plan.obstacles.append(
            f"nic {node}/{nic}: its address is {current['mac']}, not {address}, and cannot change; register it anew"
        )
        return
    if "port" not in card:
        return
    switch, _, port = card["port"].partition("/")
    place = _cabled_to(world, node, nic, current)
    there = world.ports.get((switch, port), {}).get("nic")
    if place == card["port"]:
        return
    if place is not None:
        plan.obstacles.append(f"nic {node}/{nic}: it is cabled to {place}, not to {card['port']}; uncable it first")
    elif there is not None:
        other = f"{there['node']['name']}/{there['name']}"
        plan.obstacles.append(f"nic {node}/{nic}: {card['port']} is cabled to {other}; uncable that first")
    else:
        path = ("switches", switch, "ports", port, "nic")
        plan.steps.append(Step(f"+ cable {node}/{nic} to {card['port']}", "PUT", path, {"node": node, "nic": nic}))


def _cabled_to(world: World, node: str, nic: str, current: Entry | None) -> str | None:
    port = world.cables.get(node, {}).get(nic)
    if port is not None:
        return f"{port['switch']['name']}/{port['name']}"
    if current is not None and current.get("port"):  # on a switch that the inventory does not speak of
        return f"{current['switch']['name']}/{current['port']['name']}"
    return None


def _network(plan: Plan, world: World, entry: Entry) -> None:
    name = entry["name"]
    owner = entry["project"] and world.projects.get(entry["project"], entry["project"])
    current = world.networks.get((owner, name))
    values = {key: entry[key] for key in ("description", "public", "segment_id", "physical_network") if key in entry}
    if current is None:
        body = {"name": name, "project_id": entry["project"], **values}
        if entry.get("access"):
            body["access"] = entry["access"]
        step = Step(f"+ network {name} of {entry['project'] or 'the site'}", "POST", ("networks",), body)
        plan.steps.append(step)
        _subnets(plan, entry, {}, OF, step)
        return
    for key in ("segment_id", "physical_network"):
        if key in values and values[key] != current[key]:
            plan.obstacles.append(
                f"network {name}: its {key} is {current[key]}, not {values[key]}, and cannot change; create another"
            )
    changes: Entry = {k: values[k] for k in ("description", "public") if k in values and values[k] != current[k]}
    if changes:
        plan.steps.append(
            Step(f"~ network {name}: {', '.join(changes)}", "PATCH", ("networks", current["uuid"]), changes)
        )
    for project in entry.get("access", []):
        ident = world.projects.get(project, project)
        if ident not in current["access"] and ident != owner:
            path = ("networks", current["uuid"], "access", project)
            plan.steps.append(Step(f"+ access of {project} to network {name}", "PUT", path))
    known = {cidr: subnet for (network, cidr), subnet in world.subnets.items() if network == current["uuid"]}
    _subnets(plan, entry, known, current["uuid"], None)


def _subnets(plan: Plan, entry: Entry, known: Mapping[str, Entry], network: str, of: Step | None) -> None:
    for subnet in (_canonical(subnet) for subnet in entry.get("subnets", [])):
        name = f"{subnet['cidr']} of network {entry['name']}"
        current = known.get(subnet["cidr"])
        if current is None:
            plan.steps.append(Step(f"+ subnet {name}", "POST", ("networks", network, "subnets"), subnet, of))
            continue
        changes = {key: subnet[key] for key in SUBNET_FIELDS if key in subnet and subnet[key] != current[key]}
        if changes:
            text = f"~ subnet {name}: {', '.join(changes)}"
            plan.steps.append(Step(text, "PATCH", ("subnets", current["uuid"]), changes))


def _canonical(value: Any) -> Any:
    """Addresses as the service writes them; what are none it will refuse."""
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    for read in (ipaddress.ip_address, ipaddress.ip_network) if isinstance(value, str) else ():
        with contextlib.suppress(ValueError):
            return str(read(value))
    return value


def _aggregate(plan: Plan, world: World, name: str, entry: Entry) -> None:
    fields = {key: entry[key] for key in ("description", "metadata") if key in entry}
    current = world.aggregates.get(name)
    if current is None:
        plan.steps.append(Step(f"+ aggregate {name}", "POST", ("aggregates",), {"name": name, **fields}))
    elif changes := {key: value for key, value in fields.items() if value != current[key]}:
        text = f"~ aggregate {name}: {', '.join(changes)}"
        plan.steps.append(Step(text, "PATCH", ("aggregates", current["uuid"]), changes))
    for node in entry.get("nodes", []):
        if current is None or node not in current["nodes"]:
            path = ("aggregates", name, "nodes", node)
            plan.steps.append(Step(f"+ node {node} in aggregate {name}", "PUT", path))


def _quotas(plan: Plan, world: World, project: str, limits: Mapping[str, int]) -> None:
    current = world.quotas.get(world.projects.get(project, project), {})
    changes = {name: limit for name, limit in limits.items() if current.get(name) != limit}
    if changes:
        text = f"{'~' if current else '+'} quotas of {project}: {', '.join(changes)}"
        plan.steps.append(Step(text, "PUT", ("quotas", project), changes))
