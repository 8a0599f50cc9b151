# SPDX-License-Identifier: Apache-2.0
"""A pretend boot service, for tests and demonstrations: it needs no device, and fails on request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from mogan_hil.drivers import fakes
from mogan_hil.drivers.base import DriverError, Environment, Options
from mogan_hil.drivers.deploy import base

KIND = "deploy"


def offered(state_dir: Path, uuid: str) -> Mapping[str, Any] | None:
    """What a node is offered, as the boot service has it."""
    found: Mapping[str, Any] | None = fakes.DeviceFile(state_dir, KIND, uuid).read().get("offer")
    return found


def set_faults(state_dir: Path, uuid: str, **faults: Any) -> None:
    """Replace the faults of the boot service for one node. They have the names and types of the driver's options."""
    fakes.DeviceFile(state_dir, KIND, uuid).set_faults(faults)


class FakeDeploy(base.DeployDriver):
    """A pretend boot service, kept in a file of the conductor.

    Faults, all off at first, from the options or from :func:`set_faults`:

    * `delay`: each call takes so many seconds
    * `fail`: every offer is refused
    * `fail_transient`: the first so many calls fail, and say that they may succeed later
    * `keep`: what is offered is not taken away, though the call succeeds
    * `hang`: changes take `hang_seconds` (60), whatever the environment's timeout says
    * `hold`: such changes, `configure` or `remove`, wait until the fault is taken away
    * `unreadable`: questions fail
    """

    capabilities = frozenset({base.OFFER})
    boot_device = "pxe"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {**fakes.FAULTS, **{name: {"type": "boolean"} for name in ("fail", "keep", "hang")}},
        "additionalProperties": False,
    }

    def __init__(self, options: Options, environment: Environment) -> None:
        super().__init__(options, environment)
        self._device = fakes.FaultyDevice(KIND, options, environment)

    def _change(self, what: str) -> None:
        self._device.session(what)
        if self._device.fault("hang", False):
            time.sleep(self._device.fault("hang_seconds", 60))

    def configure(self, spec: base.DeploySpec) -> None:
        self._change("configure")
        if self._device.fault("fail", False):
            raise DriverError("The boot service refused.", f"{self.environment.name}: fail")
        with self._device.file.change() as content:
            content["offer"] = asdict(spec)

    def remove(self) -> None:
        self._change("remove")
        if not self._device.fault("keep", False):
            with self._device.file.change() as content:
                content.pop("offer", None)

    def read(self) -> str | None:
        self._device.session()
        if self._device.fault("unreadable", False):
            raise DriverError("The boot service does not answer.", f"{self.environment.name}: unreadable")
        found: str | None = self._device.file.read().get("offer", {}).get("instance")
        return found
