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
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

#: Below the range from which Linux takes ports for outgoing connections, so that none of those can be in the way.
PORTS = range(20000, 32000)
#: Daemons live in the sbin directories, which are not on every user's PATH.
PROGRAM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

_ports_given: set[int] = set()
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


def free_port() -> int:
    """A loopback TCP port that nothing listens on and that was not given out before."""
    with _ports_lock:
        while True:
            port = random.choice(PORTS)
            if port in _ports_given:
                continue
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            _ports_given.add(port)
            return port


def wait_for_listener(port: int, seconds: float = 10) -> None:
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
    #: Seconds until it must be ready.
    time_limit: ClassVar[float] = 60
    #: How it is ended. Its files are thrown away, so there is nothing worth a slow ending.
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, directory: Path) -> None:
        self.directory = directory / self.name
        self.log = self.directory / "server.log"
        self.user = "mogan_hil"
        self.password = secrets.token_urlsafe(12)
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

    def start(self) -> None:
        """Start the server and wait until one can log in.

        :raises NotAvailableError: it cannot run as this user
        :raises StartError: it ended, or was not ready in time, or the start was cancelled
        """
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
        """End every process of the server."""
        for process in self._processes:
            _signal_group(process, self.stop_signal)
        for process in self._processes:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait(timeout=5)

    def last_words(self) -> str:
        """The end of the server's log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "(it wrote no log)"
        return "\n".join(f"    {line}" for line in lines[-20:])

    def spawn(self, command: Sequence[str], env: Mapping[str, str] | None = None, user: str | None = None) -> None:
        """Start a process that `stop` ends."""
        self._processes.append(self._popen(command, env, user))

    def run(self, command: Sequence[str], user: str | None = None) -> None:
        """Run a step of the preparation to its end.

        :raises StartError: it failed or took too long
        """
        process = self._popen(command, None, user)
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
