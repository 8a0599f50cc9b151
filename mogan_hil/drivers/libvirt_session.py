# SPDX-License-Identifier: Apache-2.0
"""What the drivers that talk to libvirt share. Without libvirt-python (the extra `libvirt`) it cannot be imported."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import libvirt

from mogan_hil.drivers.base import DriverError, Environment

#: Some parameters and transports make libvirt run a program of the caller's choice on this machine.
URI = r"^(qemu|test)(\+(unix|ssh|libssh2?|tls|tcp))?://(?!.*[?&](command|netcat|proxy)=)[!-~]*$"

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
    :raises libvirt.libvirtError: there is none
    """
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
            raise DriverError(CUT_OFF, told, transient=True)
        time.sleep(BUSY)


def code_of(error: Exception) -> int | None:
    """libvirt's number for an error, None for an error of somebody else."""
    return error.get_error_code() if isinstance(error, libvirt.libvirtError) else None
