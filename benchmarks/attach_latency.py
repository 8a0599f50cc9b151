# SPDX-License-Identifier: Apache-2.0
"""From an accepted request to a change that was read back from a real Open vSwitch.

The embedded shape: one mogan-hil process, SQLite, local users. A client attaches a NIC to a network and takes it off
again, and asks for the operation until it is done. As the floor, in the same run and on the same switch: ovsdbapp alone
changes a port's tag over a connection that it keeps, with nothing behind it that would notice.

    python -m benchmarks.attach_latency [-n 200] [--poll 1]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.client import HEADER, Client, quantiles, row
from demo import rack as racks
from demo.house import House, house
from demo.rack import BRIDGE, OpenVSwitchRack
from demo.service import Service

#: The median that is promised, in milliseconds.
PROMISE = 50.0


def timed(work: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    """How long a call takes, in milliseconds."""
    started = time.perf_counter()
    work(*arguments, **options)
    return (time.perf_counter() - started) * 1000


def bare(rack: OpenVSwitchRack, count: int) -> list[float]:
    """ovsdbapp alone, on a port that the service does not know."""
    warnings.filterwarnings("ignore", message="\\s*Eventlet is deprecated")  # it is imported, and used nowhere here
    from ovsdbapp.backend.ovs_idl import connection
    from ovsdbapp.schema.open_vswitch import impl_idl

    idl = connection.OvsdbIdl.from_server(rack.endpoint, "Open_vSwitch")
    api = impl_idl.OvsdbIdl(connection.Connection(idl, timeout=10))
    times = []
    for number in range(count):
        change = api.db_set("Port", "p2", ("tag", 10 + number % 2))
        times.append(timed(change.execute, check_error=True))
    api.ovsdb_connection.stop()
    return times


def vsctl(rack: OpenVSwitchRack, count: int) -> list[float]:
    """ovs-vsctl, which starts a process and waits until the switch has applied the change."""
    return [timed(rack.vsctl, "set", "port", "p2", f"tag={10 + number % 2}") for number in range(count)]


class Attachments:
    """The service, with one wired node.

    :ivar accepted: from the request to the answer 202
    :ivar attached: from the request to attach to the operation that is done and verified
    :ivar detached: the same of detaching
    """

    def __init__(self, service: Service, rack: OpenVSwitchRack, poll: float) -> None:
        self._poll = poll / 1000
        self._client = Client(service.url, "admin", service.password())
        self.accepted: list[float] = []
        self.attached: list[float] = []
        self.detached: list[float] = []
        call = self._client.json
        call("POST", "/v1/switches", {"name": BRIDGE, **rack.switch()})
        self.wait(call("POST", f"/v1/switches/{BRIDGE}/ports", {"name": "p1"})["operation"])
        call("POST", "/v1/nodes", {"name": "n1"})
        call("POST", "/v1/nodes/n1/nics", {"name": "eth0", "mac": "02:00:00:00:00:01"})
        call("PUT", f"/v1/switches/{BRIDGE}/ports/p1/nic", {"node": "n1", "nic": "eth0"})
        call("PUT", "/v1/nodes/n1/project", {"project_id": "admin"})
        call("POST", "/v1/networks", {"name": "net"})

    def wait(self, operation: dict[str, Any]) -> None:
        """Until it is done and verified."""
        while operation["state"] in ("pending", "running"):
            time.sleep(self._poll)
            operation = self._client.json("GET", f"/v1/operations/{operation['uuid']}")
        if operation["state"] != "done" or operation["verified"] is not True:
            raise RuntimeError(json.dumps(operation))

    def change(self, times: list[float], method: str, path: str, body: Any = None) -> None:
        """One request and its operation; how long it took goes into `times`."""
        started = time.perf_counter()
        operation = self._client.json(method, f"/v1/nodes/n1/nics/eth0/attachments{path}", body)
        self.accepted.append((time.perf_counter() - started) * 1000)
        self.wait(operation)
        times.append((time.perf_counter() - started) * 1000)

    def run(self, count: int) -> None:
        """As many attachments, and as many detachments."""
        for _ in range(count):
            self.change(self.attached, "POST", "", {"network": "net"})
            self.change(self.detached, "DELETE", "/net")


def measure(home: House, given: argparse.Namespace) -> int:
    """Everything. Returns the exit code: 1 if the promise is not kept."""
    rack = OpenVSwitchRack(home, ("n1", "n2"))
    service = Service(home)
    service.wait()
    work = Attachments(service, rack, given.poll)
    work.run(5)
    for times in (work.accepted, work.attached, work.detached):
        times.clear()
    floor = bare(rack, given.count)
    work.run(given.count)
    floor += bare(rack, given.count)
    process = vsctl(rack, given.count)
    median = quantiles(floor)[0]
    print(f"{rack.title}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; milliseconds\n{HEADER}")
    print(row("floor: ovsdbapp alone, not read back", floor, median))
    print(row("ovs-vsctl, a process a change", process, median))
    print(row("service: request to answer 202", work.accepted, median))
    print(row("service: attach, to done and verified", work.attached, median))
    print(row("service: detach, to done and verified", work.detached, median))
    both = work.attached + work.detached
    print(row("service: both", both, median))
    found = quantiles(both)[0]
    if found >= PROMISE:
        print(f"The promise is a median under {PROMISE:g} ms.")
    return int(found >= PROMISE)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--count", type=int, default=200, help="attachments, and as many detachments")
    parser.add_argument("--poll", type=float, default=1.0, help="milliseconds between two looks at an operation")
    given = parser.parse_args()
    why = racks.missing()
    if why is not None:
        raise SystemExit(f"No Open vSwitch can be run: {why}.")
    try:
        with house() as home:
            return measure(home, given)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
