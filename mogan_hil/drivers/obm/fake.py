# SPDX-License-Identifier: Apache-2.0
"""A pretend controller, for tests and demonstrations: it needs no device, and fails on request."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mogan_hil.drivers import fakes
from mogan_hil.drivers.base import DriverError, Environment, Options
from mogan_hil.drivers.obm import base

KIND = "obm"

#: Pieces of the console that are kept, and bytes of what was typed.
CONSOLE_PIECES = 1000
TYPED = 4096
#: The bytes of one piece of a flood.
FLOOD_PIECE = 65536
#: Seconds between two looks of a console.
CONSOLE_INTERVAL = 0.05


def set_by_hand(
    state_dir: Path, uuid: str, *, power: base.Power | None = None, boot: tuple[str | None, bool] | None = None
) -> None:
    """Change a node as a person in front of it would: behind the driver's back.

    :param power: on or off
    :param boot: the boot device and whether it stays
    """
    with fakes.DeviceFile(state_dir, KIND, uuid).change() as content:
        if power is not None:
            content["power"] = str(power)
        if boot is not None:
            content["boot"] = list(boot)


def write_console(state_dir: Path, uuid: str, line: str) -> None:
    """Let the node write a line to its serial console."""
    with fakes.DeviceFile(state_dir, KIND, uuid).change() as content:
        _write(content, f"{line}\r\n")


def typed(state_dir: Path, uuid: str) -> str:
    """The last of what was typed on the node's console."""
    return str(fakes.DeviceFile(state_dir, KIND, uuid).read().get("typed", ""))


def set_faults(state_dir: Path, uuid: str, **faults: Any) -> None:
    """Replace the faults of a controller while it runs. They have the names and types of the driver's options."""
    fakes.DeviceFile(state_dir, KIND, uuid).set_faults(faults)


def _write(content: dict[str, Any], text: str) -> None:
    content["written"] = content.get("written", 0) + 1
    content["console"] = [*content.get("console", []), text][-CONSOLE_PIECES:]


class _Console(base.Console):
    """Looks at the file. What is typed comes back, as a terminal's echo."""

    def __init__(self, device: fakes.FaultyDevice, name: str) -> None:
        self._device = device
        self._file = device.file
        self._name = name
        self._seen = device.file.read().get("written", 0)
        self._flood = self._flooded = 0
        self._end = threading.Event()

    def __next__(self) -> bytes:
        while not self._end.is_set():
            if self._flood > 0:
                size = min(self._flood, FLOOD_PIECE)
                self._flood -= size
                return bytes(range(32, 96)) * (size // 64) + b"." * (size % 64)
            content = self._file.read()
            unseen = content.get("written", 0) - self._seen
            if unseen > 0:
                self._seen += unseen
                return "".join(content["console"][-unseen:]).encode("utf-8", "surrogateescape")
            if (flood := self._device.fault("console_flood", 0)) != self._flooded:
                self._flood = self._flooded = flood
                continue
            if self._device.fault("console_lost", False):
                raise DriverError("The node's controller does not answer.", f"{self._name}: console_lost")
            self._end.wait(CONSOLE_INTERVAL)
        raise StopIteration

    def write(self, data: bytes) -> None:
        if not self._end.is_set():
            text = data.decode("utf-8", "surrogateescape")
            with self._file.change() as content:
                content["typed"] = (content.get("typed", "") + text)[-TYPED:]
                _write(content, text)

    def close(self) -> None:
        self._end.set()


class FakeObm(base.ObmDriver):
    """A pretend controller, kept in a file of the conductor. A new node is off.

    Faults, all off at first, from the options or from :func:`set_faults`:

    * `delay`: each call takes so many seconds
    * `fail`: every change is refused
    * `fail_transient`: the first so many calls fail, and say that they may succeed later
    * `answer_lost`: the answers to the first so many changes are lost: the changes are made
    * `lie`: changes are accepted and not made
    * `hang`: changes take `hang_seconds` (60), whatever the environment's timeout says
    * `hold`: such changes, `boot_device` or a state of power, wait until the fault is taken away
    * `crash`: changes raise a `RuntimeError`, which no driver may
    * `unreadable`: questions fail
    * `console_flood`: each console writes so many bytes at once, and so many again when the number is changed
    * `console_lost`: open consoles are lost, and none can be opened
    """

    capabilities = frozenset({base.BOOT_DEVICE, base.CLEAR_BOOT_DEVICE, base.CONSOLE, base.SOFT_OFF})
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            **fakes.FAULTS,
            **{name: {"type": "boolean"} for name in ("fail", "lie", "hang", "crash", "console_lost")},
            "console_flood": {"type": "integer", "minimum": 0},
            "answer_lost": {"type": "integer", "minimum": 0},
        },
        "additionalProperties": False,
    }
    harmless_options = frozenset(options_schema["properties"])

    def __init__(self, options: Options, environment: Environment) -> None:
        super().__init__(options, environment)
        self._device = fakes.FaultyDevice(KIND, options, environment)

    def _change(self, what: str) -> bool:
        """Meet the faults of a change; True if it is to be made."""
        self._device.session(what)
        if self._device.fault("crash", False):
            raise RuntimeError("crash")
        if self._device.fault("hang", False):
            time.sleep(self._device.fault("hang_seconds", 60))
        if self._device.fault("fail", False):
            raise DriverError("The node's controller refused.", f"{self.environment.name}: fail")
        return not self._device.fault("lie", False)

    def _ask(self) -> dict[str, Any]:
        self._device.session()
        if self._device.fault("unreadable", False):
            raise DriverError("The node's controller does not answer.", f"{self.environment.name}: unreadable")
        return self._device.file.read()

    def set_power(self, target: base.Power) -> None:
        """See the base class. `CYCLE` and `RESET` leave the node on, from off too."""
        if not self._change(target):
            return
        off = target in (base.Power.OFF, base.Power.SOFT_OFF)
        with self._device.file.change() as content:
            before = content.get("power", "off")
            content["power"] = "off" if off else "on"
            if target in (base.Power.CYCLE, base.Power.RESET) or before != content["power"]:
                _write(content, f"{self.environment.name}: power {target}\r\n")
            if not off and (target != base.Power.ON or before == "off") and not content.get("boot", [None, False])[1]:
                content["boot"] = [None, False]  # it has booted, so a device for one boot is used up
        self._device.answer()

    def power(self) -> base.Power:
        return base.Power(self._ask().get("power", "off"))

    def boot_devices(self) -> frozenset[str]:
        return frozenset({"disk", "pxe", "cdrom"})

    def boot_device(self) -> tuple[str | None, bool]:
        device, persistent = self._ask().get("boot", [None, False])
        return device, persistent

    def set_boot_device(self, device: str, persistent: bool) -> None:
        if device not in self.boot_devices():
            raise DriverError(f"The node cannot boot from {device}.")
        if self._change("boot_device"):
            with self._device.file.change() as content:
                content["boot"] = [device, persistent]
            self._device.answer()

    def clear_boot_device(self) -> None:
        if self._change("boot_device"):
            with self._device.file.change() as content:
                content["boot"] = [None, False]

    def console(self) -> base.Console:
        """See the base class. A line a power change, those of :func:`write_console`, and what is typed."""
        self._ask()
        if self._device.fault("console_lost", False):
            raise DriverError("The node's controller does not answer.", f"{self.environment.name}: console_lost")
        return _Console(self._device, self.environment.name)
