# SPDX-License-Identifier: Apache-2.0
"""What the locks of lanes and watched switches cost: connections to the database, and time.

A conductor takes a lock for each lane that it works on, and holds one for each switch that it watches. The floor is
tooz's own locks, which take a connection each. The servers are private ones, for 500 clients; without a special
setting MariaDB has 151 and PostgreSQL 100.

    python -m tests.servers -- python -m benchmarks.locks
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import time
import uuid
import warnings
from typing import Any

import sqlalchemy as sa
from tooz import coordination

from mogan_hil.conductor.locks import DatabaseLocks

#: Held at a time. 24 is one sort of lane that is busy (`[conductor] workers`), 192 all eight; then there are switches.
HELD = (1, 24, 192, 400, 600)

CLIENTS = {
    "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()",
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()",
}


def tooz_locks(url: sa.URL) -> Any:
    """tooz's, by name."""
    plain = url.set(drivername=url.get_backend_name())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its driver for PostgreSQL is to go
        found = coordination.get_coordinator(plain.render_as_string(hide_password=False), uuid.uuid4().bytes)
    found.start()
    return found, lambda name: found.get_lock(name.encode())


def our_locks(url: sa.URL) -> Any:
    """The service's, by name."""
    found = DatabaseLocks(url, 60)
    found.start()
    return found, found.get


def measure(kind: Any, url: sa.URL, clients: Any, count: int) -> str:
    """Take so many locks, and let them go."""
    before = clients()
    coordinator, get = kind(url)
    held, took, why = [], [], ""
    for number in range(count):
        began = time.perf_counter()
        try:
            lock = get(f"{count}-{number}:{uuid.uuid4().hex[:8]}")
            if not lock.acquire(blocking=False):
                raise RuntimeError("somebody has it")
        except Exception as error:  # what it is, is what is to be found out
            why = f"  refused: {str(error).splitlines()[0][:60]}"
            break
        took.append((time.perf_counter() - began) * 1000)
        held.append(lock)
    used = clients() - before if not why else len(held) + 1
    for lock in held:
        with contextlib.suppress(Exception):
            lock.release()
    coordinator.stop()
    return f"{len(held):>8} {used:>12} {statistics.median(took):>8.2f}{why}"


def main() -> int:
    """Run the command."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; milliseconds to take one, the median")
    print(f"{'':<22} {'wanted':>7} {'held':>8} {'connections':>12} {'ms':>8}")
    for variable in ("MOGAN_HIL_TEST_MYSQL_URL", "MOGAN_HIL_TEST_POSTGRESQL_URL"):
        if variable not in os.environ:
            continue
        url = sa.make_url(os.environ[variable])
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.StaticPool)

        def clients(engine: sa.Engine = engine) -> int:
            with engine.connect() as connection:
                return int(connection.scalar(sa.text(CLIENTS[engine.dialect.name])) or 0)

        for name, kind in (("floor: tooz", tooz_locks), ("the service", our_locks)):
            for count in HELD:
                title = f"{engine.dialect.name}, {name}"
                print(f"{title:<22} {count:>7} {measure(kind, url, clients, count)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
