# SPDX-License-Identifier: Apache-2.0
"""Samples of notifications for the documents, from what the service really tells.

`python -m tests.notification_samples` writes `doc/notification_samples` anew.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mogan_hil.drivers.switch import base as switch_base
from mogan_hil.drivers.switch import fake
from tests import service
from tests.functional import base
from tests.functional.notified import SETTINGS, Told

DIRECTORY = Path(__file__).resolve().parents[1] / "doc/notification_samples"

#: What differs each time, and what stands for it.
_VOLATILE = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "11111111-2222-4333-8444-555555555555"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?"), "2026-01-02T03:04:05"),
    (re.compile(r"(?i)52(:[0-9a-f]{2}){5}"), "52:54:00:12:34:56"),
    (re.compile(r"^mogan_hil:.*"), "mogan_hil:host"),
    (re.compile(r"SHA256:.*"), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"),
    (re.compile(r"vlan/\d+"), "vlan/100"),
    (re.compile(r"^\d{2,4}$"), "100"),
)


def collect() -> Mapping[str, Any]:
    """One of each type of event."""
    found: dict[str, Any] = {}
    for told in (_routes, _life, _drift):
        told(lambda message: found.setdefault(message["event_type"], _steady(message)))
    return found


def _steady(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _steady(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_steady(item) for item in value]
    if isinstance(value, str):
        for pattern, instead in _VOLATILE:
            value = pattern.sub(instead, value)
    return value


def _routes(note: Callable[[Any], Any]) -> None:
    with base.World(settings=SETTINGS) as world:
        told = Told(world.service)
        for route in base.ROUTES.values():
            if route.method != "GET":
                world.send(world.admin, route)
                world.restore()
        for locked in (True, False):
            world.admin.put("instances/i1/lock", {"target": locked, "reason": "mine"}, 202)
        for message in told.all():
            note(message)


def _life(note: Callable[[Any], Any]) -> None:
    with service.Embedded(SETTINGS) as served:
        admin, told = served.admin, Told(served)
        project = admin.add_project("red")
        admin.add_switch("rack1", ["p1", "p2"])
        for number in (1, 2):
            admin.add_node(f"n{number}", "rack1", f"p{number}", obm={"driver": "fake"})
        network = admin.post("networks", {"name": "net", "project_id": project})["uuid"]
        body = {"name": "web", "project_id": project, "node": "n1", "networks": [{"network": network}]}
        admin.wait(admin.post("instances", body, 202)["instances"][0]["operation"])
        for target in ("off", "on", "reboot", "soft_reboot", "soft_off"):
            admin.wait(admin.put("instances/web/power", {"target": target}, 202))
        admin.wait(admin.put("instances/web/rebuild", {"boot_device": "pxe"}, 202))
        admin.wait(admin.delete("instances/web", 202))
        claim = {"nodes": ["n2"], "project_id": project, "networks": [{"network": network}]}
        admin.wait(admin.post("claims", claim, 202))
        admin.wait(admin.call("POST", "switches/rack1/ports/p2/revert", status=202).json)
        admin.wait(admin.call("POST", "switches/rack1/heal", status=202).json)
        for message in told.all():
            note(message)


def _drift(note: Callable[[Any], Any]) -> None:
    with service.Embedded({**SETTINGS, ("conductor", "poll_interval"): 0.2}) as served:
        admin, told = served.admin, Told(served)
        switch = admin.add_switch("rack1", ["p1"])
        admin.add_node("n1", "rack1", "p1")
        fake.set_faults(served.state_dir, switch["uuid"], fail=["p1"])
        fake.set_by_hand(served.state_dir, switch["uuid"], "p1", switch_base.PortState(native=7))
        told.until("port.mend.error")
        fake.set_faults(served.state_dir, switch["uuid"])
        told.until("node.unquarantine")
        told.until("port.mend.end")
        for message in told.all():
            note(message)


def text(sample: Any) -> str:
    """A sample as it is kept."""
    return json.dumps(sample, indent=4, sort_keys=True) + "\n"


def main() -> int:
    """Write the samples anew."""
    DIRECTORY.mkdir(exist_ok=True)
    for path in DIRECTORY.glob("*.json"):
        path.unlink()
    for name, sample in collect().items():
        (DIRECTORY / f"{name}.json").write_text(text(sample))
    return 0


if __name__ == "__main__":
    sys.exit(main())
