# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch, over OVSDB.

What a port carries is told by the columns `vlan_mode`, `tag`, `trunks`, `cvlans` and `protected` of its row, and what
they mean together by ovs-vswitchd.conf.db(5), "VLAN Configuration". Two things there are dangerous: an empty set of
trunks means all VLANs, so a port without any configuration carries everything; and columns that the mode ignores come
back to life when somebody changes the mode. So each write sets all of them.

A parked port is a trunk of VLAN 4095 alone, and protected. 4095 is reserved (IEEE 802.1Q-2022, 9.6), no driver
gives it to a port, so such a port has nobody to talk to; VLAN 0 is not in the trunk, so untagged and priority-tagged
frames are dropped; and protected ports do not reach each other even in VLAN 4095. What is left is a frame tagged
4095, which may pass between a parked port and a port that carries *every* VLAN: the bridge's own port, and an uplink
that was left without configuration. Give each uplink its trunks, 1-4094 or fewer, and nothing is left.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from mogan_hil.drivers.base import Options
from mogan_hil.drivers.switch import base, ovsdb

LOG = logging.getLogger(__name__)
T = TypeVar("T")

#: IEEE 802.1Q-2022, 9.6: reserved, and never in a frame.
RESERVED = 4095
ALL = frozenset(range(4096))

#: Seconds to wait after ports have lost VLANs. ovs-vswitchd says that it has applied a change (`cur_cfg`) before its
#: revalidator threads have taken the last of the datapath's cached decisions back, and OVSDB has nothing that tells
#: when they have: `ovs-appctl revalidator/wait` goes another way. Frames of a conversation that was under way passed
#: for up to 4.5 ms after `cur_cfg`, in 400 changes of Open vSwitch 3.1 with the userspace datapath, on an idle and on a
#: busy machine. It grows with what is cached: 11 ms at 8000 flows, 100 ms at 30000.
REVALIDATION = 0.02

#: Keys of a port's `other_config` that change the tags of its frames.
TAG_KEYS = ("qinq-ethtype", "priority-tags")


def _optional(key: str | dict[str, Any]) -> dict[str, Any]:
    return {"type": {"key": key, "min": 0, "max": 1}}


def _set(key: str | dict[str, Any]) -> dict[str, Any]:
    return {"type": {"key": key, "min": 0, "max": "unlimited"}}


#: The part of the Open_vSwitch schema (since 2.12, which brought `protected`) that is used.
SCHEMA = {
    "name": "Open_vSwitch",
    "version": "8.1.0",
    "tables": {
        "Open_vSwitch": {
            "columns": {"next_cfg": {"type": "integer"}, "cur_cfg": {"type": "integer"}},
            "isRoot": True,
            "maxRows": 1,
        },
        "Bridge": {"columns": {"name": {"type": "string"}, "ports": _set({"type": "uuid", "refTable": "Port"})}},
        "Port": {
            "columns": {
                "name": {"type": "string"},
                "interfaces": _set({"type": "uuid", "refTable": "Interface"}),
                "vlan_mode": _optional("string"),
                "tag": _optional("integer"),
                "trunks": _set("integer"),
                "cvlans": _set("integer"),
                "protected": {"type": "boolean"},
                "other_config": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
            }
        },
        "Interface": {"columns": {"name": {"type": "string"}, "error": _optional("string")}},
    },
}


def columns_of(config: base.PortConfig) -> dict[str, Any]:
    """The columns that make a port so, all of them, as python-ovs has their values: optional ones are lists."""
    columns: dict[str, Any] = {
        "vlan_mode": ["trunk"],
        "tag": [],
        "trunks": sorted(config.tagged),
        "cvlans": [],
        "protected": False,
    }
    if not config.enabled:
        columns.update(trunks=[RESERVED], protected=True)
    elif config.native is not None:
        columns.update(vlan_mode=["native-untagged" if config.tagged else "access"], tag=[config.native])
    return columns


