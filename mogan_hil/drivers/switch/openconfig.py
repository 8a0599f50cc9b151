# SPDX-License-Identifier: Apache-2.0
"""Ports in the words of OpenConfig: openconfig-interfaces, -if-ethernet, -if-aggregate, -vlan and -network-instance.

Only leaves are used that have been in those models since 2019. A node that a module adds to another is in the adding
module's namespace, and a grouping's nodes are in that of the module that uses it (RFC 7950, 7.13 and 7.17).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from lxml import etree

from mogan_hil.common import channels
from mogan_hil.drivers.switch import base

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
_YANG = "http://openconfig.net/yang/"
IF, ETH, LAG = f"{_YANG}interfaces", f"{_YANG}interfaces/ethernet", f"{_YANG}interfaces/aggregate"
VLAN, NI = f"{_YANG}vlan", f"{_YANG}network-instance"

EVERY = frozenset(range(1, 4095))


@dataclass(frozen=True, slots=True)
class Seen:
    """A port as the configuration has it.

    :param group: the link aggregation group that the port is a member of, if any
    :param is_group: it is such a group
    """

    state: base.PortState
    group: str | None = None
    is_group: bool = False


def _child(parent: Any, namespace: str, name: str, text: object = None, operation: str | None = None) -> Any:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}", nsmap={None: namespace})
    if text is not None:
        element.text = str(text)
    if operation is not None:
        element.set(f"{{{NC}}}operation", operation)
    return element


def asking(ports: Iterable[str]) -> Any:
    """A subtree filter (RFC 6241, 6) for these interfaces."""
    interfaces = etree.Element(f"{{{IF}}}interfaces", nsmap={None: IF})
    for port in ports:
        _child(_child(interfaces, IF, "interface"), IF, "name", port)
    return interfaces


def change(ports: Iterable[tuple[str, base.PortConfig, bool]], vlans: Collection[int], network_instance: str) -> Any:
    """What to merge into the configuration.

    :param ports: names, what they are to be, and whether each is a link aggregation group
    :param vlans: VLANs that are to be there
    """
    root = etree.Element(f"{{{NC}}}config", nsmap={"nc": NC})
    if vlans:
        instances = _child(root, NI, "network-instances")
        instance = _child(instances, NI, "network-instance")
        _child(instance, NI, "name", network_instance)
        found = _child(instance, NI, "vlans")
        for vlan in sorted(vlans):
            entry = _child(found, NI, "vlan")
            _child(entry, NI, "vlan-id", vlan)
            config = _child(entry, NI, "config")
            _child(config, NI, "vlan-id", vlan)
            _child(config, NI, "status", "ACTIVE")
    interfaces = _child(root, IF, "interfaces")
    for name, wanted, is_group in ports:
        interface = _child(interfaces, IF, "interface")
        _child(interface, IF, "name", name)
        config = _child(interface, IF, "config")
        _child(config, IF, "name", name)
        _child(config, IF, "enabled", "true" if wanted.enabled else "false")
        above = _child(interface, LAG, "aggregation") if is_group else _child(interface, ETH, "ethernet")
        _switched(above, wanted)
    return root


def _switched(above: Any, wanted: base.PortConfig) -> None:
    # Replaced as a whole: what else was in it is gone.
    if not wanted.enabled:
        _child(above, VLAN, "switched-vlan", operation="remove")
        return
    config = _child(_child(above, VLAN, "switched-vlan", operation="replace"), VLAN, "config")
    if not wanted.tagged:
        _child(config, VLAN, "interface-mode", "ACCESS")
        _child(config, VLAN, "access-vlan", wanted.native)
        return
    _child(config, VLAN, "interface-mode", "TRUNK")
    _child(config, VLAN, "native-vlan", wanted.native)
    for span in channels.ranges(wanted.tagged).split(","):
        _child(config, VLAN, "trunk-vlans", span.replace("-", ".."))


def parse(data: Any) -> dict[str, Seen]:
    """The interfaces of an answer, by name."""
    found = {}
    for interface in data.iter(f"{{{IF}}}interface"):
        name = interface.findtext(f"{{{IF}}}name", "").strip()
        if name:
            found[name] = _seen(interface)
    return found


def _seen(interface: Any) -> Seen:
    aggregation = interface.find(f"{{{LAG}}}aggregation")
    kind = interface.findtext(f"{{{IF}}}config/{{{IF}}}type", "")
    is_group = aggregation is not None or kind.endswith("ieee8023adLag")
    above = aggregation if is_group else interface.find(f"{{{ETH}}}ethernet")
    group = interface.findtext(f"{{{ETH}}}ethernet/{{{ETH}}}config/{{{LAG}}}aggregate-id")
    config = above.find(f"{{{VLAN}}}switched-vlan/{{{VLAN}}}config") if above is not None else None
    native, tagged = _carried(config)
    # The default is true.
    enabled = interface.findtext(f"{{{IF}}}config/{{{IF}}}enabled", "true").strip() != "false"
    return Seen(base.PortState(native, tagged, enabled), group, is_group)


def _carried(config: Any) -> tuple[int | None, frozenset[int]]:
    """The native and the tagged VLANs. What is not said is taken for the worst: no more is known of it."""
    mode = config.findtext(f"{{{VLAN}}}interface-mode", "").strip() if config is not None else ""
    if mode == "ACCESS":
        return _vlan(config.findtext(f"{{{VLAN}}}access-vlan")), frozenset()
    if mode != "TRUNK":
        return 0, EVERY | {0}
    native = _vlan(config.findtext(f"{{{VLAN}}}native-vlan"))
    spans = [(element.text or "").strip() for element in config.findall(f"{{{VLAN}}}trunk-vlans")]
    tagged: frozenset[int] = frozenset()
    for span in spans:
        if re.fullmatch(r"[0-9]+(\.\.[0-9]+)?", span):
            tagged |= channels.expand(span.replace("..", "-"))
        else:
            tagged |= EVERY | {0}
    # "If not specified, all VLANs are allowed on the interface" (openconfig-vlan, trunk-vlans).
    return native, (tagged if spans else EVERY) - {native}


def _vlan(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isdigit() else 0
