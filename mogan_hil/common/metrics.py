# SPDX-License-Identifier: Apache-2.0
"""What a process counts, for Prometheus. Labels are words of the service's own: no names of tenants or their things.

With PROMETHEUS_MULTIPROC_DIR in the environment all processes of a machine count together:
https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()

#: Seconds: a read takes some milliseconds, a question to a device up to some seconds.
LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REQUESTS = Histogram(
    "mogan_hil_http_request_duration_seconds",
    "Requests, by method, route and status, and how long they took",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=LATENCIES,
)
OPERATIONS = Counter(
    "mogan_hil_operations_finished",
    "Operations that this process brought to an end, by verb and state",
    ("verb", "state"),
    registry=REGISTRY,
)
DRIFT_FOUND = Counter(
    "mogan_hil_drift_found", "Ports that were seen to be otherwise than they should be", registry=REGISTRY
)
DRIFT_HEALED = Counter(
    "mogan_hil_drift_healed", "Ports that were seen to be right again after they had drifted", registry=REGISTRY
)
NOTIFICATIONS_SENT = Counter("mogan_hil_notifications_sent", "Notifications that the broker took", registry=REGISTRY)
NOTIFICATIONS_DROPPED = Counter(
    "mogan_hil_notifications_dropped", "Notifications that nobody was told", registry=REGISTRY
)
