# SPDX-License-Identifier: Apache-2.0
"""A controller that speaks IPMI 2.0 over the network (RMCP+), through pyghmi.

The numbers are those of the "Intelligent Platform Management Interface Specification, second generation", v2.0.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from mogan_hil.drivers.base import DriverError, Environment, Options
from mogan_hil.drivers.obm import base

#: Chassis commands: network function 0 (table 5-1), commands of chapter 28.
_CHASSIS = 0
_GET_STATUS, _CONTROL, _SET_BOOT, _GET_BOOT = 1, 2, 8, 9
#: Chassis Control (28.3).
_DOWN, _UP, _CYCLE, _RESET, _SOFT_OFF = 0, 1, 2, 3, 5
#: Boot option parameters (table 28-14): which events clear the boot flags, and the boot flags.
_CLEAR_FLAGS, _FLAGS = 3, 5
#: Data 1 of the boot flags: valid, persistent, for EFI.
_VALID, _PERSISTENT, _EFI = 0x80, 0x40, 0x20
#: Data 2 of the boot flags, bits 5 to 2.
_DEVICES: Mapping[str, int] = {"pxe": 1, "disk": 2, "cdrom": 5, "bios": 6, "floppy": 15}
#: Completion codes (table 5-2) of what may go well later: busy, timeout, out of space, no answer, repository or
#: firmware being updated, starting up, destination not there.
_LATER = frozenset({0xC0, 0xC3, 0xC4, 0xCE, 0xD0, 0xD1, 0xD2, 0xD3})
#: Of these, what says that there is no answer, and not that nothing was done.
_NO_ANSWER = frozenset({0xC3, 0xCE, 0xD0, 0xD1, 0xD2})
#: Seconds before another try for a console: somebody who has just closed it needs a moment to give it back.
_CONSOLE_PAUSES = (0.3, 0.7)

#: What the tenant is told, and whether it may pass, for what :mod:`.ipmi_process` says.
_TOLD: Mapping[str, tuple[str, bool]] = {
    "unreachable": ("The node's controller does not answer.", True),
    "refused": ("The node's controller does not accept the login or the request.", False),
    "full": ("The node's controller serves too many others.", True),
    "nonsense": ("The node's controller answers nonsense.", False),
}


class _Parent:
    """The process that sessions are forked from; see :mod:`.ipmi_process` why."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self) -> socket.socket:
        """A socket to a new process."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            try:
                if self._control is None:
                    raise BrokenPipeError
                socket.send_fds(self._control, [b"."], [theirs.fileno()])
            except OSError:  # not started, or gone
                socket.send_fds(self._start(), [b"."], [theirs.fileno()])
        return ours

    def _start(self) -> socket.socket:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.wait()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mogan_hil.drivers.obm.ipmi_process"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is for the service, which then closes its sessions
            )
        return self._control


_parent = _Parent()


class _Ended(Exception):
    """The process of a session ended before it answered."""


class _Unread(_Ended):
    """It ended before it had read the request."""


class _Session:
    """A process that is logged in to one controller."""

    def __init__(self) -> None:
        self.link = _parent.fork()
        self._rest = b""

    def exchange(self, request: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """Send a request and wait for the answer.

        :raises TimeoutError: there was none in time
        :raises _Ended: there will be none; `_Unread` if nothing came of the request
        """
        try:
            seconds = self._remaining(deadline)
            self.link.sendall(json.dumps({**request, "seconds": seconds}).encode() + b"\n")
            while b"\n" not in self._rest:
                self._remaining(deadline)
                if not (data := self.link.recv(65536)):
                    raise _Ended
                self._rest += data
        except TimeoutError:
            raise
        except (
            BrokenPipeError,
            ConnectionResetError,
        ) as error:  # socket(7): of a local one, only where data was unread
            raise _Unread from error
        except OSError as error:
            raise _Ended from error
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _remaining(self, deadline: float) -> float:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self.link.settimeout(seconds)
        return seconds

    def rest(self) -> bytes:
        """What came after the last answer."""
        rest, self._rest = self._rest, b""
        return rest

    def close(self, wait: float = 0) -> None:
        """Let the process log out and end, and wait so many seconds for it."""
        try:
            self.link.shutdown(socket.SHUT_WR)
            self.link.settimeout(wait)
            while wait and self.link.recv(65536):
                pass
        except OSError:
            pass  # it is gone, or takes its time
        finally:
            self.link.close()


class _Console(base.Console):
    """What comes out of the socket and goes into it."""

    def __init__(self, session: _Session, lost: DriverError) -> None:
        self._link = session.link
        self._link.settimeout(None)
        self._first = session.rest()
        self._lost = lost
        self._closed = False

    def __next__(self) -> bytes:
        data, self._first = self._first, b""
        try:
            data = data or self._link.recv(65536)
        except OSError:
            data = b""
        if data and not self._closed:
            return data
        if not self._closed:
            raise self._lost
        raise StopIteration

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # it is closed, or was lost, as `__next__` says
            self._link.sendall(data)

    def close(self) -> None:
        self._closed = True
        try:
            self._link.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in `recv`; `close` would not
        except OSError:
            return


class Ipmi(base.ObmDriver):
    """A controller that speaks IPMI 2.0 over the network, with power, boot device and console (serial over LAN).

    Options: `host`, `port`, `username`, `password`; `privilege`, the level that is asked for; `kg`, the key of
    controllers that want two keys (13.20); `efi`, True where a forced boot must be an EFI boot. The session is kept for
    some seconds after a call. The console is read only, and asks for the highest level that the user has.
    """

    capabilities = frozenset({base.BOOT_DEVICE, base.CLEAR_BOOT_DEVICE, base.CONSOLE, base.SOFT_OFF})
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "host": {"type": "string", "minLength": 1, "maxLength": 253},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 623},
            "username": {"type": "string", "maxLength": 16},
            "password": {"type": "string", "maxLength": 20, "writeOnly": True},
            "kg": {"type": "string", "minLength": 1, "maxLength": 20, "writeOnly": True},
            "privilege": {"enum": ["administrator", "operator", "user"], "default": "administrator"},
            "efi": {"type": "boolean", "default": False},
        },
        "required": ["host", "username", "password"],
        "additionalProperties": False,
    }
    harmless_options = frozenset({"username", "privilege", "efi"})

    def __init__(self, options: Options, environment: Environment) -> None:
        super().__init__(options, environment)
        self._session: _Session | None = None
        self._lock = threading.Lock()  # for close(), which may come while a call goes on

    # Talking to the controller.

    def _error(self, kind: str, detail: str) -> DriverError:
        user, transient = _TOLD[kind]
        where = f"{self.options['host']}:{self.options.get('port', 623)} as {self.options['username']}"
        return DriverError(user, f"{self.environment.name} ({where}): {detail}", transient=transient)

    def _deadline(self) -> float:
        return time.monotonic() + self.environment.timeout

    def _exchange(self, session: _Session, request: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        try:
            answer = session.exchange(request, deadline)
        except TimeoutError:
            raise self._error("unreachable", f"no answer within {self.environment.timeout:g} seconds") from None
        if "error" in answer:
            raise self._error(answer["error"], answer["text"])
        return answer

    def _open(self, session: _Session, console: bool, deadline: float) -> None:
        login = {"port": 623, "kg": None, "privilege": "administrator", **self.options, "console": console}
        self._exchange(session, login, deadline)

    def _drop(self, wait: float = 0) -> None:
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close(wait)

    def _request(self, command: int, data: tuple[int, ...], deadline: float, *, once: bool = False) -> bytes:
        """The data of the answer, without the completion code.

        :param once: whether it is never to be sent twice
        """
        request = {"netfn": _CHASSIS, "command": command, "data": data, "once": once}
        told = False  # something that may change something
        try:
            for _ in range(2):  # a session may end by itself just when it is needed
                try:
                    if (session := self._session) is None:
                        session = self._session = _Session()
                        self._open(session, False, deadline)
                    told = command in (_CONTROL, _SET_BOOT)
                    return self._judge(self._exchange(session, request, deadline), command)
                except _Unread:
                    self._drop()
                    told = False
                except _Ended:
                    self._drop()
                    if told and once:
                        break
            raise self._error("unreachable", "the process of the session ended before it answered")
        except DriverError as error:
            self._drop()
            error.undone = error.undone or not told
            raise

    def _judge(self, answer: Mapping[str, Any], command: int) -> bytes:
        code = answer["code"]
        if code:
            detail = (
                f"{self.environment.name}: chassis command {command}: {answer['text']} (completion code {code:#04x})"
            )
            undone = code not in _NO_ANSWER
            raise DriverError("The node's controller refused.", detail, transient=code in _LATER, undone=undone)
        return bytes(answer["data"])

    # What the contract asks for.

    def _is_on(self, deadline: float) -> bool:
        data = self._request(_GET_STATUS, (), deadline)  # 28.2: bit 0 of the first byte
        if not data:
            raise self._error("nonsense", "an empty chassis status")
        return bool(data[0] & 1)

    def power(self) -> base.Power:
        return base.Power.ON if self._is_on(self._deadline()) else base.Power.OFF

    def set_power(self, target: base.Power) -> None:
        """See the base class. A node that is off is switched on by `CYCLE` and `RESET`, which 28.3 leaves open."""
        deadline = self._deadline()
        on = self._is_on(deadline)
        when_on = {base.Power.OFF: _DOWN, base.Power.SOFT_OFF: _SOFT_OFF, base.Power.CYCLE: _CYCLE}
        when_on[base.Power.RESET] = _RESET
        if on and target in when_on:
            once = target in (base.Power.CYCLE, base.Power.RESET)
            self._request(_CONTROL, (when_on[target],), deadline, once=once)
        elif not on and target not in (base.Power.OFF, base.Power.SOFT_OFF):
            self._request(_CONTROL, (_UP,), deadline)

    def boot_devices(self) -> frozenset[str]:
        """See the base class. What is in the specification: a controller does not tell what its machine has."""
        return frozenset(_DEVICES)

    def boot_device(self) -> tuple[str | None, bool]:
        """See the base class. A device that has no name here is told by its number."""
        # 28.13: version, parameter and whether it is invalid, then the five bytes of the flags.
        data = self._request(_GET_BOOT, (_FLAGS, 0, 0), self._deadline())
        if len(data) < 4:
            raise self._error("nonsense", f"boot flags {data.hex()}")
        number = data[3] >> 2 & 0xF
        if data[1] & 0x80 or not data[2] & _VALID or not number:
            return None, False
        names = {value: name for name, value in _DEVICES.items()}
        return names.get(number, str(number)), bool(data[2] & _PERSISTENT)

    def set_boot_device(self, device: str, persistent: bool) -> None:
        if device not in _DEVICES:
            raise DriverError(f"The node cannot boot from {device}.")
        deadline = self._deadline()
        try:
            # Else the flags are forgotten a minute after they were set (28.12), and a node may take longer to start.
            self._request(_SET_BOOT, (_CLEAR_FLAGS, 0x08), deadline)
        except DriverError as error:
            if error.transient:
                raise  # a controller that does not know this parameter still knows the flags
        flags = _VALID | (_PERSISTENT if persistent else 0) | (_EFI if self.options.get("efi") else 0)
        self._request(_SET_BOOT, (_FLAGS, flags, _DEVICES[device] << 2, 0, 0, 0), deadline)

    def clear_boot_device(self) -> None:
        """See the base class. The flags are valid no more (28.13)."""
        self._request(_SET_BOOT, (_FLAGS, 0, 0, 0, 0, 0), self._deadline())

    def console(self) -> base.Console:
        """See the base class. It is a session of its own, and a controller has one console to give."""
        deadline = self._deadline()
        for pause in (*_CONSOLE_PAUSES, None):
            session = _Session()
            try:
                self._open(session, True, deadline)
                return _Console(session, self._error("unreachable", "the console was lost"))
            except _Ended:
                error = self._error("unreachable", "the process of the session ended")
            except DriverError as refused:
                error = refused
            session.close()
            if pause is None or not error.transient or time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
        raise error

    def close(self) -> None:
        """See the base class. Waits a moment for the logout."""
        self._drop(wait=1.0)
