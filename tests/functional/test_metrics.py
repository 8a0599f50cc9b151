# SPDX-License-Identifier: Apache-2.0
"""`GET /metrics`: what it counts, and whom it answers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from typing import Any

import fixtures
import requests
import testtools
from prometheus_client import parser

from mogan_hil.drivers.switch import base as switch_base
from mogan_hil.drivers.switch import fake
from tests import service
from tests.functional.racks import until
from tests.servers import base

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """What is shown, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    """One of them, 0 if it is not there."""
    return found.get((f"mogan_hil_{name}", frozenset(labels.items())), 0.0)


class TestMetrics(testtools.TestCase):
    """See the module."""

    def serve(self, settings: Mapping[tuple[str, str], Any] = {}, *, conductor: bool = True) -> None:
        self.served = self.useFixture(service.Embedded(settings, conductor=conductor))
        self.admin = self.served.admin

    def read(self) -> Samples:
        answer = self.served.app.get("/metrics")
        self.assertIn("text/plain", answer.headers["Content-Type"])
        return samples(answer.text)

    def test_requests(self) -> None:
        self.serve(conductor=False)
        before = self.read()
        self.admin.get("networks/none", 404)
        self.admin.get("networks/other", 404)
        self.admin.call("BREW", "nodes")
        self.admin.call("GET", "/nowhere/at/all")
        after = self.read()
        for name, count, labels in (
            ("404", 2, {"method": "GET", "route": "/v1/networks/{network}"}),
            ("404", 1, {"method": "GET", "route": "none"}),
            ("405", 1, {"method": "other", "route": "none"}),
        ):
            counted = "http_request_duration_seconds_count"
            more = value(after, counted, status=name, **labels) - value(before, counted, status=name, **labels)
            self.assertEqual(count, more, labels)
        self.assertNotIn("BREW", str(after))
        self.assertNotIn("nowhere", str(after))

    def test_operations_and_drift(self) -> None:
        self.serve({("conductor", "poll_interval"): 0.2})
        before = self.read()
        switch = self.admin.add_switch("tenants-switch", ["p"])
        fake.set_by_hand(self.served.state_dir, switch["uuid"], "p", switch_base.PortState(native=7))
        end = time.monotonic() + service.WAIT
        while value(self.read(), "drift_healed_total") == value(before, "drift_healed_total"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        after = self.read()
        self.assertEqual(1, value(after, "drift_found_total") - value(before, "drift_found_total"))
        done = {"verb": "port_park", "state": "done"}
        finished = "operations_finished_total"
        self.assertEqual(1, value(after, finished, **done) - value(before, finished, **done))
        self.assertEqual((1, 0), (value(after, "ports", status="ok"), value(after, "ports_drifted")))
        self.assertNotIn("tenants-switch", str(after))

    def test_lanes(self) -> None:
        self.serve(conductor=False)
        self.admin.post("switches", {"name": "s", "driver": "fake", "options": {}})
        for name in ("p1", "p2", "p3"):
            self.admin.post("switches/s/ports", {"name": name})
        found = self.read()
        self.assertEqual(3, value(found, "operations_open", lane="switch", state="pending"))
        self.assertEqual(3, value(found, "lane_depth_max", lane="switch"))
        self.assertLess(0, value(found, "operations_oldest_seconds"))

    def test_who_may_ask(self) -> None:
        self.serve(conductor=False)
        here, far = {"REMOTE_ADDR": "127.0.0.1"}, {"REMOTE_ADDR": "192.0.2.1"}
        for setting, environ, headers, status in (
            ("loopback", here, {}, 200),
            ("loopback", here, {"X-Forwarded-For": "192.0.2.1"}, 404),
            ("loopback", far, {}, 404),
            ("everyone", far, {}, 200),
            ("nobody", here, {}, 404),
        ):
            self.serve({("metrics", "serve"): setting}, conductor=False)
            answer = self.served.app.get("/metrics", extra_environ=environ, headers=headers, expect_errors=True)
            self.assertEqual(status, answer.status_int, (setting, environ, headers))
        self.serve(conductor=False)
        self.assertEqual(405, self.served.app.post("/metrics", expect_errors=True).status_int)

    def test_without_a_database(self) -> None:
        self.serve(conductor=False)
        self.assertEqual(1, value(self.read(), "database_up"))
        with self.served.database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE operations RENAME TO away")
        self.useFixture(fixtures.FakeLogger())
        self.assertEqual(0, value(self.read(), "database_up"))

    def test_a_conductor_shows_its_own(self) -> None:
        port = base.free_port()
        site = self.useFixture(service.Processes(apis=1, conductors=1, settings={("metrics", "conductor_port"): port}))
        site.admin.add_switch("s", ["p"])

        def parked() -> float:
            found = samples(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text)
            return value(found, "operations_finished_total", verb="port_park", state="done")

        until(lambda: parked() == 1)  # it is counted after it was written down

    def test_processes_count_together(self) -> None:
        directory = self.useFixture(fixtures.TempDir()).path
        program = textwrap.dedent("""
            import os
            from mogan_hil.common import metrics
            for _ in range(2):
                if os.fork() == 0:
                    metrics.DRIFT_FOUND.inc()
                    os._exit(0)
                os.wait()
            from mogan_hil.objects import gauges
            import prometheus_client
            found = gauges.shown(None)
            found.unregister(next(item for item in list(found._collector_to_names) if isinstance(item, gauges.Gauges)))
            print(prometheus_client.generate_latest(found).decode())
        """)
        environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": directory}
        run = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
        self.assertEqual(2, value(samples(run.stdout), "drift_found_total"))
