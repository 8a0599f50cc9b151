# SPDX-License-Identifier: Apache-2.0
"""HIL's types of switches and controllers, and their arguments, as this service's drivers have them.

HIL's types are addresses that end like the keys here, such as `http://schema.massopencloud.org/haas/v0/obm/ipmi`. A
type that is the name of a driver of this service is taken as it is, with that driver's own options.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

#: Each is a driver, and how HIL's arguments are called there; those that are None are understood and not needed.
OBM_TYPES: Mapping[str, tuple[str, Mapping[str, str | None]]] = {
    "ipmi": ("ipmi", {"host": "host", "user": "username", "password": "password"}),
    "mock": ("fake", {"host": None, "user": None, "password": "password"}),
}

#: HIL never asked who a switch is: a switch with a command line also needs its host key here.
_NEXUS: Mapping[str, str | None] = {
    "hostname": "host",
    "username": "username",
    "password": "password",
    "dummy_vlan": "parking_vlan",
    "host_keys": "host_keys",
    "known_hosts": "known_hosts",
}

#: HIL called the bridge of Open vSwitch its host name at first, and always talked to the one on its own machine.
_BRIDGE: Mapping[str, str | None] = {"hostname": "bridge", "ovs_bridge": "bridge", "username": None, "password": None}
_SOCKET = {"endpoint": "unix:/run/openvswitch/db.sock"}

#: The same, with options that follow from the type.
SWITCH_TYPES: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, str | None]]] = {
    "mock": ("fake", {}, {"hostname": None, "username": None, "password": "password"}),
    "ovs": ("openvswitch", _SOCKET, _BRIDGE),
    "nexus": ("generic", {"device_type": "netmiko_cisco_nxos"}, _NEXUS),
}

_POWERCONNECT = (
    "HIL spoke telnet to it, which this service does not, and the templates for its command line "
    "(netmiko_dell_powerconnect) do not make a port an access port, so that VLANs that it carries may stay on it"
)

#: The other switches that HIL knew, and why there is no driver for them.
SWITCH_REFUSED: Mapping[str, str] = {
    "powerconnect55xx": _POWERCONNECT,
    "delln3000": _POWERCONNECT,
    "brocade": "HIL spoke to the REST interface of Brocade NOS, and there are no templates for its command line "
    "(those of Brocade FastIron are for another)",
    "dellnos9": "HIL spoke to its REST interface, and the templates for its command line (netmiko_dell_force10) add a "
    "VLAN to those that a port has, and none tells which those are",
}


def obm(given: Mapping[str, Any], known: Collection[str]) -> tuple[str, dict[str, Any]]:
    """The controller of a node, as the first HIL described it: a type and its arguments.

    :param known: the OBM drivers that are installed
    :returns: the driver and its options
    :raises ValueError: there is no such type, or an argument is not known
    """
    kind, arguments = _type(given)
    if "/" not in kind and kind in known:
        return kind, arguments
    name = kind.rpartition("/")[2]
    if "/" not in kind or name not in OBM_TYPES:
        raise ValueError(f"there is no OBM type {kind[:100]!r}")
    driver, translated = OBM_TYPES[name]
    return driver, _renamed(translated, arguments)


def obmd(given: Mapping[str, Any], _known: Collection[str]) -> tuple[str, dict[str, Any]]:
    """The controller of a node, as the last HIL described it: a node of an obmd.

    :raises ValueError: it is not described so
    """
    if set(given) != {"uri", "admin_token"} or not all(isinstance(value, str) for value in given.values()):
        raise ValueError("obmd has uri and admin_token, both texts")
    return "obmd", dict(given)


def switch(given: Mapping[str, Any], known: Collection[str]) -> tuple[str, dict[str, Any]]:
    """A switch: a type and its arguments.

    :param known: the switch drivers that are installed
    :returns: the driver and its options
    :raises ValueError: there is no such type, there is no driver for it, or an argument is not known
    """
    kind, arguments = _type(given)
    if "/" not in kind and kind in known:
        return kind, arguments
    name = kind.rpartition("/")[2]
    if "/" in kind and name in SWITCH_REFUSED:
        raise ValueError(f"there is no driver for switches of HIL's type {name}: {SWITCH_REFUSED[name]}")
    if "/" not in kind or name not in SWITCH_TYPES:
        raise ValueError(f"there is no switch type {kind[:100]!r}")
    driver, options, translated = SWITCH_TYPES[name]
    if driver not in known:
        raise ValueError(f"switches of type {name} need the driver {driver}, which is not installed")
    found = {**options, **_renamed(translated, arguments)}
    if isinstance(vlan := found.get("parking_vlan"), str) and vlan.isascii() and vlan.isdigit():
        found["parking_vlan"] = int(vlan[:5])  # HIL had it as a text
    return driver, found


def _type(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    arguments = dict(given)
    kind = arguments.pop("type", None)
    if not isinstance(kind, str):
        raise ValueError("type is missing or no text")
    return kind, arguments


def _renamed(translated: Mapping[str, str | None], arguments: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(arguments.keys() - translated.keys())
    if unknown:
        raise ValueError(f"{unknown[0][:100]} is not known")
    return {new: arguments[old] for old, new in translated.items() if new is not None and old in arguments}
