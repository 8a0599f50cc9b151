# SPDX-License-Identifier: Apache-2.0
"""Commands of the service as forks of a process that has imported them already: to import them takes seconds.

A fork has a session, arguments, an environment and files of its own, and runs the function that the command's entry
point names. Tests about the commands themselves start these instead.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

#: The modules of the commands, whose `main` is the entry point.
COMMANDS: Mapping[str, str] = {
    "mogan-hil": "mogan_hil.cmd.all_in_one",
    "mogan-hil-api": "mogan_hil.cmd.api",
    "mogan-hil-conductor": "mogan_hil.cmd.conductor",
    "mogan-hil-manage": "mogan_hil.cmd.manage",
}

_NUMBER = struct.Struct("=q")
#: What the process that forks has found when it imported.
_PATH = os.environ.get("PYTHONPATH")


def able(program: str) -> bool:
    """Whether a command can be run so: not if there is more to be found now, as drivers of a third party."""
    return os.path.basename(program) in COMMANDS and os.environ.get("PYTHONPATH") == _PATH


class Fork:
    """A running command, as far as tests use what :class:`subprocess.Popen` has.

    :param stderr: where its log goes
    """

    def __init__(self, program: str, *arguments: str, stderr: IO[str]) -> None:
        self.args = [program, *arguments]
        self.returncode: int | None = None
        self._lock = threading.Lock()
        reading, writing = os.pipe()
        self._keeper, keeper = socket.socketpair()
        request = json.dumps({"argv": self.args, "env": dict(os.environ), "cwd": os.getcwd()}).encode()
        try:
            socket.send_fds(_server(), [request], [writing, stderr.fileno(), keeper.fileno()])
        finally:
            os.close(writing)
            keeper.close()
        self.stdout: IO[str] = os.fdopen(reading)
        self.pid = self._told()

    def poll(self) -> int | None:
        """The exit code as Popen has it, None while it runs."""
        with self._lock:
            if self.returncode is None and select.select([self._keeper], [], [], 0)[0]:
                self._end()
            return self.returncode

    def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        with self._lock:
            if self.returncode is None:
                self._end()
            assert self.returncode is not None
            return self.returncode

    def _told(self) -> int:
        data = self._keeper.recv(_NUMBER.size, socket.MSG_WAITALL)
        if len(data) < _NUMBER.size:
            raise ChildProcessError("who forks, or who waits for a fork, has ended")
        return int(_NUMBER.unpack(data)[0])

    def _end(self) -> None:
        self.returncode = self._told()
        self._keeper.close()  # from now on its number may be another process's

    def terminate(self) -> None:
        """Ask it to stop."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with nothing on its standard input."""
    with tempfile.TemporaryFile("w+") as errors:
        started = Fork(program, *arguments, stderr=errors)
        with started.stdout:
            said = started.stdout.read()
        status = started.wait()
        errors.seek(0)
        return subprocess.CompletedProcess(started.args, status, said, errors.read())


@functools.cache
def _server() -> socket.socket:
    """The process that forks, started when it is first needed, which ends with this one."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    atexit.register(process.wait)
    atexit.register(mine.close)
    return mine


def _serve(requests: socket.socket) -> Callable[[], Any] | None:
    """Fork for each request. Returns in a fork, with what it is to run; and None at the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the forks
    while True:
        data, files, *_ = socket.recv_fds(requests, 1 << 20, 3)
        if not data:
            return None
        if os.fork() == 0:
            requests.close()
            return _keep(json.loads(data), *files)
        for file in files:
            os.close(file)


def _keep(request: Mapping[str, Any], stdout: int, stderr: int, asker: int) -> Callable[[], Any]:
    """Fork once more, and tell who it is and how it ended. Returns in the second fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()  # or who ends the fork's processes would end this one
    leads, tells = os.pipe()
    pid = os.fork()
    if pid:
        os.close(tells)
        os.read(leads, 1)  # until it leads its group: whoever knows its number may end them all
        os.close(leads)
        os.close(stdout)
        os.close(stderr)
        with contextlib.suppress(OSError):  # nobody may want to know
            os.write(asker, _NUMBER.pack(pid))
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            killed = ended.si_code != os.CLD_EXITED
            os.write(asker, _NUMBER.pack(-ended.si_status if killed else ended.si_status))
            os.read(asker, 1)  # until then nobody else is given its number
        os._exit(0)
    os.setsid()
    os.close(leads)
    os.close(tells)
    os.close(asker)
    for file, number in ((stdout, 1), (stderr, 2)):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = list(request["argv"])
    main: Callable[[], Any] = importlib.import_module(COMMANDS[os.path.basename(sys.argv[0])]).main
    return main


def _main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        for module in COMMANDS.values():
            importlib.import_module(module)
        importlib.import_module("mogan_hil.drivers.loader").Drivers()  # with the libraries of them all
        gc.freeze()  # or the first collection in each fork would copy all of it
        if threading.active_count() > 1:
            raise RuntimeError(f"a fork would lose threads: {threading.enumerate()}")
        run = _serve(requests)
    if run is not None:
        sys.exit(run())


if __name__ == "__main__":
    _main()
