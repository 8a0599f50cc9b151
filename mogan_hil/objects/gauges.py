# SPDX-License-Identifier: Apache-2.0
"""What the database tells Prometheus, the same whichever process is asked; and all that a process shows."""

from __future__ import annotations

import os
from collections.abc import Iterable

import prometheus_client
import sqlalchemy as sa
from oslo_db import exception as db_exception
from oslo_log import log
from prometheus_client import core, multiprocess, registry

from mogan_hil.common import metrics, states
from mogan_hil.db import models
from mogan_hil.db.api import Database

LOG = log.getLogger(__name__)


class Gauges(registry.Collector):
    """Counts rows when it is asked: four statements, each over an index or as many rows as there are ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterable[core.Metric]:
        """The metrics. Without a database there is one, which says so."""
        up = core.GaugeMetricFamily("mogan_hil_database_up", "Whether the database answered")
        try:
            found = [*self._operations(), *self._ports()]
        except db_exception.DBError as error:
            LOG.warning("The database cannot be counted: %s", error)
            found = []
        up.add_metric([], 1 if found else 0)
        return [up, *found]

    def _operations(self) -> Iterable[core.Metric]:
        rows = models.Operation
        query = sa.select(rows.lane, rows.state, sa.func.count(), sa.func.min(rows.created_at))
        query = query.where(rows.state.in_(states.OPERATION_OPEN)).group_by(rows.lane, rows.state)
        with self._database.reader() as session:
            lanes = session.execute(query).all()
        totals: dict[tuple[str, str], int] = {}
        depths: dict[str, dict[str, int]] = {}
        for lane, state, count, _ in lanes:
            kind = lane.partition(":")[0]
            totals[kind, state] = totals.get((kind, state), 0) + count
            depths.setdefault(kind, {}).setdefault(lane, 0)
            depths[kind][lane] += count
        total = core.GaugeMetricFamily(
            "mogan_hil_operations_open", "Operations that are not finished", labels=["lane", "state"]
        )
        for labels, count in totals.items():
            total.add_metric(labels, count)
        deepest = core.GaugeMetricFamily(
            "mogan_hil_lane_depth_max", "Open operations in the fullest lane of a sort", labels=["lane"]
        )
        for kind, counts in depths.items():
            deepest.add_metric([kind], max(counts.values()))
        age = core.GaugeMetricFamily("mogan_hil_operations_oldest_seconds", "Age of the oldest open operation")
        moment = models.now()
        age.add_metric([], max([(moment - oldest).total_seconds() for *_, oldest in lanes], default=0))
        return total, deepest, age

    def _ports(self) -> Iterable[core.Metric]:
        rows = models.Port
        with self._database.reader() as session:
            drifted = session.scalar(sa.select(sa.func.count()).select_from(rows).where(rows.in_sync.is_(False)))
            by_status = session.execute(sa.select(rows.status, sa.func.count()).group_by(rows.status)).all()
        drift = core.GaugeMetricFamily("mogan_hil_ports_drifted", "Ports that are not as they should be")
        drift.add_metric([], drifted or 0)
        status = core.GaugeMetricFamily("mogan_hil_ports", "Registered ports, by status", labels=["status"])
        for name, count in by_status:
            status.add_metric([name], count)
        return drift, status


def shown(database: Database) -> prometheus_client.CollectorRegistry:
    """Everything that a process shows. With PROMETHEUS_MULTIPROC_DIR it is what all of the machine's counted."""
    found = prometheus_client.CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(found)  # type: ignore[no-untyped-call]
    else:
        found.register(metrics.REGISTRY)
        prometheus_client.ProcessCollector(registry=found)
    found.register(Gauges(database))
    return found
