# SPDX-License-Identifier: Apache-2.0
"""What went wrong once at the API."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fixtures
import testtools

from mogan_hil.common.sealing import Opener, Purpose
from mogan_hil.conductor.observer import Observer
from mogan_hil.drivers.base import MASK
from mogan_hil.drivers.obm.fake import FakeObm
from mogan_hil.drivers.switch import fake
from mogan_hil.drivers.switch.base import PortState
from mogan_hil.drivers.switch.fake import FakeSwitch
from mogan_hil.objects.node import Node
from mogan_hil.objects.switch import Switch
from tests import service
from tests.functional import base
from tests.functional.racks import until


class TestNamedLikeAPath(base.WorldTestCase):
    """A thing whose name is a word of another path is reached by it."""

    def test_an_instance(self) -> None:
        admin, red = self.world.admin, self.world.red
        made = admin.post("instances/adopt", {"name": "adopt", "node": "n3"})
        self.assertEqual(made["uuid"], red.get("instances/adopt")["uuid"])
        self.assertEqual("mine", red.patch("instances/adopt", {"description": "mine"})["description"])
        answer = red.call("PUT", "instances/adopt")
        self.assert_error(answer, 405)
        self.assertEqual("DELETE, GET, PATCH, POST", answer.headers["Allow"])
        red.delete("instances/adopt", 202)
        self.assertEqual("deleting", red.get("instances/adopt")["status"])

    def test_quotas_of_a_project(self) -> None:
        admin = self.world.admin
        project = admin.put("projects/defaults", status=201)["uuid"]
        admin.put("quotas/defaults", {"instances": 3})
        self.assertEqual(3, admin.get(f"quotas/{project}")["quotas"]["instances"]["limit"])
        self.assertEqual(-1, admin.get("quotas/defaults")["quotas"]["instances"]["limit"])
        admin.delete("quotas/defaults")
        self.assertEqual(-1, admin.get(f"quotas/{project}")["quotas"]["instances"]["limit"])


class TestSecrets(base.WorldTestCase):
    """Whoever sends back what was shown keeps the secret behind the mask."""

    def _kept(self) -> tuple[str, str]:
        with self.world.service.database.reader() as session:
            switch, node = Switch.get(session, "rack1"), Node.get(session, "n1")
        opener = Opener(self.world.service.conf.secrets.key_file)
        mine = opener.open(switch.secrets, Purpose(switch.uuid, "fake", switch.options), FakeSwitch.harmless_options)
        obm = opener.open(node.obm_secrets, Purpose(node.uuid, "fake", node.obm_options), FakeObm.harmless_options)
        return mine["password"], obm["password"]

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
        """None answers before all are asked; then all but one do not answer at all."""
        settings = {("api", "device_timeout"): 60.0, ("conductor", "driver_timeout"): 60.0}
        site = self.useFixture(service.Embedded(settings))
        site.admin.post("networks", {"name": "net"})
        for number in range(5):
            site.admin.add_switch(f"s{number}", ["p1"])
        asked: set[str] = set()
        all_asked, answers, real = threading.Event(), threading.Event(), Observer.observe
        self.addCleanup(answers.set)

        def observe(observer: Observer, switch: Switch, names: Collection[str] | None = None) -> set[str]:
            if names is None:  # not what the switch has pushed
                asked.add(switch.name)
                if len(asked) == 5:
                    all_asked.set()
                if not all_asked.wait(service.WAIT / 2):
                    raise AssertionError("they are asked one after the other")
                if switch.name != "s0":
                    answers.wait(service.WAIT)
            return real(observer, switch, names)

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.observer.Observer.observe", observe))
        answers.set()
        self.assertIs(True, site.admin.get("networks/net/isolation")["isolated"])
        answers.clear()
        asked.clear()
        all_asked.clear()
        site.conf.set_override("device_timeout", 4.0, group="api")
        report = site.admin.get("networks/net/isolation")
        self.assertTrue(all_asked.is_set())
        self.assertEqual((None, ["s1", "s2", "s3", "s4"]), (report["isolated"], report["unreachable_switches"]))

    def test_many_callers(self) -> None:
        """They share what the switch is asked: its sessions, and the conductor's threads, are few."""
        site = self.useFixture(service.Embedded({("api", "device_timeout"): 60.0}))
        site.admin.post("networks", {"name": "net"})
        uuid = site.admin.add_switch("s1", ["p1"])["uuid"]
        asked: list[object] = []
        going, real = threading.Semaphore(0), Observer.observe

        def observe(observer: Observer, switch: Switch, names: Collection[str] | None = None) -> set[str]:
            if names is None:  # not what the switch has pushed
                asked.append(switch)
                going.acquire(timeout=service.WAIT)
            return real(observer, switch, names)

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.observer.Observer.observe", observe))

        def waiters() -> list[int]:
            turns = site.conductor._turns._next.values()
            return [len(turn._condition._waiters) for turn in turns]  # type: ignore[attr-defined]

        with ThreadPoolExecutor() as pool:
            first = pool.submit(site.conductor.observe, uuid, service.WAIT)
            until(lambda: len(asked) == 1, service.WAIT)
            reports = [pool.submit(site.admin.get, "networks/net/isolation") for _ in range(3)]
            until(lambda: waiters() == [2], service.WAIT)  # besides the one that is to ask next
            going.release(100)
            first.result()
            self.assertEqual([True] * 3, [report.result()["isolated"] for report in reports])
        self.assertEqual(2, len(asked))

    def test_what_nobody_can_tell(self) -> None:
        """A switch that cannot be read at all; and one stranger is enough to know."""
        site = self.useFixture(service.Embedded())
        site.admin.post("networks", {"name": "net", "segment_id": "100"})
        with fixtures.MonkeyPatch("mogan_hil.drivers.switch.fake.FakeSwitch.capabilities", frozenset()):
            site.admin.add_switch("blind", ["p1"])
            self.assertIsNone(site.admin.get("networks/net/isolation")["isolated"])
        seeing = site.admin.add_switch("seeing", ["p1"])
        fake.set_faults(site.state_dir, seeing["uuid"], lie=["*"])  # the conductor cannot close it again
        self.assertIsNone(site.admin.get("networks/net/isolation")["isolated"])
        fake.set_by_hand(site.state_dir, seeing["uuid"], "p1", PortState(100))
        self.assertIs(False, site.admin.get("networks/net/isolation")["isolated"])


