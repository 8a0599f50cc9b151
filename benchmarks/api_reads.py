# SPDX-License-Identifier: Apache-2.0
"""What it costs to show one node, and to list a thousand.

The embedded shape: one mogan-hil process, SQLite, local users, 1000 nodes. One client with one connection asks as fast
as it gets answers. As floors, in the same run, on the same HTTP server and with the same bodies: bare WSGI, which
returns bytes that are ready, and bare Pecan, which finds a controller and writes JSON. CPU time is the server
process's own, from /proc.

    python -m benchmarks.api_reads [-n 1000]
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.client import Client
from demo.house import Failed, House, house
from demo.service import Service

NODES = 1000
TICK = 1000 / os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Milliseconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def measure(client: Client, pid: int, path: str, count: int) -> tuple[float, float, int]:
    """Requests a second, milliseconds of CPU a request, bytes of an answer."""
    for _ in range(max(5, count // 20)):
        client.call("GET", path)
    before, started = cpu(pid), time.perf_counter()
    for _ in range(count):
        status, body = client.call("GET", path)
        if status != 200:
            raise Failed(f"GET {path}: {status}")
    took = time.perf_counter() - started
    return count / took, (cpu(pid) - before) / count, len(body)


def floor(home: House, kind: str) -> tuple[Client, int]:
    """Start one."""
    log = f"{kind}.log"
    process = home.start(sys.executable, "-W", "ignore", "-m", "benchmarks.floors", kind, str(home.path), log=log)
    end = time.monotonic() + 20
    while (found := re.search(r"^listening on (\S+)$", home.log(log), re.MULTILINE)) is None:
        if time.monotonic() > end or process.poll() is not None:
            raise Failed(f"{kind} does not start: {home.log(log)}")
        time.sleep(0.05)
    return Client(found[1]), process.pid


def fill(client: Client) -> None:
    """A thousand nodes; the first has a NIC and a label."""
    for number in range(NODES):
        body = {"name": f"node-{number:04}", "resource_class": "metal", "traits": ["CUSTOM_A"]}
        client.json("POST", "/v1/nodes", body)
    client.json("POST", "/v1/nodes/node-0000/nics", {"name": "eth0", "mac": "02:00:00:00:00:01"})
    client.json("PUT", "/v1/nodes/node-0000/metadata/rack", {"value": 1})


def table(home: House, count: int) -> None:
    """Measure everything and print it."""
    service = Service(home)
    service.wait()
    client = Client(service.url, "admin", service.password())
    fill(client)
    one, many = "/v1/nodes/node-0000", "/v1/nodes"
    (home.path / "one.json").write_bytes(client.call("GET", one)[1])
    (home.path / "list.json").write_bytes(client.call("GET", many)[1])
    servers: dict[str, Callable[[], tuple[Client, int]]] = {
        "bare WSGI": lambda: floor(home, "wsgi"),
        "bare Pecan": lambda: floor(home, "pecan"),
        # Anew: the server has closed a connection that was idle while the floors were measured.
        "mogan-hil": lambda: (Client(service.url, "admin", service.password()), service.pid),
    }
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':<26} {'bytes':>8} {'requests/s':>11} {'ms CPU':>8} {'x Pecan':>8}")
    costs: dict[str, float] = {}
    for name, start in servers.items():
        asked, pid = start()
        for path, times in ((one, count), (many, max(50, count // 10))):
            rate, cost, size = measure(asked, pid, path, times)
            if name == "bare Pecan":
                costs[path] = cost
            ratio = f"{cost / costs[path]:8.1f}" if costs.get(path) else " " * 8
            what = "one node" if path == one else f"list of {NODES}"
            print(f"{name + ': ' + what:<26} {size:>8} {rate:>11.0f} {cost:>8.2f} {ratio}")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--count", type=int, default=1000, help="requests for one node; a tenth for the list")
    given = parser.parse_args()
    try:
        with house() as home:
            table(home, given.count)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
