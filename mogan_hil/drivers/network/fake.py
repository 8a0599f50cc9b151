# SPDX-License-Identifier: Apache-2.0
"""A pretend network manager, for tests and demonstrations: it serves nobody, and fails on request."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

from mogan_hil.drivers import fakes
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.network import base

KIND = "network"


def set_faults(state_dir: Path, network: str, **faults: Any) -> None:
    """Replace the faults of a network while it runs. They have the names and types of the driver's options."""
    fakes.DeviceFile(state_dir, KIND, network).set_faults(faults)


def by_hand(state_dir: Path, network: str) -> tuple[base.NetworkSpec | None, int]:
    """How a network is served, as somebody sees it who looks, and how often it was configured."""
    content = fakes.DeviceFile(state_dir, KIND, network).read()
    return _spec(content.get("spec")), content.get("configured", 0)


def _spec(content: Mapping[str, Any] | None) -> base.NetworkSpec | None:
    if content is None:
        return None
    subnets = (base.SubnetSpec(**{**item, "dns_servers": tuple(item["dns_servers"])}) for item in content["subnets"])
    reserved = (base.Reservation(**{**item, "addresses": tuple(item["addresses"])}) for item in content["reservations"])
    return base.NetworkSpec(**{**content, "subnets": tuple(subnets), "reservations": tuple(reserved)})


class FakeNetwork(base.NetworkDriver):
    """A pretend network manager, kept in a file a network. Each machine has taken all addresses that are kept for it.

    Faults, all off at first, from the options or from :func:`set_faults`:

    * `delay`: each call takes so many seconds
    * `fail`: every change is refused
    * `fail_transient`: the first so many calls fail, and say that they may succeed later
    * `lie`: changes are accepted and not made
    * `hang`: changes take `hang_seconds` (60), whatever the environment's timeout says
    * `hold`: `configure` waits until the fault is taken away
    * `crash`: changes raise a `RuntimeError`, which no driver may
    * `unreadable`: questions fail
    """

    capabilities = frozenset({base.SERVE, base.READ, base.LEASES})
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {**fakes.FAULTS, **{name: {"type": "boolean"} for name in ("fail", "lie", "hang", "crash")}},
        "additionalProperties": False,
    }

    def _device(self, network: str) -> fakes.FaultyDevice:
        return fakes.FaultyDevice(KIND, self.options, replace(self.environment, uuid=network))

    def configure(self, spec: base.NetworkSpec) -> None:
        device = self._device(spec.uuid)
        device.session("configure")
        if device.fault("crash", False):
            raise RuntimeError("crash")
        if device.fault("hang", False):
            time.sleep(device.fault("hang_seconds", 60))
        if device.fault("fail", False):
            raise DriverError("The network manager refused.", f"{spec.uuid}: fail")
        if device.fault("lie", False):
            return
        with device.file.change() as content:
            content["configured"] = content.get("configured", 0) + 1
            content["spec"] = asdict(spec) if spec.subnets else None

    def read(self, network: str) -> base.NetworkSpec | None:
        device = self._device(network)
        device.session()
        if device.fault("unreadable", False):
            raise DriverError("The network manager does not answer.", f"{network}: unreadable")
        return _spec(device.file.read().get("spec"))

    def leases(self, network: str) -> Sequence[base.Lease]:
        spec = self.read(network)
        return [
            base.Lease(reservation.mac, ip, reservation.hostname)
            for reservation in (spec.reservations if spec else ())
            for ip in reservation.addresses
        ]
