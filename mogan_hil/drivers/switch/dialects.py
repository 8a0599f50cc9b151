# SPDX-License-Identifier: Apache-2.0
"""How device types are told what a port is to be, and how they tell what it is.

The templates of networking-generic-switch plug one network into a port that is as that library left it. A port that
somebody else has touched may have a list of VLANs that come back with the next change of its mode, a voice VLAN, or, as
many are delivered, every VLAN there is. So a dialect adds what the templates lack: it clears what they leave behind,
closes what is parked, and reads.

A dialect that reads is proven against a simulated command line with real frames. The others only have the templates.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from mogan_hil.common import channels
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.switch import base
from mogan_hil.drivers.switch.ngs import Templates

EVERY = frozenset(range(1, 4095))

#: Characters of a list of VLANs in one line: command lines of old IOS end at 254.
LINE = 120


def lists(vlans: Collection[int]) -> Iterator[str]:
    """VLANs as `2-5,9`, in pieces that fit a line."""
    piece = ""
    for span in filter(None, channels.ranges(vlans).split(",")):
        if piece and len(piece) + len(span) >= LINE:
            yield piece
            piece = ""
        piece = f"{piece},{span}" if piece else span
    if piece:
        yield piece


@dataclass(frozen=True, slots=True)
class Seen:
    """What the configuration of a port says.

    :param trunk: the list of VLANs of a port that is a trunk, the native one with them if it is listed; else None
    :param group: the link aggregation group that the port is a member of, if any
    """

    state: base.PortState
    trunk: frozenset[int] | None = None
    group: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Dialect:
    """A device type with nothing but its templates: a native VLAN, and no look at what came of it.

    :param parks_in_vlan: there is no template that closes a port: a freed one is put into a VLAN that nothing else uses
    :param clears: unplugging takes every VLAN from the port, and is done before it is plugged
    :param commit: lines without which nothing that was configured comes true
    :param enter: the line that enters a configuration mode of our own, where the usual one is shared with others
    :param discard: lines that throw away what was configured and not committed, which would else be committed by the
        next who does
    """

    capabilities: ClassVar[frozenset[str]] = frozenset()
    #: The line that shows the whole configuration.
    whole: ClassVar[str] = ""
    port_name: ClassVar[re.Pattern[str]] = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]{0,62}")

    parks_in_vlan: bool = False
    clears: bool = False
    commit: tuple[str, ...] = ()
    enter: str = ""
    discard: tuple[str, ...] = ()

    def show(self, port: str) -> str:
        """The line that shows a port's configuration."""
        raise base.Unsupported("This switch cannot be read.")

    def parse(self, text: str) -> Seen | None:
        """What the answer to `show` says; None for a port that there is not."""
        raise base.Unsupported("This switch cannot be read.")

    def create(self, templates: Templates, vlans: Collection[int]) -> list[str]:
        """The lines that make VLANs known to the switch, whether or not they are."""
        if not templates.has("ADD_NETWORK"):
            return []
        return [line for vlan in sorted(vlans) for line in templates.render("ADD_NETWORK", vlan)]

    def lines(
        self, templates: Templates, port: str, config: base.PortConfig, seen: Seen | None, parking_vlan: int | None
    ) -> list[str]:
        """The lines that make a port so.

        :param seen: what it is, None if that cannot be known
        :raises DriverError: this device type cannot do it
        """
        if config.tagged:
            raise base.Unsupported(
                "This switch can carry untagged networks only.",
                f"{templates.platform}: what tagged VLANs port {port} has cannot be known, nor taken away",
            )
        if config.native is None:
            return self._park(templates, port, parking_vlan)
        if config.native == parking_vlan:
            raise DriverError("The switch keeps this VLAN for unused ports.", f"VLAN {parking_vlan} is parking_vlan")
        lines = templates.render("DELETE_PORT", config.native, port) if self.clears else []
        lines += templates.render("PLUG_PORT_TO_NETWORK", config.native, port)
        return lines if self.parks_in_vlan else lines + templates.render("ENABLE_PORT", port=port)

    def _park(self, templates: Templates, port: str, parking_vlan: int | None) -> list[str]:
        if self.parks_in_vlan:
            assert parking_vlan is not None, "the options' schema requires it"
            return templates.render("PLUG_PORT_TO_NETWORK", parking_vlan, port)
        return templates.render("DISABLE_PORT", port=port)


