# SPDX-License-Identifier: Apache-2.0
"""A switch that speaks NETCONF over SSH and OpenConfig, which does to a real Open vSwitch what it is told.

Of RFC 6241 it has what a transaction needs: a candidate with a lock, validation, confirmed commits that are undone when
nobody confirms them, and errors. Of OpenConfig it knows the nodes that a driver may use, each in its namespace; any
other is an error, as is a value that its type does not have.
"""

from __future__ import annotations

import contextlib
import copy
import re
import threading
from dataclasses import dataclass, field

import fixtures
import paramiko
from lxml import etree

from mogan_hil.common import channels
from mogan_hil.drivers.switch.base import PortState
from tests import openvswitch, sshserver

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
CAPABILITY = "urn:ietf:params:netconf:"
OC = "http://openconfig.net/yang/"
IF, ETH, LAG = OC + "interfaces", OC + "interfaces/ethernet", OC + "interfaces/aggregate"
VLAN, NI = OC + "vlan", OC + "network-instance"
EVERY = frozenset(range(1, 4095))


@dataclass
class Switched:
    """The container `switched-vlan`."""

    mode: str | None = None
    access: int | None = None
    native: int | None = None
    trunk: tuple[str, ...] = ()


@dataclass
class Port:
    """An interface. One that is not `real` was configured and is not there."""

    enabled: bool = True
    switched: Switched = field(default_factory=Switched)
    group: str | None = None
    is_group: bool = False
    real: bool = True


@dataclass
class Configuration:
    ports: dict[str, Port] = field(default_factory=dict)
    vlans: set[int] = field(default_factory=lambda: {1})


class RpcError(Exception):
    def __init__(self, tag: str, message: str = "") -> None:
        super().__init__(message or tag)
        self.tag = tag


def _integer(text: str | None) -> int:
    if not (text or "").isdigit() or int(text) not in EVERY:
        raise RpcError("invalid-value", f"{text!r} is no VLAN")
    return int(text)


def _span(text: str | None) -> str:
    found = re.fullmatch(r"([0-9]+)(?:\.\.([0-9]+))?", text or "")
    if found is None or _integer(found[1]) > _integer(found[2] or found[1]):
        raise RpcError("invalid-value", f"{text!r} is no VLAN and no range")
    return text


def _operation(element: etree._Element) -> str:
    return element.get(f"{{{NC}}}operation", "merge")


