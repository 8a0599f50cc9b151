# SPDX-License-Identifier: Apache-2.0
"""A command line over SSH: one line is sent when the prompt is there, and its answer is read before the next.

netmiko logs in, finds the prompt, switches paging off, and enters and leaves each maker's modes. Lines are sent here:
its own way waits two seconds for silence, or goes on after an error, in whatever mode the device then is, so that the
lines for a port that does not exist would be taken for the port before.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, cast

import netmiko
import paramiko
from paramiko import hostkeys

from mogan_hil.drivers.base import DriverError, Options
from mogan_hil.drivers.switch.base import NOT_KNOWN_HOSTS

#: How devices say no. Each is looked for in the answer to a single line, and any of them ends the batch.
ERRORS = (
    r"^\s*%\s*(?:Invalid|Incomplete|Ambiguous|Unknown|Unrecognized|Error|Bad|Cannot|Could not|Failed|Not |Authori[sz])",
    r"\bCommand rejected\b",
    r"^\s*(?:%\s*)?(?:ERROR|Error|error)\b",
    r"\b[Ii]nvalid (?:input|command|interface|port|parameter|value|argument)\b",
    r"\b[Ss]yntax error\b",
    r"\b[Uu]n(?:known|recognized) command\b",
    r"\bcommand not found\b",
    r"\bpermission denied\b|\bPermission denied\b",
    r"\bdoes(?: not|n't) exist\b(?!\. Creating)",
)
#: What is worth another try.
BUSY = re.compile(r"locked by|try (?:again )?later|in use by another|configuration database modified", re.IGNORECASE)

#: The line feeds of an answer, and what draws on a terminal.
_FEEDS = re.compile(r"\r+\n|\n\r+|\r\x00")
_DRAWING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>E]")


class _HostKeys(paramiko.MissingHostKeyPolicy):
    """Knows a host by the fingerprints of its keys, and no other."""

    def __init__(self, fingerprints: Collection[str]) -> None:
        self._fingerprints = frozenset(fingerprints)
        self.refused = ""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """See paramiko. Called for a key that is in no file."""
        digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
        if f"SHA256:{digest}" not in self._fingerprints:
            self.refused = f"{key.get_name()} SHA256:{digest}"
            raise paramiko.SSHException("unknown host key")


class Session:
    """One login. Not for more than one thread at a time; after a `DriverError` it is to be closed.

    :param options: of the driver `generic`, which see
    :param platform: netmiko's name of the device type
    :param seconds: for all that follows, until `allow` is called again
    :raises DriverError: no such device, or it does not let us in
    """

    def __init__(self, options: Options, platform: str, errors: Sequence[str], seconds: float) -> None:
        self._options = options
        self._errors = [re.compile(pattern, re.MULTILINE) for pattern in (*ERRORS, *errors)]
        self._where = f"{options['host']}:{options.get('port', 22)}"
        self.used = time.monotonic()
        if platform not in netmiko.platforms:
            raise DriverError("The switch cannot be managed by this conductor.", f"netmiko has no {platform}")
        policy = _HostKeys(options.get("host_keys", ()))
        self._netmiko: Any = netmiko.ConnectHandler(**self._settings(platform, seconds))
        self._netmiko.key_policy = policy
        self.allow(seconds)
        with self._explained(policy):
            self._netmiko._open()
            # Here the configuration mode is a shell of root, and to leave that of the login would end the session.
            self._always_configures = platform == "linux" and self._netmiko.check_config_mode()
            if options.get("enable_password") is not None and not self._netmiko.check_enable_mode():
                self._netmiko.enable()
        self._channel = cast("paramiko.Channel", self._netmiko.remote_conn)
        # Lines are short and wait for answers: the kernel is not to wait for more of them.
        self._channel.get_transport().sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._learn_prompt()

    def _learn_prompt(self) -> None:
        """Take over the prompt that netmiko found: on Linux it has the user's name, which may be another's now."""
        self._prompt = re.compile(rf"\n[^\n]*{re.escape(self._netmiko.base_prompt[:14])}[^\n]*[#>$%\]]\s*\Z")

    def _settings(self, platform: str, seconds: float) -> dict[str, Any]:
        options = self._options
        return {
            "device_type": platform,
            "host": options["host"],
            "port": options.get("port", 22),
            "username": options["username"],
            "password": options.get("password"),
            "secret": options.get("enable_password", ""),
            "use_keys": "key_file" in options,
            "key_file": options.get("key_file"),
            "passphrase": options.get("key_passphrase"),
            "allow_agent": False,
            "alt_host_keys": "known_hosts" in options,
            "alt_key_file": options.get("known_hosts", ""),
            "conn_timeout": seconds,
            "auth_timeout": seconds,
            "banner_timeout": seconds,
            "blocking_timeout": seconds,
            "global_delay_factor": options.get("delay_factor", 1.0),
            "auto_connect": False,
        }

    def allow(self, seconds: float) -> None:
        """Give what follows so many seconds."""
        self._until = time.monotonic() + seconds
        self._netmiko.read_timeout_override = seconds

    def answers(self, seconds: float) -> bool:
        """Whether the device still answers: it may have ended the session, or have forgotten it."""
        self.allow(seconds)
        with contextlib.suppress(DriverError):
            self.send("")
            return True
        return False

    @contextlib.contextmanager
    def _explained(self, policy: _HostKeys | None = None) -> Iterator[None]:
        """Make every failure of the session a `DriverError`."""
        try:
            yield
        except DriverError:
            raise
        except Exception as error:
            raise self._explain(error, policy) from error

    def _explain(self, error: Exception, policy: _HostKeys | None) -> DriverError:
        cause = error.__context__
        if policy is not None and (policy.refused or isinstance(cause, paramiko.BadHostKeyException)):
            return DriverError(
                "The switch is not the one that is registered.",
                f"{self._where} has another host key than registered: {policy.refused or cause}",
            )
        if isinstance(error, netmiko.NetmikoAuthenticationException | paramiko.AuthenticationException):
            return DriverError("The switch refused the login.", f"{self._where} refused {self._options['username']!r}")
        if isinstance(error, hostkeys.InvalidHostKey):  # which has the line: the file may be another than it should be
            return DriverError("The switch cannot be managed by this conductor.", f"{self._where}: {NOT_KNOWN_HOSTS}")
        if isinstance(error, ValueError):  # netmiko's way to say that a mode could not be entered
            return DriverError("The switch refused the login.", f"{self._where}: {_first(error)}")
        return DriverError("The switch does not answer.", f"{self._where}: {_first(error)}", transient=True)

    def ask(self, line: str) -> str:
        """Send a line, and return the answer without the line and the prompt, whatever it says.

        :raises DriverError: the device says nothing
        """
        with self._explained():
            self._channel.settimeout(self._left())
            self._channel.sendall((line + self._netmiko.RETURN).encode())
            return self._read(line)

    def check(self, line: str, answer: str) -> None:
        """Look for errors in the answer to a line.

        :raises DriverError: the device says that it did not do it
        """
        for pattern in self._errors:
            if found := pattern.search(answer):
                self._refused(line, answer, found)

    def send(self, line: str) -> None:
        """Send a line that changes something.

        :raises DriverError: the device says that it did not do it, or says nothing
        """
        self.check(line, self.ask(line))

    def _refused(self, line: str, answer: str, found: re.Match[str]) -> None:
        raise DriverError(
            "The switch refused the change.",
            f"{self._where}: {line!r}: {answer[found.start() :].strip()[:500]}",
            transient=BUSY.search(answer) is not None,
        )

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left

    def _read(self, line: str) -> str:
        """The text from the echo of a line to the prompt after it."""
        raw = b""
        while True:
            self._channel.settimeout(self._left())
            data = self._channel.recv(65536)
            if not data:
                raise EOFError(f"the session ended at {line!r}")
            raw += data
            if raw.rstrip()[-1:] not in (b"#", b">", b"$", b"%", b"]"):
                continue
            text = _DRAWING.sub("", _FEEDS.sub("\n", raw.decode(errors="replace")))
            echo = text.find(line)
            if echo >= 0 and (prompt := self._prompt.search(text, echo + len(line))):
                self.used = time.monotonic()
                return text[echo + len(line) : prompt.start()]

    def configure(self, lines: Sequence[str], enter: str = "", discard: Sequence[str] = ()) -> None:
        """Send lines in the configuration mode, and leave it.

        :param enter: what enters that mode, where netmiko's way is not the right one
        :param discard: what throws away lines that are not committed, if the batch fails and the device still answers
        """
        self._enter(enter)
        try:
            if not enter:
                # A batch that was cut off may have left lines; an answer that there are none is no error.
                for line in discard:
                    self.ask(line)
            for line in lines:
                self.send(line)
        except DriverError:
            with contextlib.suppress(DriverError):
                for line in discard:
                    self.ask(line)
            raise
        if not self._always_configures:
            with self._explained():
                self._netmiko.exit_config_mode()
                self._learn_prompt()
        self.used = time.monotonic()

    def _enter(self, line: str) -> None:
        if line:
            self.send(line)
        elif not self._always_configures:
            with self._explained():
                self._netmiko.config_mode()
                self._learn_prompt()

    def save(self, lines: Sequence[str]) -> None:
        """Keep the configuration over a restart.

        :param lines: how, for a device type of which netmiko does not know
        """
        try:
            with self._explained():
                try:
                    answer = self._netmiko.save_config()
                except NotImplementedError:
                    answer = None
        finally:
            self.used = time.monotonic()
        for line in () if answer is not None else lines:
            self.send(line)
        self.check("save", answer or "")

    def close(self) -> None:
        """End the session, without a word to the device."""
        with contextlib.suppress(Exception):
            self._netmiko.paramiko_cleanup()


def _first(error: Exception) -> str:
    """The first words of an error, which netmiko follows by advice."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