def sections(text: str) -> dict[str, str]:
    """The sections of the interfaces in a whole configuration, by the names that they have there."""
    found: dict[str, str] = {}
    name = None
    for line in text.splitlines():
        if line.startswith("interface "):
            name = line.removeprefix("interface ").strip()
            found[name] = line
        elif not line.startswith(" "):
            name = None
        elif name is not None:
            found[name] += f"\n{line}"
    return found


def _facts(text: str) -> dict[str, list[str]]:
    """The lines of one interface's section: the words that are looked for, and what follows each time."""
    found: dict[str, list[str]] = {}
    for line in (line.strip() for line in text.splitlines()):
        for words in WORDS:
            if line == words or line.startswith(words + " "):
                found.setdefault(words, []).append(line[len(words) :].strip())
                break
    return found


#: Beginnings of lines that say what a port carries; the longer of two that begin alike comes first.
WORDS = (
    "no switchport",
    "switchport access vlan",
    "switchport mode",
    "switchport trunk allowed vlan",
    "switchport trunk native vlan",
    "switchport voice vlan",
    "switchport",
    "channel-group",
    "no shutdown",
    "shutdown",
    "interface",
)


class Reading(Dialect):
    """What the proven dialects share: a command line in the manner of Cisco's, and a port's section to be read."""

    capabilities = frozenset({base.READ, base.ADMIN_STATE, base.TAGGED, base.LAG})
    port_name = re.compile(r"[A-Za-z][A-Za-z-]{0,30} ?[0-9]{1,4}(?:[/:.][0-9]{1,4}){0,4}")
    command: ClassVar[str]
    #: The mode of a port that has no line for it; None where that is left to the other end of the cable.
    default_mode: ClassVar[str | None] = "access"
    #: The VLANs of a trunk that has no line for them.
    default_allowed: ClassVar[frozenset[int]] = EVERY

    def show(self, port: str) -> str:
        return self.command.format(port=port)

    def parse(self, text: str) -> Seen | None:
        found = _facts(text)
        if "interface" not in found:
            return None
        state, trunk = self._carried(found)
        for voice in found.get("switchport voice vlan", []):
            state = base.PortState(state.native, state.tagged | {int(voice) if voice.isdigit() else 0}, state.enabled)
        if "shutdown" in found:
            state = base.PortState(state.native, state.tagged, enabled=False)
        group = found.get("channel-group", [None])[0]
        return Seen(state, trunk, group.split()[0] if group else None)

    def _carried(self, found: Mapping[str, list[str]]) -> tuple[base.PortState, frozenset[int] | None]:
        if "no switchport" in found:
            return base.PortState(native=0), None  # routed: what arrives untagged goes to the switch itself
        mode = found.get("switchport mode", [self.default_mode])[-1]
        access = self._vlan(found.get("switchport access vlan", ["1"])[-1])
        if mode == "access":
            return base.PortState(native=access), None
        if mode != "trunk":
            return base.PortState(native=access, tagged=EVERY | {0}), None  # whatever it is, it is not sound
        allowed = self._allowed(found.get("switchport trunk allowed vlan"))
        native = self._native(found, allowed, access)
        return base.PortState(native=native, tagged=allowed - {native}), allowed

    @staticmethod
    def _vlan(text: str) -> int:
        return int(text) if text.isdigit() else 0

    def _native(self, found: Mapping[str, list[str]], allowed: frozenset[int], access: int) -> int | None:
        raise NotImplementedError

    def _allowed(self, texts: list[str] | None) -> frozenset[int]:
        if texts is None:
            return self.default_allowed
        allowed: frozenset[int] = frozenset()
        for text in texts:
            text = text.removeprefix("add ").replace(" ", "")
            if text == "all":
                return EVERY
            if re.fullmatch(r"[0-9,-]+", text):
                allowed |= channels.expand(text)
            elif text != "none":
                return EVERY | {0}  # `except`, and what else there may be
        return allowed

    def lines(
        self, templates: Templates, port: str, config: base.PortConfig, seen: Seen | None, parking_vlan: int | None
    ) -> list[str]:
        assert seen is not None
        if seen.group is not None:
            raise DriverError(
                "The port is a member of a link aggregation group: the group is to be wired in its place.",
                f"port {port} is in channel-group {seen.group}",
            )
        if not config.enabled:
            return self._closed(port) + self._parked(templates, port, seen)
        return self._opened(templates, port, config, seen) + self._enabled(templates, port)

    def _closed(self, port: str) -> list[str]:
        return [f"interface {port}", "shutdown"]

    def _enabled(self, templates: Templates, port: str) -> list[str]:
        return [f"interface {port}", "no shutdown"]

    def _parked(self, templates: Templates, port: str, seen: Seen) -> list[str]:
        raise NotImplementedError

    def _opened(self, templates: Templates, port: str, config: base.PortConfig, seen: Seen) -> list[str]:
        raise NotImplementedError


