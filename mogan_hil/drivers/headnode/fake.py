# SPDX-License-Identifier: Apache-2.0
"""A pretend host of headnodes, for tests and demonstrations: it needs nothing, and fails on request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from mogan_hil.drivers import fakes
from mogan_hil.drivers.base import DriverError, Environment, Options
from mogan_hil.drivers.headnode import base

KIND = "headnode"

#: The port of VNC's first display: RFC 6143, 3.
VNC_PORT = 5900


def machine(state_dir: Path, uuid: str) -> Mapping[str, Any]:
    """What the host has of a headnode: its `spec`, whether it is `running`, and whether it `comes_back` with its host.

    Empty if it has nothing.
    """
    return fakes.DeviceFile(state_dir, KIND, uuid).read()


def set_by_hand(state_dir: Path, uuid: str, *, running: bool | None) -> None:
    """Change a machine as somebody on its host would: behind the driver's back.

    :param running: whether it is to be on; None for taking it away
    """
    with fakes.DeviceFile(state_dir, KIND, uuid).change() as content:
        if running is None:
            content.clear()
        else:
            content["running"] = running


def set_faults(state_dir: Path, uuid: str, **faults: Any) -> None:
    """Replace the faults for one headnode. They have the names and types of the driver's options."""
    fakes.DeviceFile(state_dir, KIND, uuid).set_faults(faults)


class FakeHeadnode(base.HeadnodeDriver):
    """A pretend virtual machine, kept in a file of the conductor.

    Faults, all off at first, from the options or from :func:`set_faults`:

    * `delay`: each call takes so many seconds
    * `fail`: these calls fail, of `configure`, `set_power`, `keep_off` and `remove`; the first leaves half a machine
    * `fail_transient`: the first so many calls fail, and say that they may succeed later
    * `keep`: what is to go stays, though the call succeeds
    * `hang`: these calls take `hang_seconds` (60), whatever the environment's timeout says
    * `hold`: these calls wait until the fault is taken away
    * `unreadable`: questions fail
    """

    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            **fakes.FAULTS,
            "fail": {"type": "array", "items": {"type": "string"}},
            "hang": {"type": "array", "items": {"type": "string"}},
            "keep": {"type": "boolean"},
        },
        "additionalProperties": False,
    }

    def __init__(self, options: Options, environment: Environment) -> None:
        super().__init__(options, environment)
        self._device = fakes.FaultyDevice(KIND, options, environment)

    def _begin(self, call: str) -> None:
        self._device.session(call)
        if self._device.hits("hang", call):
            time.sleep(self._device.fault("hang_seconds", 60))

    def _end(self, call: str) -> None:
        if self._device.hits("fail", call):
            raise DriverError("The headnode's host refused.", f"{self.environment.name}: fail")

    def configure(self, spec: base.VmSpec) -> None:
        self._begin("configure")
        with self._device.file.change() as content:
            content |= {"spec": asdict(spec), "running": content.get("running", False)}
        self._end("configure")

    def set_power(self, on: bool) -> None:
        self._begin("set_power")
        self._end("set_power")
        with self._device.file.change() as content:
            if "spec" not in content:
                raise DriverError("The headnode's machine does not exist.")
            content["running"] = content["comes_back"] = on

    def keep_off(self) -> None:
        self._begin("keep_off")
        self._end("keep_off")
        with self._device.file.change() as content:
            if not content.get("running"):
                content.pop("comes_back", None)

    def remove(self) -> None:
        self._begin("remove")
        self._end("remove")
        if not self._device.fault("keep", False):
            with self._device.file.change() as content:
                for name in ("spec", "running", "comes_back"):
                    content.pop(name, None)

    def read(self) -> base.VmState | None:
        self._device.session()
        if self._device.fault("unreadable", False):
            raise DriverError("The headnode's host does not answer.", f"{self.environment.name}: unreadable")
        content = self._device.file.read()
        if "spec" not in content:
            return None
        return base.VmState(True, "127.0.0.1", VNC_PORT) if content["running"] else base.VmState(False)
