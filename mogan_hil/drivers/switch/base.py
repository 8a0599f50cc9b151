# SPDX-License-Identifier: Apache-2.0
"""The contract of a switch driver.

`configure` makes ports so and `read` tells what they are. The conductor never believes the first without the second:
an operation is done only when `read` shows what `configure` was asked for. A driver that cannot read leaves `read` out
of its capabilities, and its operations say `verified: false`.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from mogan_hil.common import channels
from mogan_hil.drivers.base import Driver, DriverError, Environment, Options, Unsupported

#: Capabilities of a switch driver.
READ = "read"  #: it can tell what is configured
WATCH = "watch"  #: the switch pushes changes
ADMIN_STATE = "admin_state"  #: a parked port is administratively down, and `read` shows it
TAGGED = "tagged"  #: a port may carry tagged VLANs
TAGGED_ONLY = "tagged_only"  #: a port may carry tagged VLANs and no native one
LAG = "lag"  #: a port may be a link aggregation group, under the name that the switch has for it

#: What an administrator is told of a file of SSH host keys that cannot be read as one, and none of its lines.
NOT_KNOWN_HOSTS = "The file known_hosts has a line that is no host key."


@dataclass(frozen=True, slots=True)
class PortConfig:
    """What a port must carry. Without any VLAN it is parked: it passes no frame, and is down where the switch can.

    :param native: the VLAN of untagged frames, 1 to 4094, or None: untagged frames are dropped
    :param tagged: the VLANs of tagged frames, each 1 to 4094, without the native one
    :param description: text for people, which the switch may show
    :raises ValueError: a VLAN is out of range, or native is among the tagged
    """

    native: int | None = None
    tagged: frozenset[int] = frozenset()
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for vlan in self.tagged | ({self.native} if self.native is not None else frozenset()):
            if not channels.is_vlan(vlan):
                raise ValueError(f"VLAN {vlan} is not one of {channels.VLAN_MIN} to {channels.VLAN_MAX}")
        if self.native in self.tagged:
            raise ValueError(f"VLAN {self.native} cannot be native and tagged at once")

    @property
    def enabled(self) -> bool:
        """Whether the port is in use: it has a VLAN."""
        return self.native is not None or bool(self.tagged)


PARKED = PortConfig()


@dataclass(frozen=True, slots=True)
class PortState:
    """What a port is. It may be anything that a person can configure by hand.

    :param native: the VLAN of untagged frames; 0 where untagged frames pass without a VLAN; None: they are dropped
    :param tagged: the VLANs of tagged frames; all of 0 to 4095 for a port that carries everything
    :param enabled: False if the port is administratively down or otherwise closed to every frame
    """

    native: int | None = None
    tagged: frozenset[int] = frozenset()
    enabled: bool = True

    def matches(self, config: PortConfig) -> bool:
        """Whether this is what was asked for. A closed port matches no VLANs, whatever else is configured on it."""
        if not config.enabled:
            return not self.enabled or (self.native is None and not self.tagged)
        return self.enabled and (self.native, self.tagged) == (config.native, config.tagged)

    def carries(self, vlan: int) -> bool:
        """Whether a frame of this VLAN may pass."""
        return self.enabled and (vlan == self.native or vlan in self.tagged)

    def __str__(self) -> str:
        if not self.enabled:
            return "closed"
        parts = [] if self.native is None else [f"native {self.native}"]
        if self.tagged:
            parts.append(f"tagged {channels.ranges(self.tagged)}")
        return ", ".join(parts) or "no VLAN"


class Watch(abc.ABC):
    """A subscription to what a switch pushes. `close` ends it and may be called twice."""

    @abc.abstractmethod
    def close(self) -> None: ...

    @property
    @abc.abstractmethod
    def alive(self) -> bool:
        """False once the switch can no longer push: the conductor then closes it and subscribes anew."""


class SwitchDriver(Driver, abc.ABC):
    """One switch.

    :param options: the switch's options, valid by `options_schema`, secrets included
    :param environment: see :class:`~mogan_hil.drivers.base.Environment`

    The constructor does no input or output: a switch that is down makes the first call fail, not the object.

    A link aggregation group (IEEE 802.1AX) that somebody has made on the switch is one port, with one name, for a
    driver with the capability `lag`. Its members are no ports: what they carry is told by the group, so that
    `configure` refuses them and `read` does not know them.
    """

    #: Names that the switch may have for a port; anything else is refused before a device is asked.
    port_name_pattern: ClassVar[re.Pattern[str]] = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,62}")

    def __init__(self, options: Options, environment: Environment) -> None:
        self.options = options
        self.environment = environment
        self.capabilities = self.capabilities_of(options)

    @classmethod
    def check_port_name(cls, name: str) -> None:
        """Refuse a port name that this make of switch cannot have.

        :raises ValueError: with a reason for the user
        """
        if cls.port_name_pattern.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not a port name of this switch ({cls.port_name_pattern.pattern})")

    @classmethod
    def identity(cls, options: Options) -> str | None:
        """Which real switch this is, so that none is registered twice. None where the options do not tell.

        :param options: without those that are secret
        :returns: 255 characters at the most
        """
        return None

    @abc.abstractmethod
    def configure(self, ports: Mapping[str, PortConfig]) -> None:
        """Make all these ports so, in one session with the switch, and leave every other port alone.

        Returning means that the switch accepted it, not that it is so.

        :raises DriverError: for a port that the switch does not have, a value that it refuses, a session that failed;
            the ports may then be in any state
        """

    def read(self, ports: Collection[str]) -> Mapping[str, PortState | None]:
        """Tell what these ports are now, asked from the switch and not remembered.

        :returns: one entry a port; None for a port that the switch does not have
        :raises DriverError: the switch could not be asked
        """
        raise Unsupported("This switch cannot be read.")

    def watch(self, changed: Callable[[Collection[str]], None]) -> Watch:
        """Be told of changes, whoever makes them.

        :param changed: called from any thread with the names of ports that may differ from before; once with every
            port, as soon as the subscription stands. It must be quick and must not call the driver.
        :raises DriverError: the switch could not be asked
        """
        raise Unsupported("This switch does not push changes.")

    def save(self) -> None:
        """Keep what is configured over a restart of the switch. Nothing to do where the switch does it by itself."""

    def close(self) -> None:
        """End the session, if there is one. The next call opens another."""


__all__ = [
    "ADMIN_STATE",
    "LAG",
    "PARKED",
    "READ",
    "TAGGED",
    "TAGGED_ONLY",
    "WATCH",
    "DriverError",
    "Environment",
    "PortConfig",
    "PortState",
    "SwitchDriver",
    "Unsupported",
    "Watch",
]
