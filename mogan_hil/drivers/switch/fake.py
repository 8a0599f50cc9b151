# SPDX-License-Identifier: Apache-2.0
"""A pretend switch, for tests and demonstrations: it needs no device, and fails on request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

from mogan_hil.drivers import fakes
from mogan_hil.drivers.base import Options
from mogan_hil.drivers.switch import base

LOG = logging.getLogger(__name__)
KIND = "switch"

#: A port that nobody configured carries everything, as on the switches that matter.
OPEN = base.PortState(native=0, tagged=frozenset(range(4096)))

#: Seconds between two looks of a watch.
WATCH_INTERVAL = 0.1


def _pack(state: base.PortState) -> list[Any]:
    return [state.native, sorted(state.tagged), state.enabled]


def _keep(content: dict[str, Any], port: str, state: base.PortState) -> None:
    # Counted, so that a watch also notices what was changed there and back between two of its looks.
    content["changes"] = content.get("changes", 0) + 1
    content.setdefault("ports", {})[port] = [*_pack(state), content["changes"]]


def _unpack(packed: list[Any] | None) -> base.PortState:
    return OPEN if packed is None else base.PortState(packed[0], frozenset(packed[1]), packed[2])


def set_by_hand(state_dir: Path, uuid: str, port: str, state: base.PortState) -> None:
    """Change a port as a person at the switch would: behind the driver's back.

    :param state_dir: the conductor's, as in the driver's environment
    :param uuid: the switch
    """
    with fakes.DeviceFile(state_dir, KIND, uuid).change() as content:
        _keep(content, port, state)


def by_hand(state_dir: Path, uuid: str, port: str) -> base.PortState:
    """What a person at the switch would see of a port, whatever faults are set."""
    return _unpack(fakes.DeviceFile(state_dir, KIND, uuid).read().get("ports", {}).get(port))


def set_faults(state_dir: Path, uuid: str, **faults: Any) -> None:
    """Replace the faults of a switch while it runs. They have the names and types of the driver's options."""
    fakes.DeviceFile(state_dir, KIND, uuid).set_faults(faults)


class _Watch(base.Watch):
    """Looks at the file in a thread."""

    def __init__(
        self, device: fakes.FaultyDevice, ports: Collection[str], changed: Callable[[Collection[str]], None]
    ) -> None:
        self._device = device
        self._seen = device.file.read().get("ports", {})
        self._changed = changed
        self._end = threading.Event()
        self._tell(frozenset(ports) | self._seen.keys())
        self._thread = threading.Thread(target=self._run, daemon=True, name="fake-switch-watch")
        self._thread.start()

    def _tell(self, ports: Collection[str]) -> None:
        try:
            self._changed(ports)
        except Exception:
            LOG.exception("A watch failed")

    def _run(self) -> None:
        version = None
        while not self._end.wait(WATCH_INTERVAL):
            latest = self._device.file.version()
            if latest is not None and latest == version:
                continue
            version = latest
            ports = self._device.file.read().get("ports", {})
            names = {name for name in ports.keys() | self._seen.keys() if ports.get(name) != self._seen.get(name)}
            self._seen = ports
            if names:
                self._tell(frozenset(names))

    def close(self) -> None:
        self._end.set()

    @property
    def alive(self) -> bool:
        return not self._end.is_set() and self._thread.is_alive()


_PORTS: Mapping[str, Any] = {"type": "array", "items": {"type": "string", "maxLength": 63}}


class FakeSwitch(base.SwitchDriver):
    """A pretend switch, kept in a file of the conductor.

    Faults, all off at first, from the options or from :func:`set_faults`; a list holds port names, or `*` for all:

    * `delay`: each call takes so many seconds
    * `fail`: configuring such a port is refused, before anything is changed
    * `fail_transient`: the first so many calls fail, and say that they may succeed later
    * `lie`: such a port is accepted and left as it is
    * `hang`: configuring such a port takes `hang_seconds` (60), whatever the environment's timeout says
    * `hold`: `configure`, or `park` where every port is to be closed, waits until the fault is taken away
    * `crash`: configuring such a port raises a `RuntimeError`, which no driver may
    * `unreadable`: reading fails

    `ports`, if given, are the only ports that there are; otherwise every name is a port. `lags` names link aggregation
    groups and their members, which are no ports then.
    """

    capabilities = frozenset({base.READ, base.WATCH, base.ADMIN_STATE, base.TAGGED, base.TAGGED_ONLY, base.LAG})
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            **fakes.FAULTS,
            "ports": _PORTS,
            "lags": {"type": "object", "additionalProperties": _PORTS},
            "fail": _PORTS,
            "lie": _PORTS,
            "hang": _PORTS,
            "crash": _PORTS,
        },
        "additionalProperties": False,
    }
    harmless_options = frozenset(options_schema["properties"])

    def __init__(self, options: Options, environment: base.Environment) -> None:
        super().__init__(options, environment)
        self._device = fakes.FaultyDevice(KIND, options, environment)
        self._watches: list[_Watch] = []

    def _has(self, port: str) -> bool:
        known = self._device.fault("ports", None)
        lags: Mapping[str, Collection[str]] = self.options.get("lags", {})
        if any(port in members for members in lags.values()):
            return False
        return known is None or port in known or port in lags

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        """See the base class, and the faults of this one."""
        self._device.session("configure" if any(config.enabled for config in ports.values()) else "park")
        for port in sorted(ports):
            if not self._has(port):
                raise base.DriverError("The switch has no such port.", f"{self.environment.name}: no port {port}")
            if self._device.hits("crash", port):
                raise RuntimeError(f"crash: {port}")
            if self._device.hits("hang", port):
                time.sleep(self._device.fault("hang_seconds", 60))
            if self._device.hits("fail", port):
                raise base.DriverError("The switch refused the change.", f"{self.environment.name}: fail: {port}")
        with self._device.file.change() as content:
            for port, config in ports.items():
                if not self._device.hits("lie", port):
                    state = base.PortState(config.native, config.tagged, enabled=config.enabled)
                    _keep(content, port, state)

    def read(self, ports: Collection[str]) -> Mapping[str, base.PortState | None]:
        """See the base class, and the faults of this one."""
        self._device.session()
        if self._device.fault("unreadable", False):
            raise base.DriverError("The switch cannot be read.", f"{self.environment.name}: unreadable")
        content = self._device.file.read().get("ports", {})
        return {port: _unpack(content.get(port)) if self._has(port) else None for port in ports}

    def watch(self, changed: Callable[[Collection[str]], None]) -> base.Watch:
        """See the base class. Changes are seen within 0.1 s."""
        self._device.session()
        watch = _Watch(self._device, self._device.fault("ports", None) or [], changed)
        self._watches.append(watch)
        return watch

    def close(self) -> None:
        while self._watches:
            self._watches.pop().close()
