# SPDX-License-Identifier: Apache-2.0
"""The main job, once, on every shape."""

from __future__ import annotations

import testtools

from tests import service


class TestMainJob(testtools.TestCase):
    """Register, claim, wire, unwire, release."""

    #: An answer over the broker may take its time here.
    settings = {("api", "device_timeout"): 60.0}

    def _main_job(self, admin: service.Api) -> None:
        admin.add_project("red")
        red = admin.as_user("red-member")
        admin.add_switch("rack1", ["gi1/0/1", "gi1/0/2"])
        for number in (1, 2):
            admin.add_node(f"n{number}", "rack1", f"gi1/0/{number}")
            red.put(f"nodes/n{number}/project", {})
        network = red.post("networks", {"name": "mine"})
        for number in (1, 2):
            done = red.attach(f"n{number}", "mine")
            self.assertIs(True, done["verified"])
        self.assertEqual("active", red.get("nodes/n1/nics/eth0/attachments")["attachments"][0]["status"])
        report = red.get("networks/mine/isolation") if not self._without_rpc else None
        if report is not None:
            self.assertTrue(report["isolated"])
            self.assertEqual(2, len(report["ports"]))
        port = admin.get("switches/rack1/ports/gi1%2F0%2F1")
        self.assertEqual({"native": int(network["segment_id"]), "tagged": "", "enabled": True}, port["observed"])
        red.delete("nodes/n1/project", 409)
        for number in (1, 2):
            red.detach(f"n{number}", "mine")
            red.delete(f"nodes/n{number}/project")
        red.delete("networks/mine")
        self.assertEqual(False, admin.get("switches/rack1/ports/gi1%2F0%2F1")["observed"]["enabled"])

    _without_rpc = False

    def test_embedded(self) -> None:
        self._main_job(self.useFixture(service.Embedded(self.settings)).admin)

    def test_processes_sqlite(self) -> None:
        self._without_rpc = True
        self._main_job(self.useFixture(service.Processes("sqlite", forks=False)).admin)

    def _over_the_broker(self, kind: str) -> service.Api:
        shape = service.Processes(kind, conductors=2, rabbit=True, forks=False, settings=self.settings)
        return self.useFixture(shape).admin

    def test_processes_mysql_rabbit(self) -> None:
        if service.broker() is None:
            self.skipTest("RabbitMQ is not there")
        self._main_job(self._over_the_broker("mysql"))

    def test_processes_postgresql_rabbit(self) -> None:
        if service.broker() is None:
            self.skipTest("RabbitMQ is not there")
        self._main_job(self._over_the_broker("postgresql"))
