# SPDX-License-Identifier: Apache-2.0
"""A Linux bridge with VLAN filtering, over rtnetlink.

Comes with the extra `linuxbridge`. What a port of such a bridge carries is a set of VLANs, each with two flags: `pvid`
for the one that untagged frames are put into, and `untagged` for those that leave without a tag (bridge(8)). A native
VLAN has both; one with one of them alone carries frames one way only, and is never reported as sound. A port without
any VLAN drops every frame, and a parked one is down besides.

Filtering is a setting of the whole bridge. While it is off, or goes by the tags of 802.1ad, the sets mean nothing and
every port carries everything.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pyroute2 import IPRoute, NetlinkError, NetNS

from mogan_hil.common import channels
from mogan_hil.drivers.base import Options
from mogan_hil.drivers.switch import base

EVERYTHING = base.PortState(native=0, tagged=frozenset(range(4096)))

# linux/if_bridge.h, linux/if.h, linux/if_ether.h
PVID, UNTAGGED, RANGE_BEGIN, RANGE_END = 0x2, 0x4, 0x8, 0x10
IFF_UP = 0x1
ETH_P_8021Q = 0x8100

#: Links that are made of others. What becomes of their members was never tried.
_GROUPS = ("bond", "team")
#: What says that the call may do later, and what that the driver may not make it.
_LATER = (errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOBUFS)


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a port's set. Adding a VLAN that is there gives it these flags."""

    add: bool
    vlans: str
    flags: int = 0

    def info(self) -> dict[str, Any]:
        """The argument of pyroute2."""
        vid: int | str = int(self.vlans) if self.vlans.isdigit() else self.vlans
        return {"vid": vid, "flags": self.flags}


def state_of(entries: Mapping[int, int], up: bool) -> base.PortState:
    """What a port is whose VLANs have these flags."""
    native = next((vlan for vlan, flags in entries.items() if flags & PVID), None)
    tagged = {vlan for vlan, flags in entries.items() if not flags & (PVID | UNTAGGED)}
    # One flag without the other: in one way, and out another.
    odd = {vlan for vlan, flags in entries.items() if flags & (PVID | UNTAGGED) not in (0, PVID | UNTAGGED)}
    return base.PortState(native, frozenset(tagged | odd | ({0} if odd else set())), up)


def plan(entries: Mapping[int, int], config: base.PortConfig) -> list[Step]:
    """The changes from one set to another. What is too much goes first."""
    wanted = dict.fromkeys(config.tagged, 0)
    if config.native is not None:
        wanted[config.native] = PVID | UNTAGGED
    away = entries.keys() - wanted.keys()
    steps = [Step(False, span) for span in _spans(away)]
    tagged = {vlan for vlan in config.tagged if entries.get(vlan) != 0}
    steps += [Step(True, span) for span in _spans(tagged)]
    if config.native is not None and entries.get(config.native) != PVID | UNTAGGED:
        steps.append(Step(True, str(config.native), PVID | UNTAGGED))
    return steps


def _spans(vlans: Collection[int]) -> list[str]:
    return [span for span in channels.ranges(vlans).split(",") if span]


@dataclass(frozen=True, slots=True)
class Link:
    """A port of the bridge."""

    index: int
    up: bool
    kind: str
    entries: Mapping[int, int]