class TestCabling(testtools.TestCase):
    """Tenants learn nothing of switches and ports, whatever they ask and whatever goes wrong."""

    def setUp(self) -> None:
        super().setUp()
        self.site = self.useFixture(
            service.Embedded({("conductor", "max_attempts"): 1, ("conductor", "driver_timeout"): 3.0})
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
            faults = {fault: [] if fault == "ports" else [port], "hang_seconds": 4}
            fake.set_faults(self.site.state_dir, self.switch["uuid"], **faults)
            failed = self.red.attach(node, "net", state="error")
            self.assertRegex(self._silent(f"operations/{failed['uuid']}")["error"], "switch|port")
            fake.set_faults(self.site.state_dir, self.switch["uuid"])
        until(self._settled)  # the call that hung has come back, and meets no other test

    def _settled(self) -> bool:
        with self.site.database.reader() as session:
            return Switch.get(session, "hidden-switch").unsettled_until is None


class TestFreeNodes(base.WorldTestCase):
    """By a free node's labels and NICs one is chosen; its cabling and its controller are not for every tenant."""

    def test_what_is_shown(self) -> None:
        red, admin = self.world.red, self.world.admin
        admin.put("nodes/n2/metadata/shelf", {"value": 7}, 201)
        shown = red.get("nodes/n2")
        self.assertEqual(({"shelf": 7}, None), (shown["metadata"], shown.get("obm")))
        self.assertEqual({"metadata": {"shelf": 7}}, red.get("nodes/n2/metadata"))
        self.assertEqual(shown["nics"], red.get("nodes/n2/nics")["nics"])
        self.assertEqual(["eth0", "eth1"], [nic["name"] for nic in shown["nics"]])
        for nic in (*shown["nics"], red.get("nodes/n2/nics/eth0")):
            self.assertEqual(set(), {"port", "switch"} & nic.keys())

    def test_as_long_as_it_is_free(self) -> None:
        red, blue = self.world.red, self.world.blue
        self.assertEqual(["eth0", "eth1"], [nic["name"] for nic in red.put("nodes/n2/project", {})["nics"]])
        for path in ("nodes/n2", "nodes/n2/nics", "nodes/n2/nics/eth0", "nodes/n2/metadata"):
            blue.get(path, 404)


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


class TestWires(base.WorldTestCase):
    """Two networks for one NIC are refused by its name, whatever it is called, and nothing is changed."""

    def test_one_nic_twice(self) -> None:
        red, admin = self.world.red, self.world.admin
        uuid = admin.get("nodes/n2/nics/eth0")["uuid"]
        for nics in (("eth0", "eth0"), ("eth0", uuid), (uuid, "eth0"), (uuid, uuid), ("eth1", "eth0", "eth0")):
            networks = ("red-net", "red-idle", "site")[: len(nics)]
            wires = [{"network": network, "nic": nic} for nic, network in zip(nics, networks, strict=True)]
            for path, body in (
                ("instances", {"name": "new", "node": "n2"}),
                ("instances", {"name": "new", "flavor": "metal"}),
                ("claims", {"nodes": ["n2"]}),
                ("claims", {"count": 1}),
            ):
                answer = red.call("POST", path, {**body, "networks": wires})
                self.assert_error(answer, 400)
                told = answer.json["errors"][0]["detail"]
                self.assertTrue("'eth0'" in told or uuid in told, told)
                self.assertFalse(self.world.changed())