class Editor:
    """Does an <edit-config> to a configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def edit(self, config: etree._Element) -> None:
        for child in config:
            if child.tag == f"{{{IF}}}interfaces":
                for interface in child:
                    self._interface(interface)
            elif child.tag == f"{{{NI}}}network-instances":
                for vlan in child.iterfind(f"{{{NI}}}network-instance/{{{NI}}}vlans/{{{NI}}}vlan"):
                    self._configuration.vlans.add(_integer(vlan.findtext(f"{{{NI}}}config/{{{NI}}}vlan-id")))
            else:
                raise RpcError("unknown-element", child.tag)

    def _interface(self, interface: etree._Element) -> None:
        name = interface.findtext(f"{{{IF}}}name")
        if not name:
            raise RpcError("missing-element", "name")
        port = self._configuration.ports.setdefault(name, Port(real=False))
        for child in interface:
            if child.tag == f"{{{IF}}}config":
                self._config(port, child, name)
            elif child.tag == (f"{{{LAG}}}aggregation" if port.is_group else f"{{{ETH}}}ethernet"):
                for inner in child:
                    self._switched(port, inner)
            elif child.tag != f"{{{IF}}}name":
                raise RpcError("unknown-element", child.tag)

    def _config(self, port: Port, config: etree._Element, name: str) -> None:
        for child in config:
            if child.tag == f"{{{IF}}}enabled" and child.text in ("true", "false"):
                port.enabled = child.text == "true"
            elif child.tag != f"{{{IF}}}name" or child.text != name:
                raise RpcError("unknown-element", child.tag)

    def _switched(self, port: Port, switched: etree._Element) -> None:
        if switched.tag != f"{{{VLAN}}}switched-vlan":
            raise RpcError("unknown-element", switched.tag)
        if _operation(switched) in ("remove", "replace", "delete"):
            port.switched = Switched()
        if _operation(switched) in ("remove", "delete"):
            return
        for child in switched.iterfind(f"{{{VLAN}}}config/*"):
            self._leaf(port.switched, etree.QName(child).localname, child.text)

    @staticmethod
    def _leaf(switched: Switched, name: str, text: str | None) -> None:
        if name == "interface-mode" and text in ("ACCESS", "TRUNK"):
            switched.mode = text
        elif name == "access-vlan":
            switched.access = _integer(text)
        elif name == "native-vlan":
            switched.native = _integer(text)
        elif name == "trunk-vlans":
            switched.trunk = (*switched.trunk, _span(text))
        else:
            raise RpcError("unknown-element", name)


class NetconfSwitch(sshserver.SshServer):
    """A switch that listens on a port of 127.0.0.1.

    :param ovs: the Open vSwitch that it is, if any
    :ivar received: the name of every operation that it was sent, of all sessions
    :ivar confirms: how long the last commit was given to be confirmed
    """

    def __init__(self, ovs: openvswitch.OpenVSwitch | None = None) -> None:
        super().__init__()
        self._ovs = ovs
        self._names: dict[str, str] = {}
        self.running, self.candidate = Configuration(), Configuration()
        self.before: Configuration | None = None
        self.holder: _Session | None = None
        self.received: list[str] = []
        self.confirms = 0
        self.lock = threading.RLock()
        self.sessions: list[_Session] = []
        self.heal()

    @staticmethod
    def hurry() -> fixtures.Fixture:
        """Make ncclient look for something to send more often than each 0.1 s, which is all that it takes here."""
        return fixtures.MonkeyPatch("ncclient.transport.session.TICK", 0.002)

    def heal(self) -> None:
        """Take all faults away."""
        self.refuse: dict[str, RpcError] = {}  # by operation
        self.drop_at: str | None = None  # an operation at which the session is cut
        self.deaf_at: str | None = None
        self.lies = False  # what is committed is not what was asked for
        self.without: set[str] = set()  # capabilities that it does not have

    def login(self) -> sshserver.Login:
        """See the base class."""
        return _Login(self)

    def add_port(self, name: str, ovs: str | None = None, **facts: object) -> str:
        """A port as it is delivered."""
        for configuration in (self.running, self.candidate):
            configuration.ports[name] = Port(**facts)
        if ovs is not None:
            self._names[name] = ovs
        self.apply()
        return name

    def set_by_hand(self, name: str, state: PortState) -> None:
        """What a person at the console would do."""
        for configuration in (self.running, self.candidate):
            configuration.vlans |= state.tagged | ({state.native} if state.native else set())
            port = configuration.ports[name]
            port.enabled = state.enabled
            port.switched = Switched()
            if state.tagged == EVERY | {0}:
                continue
            spans = tuple(span.replace("-", "..") for span in channels.ranges(state.tagged).split(",") if span)
            if state.tagged:
                port.switched = Switched("TRUNK", None, state.native, spans)
            else:
                port.switched = Switched("ACCESS", state.native)
        self.apply()

    def apply(self) -> None:
        """Make Open vSwitch so."""
        for name, ovs in self._names.items():
            self._ovs.set_port(ovs, *self._settings(self.running.ports[name]))
        if self._names:
            self._ovs.forget()  # the driver waits for no datapath

    def _settings(self, port: Port) -> tuple[str, ...]:
        if not port.enabled or port.group is not None:
            return ("vlan_mode=trunk", "trunks=4095", "protected=true")
        switched = port.switched
        if switched.mode is None:
            return ()  # as delivered: everything
        if switched.mode == "ACCESS":
            tag = switched.access or 1
            return ("vlan_mode=access", f"tag={tag}") if tag in self.running.vlans else ("tag=4095",)
        spans = ",".join(span.replace("..", "-") for span in switched.trunk)
        tagged = (channels.expand(spans) if spans else EVERY) & self.running.vlans - {switched.native}
        trunks = "trunks=" + ",".join(map(str, sorted(tagged) or [4095]))
        if switched.native in self.running.vlans:
            return ("vlan_mode=native-untagged", f"tag={switched.native}", trunks)
        return ("vlan_mode=trunk", trunks)

    def roll_back(self) -> None:
        """Undo what was committed and not confirmed."""
        if self.before is not None:
            self.running, self.before = self.before, None
            self.candidate = copy.deepcopy(self.running)
            self.apply()


class _Login(sshserver.Login):
    def __init__(self, switch: NetconfSwitch) -> None:
        self._switch = switch

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        threading.Thread(target=_Session(self._switch, channel).run, daemon=True).start()
        return name == "netconf"


class _Session:
    def __init__(self, switch: NetconfSwitch, channel: paramiko.Channel) -> None:
        self._switch = switch
        self._channel = channel
        self._buffer = b""

    # -- framing: RFC 6242, 4

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            data = self._channel.recv(65536)
            if not data:
                raise EOFError
            self._buffer += data
        found, self._buffer = self._buffer.split(mark, 1)
        return found

    def _message(self) -> bytes:
        message = b""
        while True:
            self._until(b"\n#")
            head = self._until(b"\n")
            if head == b"#":
                return message
            size = int(head)
            while len(self._buffer) < size:
                data = self._channel.recv(65536)
                if not data:
                    raise EOFError
                self._buffer += data
            message, self._buffer = message + self._buffer[:size], self._buffer[size:]

    def _send(self, text: str) -> None:
        data = text.encode()
        self._channel.sendall(b"\n#%d\n" % len(data) + data + b"\n##\n")

    def _hello(self) -> str:
        names = {
            "base:1.1",
            "capability:candidate:1.0",
            "capability:confirmed-commit:1.1",
            "capability:validate:1.1",
            "capability:startup:1.0",
        } - self._switch.without
        said = "".join(f"<capability>{CAPABILITY}{name}</capability>" for name in sorted(names))
        return f'<hello xmlns="{NC}"><capabilities>{said}</capabilities><session-id>1</session-id></hello>]]>]]>'

    # -- operations

    def run(self) -> None:
        try:
            self._channel.sendall(self._hello().encode())
            self._until(b"]]>]]>")
            while True:
                rpc = etree.fromstring(self._message())
                operation = etree.QName(rpc[0]).localname
                if operation == self._switch.drop_at:
                    self._channel.get_transport().close()
                    break
                if operation == self._switch.deaf_at:
                    continue
                self._send(self._reply(rpc, operation))
                if operation == "close-session":
                    break
        except (EOFError, OSError, paramiko.SSHException):
            pass
        finally:
            self._end()

    def _end(self) -> None:
        with self._switch.lock:
            if self._switch.holder is self:
                self._switch.holder = None
                self._switch.roll_back()
        with contextlib.suppress(Exception):
            self._channel.close()

    def _reply(self, rpc: etree._Element, operation: str) -> str:
        self._switch.received.append(operation)
        try:
            if operation in self._switch.refuse:
                raise self._switch.refuse[operation]
            with self._switch.lock:
                body = self._do(rpc[0], operation) or "<ok/>"
        except RpcError as error:
            body = (
                f"<rpc-error><error-type>application</error-type><error-tag>{error.tag}</error-tag>"
                f"<error-severity>error</error-severity><error-message>{error}</error-message></rpc-error>"
            )
        return f'<rpc-reply xmlns="{NC}" message-id="{rpc.get("message-id")}">{body}</rpc-reply>'

    def _do(self, what: etree._Element, operation: str) -> str | None:
        if operation == "get":
            names = [element.text for element in what.iter(f"{{{IF}}}name")]
            return "<data>" + self._interfaces(names) + "</data>"
        if operation == "close-session":
            return None
        if operation == "lock":
            if self._switch.holder not in (None, self):
                raise RpcError("lock-denied", "somebody else has it")
            self._switch.holder = self
            return None
        if operation == "copy-config":
            return None
        if self._switch.holder is not self:
            raise RpcError("operation-failed", "not locked")
        self._change(what, operation)
        return None

    def _change(self, what: etree._Element, operation: str) -> None:
        switch = self._switch
        if operation == "unlock":
            switch.holder = None
        elif operation == "edit-config":
            candidate = copy.deepcopy(switch.candidate)
            Editor(candidate).edit(what.find(f"{{{NC}}}config"))
            switch.candidate = candidate
        elif operation == "discard-changes":
            switch.candidate = copy.deepcopy(switch.running)
        elif operation == "commit":
            self._commit(what)
        elif operation == "cancel-commit":
            switch.roll_back()
        elif operation != "validate":
            raise RpcError("operation-not-supported", operation)

    def _commit(self, what: etree._Element) -> None:
        switch = self._switch
        if what.find(f"{{{NC}}}confirmed") is not None:
            switch.confirms = int(what.findtext(f"{{{NC}}}confirm-timeout", "600"))
            switch.before = switch.before or copy.deepcopy(switch.running)
        else:
            switch.before = None
        switch.running = copy.deepcopy(switch.candidate)
        if switch.lies:
            for port in switch.running.ports.values():
                port.switched.access = 4094
        switch.apply()

    def _interfaces(self, names: list[str | None]) -> str:
        found = ""
        for name, port in self._switch.running.ports.items():
            if name in names and port.real:
                found += self._interface(name, port)
        return f'<interfaces xmlns="{IF}">{found}</interfaces>'

    @staticmethod
    def _interface(name: str, port: Port) -> str:
        leaves = ""
        switched = port.switched
        for leaf, value in (
            ("interface-mode", switched.mode),
            ("access-vlan", switched.access),
            ("native-vlan", switched.native),
            *(("trunk-vlans", span) for span in switched.trunk),
        ):
            if value is not None:
                leaves += f"<{leaf}>{value}</{leaf}>"
        vlan = f'<switched-vlan xmlns="{VLAN}"><config>{leaves}</config><state>{leaves}</state></switched-vlan>'
        group = f'<aggregate-id xmlns="{LAG}">{port.group}</aggregate-id>' if port.group else ""
        inner = (
            f'<aggregation xmlns="{LAG}">{vlan}</aggregation>'
            if port.is_group
            else f'<ethernet xmlns="{ETH}"><config>{group}</config>{vlan if leaves else ""}</ethernet>'
        )
        enabled = str(port.enabled).lower()
        return (
            f"<interface><name>{name}</name><config><name>{name}</name><enabled>{enabled}</enabled></config>"
            f"<state><name>{name}</name></state>{inner}</interface>"
        )
