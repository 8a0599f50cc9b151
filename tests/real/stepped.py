# SPDX-License-Identifier: Apache-2.0
"""The libvirt headnode driver, which stops for ever after a step that a test names: there its conductor is killed.

A process finds it by an entry point that a test lays on its path; nothing of the service knows of it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libvirt

from mogan_hil.drivers.headnode.base import VmState
from mogan_hil.drivers.headnode.libvirt import LibvirtHeadnode

#: What has methods of its own.
_THINGS = (libvirt.virConnect, libvirt.virDomain, libvirt.virStoragePool, libvirt.virStorageVol)


def stop_after(state_dir: Path, uuid: str, step: str) -> None:
    """From now on stop the driver of this headnode when it has made a call of this name."""
    (state_dir / f"stop-{uuid}").write_text(step)


def go_on(state_dir: Path, uuid: str) -> None:
    """Stop it no more. Those that have been stopped stay so."""
    for name in ("stop", "stopped"):
        (state_dir / f"{name}-{uuid}").unlink(missing_ok=True)


def stopped(state_dir: Path, uuid: str) -> bool:
    """Whether it has been stopped."""
    return (state_dir / f"stopped-{uuid}").exists()


class SteppedHeadnode(LibvirtHeadnode):
    """A virtual machine of a libvirt host that is made and unmade step by step."""

    @contextlib.contextmanager
    def _session(self) -> Iterator[Any]:
        with super()._session() as connection:
            yield _Stepped(connection, self._step)

    def read(self) -> VmState | None:
        seen = super().read()
        self._step("read")
        return seen

    def _step(self, name: str) -> None:
        directory, uuid = self.environment.state_dir, self.environment.uuid
        with contextlib.suppress(FileNotFoundError):
            if (directory / f"stop-{uuid}").read_text() == name:
                (directory / f"stopped-{uuid}").touch()
                threading.Event().wait()


class _Stepped:
    """An object of libvirt that tells of every call when it is over."""

    def __init__(self, thing: Any, step: Callable[[str], None]) -> None:
        self._thing = thing
        self._step = step

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)

        def call(*arguments: Any) -> Any:
            made = found(*arguments)
            self._step(name)
            return _Stepped(made, self._step) if isinstance(made, _THINGS) else made

        return call
