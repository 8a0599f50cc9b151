# SPDX-License-Identifier: Apache-2.0
"""A switch with a command line over SSH, which does to a real Open vSwitch what it is told.

What it understands is what the driver needs of each maker's command line, after the makers' published references, and
it is as strict as a switch: a word that it does not know is an error, a line without an interface is one too, a VLAN
that nobody made passes nothing, and a port that nobody configured is as it was delivered.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import paramiko

from mogan_hil.common import channels
from mogan_hil.drivers.switch.base import PortState
from tests import openvswitch, sshserver

ENABLE = "hunter3-of-the-switch"
EVERY = frozenset(range(1, 4095))


@dataclass
class Port:
    """A port as the command line has it. `ovs` is what stands for it in Open vSwitch, if anything does."""

    ovs: str | None = None
    mode: str | None = None
    access: int = 1
    native: int = 1
    allowed: frozenset[int] | None = None
    voice: int | None = None
    shutdown: bool = False
    routed: bool = False
    group: int | None = None
    description: str = ""
    applied: tuple[str, ...] = field(default=("",))


class Refused(Exception):
    """What the command line answers."""


class Ios:
    """Cisco IOS."""

    name = "cisco_ios"
    prompts = {"exec": "{host}#", "config": "{host}(config)#", "vlan": "{host}(config-vlan)#"}
    interface_prompt = "{host}(config-if)#"
    invalid = "        ^\n% Invalid input detected at '^' marker.\n"
    interface = re.compile(r"(GigabitEthernet|Port-channel) ?([0-9/]+)")
    show = "show running-config interface "
    default_mode: str | None = None
    default_allowed = EVERY
    save = re.compile(r"write mem(ory)?|copy running-config startup-config")
    #: Answers to lines that set the terminal up.
    terminal: dict[str, str] = {}

    def canonical(self, name: str) -> str | None:
        found = self.interface.fullmatch(name)
        return found[1] + found[2] if found else None

    def vlans_of(self, text: str) -> frozenset[int]:
        if re.fullmatch(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", text) is None or len(text) > 200:
            raise Refused(self.invalid)
        vlans = channels.expand(text)
        if not vlans <= EVERY:
            raise Refused(self.invalid)
        return vlans

    def one(self, text: str) -> int:
        if not text.isdigit() or int(text) not in EVERY:
            raise Refused(self.invalid)
        return int(text)

    def vlan_line(self, line: str) -> frozenset[int] | None:
        """The VLANs that a line makes, if it makes any."""
        return self.vlans_of(line[5:]) if line.startswith("vlan ") else None

    def in_vlan(self, line: str) -> bool:
        return re.fullmatch(r"name \S{1,32}", line) is not None

    def in_interface(self, port: Port, line: str) -> None:
        """Do what a line says to a port."""
        no = line.startswith("no ")
        words = line.removeprefix("no ")
        if words == "shutdown":
            port.shutdown = not no
        elif words == "switchport":
            port.routed = no
        elif words.startswith("switchport voice vlan"):
            port.voice = None if no else self.one(words.split()[-1])
        elif words.startswith("switchport mode"):
            mode = words[16:]
            if mode not in (("", "trunk", "access") if no else ("trunk", "access")):
                raise Refused(self.invalid)
            port.mode = None if no else mode
        elif words.startswith("switchport access vlan"):
            port.access = 1 if no else self.one(words.split()[-1])
        else:
            self.trunk(port, words, no)

    def trunk(self, port: Port, words: str, no: bool) -> None:
        if words.startswith("switchport trunk native vlan"):
            port.native = 1 if no else self.one(words.split()[-1])
        elif words.startswith("switchport trunk allowed vlan"):
            self.allow(port, words[30:], no)
        else:
            raise Refused(self.invalid)

    def allow(self, port: Port, text: str, no: bool) -> None:
        before = self.default_allowed if port.allowed is None else port.allowed
        if no and not text:
            port.allowed = None
        elif text == "none":
            port.allowed = frozenset()
        elif text == "all":
            port.allowed = EVERY
        elif text.startswith("add "):
            port.allowed = before | self.vlans_of(text[4:])
        elif text.startswith("remove "):
            port.allowed = before - self.vlans_of(text[7:])
        else:
            port.allowed = self.vlans_of(text)

    def lines(self, name: str, port: Port) -> list[str]:
        """The section of a port."""
        lines = [f"interface {name}"]
        if port.description:
            lines.append(f" description {port.description}")
        if port.routed:
            lines.append(" no switchport")
        if port.access != 1:
            lines.append(f" switchport access vlan {port.access}")
        if port.native != 1:
            lines.append(f" switchport trunk native vlan {port.native}")
        if port.allowed is not None:
            spans = channels.ranges(port.allowed).split(",")
            pieces = [",".join(spans[at : at + 6]) for at in range(0, len(spans), 6)]
            lines.append(f" switchport trunk allowed vlan {pieces[0] or 'none'}")
            lines += [f" switchport trunk allowed vlan add {piece}" for piece in pieces[1:]]
        if port.mode is not None and port.mode != self.default_mode:
            lines.append(f" switchport mode {port.mode}")
        if port.voice is not None:
            lines.append(f" switchport voice vlan {port.voice}")
        if port.shutdown:
            lines.append(" shutdown")
        if port.group is not None:
            lines.append(f" channel-group {port.group} mode active")
        return lines

    def shown(self, name: str, port: Port) -> str:
        text = "\n".join(self.lines(name, port))
        return f"Building configuration...\n\nCurrent configuration : {len(text)} bytes\n!\n{text}\nend\n"

    def carried(self, port: Port) -> tuple[int | None, frozenset[int]]:
        """The native VLAN and the tagged ones."""
        mode = port.mode or self.default_mode
        if mode == "access":
            return port.access, frozenset({port.voice} if port.voice else ())
        allowed = self.default_allowed if port.allowed is None else port.allowed
        return (port.native if port.native in allowed else None), allowed - {port.native}


class Eos(Ios):
    """Arista EOS."""

    name = "arista_eos"
    interface = re.compile(r"(Ethernet|Port-Channel)([0-9/]+)")
    show = "show running-config interfaces "
    default_mode = "access"
    invalid = "% Invalid input\n"
    terminal = {"terminal width 511": "Width set to 511 columns.\n", "terminal length 0": "Pagination disabled.\n"}
    save = re.compile(r"write memory|copy running-config startup-config")

    def shown(self, name: str, port: Port) -> str:
        return "\n".join(self.lines(name, port)).replace("\n ", "\n   ") + "\n"


class Os10(Ios):
    """Dell OS10: a trunk's native VLAN is its access VLAN, and a trunk carries what it is told to."""

    name = "dell_os10"
    interface_prompt = "{host}(conf-if-{short})#"
    prompts = {"exec": "{host}#", "config": "{host}(config)#", "vlan": "{host}(conf-if-vl-1)#"}
    invalid = "% Error: Unrecognized command.\n"
    interface = re.compile(r"(ethernet|port-channel) ?([0-9/:]+)")
    show = "show running-configuration interface "
    default_mode = "access"
    default_allowed = frozenset()
    save = re.compile("copy running-configuration startup-configuration|write memory")

    def vlan_line(self, line: str) -> frozenset[int] | None:
        if found := re.fullmatch("interface range vlan (.*)", line):
            return self.vlans_of(found[1])
        if found := re.fullmatch("interface vlan ?(.*)", line):
            return frozenset({self.one(found[1])})
        return None

    def in_vlan(self, line: str) -> bool:
        return line.startswith("description ")

    def trunk(self, port: Port, words: str, no: bool) -> None:
        if port.mode != "trunk" or not words.startswith("switchport trunk allowed vlan "):
            raise Refused(self.invalid)
        before = port.allowed or frozenset()
        vlans = self.vlans_of(words[30:])
        port.allowed = before - vlans if no else before | vlans

    def lines(self, name: str, port: Port) -> list[str]:
        lines = [f"interface {name}", " shutdown" if port.shutdown else " no shutdown"]
        if port.routed:
            lines.append(" no switchport")
        if port.mode == "trunk":
            lines.append(" switchport mode trunk")
        lines.append(f" switchport access vlan {port.access}")
        if port.allowed and port.mode == "trunk":
            lines.append(f" switchport trunk allowed vlan {channels.ranges(port.allowed)}")
        if port.group is not None:
            lines.append(f" channel-group {port.group} mode active")
        return lines

    def shown(self, name: str, port: Port) -> str:
        return "!\n" + "\n".join(self.lines(name, port)) + "\n!\n"

    def carried(self, port: Port) -> tuple[int | None, frozenset[int]]:
        tagged = (port.allowed or frozenset()) if port.mode == "trunk" else frozenset()
        return port.access, tagged - {port.access}