class Cisco(Reading):
    """Cisco IOS and IOS XE. A port without a mode negotiates to be a trunk, and a trunk without a list carries all."""

    capabilities = Reading.capabilities | {base.TAGGED_ONLY}
    command = "show running-config interface {port}"
    whole = "show running-config"
    default_mode: ClassVar[str | None] = None

    def _native(self, found: Mapping[str, list[str]], allowed: frozenset[int], access: int) -> int | None:
        native = self._vlan(found.get("switchport trunk native vlan", ["1"])[-1])
        # Untagged frames belong to the native VLAN, which does not pass unless it is allowed.
        return native if native in allowed else None

    def create(self, templates: Templates, vlans: Collection[int]) -> list[str]:
        # One line for many; the template names each VLAN, which a list of them refuses.
        return [line for piece in lists(set(vlans) - {1}) for line in (f"vlan {piece}", "exit")]

    def _parked(self, templates: Templates, port: str, seen: Seen) -> list[str]:
        return templates.render("DELETE_PORT", seen.state.native or 1, port) + self._forget()

    @staticmethod
    def _forget() -> list[str]:
        return ["switchport trunk allowed vlan none", "no switchport trunk native vlan", "no switchport voice vlan"]

    def _opened(self, templates: Templates, port: str, config: base.PortConfig, seen: Seen) -> list[str]:
        lines = [f"interface {port}", "switchport"]
        if not config.tagged:
            assert config.native is not None
            return lines + self._forget() + templates.render("PLUG_PORT_TO_NETWORK", config.native, port)
        lines.append("no switchport voice vlan")
        if seen.trunk is None or seen.trunk >= EVERY:
            lines.append("switchport trunk allowed vlan none")
        else:
            for piece in lists(seen.trunk - config.tagged - {config.native}):
                lines += templates.render("REMOVE_NETWORK_FROM_TRUNK", piece, port)
        if config.native is not None:
            lines += templates.render("SET_NATIVE_VLAN", config.native, port)
        else:
            lines += ["switchport mode trunk", f"switchport trunk native vlan {self._unused(config.tagged)}"]
        for piece in lists(config.tagged):
            lines += templates.render("ADD_NETWORK_TO_TRUNK", piece, port)
        return lines

    @staticmethod
    def _unused(tagged: frozenset[int]) -> int:
        """A VLAN that the port does not carry, so that its untagged frames belong to none that passes."""
        for vlan in EVERY:
            if vlan not in tagged:
                return vlan
        raise DriverError("This switch cannot carry every VLAN tagged.", "no VLAN is left to be the native one")


class Arista(Cisco):
    """Arista EOS: the lines of IOS, but a port without a mode is an access port."""

    command = "show running-config interfaces {port}"
    default_mode = "access"


