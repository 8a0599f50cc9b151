# SPDX-License-Identifier: Apache-2.0
"""What the pretend devices share: a state that outlives processes, and faults that can be injected while they run.

A device is two JSON files, `<kind>-<uuid>.json` with its state and `<kind>-<uuid>.faults.json` with faults, which lie
over those in the driver's options. Both are written whole, by rename, under a lock that excludes other threads and
other processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mogan_hil.drivers.base import DriverError, Environment, Options

#: Seconds between two looks whether a call is still held.
HOLD_INTERVAL = 0.02
#: Nanoseconds in which the clock of a file system has ticked, for sure.
TICK = 50_000_000


class DeviceFile:
    """The files of one pretend device.

    :param kind: `switch` or `obm`
    """

    def __init__(self, state_dir: Path, kind: str, uuid: str) -> None:
        self.path = Path(state_dir) / f"fake-{kind}-{uuid}.json"
        self._faults = self.path.with_suffix(".faults.json")
        self._lock = self.path.with_suffix(".lock")

    @staticmethod
    def _load(path: Path) -> dict[str, Any]:
        try:
            return json.loads(path.read_bytes())  # type: ignore[no-any-return]
        except FileNotFoundError:
            return {}

    @staticmethod
    def _store(path: Path, content: Mapping[str, Any]) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(content))
        fresh.replace(path)

    def read(self) -> dict[str, Any]:
        """The state; empty for a new device."""
        return self._load(self.path)

    @contextlib.contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """The state, to be changed in place; it is kept unless the block raises."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A file description of its own, so that flock(2) excludes the threads of this process too.
        lock = os.open(self._lock, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read()
            yield state
            self._store(self.path, state)
        finally:
            os.close(lock)

    def version(self) -> tuple[int, int] | None:
        """A number pair that differs after each change of the state; None while it is so new that it may not.

        The number of a file that was replaced is given to another one, and clocks of file systems tick slowly.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return 0, 0
        return (stat.st_ino, stat.st_mtime_ns) if abs(time.time_ns() - stat.st_mtime_ns) > TICK else None

    def faults(self) -> dict[str, Any]:
        """The faults that were set from outside."""
        return self._load(self._faults)

    def set_faults(self, faults: Mapping[str, Any]) -> None:
        """Replace the faults that were set from outside; the counts of those that end start anew."""
        with self.change() as state:
            for count in ("transient", "lost"):
                state.pop(count, None)
            self._store(self._faults, faults)


class FaultyDevice:
    """A device file with the options of a driver laid under its faults."""

    def __init__(self, kind: str, options: Options, environment: Environment) -> None:
        self.file = DeviceFile(environment.state_dir, kind, environment.uuid)
        self._options = options

    def fault(self, name: str, default: Any) -> Any:
        """The value of one fault."""
        return {**self._options, **self.file.faults()}.get(name, default)

    def hits(self, name: str, subject: str) -> bool:
        """Whether a fault that names its subjects, or `*`, names this one."""
        subjects = self.fault(name, [])
        return "*" in subjects or subject in subjects

    def session(self, *calls: str) -> None:
        """What happens on the way to the device: the delay, what is held, and the first calls that fail.

        :param calls: what `hold` may call this one; nothing for a question
        :raises DriverError: transient, for the first `fail_transient` calls
        """
        time.sleep(self.fault("delay", 0))
        while any(self.hits("hold", call) for call in calls):
            time.sleep(HOLD_INTERVAL)
        limit = self.fault("fail_transient", 0)
        if limit and self.file.read().get("transient", 0) < limit:
            with self.file.change() as state:
                state["transient"] = state.get("transient", 0) + 1
            raise DriverError(
                "The device is busy.",
                f"fail_transient: call {state['transient']} of {limit}",
                transient=True,
                undone=True,
            )

    def answer(self) -> None:
        """What happens on the way back, after a change.

        :raises DriverError: transient, for the first `answer_lost` changes
        """
        limit = self.fault("answer_lost", 0)
        if limit and self.file.read().get("lost", 0) < limit:
            with self.file.change() as state:
                state["lost"] = state.get("lost", 0) + 1
            raise DriverError("The device does not answer.", f"answer_lost: {state['lost']} of {limit}", transient=True)


#: The faults that every pretend device knows, for an options schema.
FAULTS: Mapping[str, Any] = {
    "delay": {"type": "number", "minimum": 0, "maximum": 3600, "description": "Seconds that each call takes"},
    "fail_transient": {"type": "integer", "minimum": 0, "description": "The first so many calls fail, transiently"},
    "hang_seconds": {"type": "number", "minimum": 0, "maximum": 86400, "description": "How long a hang lasts"},
    "hold": {
        "type": "array",
        "items": {"type": "string", "maxLength": 63},
        "description": "Such changes wait until this is taken away",
    },
    "unreadable": {"type": "boolean", "description": "The device answers no question"},
    "password": {"type": "string", "writeOnly": True, "maxLength": 255, "description": "Secret, and not used"},
}
