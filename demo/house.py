# SPDX-License-Identifier: Apache-2.0
"""Everything that a run leaves on the machine while it lasts: one directory, and processes that are marked with it.

Network namespaces have no names here: one ends with the last process in it. Every process is started so that the
kernel kills it when the demo ends, however it ends; what is left after a `kill -9` is the directory, and the next run
removes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

PREFIX = "mogan-hil-demo-"
MARK = "MOGAN_HIL_DEMO"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):
    """A part of the stage could not be set up; the text says which and why."""


def run(*command: str, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end.

    :returns: what it printed
    :raises Failed: it failed, is not there, or took longer than 20 seconds
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=env)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{command[0]}: {error}") from error
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class House:
    """The directory and the processes of one run."""

    def __init__(self, prefix: str = PREFIX) -> None:
        sweep(prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self.environment = dict(os.environ, **{MARK: str(self.path)})
        self._lock = open(self.path / "lock", "w", encoding="ascii")  # noqa: SIM115 - held as long as the run lasts
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, log: str = "stage.log", **extra: str) -> subprocess.Popen[bytes]:
        """Start a process that lasts; it dies with this one.

        :param log: the file, within the directory, that gets what it prints
        :param extra: environment variables
        """
        with (self.path / log).open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self.environment, **extra},
                start_new_session=True,  # Ctrl-C is for the demo alone
                preexec_fn=_die_with_parent,
            )
        self._children.append(child)
        return child

    def log(self, name: str) -> str:
        """What processes have written to a log."""
        try:
            return (self.path / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        """End every process, and remove the directory. A second call does nothing."""
        for child in self._children:
            child.terminate()
        end = time.monotonic() + 5
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, end - time.monotonic()))
        _kill(marked({str(self.path)}))
        for child in self._children:
            child.wait()
        self._children.clear()
        shutil.rmtree(self.path, ignore_errors=True)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def marked(paths: Collection[str]) -> list[int]:
    """The processes of runs in these directories."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            marks = {f"{MARK}={path}".encode() for path in paths}
            if marks & set((entry / "environ").read_bytes().split(b"\0")):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def _kill(pids: Collection[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def sweep(prefix: str = PREFIX) -> None:
    """Remove what earlier runs of this user left that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.geteuid():
                continue
            with open(path / "lock", "a", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where that run still goes on
                _kill(marked({str(path)}))
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def house(prefix: str = PREFIX) -> Iterator[House]:
    """A house that is empty again at the end, whatever ends it: success, failure, Ctrl-C, SIGTERM or SIGHUP.

    :raises KeyboardInterrupt: one of the signals came
    """

    armed = True

    def interrupt(*_: Any) -> None:
        nonlocal armed
        if armed:
            armed = False  # what follows is the cleaning up, which nothing may interrupt
            raise KeyboardInterrupt

    # Held back until the directory is known.
    old = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        signal.signal(number, interrupt)
    made = None
    try:
        made = House(prefix)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
            yield made
        finally:
            armed = False
    finally:
        if made is not None:
            made.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
