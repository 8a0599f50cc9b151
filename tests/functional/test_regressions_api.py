# SPDX-License-Identifier: Apache-2.0
"""What went wrong once at the API."""

from __future__ import annotations

import time
from typing import Any

import testtools

from mogan_hil.drivers.base import MASK
from mogan_hil.drivers.switch import fake
from mogan_hil.objects.node import Node
from mogan_hil.objects.switch import Switch
from tests import service
from tests.functional import base


class TestSecrets(base.WorldTestCase):
    """Whoever sends back what was shown keeps the secret behind the mask."""

    def _kept(self) -> tuple[str, str]:
        with self.world.service.database.reader() as session:
            return (Switch.get(session, "rack1").secrets["password"], Node.get(session, "n1").obm_secrets["password"])

    def test_a_mask_is_left_out(self) -> None:
        admin = self.world.admin
        options = admin.get("switches/rack1")["options"]
        self.assertEqual(MASK, options["password"])
        admin.patch("switches/rack1", {"options": options})
        admin.patch("nodes/n1", {"obm": admin.get("nodes/n1")["obm"]})
        self.assertEqual(("hush", "hush"), self._kept())
        for obm in ({"driver": "fake"}, {"driver": "fake", "options": {"password": "new"}}):
            admin.patch("nodes/n1", {"obm": obm})
        self.assertEqual(("hush", "new"), self._kept())

    def test_a_mask_of_nothing(self) -> None:
        options = {"password": MASK}
        for method, path, body in (
            ("POST", "switches", {"name": "new", "driver": "fake", "options": options}),
            ("PATCH", "switches/spare", {"options": options}),
            ("POST", "nodes", {"name": "new", "obm": {"driver": "fake", "options": options}}),
            ("PATCH", "nodes/n2", {"obm": {"driver": "fake", "options": options}}),
        ):
            answer = self.world.admin.call(method, path, body)
            self.assert_error(answer, 400)
            self.assertIn("options.password", answer.json["errors"][0]["detail"])
        self.assertFalse(self.world.changed())


class TestNamesOfNetworks(base.WorldTestCase):
    """Nobody takes a name from the site, or from another project, by granting access to a network of that name."""

    def setUp(self) -> None:
        super().setUp()
        self.uuids = {}
        for who in (self.world.blue, self.world.admin.as_user("green-member")):
            self.uuids[who.user] = who.post("networks", {"name": "provisioning"})["uuid"]

    def _meant(self) -> str:
        """What red means by the name, to look at it and to attach to it."""
        shown: str = self.world.red.get("networks/provisioning")["uuid"]
        path = "nodes/n1/nics/eth0/attachments"
        network = self.world.admin.get(f"networks/{shown}")
        body = {"network": "provisioning", "channel": network["channels"][1]}
        self.assertEqual(shown, self.world.red.post(path, body, 202)["payload"]["network_uuid"])
        return shown

    def _site(self) -> str:
        fields = {"name": "provisioning", "project_id": None, "public": True}
        uuid: str = self.world.admin.post("networks", fields)["uuid"]
        return uuid

    def test_the_site_before_others(self) -> None:
        site = self._site()
        self.world.blue.put(f"networks/{self.uuids['blue-member']}/access/red", status=204)
        self.assertEqual(site, self._meant())

    def test_the_own_before_the_site(self) -> None:
        self._site()
        own = self.world.red.post("networks", {"name": "provisioning"})["uuid"]
        self.assertEqual(own, self._meant())

    def test_the_only_one(self) -> None:
        self.world.red.get("networks/provisioning", 404)
        self.world.blue.put(f"networks/{self.uuids['blue-member']}/access/red", status=204)
        self.assertEqual(self.uuids["blue-member"], self._meant())

    def test_two_of_others(self) -> None:
        for user, uuid in self.uuids.items():
            self.world.admin.as_user(user).put(f"networks/{uuid}/access/red", status=204)
        self.assert_error(self.world.red.call("GET", "networks/provisioning"), 409)
        self.world.red.get(f"networks/{self.uuids['blue-member']}")


class TestIsolation(testtools.TestCase):
    """The switches are asked at once: many that are slow cost what one costs."""

    def test_slow_switches(self) -> None:
        site = self.useFixture(service.Embedded({("api", "device_timeout"): 3.0}))
        site.admin.post("networks", {"name": "net"})
        switches = [site.admin.add_switch(f"s{number}", ["p1"]) for number in range(5)]
        for switch in switches:
            fake.set_faults(site.state_dir, switch["uuid"], delay=1)
        began = time.monotonic()
        self.assertIs(True, site.admin.get("networks/net/isolation")["isolated"])
        self.assertLess(time.monotonic() - began, 2.5)
        for switch in switches[1:]:
            fake.set_faults(site.state_dir, switch["uuid"], delay=4)
        began = time.monotonic()
        report = site.admin.get("networks/net/isolation")
        self.assertLess(time.monotonic() - began, 3.8)
        self.assertEqual((None, ["s1", "s2", "s3", "s4"]), (report["isolated"], report["unreachable_switches"]))


