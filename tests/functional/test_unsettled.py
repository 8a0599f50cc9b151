# SPDX-License-Identifier: Apache-2.0
"""What is not proven is not given away: late calls, open ports, switches registered twice or moved."""

from __future__ import annotations

import time
from typing import Any

import fixtures
import testtools

from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import base
from mogan_hil.drivers.switch import fake as fake_switch
from tests import service
from tests.functional.racks import Gate, until


def _unanswered(*_: Any) -> Any:
    raise base.DriverError("The switch does not answer.", transient=True)


class Case(testtools.TestCase):
    """A switch with two ports, and a node of red's with a controller on the first."""

    settings: dict[tuple[str, str], Any] = {("conductor", "poll_interval"): 0.3}

    def setUp(self) -> None:
        super().setUp()
        self.site = self.useFixture(service.Embedded(self.settings))
        self.admin = self.site.admin
        for name in ("red", "blue"):
            self.admin.add_project(name)
        self.red, self.blue = self.admin.as_user("red-member"), self.admin.as_user("blue-member")
        self.switch = self.admin.add_switch("rack1", ["p1", "p2"])
        self.node = self.admin.add_node("n1", "rack1", "p1", obm={"driver": "fake"})
        self.red.put("nodes/n1/project", {})
        self.red.post("networks", {"name": "net"})

    def until(self, condition: Any, seconds: float = service.WAIT) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def code(self, api: service.Api, method: str, path: str, body: Any = None) -> str | None:
        answer = api.call(method, path, body)
        return answer.json["errors"][0]["code"] if answer.status >= 400 else None


class TestLateCalls(Case):
    """A call that hangs is given up, and may take effect later."""

    settings = {**Case.settings, ("conductor", "driver_timeout"): 3.0}

    def test_controller(self) -> None:
        gate = self.useFixture(Gate("mogan_hil.drivers.obm.fake.FakeObm.set_power"))
        self.red.wait(self.red.put("nodes/n1/power", {"target": "off"}, 202), "error")
        self.assertEqual("device.unsettled", self.code(self.red, "DELETE", "nodes/n1/project"))
        gate.open()
        self.until(lambda: self.red.call("DELETE", "nodes/n1/project").status == 204)
        self.blue.put("nodes/n1/project", {})

    def test_switch(self) -> None:
        self.red.attach("n1", "net")
        gate = self.useFixture(Gate("mogan_hil.drivers.switch.fake.FakeSwitch.configure"))
        self.red.wait(self.red.delete("nodes/n1/nics/eth0/attachments/net", 202), "error")
        # Another driver object has no part in the call that hangs, and must not prove anything either.
        self.admin.patch("switches/rack1", {"options": {"delay": 0.01}})
        self.admin.wait(self.admin.get("operations?verb=switch_heal")["operations"][0], "error")
        self.assertEqual("conflict.in_use", self.code(self.red, "DELETE", "networks/net"))
        gate.open()
        self.until(lambda: self.red.call("DELETE", "networks/net").status == 204)
        seen = fake_switch.by_hand(self.site.state_dir, self.switch["uuid"], "p1")
        self.assertTrue(seen is not None and not seen.enabled)

    def test_cycle_is_not_repeated(self) -> None:
        self.red.wait(self.red.put("nodes/n1/power", {"target": "on"}, 202))
        path = "nodes/n1/power"
        fake_obm.set_faults(self.site.state_dir, self.node["uuid"], unreadable=True)
        self.red.wait(self.red.put(path, {"target": "cycle"}, 202), "error")
        fake_obm.set_faults(self.site.state_dir, self.node["uuid"])
        written = fake_obm.fakes.DeviceFile(self.site.state_dir, "obm", self.node["uuid"]).read()["console"]
        self.assertEqual(1, sum("cycle" in line for line in written))


class TestHands(Case):
    """What one tenant began does not reach the next."""

    settings = {**Case.settings, ("conductor", "driver_timeout"): service.WAIT}

    def test_undone_claim_waits_for_power(self) -> None:
        self.admin.add_node("n2", "rack1", "p2", obm={"driver": "fake"}, resource_class="second")
        uuid = self.admin.get("nodes/n2")["uuid"]
        fake_switch.set_faults(self.site.state_dir, self.switch["uuid"], fail=["p2"])
        fake_obm.set_faults(self.site.state_dir, uuid, delay=0.3)
        gate = self.useFixture(Gate("mogan_hil.drivers.switch.fake.FakeSwitch.configure"))
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.claims.PATIENCE", 0.2))
        claim = self.red.post("claims", {"count": 1, "resource_class": "second", "networks": [{"network": "net"}]}, 202)
        power = self.red.put("nodes/n2/power", {"target": "on"}, 202)
        gate.open()
        self.red.wait(claim, "error")
        self.assertIn(self.red.get(f"operations/{power['uuid']}")["state"], ("done", "error"))
        self.assertIsNone(self.admin.get("nodes/n2")["project_id"])


