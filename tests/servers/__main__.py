# SPDX-License-Identifier: Apache-2.0
"""Run a command with private servers around it."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from tests.servers import base, packages
from tests.servers.keystone import Keystone
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.rabbitmq import RabbitMQ

SERVERS: dict[str, type[base.Server]] = {server.name: server for server in (MariaDB, PostgreSQL, RabbitMQ, Keystone)}
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_CHILD_SUBREAPER = 36


class InterruptedRun(BaseException):
    """A signal asked us to end; not an Exception, so that no `except` in between swallows it."""

    def __init__(self, number: int) -> None:
        self.number = number


def say(text: str) -> None:
    """Tell the reader of the terminal; stdout belongs to the command."""
    print(f"servers: {text}", file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _ignore_signals()
    raise InterruptedRun(number)


def _ignore_signals() -> None:
    """From here on we clean up, which must not be interrupted."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def running(chosen: Sequence[type[base.Server]]) -> Iterator[dict[str, str]]:
    """Start the servers side by side and yield the variables that say where they are; stop all at the end.

    :raises base.StartError: a server is installed and does not start
    """
    directory = Path(tempfile.mkdtemp(prefix="mogan-hil-servers-"))
    directory.chmod(0o711)  # PostgreSQL may run as another user and must get through to its own part
    servers = [server(directory) for server in chosen]
    try:
        with ThreadPoolExecutor(max_workers=max(1, len(servers))) as pool:
            futures = {server: pool.submit(_timed_start, server) for server in servers}
            try:
                variables = _results(futures)
            except BaseException:
                for server in servers:
                    server.cancelled.set()
                raise
        yield variables
    finally:
        _ignore_signals()
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _timed_start(server: base.Server) -> float:
    started = time.monotonic()
    server.start(say)
    return time.monotonic() - started


def _results(futures: dict[base.Server, Future[float]]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for server, future in futures.items():
        try:
            seconds = future.result()
        except base.NotAvailableError as error:
            _not_available(server.name, str(error))
        except base.StartError as error:
            raise base.StartError(f"{server.name} did not start: {error}") from error
        else:
            say(f"{server.name} ready in {seconds:.1f} s")
            variables |= server.variables
    return variables


def _not_available(name: str, why: str) -> None:
    say(f"not available: {name}: {why}; its tests are skipped")


def choose(names: Sequence[str], environ: dict[str, str]) -> list[type[base.Server]]:
    """The servers to start: those named, less those that the caller brings and those that are not installed."""
    chosen = []
    for server in (SERVERS[name] for name in names):
        if environ.get(server.variable):
            say(f"{server.name}: {server.variable} is set, that one is used")
        elif program := server.missing():
            package = f" (package {' '.join(server.packages)})" if server.packages else ""
            _not_available(server.name, f"no program {program}{package}")
        else:
            chosen.append(server)
    return chosen


def _adopt() -> None:
    """Become the parent of orphans below us: what a test that was killed has started (Linux: prctl(2))."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """The processes that are our children.

    A thread that ends hands its own to another one, which may have been looked at already.
    """
    before, found = None, _listed()
    while found is None or found != before:
        before, found = found, _listed()
    return found


def _listed() -> set[int] | None:
    """The children of each thread, None if one has ended meanwhile."""
    found: set[int] = set()
    try:
        for listed in Path("/proc/self/task").glob("*/children"):
            found.update(map(int, listed.read_text().split()))
    except (FileNotFoundError, ProcessLookupError):
        return None
    return found


def _end_orphans(ours: set[int]) -> None:
    while orphans := children() - ours:  # the children of those that end are next
        for orphan in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan, 0)


def run_command(command: Sequence[str], variables: dict[str, str]) -> int:
    """Run the command to its end and return its exit code; a signal to us ends it and all that it started."""
    # At a terminal the command shares our process group, so that it can read the keyboard and sees a Ctrl-C itself.
    own_group = not sys.stdin.isatty()
    _adopt()
    ours = children()
    process = subprocess.Popen(command, env={**os.environ, **variables}, process_group=0 if own_group else None)

    def send(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number) if own_group else process.send_signal(number)

    try:
        return process.wait()
    except InterruptedRun as interrupted:
        send(interrupted.number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        raise
    finally:
        send(signal.SIGKILL)
        process.wait()
        _end_orphans(ours)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, and the command after `--`."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers",
        description="Start private servers, run COMMAND with "
        + ", ".join(s.variable for s in SERVERS.values())
        + " in its environment, stop the servers and return COMMAND's exit code.",
    )
    parser.add_argument("--only", metavar="NAMES", help=f"start only these, of: {','.join(SERVERS)}")
    parser.add_argument("--install", action="store_true", help="install what is missing (as root, with apt-get)")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="what to run, after --")
    options = parser.parse_args(arguments)
    options.names = list(SERVERS) if options.only is None else options.only.split(",")
    if unknown := set(options.names) - set(SERVERS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    options = parse(arguments)
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        if options.install:
            packages.install_missing([SERVERS[name] for name in options.names], say)
        chosen = choose(options.names, dict(os.environ))
        if chosen:
            say(f"starting {', '.join(server.name for server in chosen)} ...")
        with running(chosen) as variables:
            return run_command(options.command, variables)
    except base.StartError as error:
        say(str(error))
        return 1
    except InterruptedRun as interrupted:
        return 128 + interrupted.number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