class TestCabling(testtools.TestCase):
    """Tenants learn nothing of switches and ports, whatever they ask and whatever goes wrong."""

    def setUp(self) -> None:
        super().setUp()
        self.site = self.useFixture(
            service.Embedded({("conductor", "max_attempts"): 1, ("conductor", "driver_timeout"): 0.5})
        )
        self.admin = self.site.admin
        self.admin.add_project("red")
        self.red = self.admin.as_user("red-member")
        self.switch = self.admin.add_switch("hidden-switch", ["hidden-port"])
        self.port = self.admin.get("switches/hidden-switch/ports/hidden-port")["uuid"]
        self.admin.add_node("n1", "hidden-switch", "hidden-port")
        self.red.put("nodes/n1/project", {})
        self.red.post("networks", {"name": "net"})

    def _silent(self, path: str) -> Any:
        answer = self.red.call("GET", path, status=200)
        for word in ("hidden-switch", "hidden-port", self.switch["uuid"], self.port):
            self.assertNotIn(word, answer.text)
        return answer.json

    def test_operations(self) -> None:
        done = self.red.attach("n1", "net")
        self.assertNotIn("lane", done)
        self.assertEqual({"node", "nic", "network", "network_uuid", "channel"}, set(done["payload"]))
        self._silent("operations")
        shown = self.admin.get(f"operations/{done['uuid']}")
        self.assertEqual((f"switch:{self.switch['uuid']}", self.port), (shown["lane"], shown["payload"]["port_uuid"]))

    def test_isolation(self) -> None:
        self.red.attach("n1", "net")
        report = self._silent("networks/net/isolation")
        self.assertEqual([{"node": "n1", "expected": True, "carries": True}], report["ports"])
        (port,) = self.admin.get("networks/net/isolation")["ports"]
        self.assertEqual(("hidden-switch", "hidden-port"), (port["switch"], port["port"]))
        fake.set_faults(self.site.state_dir, self.switch["uuid"], unreadable=True)
        self.assertIsNone(self._silent("networks/net/isolation")["isolated"])
        self.assertEqual(["hidden-switch"], self.admin.get("networks/net/isolation")["unreachable_switches"])

    def test_errors(self) -> None:
        """A port for each kind of fault: what is left of one does not meet the next."""
        for number, fault in enumerate(("crash", "fail", "lie", "ports", "hang")):
            port, node = f"hidden-port{number}", f"m{number}"
            self.admin.wait(self.admin.post("switches/hidden-switch/ports", {"name": port})["operation"])
            self.admin.add_node(node, "hidden-switch", port)
            self.red.put(f"nodes/{node}/project", {})
            faults = {fault: [] if fault == "ports" else [port], "hang_seconds": 1}
            fake.set_faults(self.site.state_dir, self.switch["uuid"], **faults)
            failed = self.red.attach(node, "net", state="error")
            self.assertRegex(self._silent(f"operations/{failed['uuid']}")["error"], "switch|port")
            fake.set_faults(self.site.state_dir, self.switch["uuid"])


class TestFreeNodes(base.WorldTestCase):
    """A free node's NICs and MAC addresses are not for every tenant."""

    def test_nics(self) -> None:
        red = self.world.red
        self.assertIsNone(red.get("nodes/n2")["nics"])
        red.get("nodes/n2/nics", 403)
        self.assertEqual(["eth0"], [nic["name"] for nic in red.get("nodes/n1")["nics"]])
        self.assertEqual(["eth0", "eth1"], [nic["name"] for nic in self.world.admin.get("nodes/n2")["nics"]])
        self.assertEqual(["eth0", "eth1"], [nic["name"] for nic in red.put("nodes/n2/project", {})["nics"]])


class TestLargeClaims(base.WorldTestCase):
    """A claim has a limit."""

    def test_nodes_times_networks(self) -> None:
        networks = [{"network": "red-net", "nic": f"eth{number}"} for number in range(64)]
        for body, status in (
            ({"count": 65, "networks": networks}, 400),
            ({"nodes": [f"n{number}" for number in range(65)], "networks": networks}, 400),
            ({"count": 64, "networks": networks}, 409),
            ({"count": 1000, "networks": networks[:4]}, 409),
        ):
            self.assert_error(self.world.red.call("POST", "claims", body), status)
