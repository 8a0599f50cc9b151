# SPDX-License-Identifier: Apache-2.0
"""What the drivers that talk to libvirt share. Without libvirt-python (the extra `libvirt`) it cannot be imported."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from typing import Any

import libvirt

from mogan_hil.drivers.base import DriverError, Environment

_TRANSPORT = r"(\+(unix|ssh|libssh2?|tls|tcp))?"
#: Neither the user nor the host may look like an option of a program.
_AUTHORITY = r"(([A-Za-z0-9_][A-Za-z0-9_.-]*@)?([A-Za-z0-9][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?)?"
_PARAMETER = (
    r"((socket|keyfile|pkipath|known_hosts)=/[A-Za-z0-9_./+,@:~-]*"
    r"|(no_tty|no_verify|no_sanity)=[01]"
    r"|known_hosts_verify=(normal|ignore)"  # `auto` writes to the file of known hosts
    r"|sshauth=[a-z,-]+|mode=(auto|legacy|direct)|tls_priority=[A-Za-z0-9:+!.-]+)"
)
#: What is not listed is refused: some transports and parameters (https://libvirt.org/uri.html) make libvirt run a
#: program on this machine, or read or write a file. Nothing may be written otherwise than libvirt reads it: it parts
#: parameters at `;` too, decodes `%`, and takes upper case for lower case in their names.
URI = (
    rf"^(qemu{_TRANSPORT}://{_AUTHORITY}/(system|session)|test{_TRANSPORT}://{_AUTHORITY}/default)"
    rf"(\?{_PARAMETER}(&{_PARAMETER})*)?$(?!\n)"
)

UNREACHABLE = frozenset(
    {
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_INTERNAL_ERROR,
        libvirt.VIR_ERR_SYSTEM_ERROR,
        libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_OPERATION_TIMEOUT,
    }
)
REFUSED_LOGIN = frozenset(
    {
        libvirt.VIR_ERR_AUTH_FAILED,
        libvirt.VIR_ERR_AUTH_CANCELLED,
        libvirt.VIR_ERR_AUTH_UNAVAILABLE,
        libvirt.VIR_ERR_OPERATION_DENIED,
    }
)

#: Seconds between two looks at something that is busy.
BUSY = 0.02

CUT_OFF = "The machine is being started, or its host was cut off in its start and has to be cleaned up."

_BEGUN = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP]

# Errors are raised; libvirt would also write each to standard error.
libvirt.registerErrorHandler(lambda *_: None, None)

_loop_lock = threading.Lock()
_loop: threading.Thread | None = None


def _start_loop() -> None:
    """libvirt's event loop, without which a connection does not notice that the other end is dead."""
    global _loop
    with _loop_lock:
        if _loop is None:
            libvirt.virEventRegisterDefaultImpl()
            _loop = threading.Thread(target=_run_loop, name="libvirt", daemon=True)
            _loop.start()


def _run_loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def connect(uri: str, timeout: float) -> Any:
    """A connection, which ends when the other end is silent for about a call's time.

    :param timeout: seconds that a call may take
    :raises DriverError: the URI is none of :data:`URI`
    :raises libvirt.libvirtError: there is no connection
    """
    if re.search(URI, uri) is None:  # options are checked before; this must not hang on it that they were
        raise DriverError("The host cannot be reached as it is registered.", f"The URI {uri!r} is not used.")
    _start_loop()
    connection = libvirt.open(uri)
    with contextlib.suppress(libvirt.libvirtError):  # one within this process has nobody to be silent
        connection.setKeepAlive(max(1, int(timeout / 4)), 2)
    return connection


def wait_begun(domain: Any, environment: Environment) -> None:
    """Wait for the end of a start that somebody else has begun: an earlier conductor, or the host itself.

    A libvirt that is killed just before it starts the machine's process finds, when it is started again, one that is
    being started by nobody, and keeps all who want something of it waiting for 30 seconds in vain.

    :raises DriverError: it is not over in half the time that a call may take
    """
    end = time.monotonic() + environment.timeout / 2
    while domain.state() == _BEGUN:
        if time.monotonic() >= end:
            cure = f"stop libvirt, remove {domain.name()}.xml from its run directory, and start it"
            told = f"{environment.name}: libvirt says that it starts. If nobody does: {cure}."
            raise DriverError(CUT_OFF, told, transient=True, undone=True)
        time.sleep(BUSY)


def code_of(error: Exception) -> int | None:
    """libvirt's number for an error, None for an error of somebody else."""
    return error.get_error_code() if isinstance(error, libvirt.libvirtError) else None