def state_of(vlan_mode: str | None, tag: int | None, trunks: Collection[int], protected: bool) -> base.PortState:
    """What a port with these columns is, by what ovs-vswitchd does with them.

    A mode that this driver never sets is reported as carrying at least all that it may, and never as sound. So is a
    port in use that is protected: it does not reach other protected ones, which nobody asked for.
    """
    state = _carried(vlan_mode, tag, trunks, protected)
    return replace(state, tagged=state.tagged | {RESERVED}) if protected and state.enabled else state


def _carried(vlan_mode: str | None, tag: int | None, trunks: Collection[int], protected: bool) -> base.PortState:
    mode = vlan_mode or ("trunk" if tag is None else "access")
    carried = frozenset(trunks) or ALL
    native = tag or 0
    if mode == "access":
        return base.PortState(native=native)
    if mode == "trunk":
        if carried == {RESERVED} and protected:
            return base.PortState(enabled=False)
        return base.PortState(native=0 if 0 in carried else None, tagged=carried)
    if mode == "native-untagged":
        return base.PortState(native=native, tagged=carried - {0, native})
    if mode == "native-tagged":
        return base.PortState(native=native, tagged=(carried - {0}) | {native})
    return base.PortState(native=native, tagged=ALL)


def _loses(before: base.PortState, config: base.PortConfig) -> bool:
    """Whether a port carries a VLAN that it is not to carry, or not in this way."""
    return before.enabled and (before.native not in (None, config.native) or not before.tagged <= config.tagged)


class _Watch(base.Watch):
    """Alive as long as the thread: it reconnects by itself, and then reports every port."""

    def __init__(self, switch: Ovs, changed: Callable[[Collection[str]], None]) -> None:
        self._switch = switch
        self._changed = changed
        switch.listeners.append(changed)

    def close(self) -> None:
        if self._changed in self._switch.listeners:
            self._switch.listeners.remove(self._changed)

    @property
    def alive(self) -> bool:
        return self._switch.server.alive and self._changed in self._switch.listeners


