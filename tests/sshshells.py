# SPDX-License-Identifier: Apache-2.0
"""Switches with a command line over SSH that keep what they are told until it is committed.

Cumulus Linux, whose command line is a shell in which one becomes root, and Junos, whose configuration mode is shared by
all who are in it. They know the lines that the driver `generic` sends, refuse every other, and have no port but those
that a test gives them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import paramiko

from tests import sshserver, sshswitch
from tests.sshswitch import Refused

SUDO = "hunter4-of-sudo"


class Committing:
    """What a port is told, once it is committed: `set` gets a port and the rest of the line that names it."""

    name: str
    #: Beginnings of lines, and what they do to a port; `(?P<port>)` names it and `(?P<vlan>)` is its VLAN.
    access: re.Pattern[str]
    shut: re.Pattern[str]
    open: re.Pattern[str]
    #: Lines that are understood and change no port.
    other: re.Pattern[str]
    unknown: str

    def port(self, line: str) -> str | None:
        """The port that a line is about, "" if none, None if the line is not understood."""
        for pattern in (self.access, self.shut, self.open, self.other):
            if found := pattern.fullmatch(line):
                return found.groupdict().get("port") or ""
        return None

    def apply(self, ports: Mapping[str, sshswitch.Port], lines: list[str]) -> None:
        """Make true what was kept."""
        for line in lines:
            if found := self.access.fullmatch(line):
                ports[found["port"]].access = int(found["vlan"])
            elif found := self.shut.fullmatch(line):
                ports[found["port"]].shutdown = True
            elif found := self.open.fullmatch(line):
                ports[found["port"]].shutdown = False


class Nclu(Committing):
    """The command `net` of Cumulus Linux 4."""

    name = "cumulus"
    access = re.compile(r"net add interface (?P<port>\S+) bridge access (?P<vlan>\d+)")
    shut = re.compile(r"net add interface (?P<port>\S+) link down")
    open = re.compile(r"net del interface (?P<port>\S+) link down")
    other = re.compile(r"net add vlan \d+|net del interface (?P<port>\S+) bridge access \d+")
    unknown = "ERROR: Command not found.\n"
    commit = re.compile("net commit")
    discard = "net abort"
    save = None


class Nvue(Committing):
    """The command `nv` of Cumulus Linux 5."""

    name = "cumulus_nvue"
    _domain = "interface (?P<port>\\S+) bridge domain br_default"
    access = re.compile(rf"nv set {_domain} access (?P<vlan>\d+)")
    shut = re.compile(r"nv set interface (?P<port>\S+) link state down")
    open = re.compile(r"nv set interface (?P<port>\S+) link state up")
    other = re.compile(rf"nv set bridge domain br_default vlan \d+|nv unset {_domain} (access|untagged|vlan)")
    unknown = "Error: Invalid parameter\n"
    commit = re.compile("nv config apply (-y|--assume-yes)")
    discard = "nv config detach"
    save = "nv config save"


class Cumulus(sshswitch.SshSwitch):
    """A switch that is a Linux machine.

    :param user: who logs in
    :param asks_sudo: whether `sudo` wants a password, which is `SUDO`
    :ivar pending: what each user has said and not committed
    """

    def __init__(self, tool: Nclu | Nvue, user: str = sshserver.USER, asks_sudo: bool = False) -> None:
        super().__init__(tool)
        self.user = user
        self.asks_sudo = asks_sudo
        self.pending: dict[str, list[str]] = {}

    def options(self, **more: object) -> dict[str, object]:
        """See the base class."""
        return super().options(**{"username": self.user, **more})

    def make_shell(self, channel: paramiko.Channel) -> sshswitch.Shell:
        """See the base class."""
        return _LinuxShell(self, channel)

    def apply(self) -> None:
        """Nothing stands behind its ports."""


class _LinuxShell(sshswitch.Shell):
    def __init__(self, switch: Cumulus, channel: paramiko.Channel) -> None:
        super().__init__(switch, channel)
        self._users = [switch.user]

    def _prompt(self) -> str:
        root = self._users[-1] == "root"
        home = f"/home/{self._users[0]}" if len(self._users) > 1 else "~"
        return f"{self._users[-1]}@{self._switch.host}:mgmt:{home}{'#' if root else '$'} "

    def _do(self, line: str) -> str:
        if line == "sudo -s":
            return self._sudo()
        if line == "exit":
            self._users.pop()
            if not self._users:
                raise EOFError  # that was the login
            return "exit\n"
        tool, pending = self._dialect, self._switch.pending.setdefault(self._users[-1], [])
        if line == tool.save:
            self._switch.saved.append(line)
        elif line == tool.discard:
            pending.clear()
        elif tool.commit.fullmatch(line):
            tool.apply(self._switch.ports, pending)
            pending.clear()
        else:
            port = tool.port(line)
            if port is None or (port and port not in self._switch.ports):
                raise Refused(tool.unknown)
            pending.append(line)
        return ""

    def _sudo(self) -> str:
        if self._switch.asks_sudo and self._users[-1] != "root":
            self._channel.sendall(f"\r\n[sudo] password for {self._users[-1]}: ".encode())
            if next(iter(self._lines(echo=False))) != SUDO:
                return "sudo: 1 incorrect password attempt\n"
        self._users.append("root")
        return ""


class JunosLines(Committing):
    """The configuration mode of Junos."""

    name = "juniper"
    access = re.compile(r"set interfaces (?P<port>\S+) unit 0 family ethernet-switching vlan members (?P<vlan>\d+)")
    shut = re.compile(r"set interfaces (?P<port>\S+) disable")
    open = re.compile(r"delete interfaces (?P<port>\S+) disable")
    other = re.compile(
        r"set vlans \S+ vlan-id \d+|delete interfaces (?P<port>\S+) unit 0 family ethernet-switching vlan members"
    )
    terminal = {
        "set cli screen-width 511": "Screen width set to 511\n",
        "set cli complete-on-space off": "Disabling complete-on-space\n",
        "set cli screen-length 0": "Screen length set to 0\n",
    }


class Junos(sshswitch.SshSwitch):
    """A switch whose configuration is edited, by all together or by each alone, and then committed.

    :ivar candidate: the lines that were said in the shared configuration mode, and not committed
    """

    def __init__(self) -> None:
        super().__init__(JunosLines())
        self.candidate: list[str] = []

    def make_shell(self, channel: paramiko.Channel) -> sshswitch.Shell:
        """See the base class."""
        return _JunosShell(self, channel)

    def apply(self) -> None:
        """Nothing stands behind its ports."""


class _JunosShell(sshswitch.Shell):
    def __init__(self, switch: Junos, channel: paramiko.Channel) -> None:
        super().__init__(switch, channel)
        self._private: list[str] | None = None

    def _prompt(self) -> str:
        name = f"{self._switch.user}@{self._switch.host}"
        return f"\r\n{name}> " if self._mode == "exec" else f"\r\n[edit]\r\n{name}# "

    def _do(self, line: str) -> str:
        if self._mode == "exec":
            return self._operate(line)
        candidate = self._switch.candidate if self._private is None else self._private
        if line == "exit configuration-mode":
            self._mode = "exec"
            return "Exiting configuration mode\n"
        if line == "rollback 0":
            candidate.clear()
            return "load complete\n"
        if line == "commit":
            self._dialect.apply(self._switch.ports, candidate)
            candidate.clear()
            return "commit complete\n"
        port = self._dialect.port(line)
        if port is None or (port and port not in self._switch.ports):
            raise Refused("                       ^\nsyntax error.\n")
        candidate.append(line)
        return "warning: statement not found\n" if line.startswith("delete ") else ""

    def _operate(self, line: str) -> str:
        if line in self._dialect.terminal:
            return self._dialect.terminal[line]
        if line == "configure":
            self._mode, self._private = "config", None
            changed = "The configuration has been changed but not committed\n" if self._switch.candidate else ""
            return "Entering configuration mode\n" + changed
        if line == "configure private":
            if self._switch.candidate:
                return "error: shared configuration database modified\n"
            self._mode, self._private = "config", []
            return "warning: uncommitted changes will be discarded on exit\nEntering configuration mode\n"
        raise Refused("             ^\nunknown command.\n")
