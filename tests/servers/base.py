# SPDX-License-Identifier: Apache-2.0
"""What the servers share: finding programs, ports, starting, waiting and stopping."""

from __future__ import annotations

import abc
import contextlib
import glob
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

#: Where Linux says from which port on it takes them for outgoing connections.
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
#: So many ports a process takes for itself at a time.
PORTS_A_BLOCK = 50
#: Daemons live in the sbin directories, which are not on every user's PATH.
PROGRAM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def _ports_below(outgoing: Path) -> range:
    """Ports that no outgoing connection can have taken, if there are enough of them."""
    first = int(outgoing.read_text().split()[0]) if outgoing.exists() else 32000
    end = min(first, 32000) // PORTS_A_BLOCK * PORTS_A_BLOCK
    return range(end - 12000, end) if end > 16000 else range(20000, 32000)


PORTS = _ports_below(_OUTGOING)

_taken: list[socket.socket] = []
_ports: list[int] = []
_ports_lock = threading.Lock()


class NotAvailableError(Exception):
    """This server cannot be had here; the text says why."""


class StartError(Exception):
    """The server is installed and did not start; the text says what it last wrote."""


def find_program(*names: str) -> str | None:
    """The first of the programs that is there. A name may be a path with `*`; of several matches the newest counts."""
    for name in names:
        found = sorted(glob.glob(name), key=_numbers)[-1:] if "/" in name else [shutil.which(name, path=PROGRAM_PATH)]
        if found and found[0]:
            return found[0]
    return None


def _numbers(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def take(kind: str, numbers: Iterable[int]) -> int | None:
    """One of the numbers, which no other process is given as long as this one lives; None if all are taken.

    :param kind: what is counted
    """
    for number in numbers:
        if sys.platform != "linux":
            return number
        mine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mine.bind(f"\0mogan-hil-{kind}-{number}")  # a name without a file, unix(7): it goes with the process
        except OSError:
            mine.close()
        else:
            _taken.append(mine)
            return number
    return None


def free_port() -> int:
    """A loopback port that nobody uses, by TCP or UDP, and that no test of any process was given before."""
    with _ports_lock:
        while True:
            if not _ports:
                starts = list(PORTS[::PORTS_A_BLOCK])
                random.shuffle(starts)
                start = take("ports", starts)
                if start is None:
                    raise StartError("no ports are left")
                _ports.extend(range(start, start + PORTS_A_BLOCK))
            port = _ports.pop()
            if all(_is_free(port, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
                return port


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for_listener(port: int, seconds: float = 90) -> None:
    """Return as soon as something listens on the loopback port.

    :raises StartError: nothing did in time
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise StartError(f"nothing listens on port {port} after {seconds:.0f} s")


class Server(abc.ABC):
    """One private server, with all its files in one directory and all its ports on the loopback address."""

    name: ClassVar[str]
    #: The environment variable that tells the tests where the server is.
    variable: ClassVar[str]
    #: The Debian packages that bring it.
    packages: ClassVar[tuple[str, ...]]
    #: Seconds until it must be ready; a machine that does much else takes long.
    time_limit: ClassVar[float] = 240
    #: How often it is started if it does not come up: a machine that does much else may lack something for a moment.
    tries: ClassVar[int] = 3
    #: How it is ended. Its files are thrown away, so there is nothing worth a slow ending.
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, directory: Path) -> None:
        self.directory = directory / self.name
        self.log = self.directory / "server.log"
        self.user = "mogan_hil"
        self.password = secrets.token_hex(12)
        self.cancelled = threading.Event()
        self._processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    @abc.abstractmethod
    def missing(cls) -> str | None:
        """The program that is needed and not there, or None."""

    @classmethod
    def install(cls, say: Callable[[str], None]) -> None:
        """Bring what is missing and no package has.

        :param say: tells what takes long
        :raises NotAvailableError: it cannot be had; the text says why
        """
        raise NotAvailableError("only packages bring it")

    @abc.abstractmethod
    def launch(self) -> None:
        """Write the configuration and start the processes; `directory` exists.

        :raises NotAvailableError: it cannot run as this user
        :raises StartError: a step of it failed
        """

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """Where it is, with an account that may do everything; known after `launch`."""

    @property
    def variables(self) -> dict[str, str]:
        """What the tests find in their environment."""
        return {self.variable: self.url}

    @abc.abstractmethod
    def probe(self) -> None:
        """Log in once; any exception means that the server is not ready yet."""

    def start(self, say: Callable[[str], None]) -> None:
        """Start the server and wait until one can log in. One that does not start is tried again, from nothing.

        :param say: tells why it did not
        :raises NotAvailableError: it cannot run as this user
        :raises StartError: it ended, or was not ready in time, each time; or the start was cancelled
        """
        for left in reversed(range(self.tries)):
            try:
                self._start()
                return
            except StartError as error:
                if not left or self.cancelled.is_set():
                    raise
                say(f"{self.name} did not start and is tried again: {error}")
            self.stop()
            self._processes.clear()
            shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> None:
        self.directory.mkdir()
        self.launch()
        deadline = time.monotonic() + self.time_limit
        while True:
            if self.cancelled.is_set():
                raise StartError("cancelled")
            if any(process.poll() is not None for process in self._processes):
                raise StartError(f"it ended by itself\n{self.last_words()}")
            try:
                return self.probe()
            except Exception as error:
                if time.monotonic() > deadline:
                    why = f"not ready after {self.time_limit:.0f} s: {error}"
                    raise StartError(f"{why}\n{self.last_words()}") from error
            self.cancelled.wait(0.1)

    def stop(self) -> None:
        """End every process of the server. Never fails: the command that it was there for has its own outcome."""
        for process in self._processes:
            _signal_group(process, self.stop_signal)
        for process in self._processes:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()  # its end may take a while where the disk is slow; the tests have ended well

    def last_words(self) -> str:
        """The end of the server's log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "(it wrote no log)"
        return "\n".join(f"    {line}" for line in lines[-60:])

    def spawn(self, command: Sequence[str], env: Mapping[str, str] | None = None, user: str | None = None) -> None:
        """Start a process that `stop` ends."""
        self._processes.append(self._popen(command, env, user))

    def run(self, command: Sequence[str], user: str | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run a step of the preparation to its end.

        :raises StartError: it failed or took too long
        """
        process = self._popen(command, env, user)
        try:
            code = process.wait(timeout=self.time_limit)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            code = process.wait()
        if code:
            raise StartError(f"{command[0]} ended with {code}\n{self.last_words()}")

    def _popen(
        self, command: Sequence[str], env: Mapping[str, str] | None, user: str | None
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
                cwd=self.directory,
                start_new_session=True,  # out of reach of a Ctrl-C, so that the servers outlive the tests
                user=user,
                group=user,
                extra_groups=[] if user else None,
            )


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The process leads a session of its own, and what it forked is in its process group.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def log_in_with_sqlalchemy(url: str) -> None:
    """Connect once; raises whatever is wrong."""
    import sqlalchemy

    sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect().close()