class Ovs:
    """One bridge behind one connection. All methods but the constructor run in the connection's thread."""

    def __init__(self, remote: str, bridge: str) -> None:
        self.bridge = bridge
        self.listeners: list[Callable[[Collection[str]], None]] = []
        self._members: frozenset[str] = frozenset()
        self.server = ovsdb.Ovsdb(remote, SCHEMA, self._ran)
        self.server.start()

    def _rows(self, table: str) -> Collection[Any]:
        return self.server.idl.tables[table].rows.values()  # type: ignore[no-any-return]

    def _root(self) -> Any:
        for row in self._rows("Open_vSwitch"):
            return row
        raise base.DriverError("The switch is not set up.", "The database is empty: ovs-vsctl init")

    def _bridge_row(self) -> Any:
        for row in self._rows("Bridge"):
            if row.name == self.bridge:
                return row
        raise base.DriverError(
            "The switch is not set up as its registration says.", f"There is no bridge {self.bridge} in the database"
        )

    def ports(self) -> dict[str, Any]:
        """The rows of the bridge's ports, by name."""
        return {port.name: port for port in self._bridge_row().ports}

    def _ran(self, touched: list[Any]) -> None:
        """Tell the watches which ports the rows touch. After a reconnect that is each row there is, anew."""
        before = self._members
        try:
            ports = self.ports()
        except base.DriverError:
            ports = {}
        self._members = frozenset(ports)
        names = set(before ^ self._members)
        broken = set()
        for row in touched:
            if row._table.name == "Port":
                names.add(row.name)
            elif row._table.name == "Interface":
                broken.add(row.uuid)
        if broken:
            names |= {name for name, port in ports.items() if broken.intersection(i.uuid for i in port.interfaces)}
        names &= before | self._members
        if names:
            for listener in list(self.listeners):
                self._tell(listener, names)

    @staticmethod
    def _tell(listener: Callable[[Collection[str]], None], names: Collection[str]) -> None:
        try:
            listener(frozenset(names))
        except Exception:
            LOG.exception("A watch failed")

    def refresh(self, deadline: float) -> None:
        """Make the replica current: a round trip. The server sends every earlier change before the answer."""
        query = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["cur_cfg"]}
        self.server.transact(lambda transaction: transaction.add_op(query), deadline)

    def configure(self, ports: Mapping[str, base.PortConfig], deadline: float) -> bool:
        """Write all ports in one transaction, and wait until ovs-vswitchd has applied it.

        :returns: whether a port has lost a VLAN, so that the datapath may have something to forget
        """
        self.refresh(deadline)
        # What somebody wrote before, and ovs-vswitchd is only now about to apply, may take a VLAN away too.
        loses = [any(root.cur_cfg != root.next_cfg for root in self._rows("Open_vSwitch"))]
        self.server.transact(lambda transaction: loses.append(self._fill(ports)), deadline)
        wanted = self._root().next_cfg
        self.server.settle(
            lambda: any(root.cur_cfg >= wanted for root in self._rows("Open_vSwitch")),
            deadline,
            "ovs-vswitchd has not applied the change",
        )
        return any(loses)

    def _fill(self, ports: Mapping[str, base.PortConfig]) -> bool:
        rows = self.ports()
        if missing := sorted(set(ports) - set(rows)):
            raise base.DriverError(
                "The switch has no such port.", f"Bridge {self.bridge} has no port {', '.join(missing)}"
            )
        root = self._root()
        # The ports are still there, and nobody wrote since. The latter also stops a transaction of ours that was given
        # up, and that the server carries out late, from undoing a newer one.
        self._bridge_row().verify("ports")
        root.verify("next_cfg")
        root.increment("next_cfg")
        loses = any(_loses(self._state(rows[name]), config) for name, config in ports.items())
        for name, config in ports.items():
            if config.enabled:
                self._check_interfaces(rows[name])
            self._write(rows[name], columns_of(config))
        return loses

    @staticmethod
    def _check_interfaces(port: Any) -> None:
        errors = [f"{interface.name}: {interface.error[0]}" for interface in port.interfaces if interface.error]
        if errors and len(errors) == len(port.interfaces):
            raise base.DriverError("The port of the switch is broken.", f"{port.name}: {'; '.join(errors)}")

    @staticmethod
    def _write(port: Any, columns: Mapping[str, Any]) -> None:
        for column, value in columns.items():
            setattr(port, column, value)
            if getattr(port, column) != value:  # python-ovs drops a value that it does not like
                raise base.DriverError("The switch cannot be given this.", f"{port.name}.{column} cannot be {value!r}")
        for key in TAG_KEYS:
            if key in port.other_config:
                port.delkey("other_config", key)

    def read(self, ports: Collection[str], deadline: float) -> dict[str, base.PortState | None]:
        """What the ports are, None for one that the bridge does not have."""
        self.refresh(deadline)
        rows = self.ports()
        return {name: self._state(rows[name]) if name in rows else None for name in ports}

    @staticmethod
    def _state(port: Any) -> base.PortState:
        return state_of(
            port.vlan_mode[0] if port.vlan_mode else None,
            port.tag[0] if port.tag else None,
            port.trunks,
            port.protected,
        )

    def watch(self, changed: Callable[[Collection[str]], None], deadline: float) -> _Watch:
        """Subscribe, and report every port."""
        self.refresh(deadline)
        names = frozenset(self.ports())
        watch = _Watch(self, changed)
        self._tell(changed, names)
        return watch