class DellOs10(Reading):
    """Dell OS10. The `access vlan` of a trunk is its native one, which every port has."""

    command = "show running-configuration interface {port}"
    whole = "show running-configuration"
    default_allowed = frozenset()

    def _native(self, found: Mapping[str, list[str]], allowed: frozenset[int], access: int) -> int | None:
        return access

    def create(self, templates: Templates, vlans: Collection[int]) -> list[str]:
        return [
            line
            for piece in lists(set(vlans) - {1})
            for line in (f"interface {'vlan' if piece.isdigit() else 'range vlan'} {piece}", "exit")
        ]

    def _closed(self, port: str) -> list[str]:
        return [*super()._closed(port), "exit"]

    def _enabled(self, templates: Templates, port: str) -> list[str]:
        return templates.render("ENABLE_PORT", port=port)

    def _removed(self, templates: Templates, port: str, seen: Seen, tagged: frozenset[int] = frozenset()) -> list[str]:
        """The lines that leave no more than these in the list of a trunk."""
        pieces = lists(((seen.trunk or frozenset()) & EVERY) - tagged)
        return [line for piece in pieces for line in templates.render("REMOVE_NETWORK_FROM_TRUNK", piece, port)]

    def _parked(self, templates: Templates, port: str, seen: Seen) -> list[str]:
        return [
            *self._removed(templates, port, seen),
            *templates.render("DELETE_PORT", seen.state.native or 1, port),
            f"interface {port}",
            "switchport mode access",
            "exit",
        ]

    def _opened(self, templates: Templates, port: str, config: base.PortConfig, seen: Seen) -> list[str]:
        if config.native is None:
            raise base.Unsupported(
                "This switch cannot carry tagged networks without an untagged one.",
                f"port {port}: a trunk of Dell OS10 has a native VLAN",
            )
        lines = self._removed(templates, port, seen, config.tagged)
        if not config.tagged:
            return lines + templates.render("PLUG_PORT_TO_NETWORK", config.native, port)
        lines += [*templates.render("SET_NATIVE_VLAN", config.native, port), "exit"]
        for piece in lists(config.tagged):
            lines += templates.render("ADD_NETWORK_TO_TRUNK", piece, port)
        return lines


#: The device types that are proven.
PROVEN: Mapping[str, Dialect] = {
    "netmiko_arista_eos": Arista(),
    "netmiko_cisco_ios": Cisco(),
    "netmiko_dell_os10": DellOs10(),
}

#: Device types of which there are templates only.
TEMPLATES_ONLY: Mapping[str, Dialect] = {
    "netmiko_aruba_aoscx": Dialect(),
    "netmiko_cisco_nxos": Dialect(),
    "netmiko_cisco_s300": Dialect(parks_in_vlan=True),
    "netmiko_cumulus": Dialect(commit=("net commit",), discard=("net abort",)),
    "netmiko_cumulus_nvue": Dialect(
        clears=True, commit=("nv config apply --assume-yes",), discard=("nv config detach",)
    ),
    "netmiko_hp_comware": Dialect(parks_in_vlan=True),
    "netmiko_hpe_comware": Dialect(parks_in_vlan=True),
    "netmiko_huawei": Dialect(parks_in_vlan=True),
    "netmiko_huawei_vrpv8": Dialect(parks_in_vlan=True),
    "netmiko_juniper": Dialect(commit=("commit",), enter="configure private", discard=("rollback 0",)),
    "netmiko_mellanox_mlnxos": Dialect(parks_in_vlan=True),
    "netmiko_pluribus": Dialect(parks_in_vlan=True),
    "netmiko_ruijie": Dialect(parks_in_vlan=True),
    "netmiko_supermicro_smis": Dialect(parks_in_vlan=True),
}

DIALECTS: Mapping[str, Dialect] = {**PROVEN, **TEMPLATES_ONLY}

#: Device types that need a VLAN to park ports in.
PARKING = frozenset(name for name, dialect in DIALECTS.items() if dialect.parks_in_vlan)