class TestPorts(Case):
    """A port that is not in use is closed, and stays so."""

    def test_opened_by_hand(self) -> None:
        segment = int(self.red.get("networks/net")["segment_id"])
        fake_switch.set_by_hand(self.site.state_dir, self.switch["uuid"], "p2", base.PortState(native=segment))
        place = (self.site.state_dir, self.switch["uuid"], "p2")
        self.until(lambda: not (fake_switch.by_hand(*place) or base.PortState()).enabled)

    def test_node_with_an_open_port_is_quarantined(self) -> None:
        self.red.delete("nodes/n1/project")
        fake_switch.set_faults(self.site.state_dir, self.switch["uuid"], fail=["p1"])
        fake_switch.set_by_hand(self.site.state_dir, self.switch["uuid"], "p1", base.PortState(native=7))
        self.until(lambda: self.admin.get("switches/rack1/ports/p1")["in_sync"] is False)
        self.assertEqual("node.quarantined", self.code(self.blue, "PUT", "nodes/n1/project", {}))
        self.assertEqual("claim.not_enough_nodes", self.code(self.blue, "POST", "claims", {"count": 1}))
        fake_switch.set_faults(self.site.state_dir, self.switch["uuid"])
        self.until(lambda: self.blue.call("PUT", "nodes/n1/project", {}).status == 200)


class TestUnproven(testtools.TestCase):
    """What was not seen yet, or could not be seen through new options of a switch, is as good as open."""

    def test_not_seen_yet(self) -> None:
        settings = {("conductor", "driver_timeout"): service.WAIT, ("conductor", "max_attempts"): 100}
        site = self.useFixture(service.Embedded(settings))
        admin = site.admin
        gate = self.useFixture(Gate("mogan_hil.drivers.switch.fake.FakeSwitch.configure"))
        admin.post("switches", {"name": "rack1", "driver": "fake", "options": {}})
        parked = admin.post("switches/rack1/ports", {"name": "p1"})["operation"]
        admin.add_node("n1", "rack1", "p1", resource_class="gold")
        admin.post("flavors", {"name": "gold", "resource_class": "gold"})
        refused = (
            ("PUT", "nodes/n1/project", {}, "node.quarantined"),
            ("POST", "claims", {"count": 1, "resource_class": "gold"}, "claim.not_enough_nodes"),
            ("POST", "instances", {"name": "i", "flavor": "gold"}, "claim.not_enough_nodes"),
        )
        for method, path, body, code in refused:
            self.assertEqual(code, admin.call(method, path, body, status=409).json["errors"][0]["code"])
        gate.open()
        admin.wait(parked)
        admin.put("nodes/n1/project", {})
        admin.delete("nodes/n1/project")
        with fixtures.MonkeyPatch("mogan_hil.drivers.switch.fake.FakeSwitch.read", _unanswered):
            admin.patch("switches/rack1", {"options": {"delay": 0.01}})
            for method, path, body, code in refused:
                self.assertEqual(code, admin.call(method, path, body, status=409).json["errors"][0]["code"])
        (heal,) = admin.get("operations?verb=switch_heal")["operations"]
        admin.wait(heal)
        admin.put("nodes/n1/project", {})

    def test_new_options_that_do_not_work(self) -> None:
        settings = {("conductor", "poll_interval"): 0.3, ("conductor", "max_attempts"): 1}
        site = self.useFixture(service.Embedded(settings))
        admin = site.admin
        switch = admin.add_switch("rack1", ["p1"])["uuid"]
        admin.add_node("n1", "rack1", "p1")
        fake_switch.set_faults(site.state_dir, switch, unreadable=True)
        admin.patch("switches/rack1", {"options": {"delay": 0.01}})
        (heal,) = admin.get("operations?verb=switch_heal")["operations"]
        admin.wait(heal, "error")
        self.assertEqual("error", admin.get("switches/rack1/ports/p1")["status"])
        refused = admin.call("PUT", "nodes/n1/project", {}, status=409)
        self.assertEqual("node.quarantined", refused.json["errors"][0]["code"])
        fake_switch.set_faults(site.state_dir, switch)
        until(lambda: admin.call("PUT", "nodes/n1/project", {}).status == 200)


class TestSwitches(Case):
    """One real switch is one switch, and stays the same one."""

    def test_registered_twice(self) -> None:
        options = {"endpoint": "unix:/nowhere/db.sock", "bridge": "br0"}
        self.admin.post("switches", {"name": "ovs1", "driver": "openvswitch", "options": options})
        again = {"name": "ovs2", "driver": "openvswitch", "options": options}
        self.assertEqual("switch.registered", self.code(self.admin, "POST", "switches", again))
        other = {"options": {**options, "bridge": "br1"}}
        self.admin.post("switches", {**again, **other})
        self.assertEqual("switch.registered", self.code(self.admin, "PATCH", "switches/ovs2", {"options": options}))

    def test_new_options_are_proven(self) -> None:
        self.red.attach("n1", "net")
        self.admin.patch("switches/rack1", {"options": {"delay": 0.01}})
        heals = self.admin.get("operations?verb=switch_heal")["operations"]
        self.assertEqual(1, len(heals))
        self.admin.wait(heals[0])
        self.assertEqual("ok", self.admin.get("switches/rack1/ports/p1")["status"])


class Forgetful(fake_switch.FakeSwitch):
    """A switch that does not keep its configuration over a restart."""

    def save(self) -> None:
        raise base.DriverError("The switch did not keep its configuration.", "no space left")


class TestSaved(testtools.TestCase):
    """What would be undone by a restart of the switch is not done."""

    def test_detach(self) -> None:
        site = self.useFixture(service.Embedded())
        admin = site.admin
        admin.add_switch("rack1", ["p1"])
        admin.add_node("n1", "rack1", "p1")
        admin.put("nodes/n1/project", {})
        admin.post("networks", {"name": "net"})
        admin.attach("n1", "net")
        site.drivers._classes["switch"]["fake"] = Forgetful
        admin.patch("switches/rack1", {"options": {"delay": 0.0}})
        admin.wait(admin.get("operations?verb=switch_heal")["operations"][0], None)
        admin.detach("n1", "net", state="error")
        admin.delete("networks/net", 409)
