# SPDX-License-Identifier: Apache-2.0
"""What it costs to log in as a local user: with a password that was just verified, for the first time, and in vain.

The embedded shape with the default cost of bcrypt. One client with one connection asks for `/v1`, which anybody may
read and which takes no statement; the floor is that request without credentials. CPU time is the server process's own.

    python -m benchmarks.logins [-n 1000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

from benchmarks.api_reads import cpu
from benchmarks.client import Client
from demo.house import Failed, House, house
from demo.service import Service

PATH = "/v1"


def measure(client: Client, pid: int, count: int, wanted: int) -> tuple[float, float]:
    """Milliseconds of a request, the median; and milliseconds of CPU a request."""
    took = []
    client.call("GET", PATH)
    before = cpu(pid)
    for _ in range(count):
        began = time.perf_counter()
        status, _ = client.call("GET", PATH)
        took.append((time.perf_counter() - began) * 1000)
        if status != wanted:
            raise Failed(f"GET {PATH}: {status}, not {wanted}")
    return statistics.median(took), (cpu(pid) - before) / count


def service(home: House, name: str, **options: float) -> Service:
    """Start one with these options of [auth]."""
    config = home.path / f"{name}.conf"
    config.write_text("[auth]\n" + "".join(f"{option} = {value}\n" for option, value in options.items()))
    found = Service(home, "--config-file", str(config))
    found.wait()
    return found


def table(home: House, count: int) -> None:
    """Measure everything and print it."""
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; milliseconds")
    print(f"{'':<36} {'n':>6} {'median':>8} {'CPU':>8}")
    running = service(home, "plain", proof_ttl=3600, lockout_failures=0)
    first = ("admin", running.password())
    rows: list[tuple[str, tuple[str, ...], int, int]] = [
        ("floor: no credentials", (), count, 200),
        ("a password that was verified before", first, count, 200),
        ("a wrong password", ("admin", "wrong"), count // 20, 401),
        ("a user who does not exist", ("nobody", "wrong"), count // 20, 401),
    ]
    for name, login, times, wanted in rows:
        median, cost = measure(Client(running.url, *login), running.pid, times, wanted)
        print(f"{name:<36} {times:>6} {median:>8.2f} {cost:>8.2f}")


def forgetful(home: House, count: int) -> None:
    """The same where nothing is remembered, and where guesses are locked out."""
    running = service(home, "forgetful", proof_ttl=0, lockout_failures=1, lockout_address_failures=1000000)
    times = count // 20
    median, cost = measure(Client(running.url, "admin", running.password()), running.pid, times, 200)
    print(f"{'a password for the first time':<36} {times:>6} {median:>8.2f} {cost:>8.2f}")
    median, cost = measure(Client(running.url, "nobody", "wrong"), running.pid, count, 429)
    print(f"{'a login that is locked out':<36} {count:>6} {median:>8.2f} {cost:>8.2f}")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--count", type=int, default=1000, help="requests; a twentieth where bcrypt is at work")
    given = parser.parse_args()
    try:
        for part in (table, forgetful):
            with house() as home:
                part(home, given.count)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
