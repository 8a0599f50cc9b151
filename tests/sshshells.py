# SPDX-License-Identifier: Apache-2.0
"""Switches with a command line over SSH that keep what they are told until it is committed.

Cumulus Linux, whose command line is a shell in which one becomes root. They know the lines that the driver `generic`
sends, refuse every other, and have no port but those that a test gives them.
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