class _Bridge:
    """What the kernel has, for the length of one call."""

    def __init__(self, netlink: Any, name: str) -> None:
        self._netlink = netlink
        self._name = name
        found = netlink.link_lookup(ifname=name)
        if not found:
            raise base.DriverError("The switch is not set up as its registration says.", f"There is no link {name}")
        self._index: int = found[0]
        self._filtering, self._protocol = self._settings()

    def _settings(self) -> tuple[bool, int]:
        info = self._netlink.get_links(self._index)[0].get_attr("IFLA_LINKINFO")
        data = info.get_attr("IFLA_INFO_DATA") if info is not None else None
        if data is None or info.get_attr("IFLA_INFO_KIND") != "bridge":
            raise base.DriverError("The switch is not set up as its registration says.", f"{self._name} is no bridge")
        protocol = data.get_attr("IFLA_BR_VLAN_PROTOCOL")
        return bool(data.get_attr("IFLA_BR_VLAN_FILTERING")), ETH_P_8021Q if protocol is None else protocol

    @property
    def separates(self) -> bool:
        """Whether the VLANs of its ports are those of networks: it filters, and by tags of 802.1Q."""
        return self._filtering and self._protocol == ETH_P_8021Q

    def check(self) -> None:
        """Refuse to believe that ports are separate where they are not."""
        if not self._filtering:
            raise base.DriverError(
                "The switch does not separate networks.",
                f"VLAN filtering of bridge {self._name} is off: ip link set {self._name} type bridge vlan_filtering 1 "
                "vlan_default_pvid 0",
            )
        if self._protocol != ETH_P_8021Q:
            raise base.DriverError(
                "The switch does not separate networks.",
                f"bridge {self._name} filters by tags of {self._protocol:#x}, not of 802.1Q",
            )

    def links(self) -> dict[str, Link]:
        """The ports, by name."""
        entries = {message["index"]: self._entries(message) for message in self._netlink.get_vlans()}
        found = {}
        for link in self._netlink.get_links():
            if link.get_attr("IFLA_MASTER") == self._index:
                info = link.get_attr("IFLA_LINKINFO")
                kind = info.get_attr("IFLA_INFO_KIND") if info is not None else None
                index = link["index"]
                up = bool(link["flags"] & IFF_UP)
                found[link.get_attr("IFLA_IFNAME")] = Link(index, up, kind or "", entries.get(index, {}))
        return found

    @staticmethod
    def _entries(message: Any) -> dict[int, int]:
        """The flags of each VLAN. Several alike may come as the first and the last of a range."""
        found: dict[int, int] = {}
        begin = None
        spec = message.get_attr("IFLA_AF_SPEC")
        for name, info in spec["attrs"] if spec is not None else ():
            if name != "IFLA_BRIDGE_VLAN_INFO":
                continue
            flags, vlan = info["flags"], info["vid"]
            if flags & RANGE_BEGIN:
                begin = vlan
                continue
            first = begin if flags & RANGE_END and begin is not None else vlan
            found.update(dict.fromkeys(range(first, vlan + 1), flags & (PVID | UNTAGGED)))
            begin = None
        return found

    def apply(self, link: Link, config: base.PortConfig) -> None:
        """Make a port so: it is down before it loses its last VLAN, and up after it has them all."""
        if not config.enabled and link.up:
            self._netlink.link("set", index=link.index, state="down")
        for step in plan(link.entries, config):
            self._netlink.vlan_filter("add" if step.add else "del", index=link.index, vlan_info=step.info())
        if config.enabled and not link.up:
            self._netlink.link("set", index=link.index, state="up")


class LinuxBridge(base.SwitchDriver):
    """A Linux bridge with VLAN filtering, on the conductor's own machine."""

    capabilities = frozenset({base.READ, base.ADMIN_STATE, base.TAGGED, base.TAGGED_ONLY})
    #: IFNAMSIZ of Linux, without the NUL.
    port_name_pattern = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,14}")
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "bridge": {
                "type": "string",
                "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,14}$(?!\n)",
                "description": "The bridge whose ports these are",
            },
            "namespace": {
                "type": "string",
                "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,62}$(?!\n)",
                "description": "The network namespace of the bridge, by its name in /run/netns; else the conductor's",
            },
        },
        "required": ["bridge"],
        "additionalProperties": False,
    }

    @classmethod
    def identity(cls, options: Options) -> str | None:
        """The bridge in its namespace. Conductors on several machines each have their own, which is not told apart."""
        return f"linuxbridge {options.get('namespace', '')} {options['bridge']}"[:255]

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        """See the base class. A port that is missing stops the batch before anything is changed.

        The kernel has no transactions: an error in the middle leaves the ports before it as they are asked for.
        """
        for port in ports:
            self.check_port_name(port)
        if not ports:
            return
        with self._bridge() as bridge:
            bridge.check()
            links = bridge.links()
            if missing := sorted(set(ports) - set(links)):
                raise base.DriverError(
                    "The switch has no such port.", f"Bridge {self.options['bridge']} has no port {', '.join(missing)}"
                )
            if groups := sorted(port for port in ports if links[port].kind in _GROUPS):
                raise base.Unsupported(
                    "This switch cannot use link aggregation groups.", f"{', '.join(groups)}: not tried by this driver"
                )
            for port in sorted(ports, key=lambda name: (ports[name].enabled, name)):
                bridge.apply(links[port], ports[port])

    def read(self, ports: Collection[str]) -> Mapping[str, base.PortState | None]:
        """See the base class. While the bridge does not filter by tags of 802.1Q, every port that is up carries all."""
        with self._bridge() as bridge:
            links = bridge.links()
            found: dict[str, base.PortState | None] = dict.fromkeys(ports)
            for port in found.keys() & links.keys():
                link = links[port]
                state = state_of(link.entries, link.up)
                if not bridge.separates:
                    state = base.PortState(EVERYTHING.native, EVERYTHING.tagged, link.up)
                found[port] = state
            return found

    @contextlib.contextmanager
    def _bridge(self) -> Iterator[_Bridge]:
        namespace = self.options.get("namespace")
        try:
            with IPRoute() if namespace is None else NetNS(namespace, flags=0) as netlink:
                yield _Bridge(netlink, self.options["bridge"])
        except NetlinkError as error:
            raise base.DriverError(
                "The switch refused the change.",
                f"bridge {self.options['bridge']}: {error}",
                transient=error.code in _LATER,
            ) from error
        except OSError as error:
            raise base.DriverError(
                "The switch is not set up as its registration says.",
                f"network namespace {namespace or 'of the conductor'}: {error}",
            ) from error