class OpenVSwitch(base.SwitchDriver):
    """One bridge of an Open vSwitch, over OVSDB.

    A connection is made by the first call, kept, and made again by itself after a loss. Each call takes one or two
    round trips, and ends within the environment's timeout whatever the server does.

    `protected` on a port that is in use is read as VLAN 4095 besides what it carries, so that it is drift. Mirrors and
    OpenFlow rules are not looked at: whoever may set those may copy or redirect frames, and no port tells.
    An interface in error (no such device) does not change what `read` tells, because it may come back; `configure`
    refuses to give VLANs to such a port, and parks it.

    A call that takes VLANs from ports waits 20 ms more, for the datapath to forget them: see `REVALIDATION`, also for
    what that cannot cover, a datapath with more than some ten thousand flows.
    """

    capabilities = frozenset({base.READ, base.WATCH, base.ADMIN_STATE, base.TAGGED, base.TAGGED_ONLY, base.LAG})
    port_name_pattern = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,62}")
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "endpoint": {
                "type": "string",
                "description": "unix:/path, tcp:host:port or ssl:host:port of the OVSDB server; [address] for IPv6",
                "pattern": r"^(unix:/[^\s,]{1,100}"
                r"|(tcp|ssl):([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5})$(?!\n)",
            },
            "bridge": {
                "type": "string",
                "description": "The bridge whose ports these are",
                "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,62}$(?!\n)",
            },
            "private_key": {"type": "string", "pattern": "^/", "description": "ssl: a PEM file on the conductor"},
            "certificate": {"type": "string", "pattern": "^/", "description": "ssl: a PEM file on the conductor"},
            "ca_cert": {"type": "string", "pattern": "^/", "description": "ssl: a PEM file on the conductor"},
        },
        "required": ["endpoint", "bridge"],
        "additionalProperties": False,
        "if": {"properties": {"endpoint": {"pattern": "^ssl:"}}},
        "then": {"required": ["private_key", "certificate", "ca_cert"]},
    }

    def __init__(self, options: Options, environment: base.Environment) -> None:
        super().__init__(options, environment)
        self._ovs: Ovs | None = None
        self._lock = threading.Lock()

    def _call(self, work: Callable[[Ovs, float], T]) -> T:
        with self._lock:
            if self._ovs is None:
                self._ovs = Ovs(self._remote(), self.options["bridge"])
            ovs = self._ovs
        start = time.monotonic()
        try:
            return ovs.server.call(lambda deadline: work(ovs, deadline), self.environment.timeout)
        except ovsdb.LateError as error:
            raise base.DriverError(
                "The switch does not answer.",
                f"{self.options['endpoint']}: {error} after {time.monotonic() - start:.1f} s",
                transient=True,
            ) from error
        except ovsdb.RefusedError as error:
            raise base.DriverError("The switch refused the change.", f"{self.options['endpoint']}: {error}") from error

    def _remote(self) -> str:
        endpoint: str = self.options["endpoint"]
        if endpoint.startswith("ssl:"):
            files = (self.options["private_key"], self.options["certificate"], self.options["ca_cert"])
            try:
                return ovsdb.tls_remote(endpoint.removeprefix("ssl:"), files)
            except OSError as error:
                raise base.DriverError(
                    "The switch cannot be reached as it is registered.",
                    f"{endpoint}: its TLS files cannot be used: {error}",
                ) from error
        return endpoint

    @classmethod
    def identity(cls, options: Options) -> str | None:
        """The bridge at its database."""
        return f"openvswitch {options['endpoint']} {options['bridge']}"[:255]

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        """See the base class. A port that is missing or broken stops the batch before anything is written."""
        if not ports:
            return
        if self._call(lambda ovs, deadline: ovs.configure(ports, deadline)):
            time.sleep(REVALIDATION)

    def read(self, ports: Collection[str]) -> Mapping[str, base.PortState | None]:
        return self._call(lambda ovs, deadline: ovs.read(ports, deadline))

    def watch(self, changed: Callable[[Collection[str]], None]) -> base.Watch:
        """See the base class. After a loss of the connection every port is reported once more."""
        return self._call(lambda ovs, deadline: ovs.watch(changed, deadline))

    def close(self) -> None:
        with self._lock:
            ovs, self._ovs = self._ovs, None
        if ovs is not None:
            ovs.listeners.clear()
            ovs.server.close(self.environment.timeout)