class _Login(sshserver.Login):
    def __init__(self, switch: SshSwitch) -> None:
        self._switch = switch
        self.user = switch.user

    def check_channel_pty_request(self, *_: object) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        threading.Thread(target=self._switch.shell, args=(channel,), daemon=True).start()
        return True


class SshSwitch(sshserver.SshServer):
    """A switch that listens on a port of 127.0.0.1.

    :param dialect: how it speaks
    :param ovs: the Open vSwitch that it is, if any
    :ivar received: every line that it was sent, of all sessions
    :ivar logins: how many sessions there were
    :ivar host: the name in the prompt
    """

    user = sshserver.USER

    def __init__(self, dialect: Ios, ovs: openvswitch.OpenVSwitch | None = None) -> None:
        super().__init__()
        self.dialect = dialect
        self._ovs = ovs
        self.host = "sw-of-a-long-name"
        self.ports: dict[str, Port] = {}
        self.vlans = {1}
        self.saved: list[str] = []
        self.received: list[str] = []
        self.logins = 0
        self._lock = threading.RLock()
        self.heal()

    def heal(self) -> None:
        """Take all faults away."""
        self.delay = 0.0
        self.drop_at: str | None = None  # a part of a line at which the session is cut
        self.deaf_at: str | None = None  # a part of a line that is not answered
        self.asks_enable = False
        self.refuse: dict[str, str] = {}  # an answer to lines that have a text in them

    def login(self) -> sshserver.Login:
        """See the base class."""
        return _Login(self)

    def options(self, **more: object) -> dict[str, object]:
        """Options of the driver `generic` that reach it."""
        return super().options(**{"device_type": f"netmiko_{self.dialect.name}", "delay_factor": 0.02, **more})

    def add_port(self, name: str, ovs: str | None = None, **facts: object) -> str:
        """A port as it is delivered: up, and with whatever this maker thinks fit."""
        self.ports[name] = Port(ovs=ovs, **facts)
        self.apply()
        return name

    # -- what it does to Open vSwitch

    def apply(self) -> None:
        """Make Open vSwitch so."""
        for port in self.ports.values():
            if self._ovs is None or port.ovs is None:
                continue
            wanted = self._settings(port)
            if wanted != port.applied:
                self._ovs.set_port(port.ovs, *wanted)
                self._ovs.forget()  # the driver waits for no datapath
                port.applied = wanted

    def _settings(self, port: Port) -> tuple[str, ...]:
        native, tagged = self.dialect.carried(port)
        tagged = frozenset(tagged) & self.vlans
        if port.shutdown or port.routed or port.group is not None:
            return ("vlan_mode=trunk", "trunks=4095", "protected=true")
        trunks = "trunks=" + ",".join(map(str, sorted(tagged) or [4095]))
        if native is None or native not in self.vlans:
            return ("vlan_mode=trunk", trunks)
        if not tagged:
            return ("vlan_mode=access", f"tag={native}")
        return ("vlan_mode=native-untagged", f"tag={native}", trunks)

    def set_by_hand(self, name: str, state: PortState) -> None:
        """What a person at the console would do."""
        port = self.ports[name]
        self.vlans |= state.tagged | ({state.native} if state.native else set())
        port.shutdown, port.routed, port.voice = not state.enabled, False, None
        port.mode = "trunk" if state.tagged else "access"
        port.access = state.native or 1
        port.allowed = frozenset(state.tagged) | ({state.native} if state.native and state.tagged else frozenset())
        port.native = state.native or min(EVERY - state.tagged)
        self.apply()

    # -- the command line

    def make_shell(self, channel: paramiko.Channel) -> Shell:
        """What answers a new session."""
        return Shell(self, channel)

    def shell(self, channel: paramiko.Channel) -> None:
        """One session."""
        self.logins += 1
        with contextlib.suppress(OSError, EOFError):
            try:
                self.make_shell(channel).run()
            finally:
                channel.close()


class Shell:
    """One session of it."""

    def __init__(self, switch: SshSwitch, channel: paramiko.Channel) -> None:
        self._switch = switch
        self._dialect = switch.dialect
        self._channel = channel
        self._mode = "exec"
        self._name = ""
        self._enabled = not switch.asks_enable

    def _prompt(self) -> str:
        if self._mode == "interface":
            short = self._name.replace("ethernet", "eth").replace("port-channel", "po")
            text = self._dialect.interface_prompt.format(host=self._switch.host, short=short)
        else:
            text = self._dialect.prompts[self._mode].format(host=self._switch.host)
        return text if self._enabled else text.replace("#", ">")

    def run(self) -> None:
        self._channel.sendall(f"\r\nWelcome.\r\n{self._prompt()}".encode())
        for line in self._lines():
            if self._switch.drop_at and self._switch.drop_at in line:
                self._channel.get_transport().close()
                return
            if self._switch.deaf_at and self._switch.deaf_at in line:
                time.sleep(60)
                return
            time.sleep(self._switch.delay)
            answer = self._answer(line.strip())
            self._channel.sendall(("\r\n" + answer.replace("\n", "\r\n") + self._prompt()).encode())

    def _lines(self, echo: bool = True) -> Iterable[str]:
        buffer = ""
        while data := self._channel.recv(4096):
            *whole, rest = re.split("[\r\n]", data.decode(errors="replace"))
            for text in whole:
                if echo and text:
                    self._channel.sendall(text.encode())
                line, buffer = buffer + text, ""
                yield line
            if echo and rest:
                self._channel.sendall(rest.encode())
            buffer += rest

    def _answer(self, line: str) -> str:
        if not line:
            return ""
        self._switch.received.append(line)
        for text, answer in self._switch.refuse.items():
            if text in line:
                return answer + "\n"
        try:
            with self._switch._lock:
                answer = self._do(line)
                self._switch.apply()
                return answer
        except Refused as refused:
            return str(refused)

    def _do(self, line: str) -> str:
        if line == "enable" and not self._enabled:
            return self._enable()
        if line == "end":
            self._mode = "exec"
        elif line == "exit":
            self._mode = "exec" if self._mode == "config" else "config"
        elif self._mode == "exec":
            return self._exec(line)
        elif not self._config(line):
            raise Refused(self._dialect.invalid)
        return ""

    def _enable(self) -> str:
        self._channel.sendall(b"\r\nPassword: ")
        password = next(iter(self._lines(echo=False)))
        if password != ENABLE:
            return "% Access denied\n"
        self._enabled = True
        return ""

    def _exec(self, line: str) -> str:
        if line.startswith(("terminal ", "enable")):
            return self._dialect.terminal.get(line, "")
        if line == self._dialect.show.rpartition(" interface")[0]:
            shown = "\n!\n".join("\n".join(self._dialect.lines(*item)) for item in self._switch.ports.items())
            return f"!\nhostname {self._switch.host}\nbanner motd ^C\n% Invalid input: Error#\n^C\n!\n{shown}\n!\nend\n"
        if line.startswith(self._dialect.show):
            return self._show(line.removeprefix(self._dialect.show))
        if self._enabled and self._dialect.save.fullmatch(line):
            self._switch.saved.append(line)
            return "[OK]\n"
        if self._enabled and line == "configure terminal":
            self._mode = "config"
            return ""
        raise Refused(self._dialect.invalid)

    def _show(self, text: str) -> str:
        name = self._dialect.canonical(text)
        if name not in self._switch.ports:
            raise Refused(self._dialect.invalid)
        return self._dialect.shown(name, self._switch.ports[name])

    def _config(self, line: str) -> bool:
        vlans = self._dialect.vlan_line(line)
        if vlans is not None:
            self._switch.vlans |= vlans
            self._mode = "vlan"
            return True
        if line.startswith("interface "):
            name = self._dialect.canonical(line[10:])
            if name not in self._switch.ports:
                return False  # and the mode is what it was
            self._mode, self._name = "interface", name
            return True
        if self._mode == "vlan":
            return self._dialect.in_vlan(line)
        if self._mode == "interface":
            self._dialect.in_interface(self._switch.ports[self._name], line)
            return True
        return False


Change = Callable[[SshSwitch], None]
