# SPDX-License-Identifier: Apache-2.0
"""Headnodes: made by their first start, frozen by it, and leaving nothing behind, whatever fails."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import fixtures
import testtools

from mogan_hil.api import process
from mogan_hil.common import headnodes
from mogan_hil.conductor.service import Conductor
from mogan_hil.drivers.headnode import fake
from tests import service
from tests.functional.base import HEADNODES
from tests.functional.racks import InProcess, OnProcesses, drain, fresh, until

HEAD = "headnodes/head"
ON, OFF = {"target": "on"}, {"target": "off"}
STEPS = ("remove", "configure", "set_power")


class HeadnodeCase(InProcess):
    """With a headnode `head` of red, whose `eth0` is to be on red's network, and `eth1` on none."""

    settings = {**HEADNODES, ("conductor", "driver_timeout"): service.WAIT}

    def setUp(self) -> None:
        super().setUp()
        self.head = self.red.post("headnodes", {"name": "head", "image": "base"})
        for name in ("eth0", "eth1"):
            self.red.post(f"{HEAD}/hnics", {"name": name})
        self.red.put(f"{HEAD}/hnics/eth0/network", {"network": "mine"})

    def machine(self) -> Any:
        """What the host has of it."""
        return fake.machine(self.site.state_dir, self.head["uuid"])

    def head_faults(self, **faults: Any) -> None:
        fake.set_faults(self.site.state_dir, self.head["uuid"], **faults)

    def hold(self, call: str) -> threading.Event:
        """From now on such a call of the driver takes until the event is set."""
        gate, real = threading.Event(), getattr(fake.FakeHeadnode, call)

        def wait(driver: fake.FakeHeadnode, *arguments: Any) -> Any:
            gate.wait(service.WAIT)
            return real(driver, *arguments)

        self.useFixture(fixtures.MonkeyPatch(f"mogan_hil.drivers.headnode.fake.FakeHeadnode.{call}", wait))
        self.addCleanup(gate.set)
        return gate

    def power(self, body: Any = ON, state: str | None = "done") -> Any:
        return self.red.wait(self.red.put(f"{HEAD}/power", body, 202), state)

    def shown(self) -> Any:
        return self.red.get(HEAD)

    def remove(self) -> None:
        """It can always be deleted, and nothing is left then."""
        self.red.wait(self.red.delete(HEAD, 202))
        self.red.call("GET", HEAD, status=404)
        self.assertNotIn("spec", self.machine())
        self.red.delete("networks/mine")


class TestLife(HeadnodeCase):
    """From the first start to the end."""

    def test_life(self) -> None:
        self.assertEqual(("new", False, None), tuple(self.shown()[key] for key in ("status", "frozen", "vnc")))
        self.assertTrue(self.power()["verified"])
        shown = self.shown()
        self.assertEqual({"address": "127.0.0.1", "port": 5900}, shown["vnc"])
        self.assertEqual(("active", True), (shown["status"], shown["frozen"]))
        spec = self.machine()["spec"]
        nic = {"mac": shown["hnics"][0]["mac"], "bridge": "br0", "segment_id": self.network["segment_id"]}
        self.assertEqual([nic], spec["nics"])
        self.assertEqual(("/images/base.qcow2", 1024, 2), (spec["image"], spec["memory"], spec["cpus"]))
        self.power(OFF)
        self.assertEqual(("stopped", None), (self.shown()["status"], self.shown()["vnc"]))
        self.assertFalse(self.machine()["running"])
        for _ in range(2):
            self.power()
        self.assertTrue(self.machine()["running"])
        self.remove()

    def test_frozen(self) -> None:
        """Until the first start everything can be changed, and nothing after it."""
        calls = (
            ("POST", f"{HEAD}/hnics", {"name": "eth2"}),
            ("PUT", f"{HEAD}/hnics/eth1/network", {"network": "mine"}),
            ("DELETE", f"{HEAD}/hnics/eth1/network", None),
            ("DELETE", f"{HEAD}/hnics/eth1", None),
        )
        for method, path, body in calls:
            self.assertLess(self.red.call(method, path, body).status, 300, path)
        self.power()
        for method, path, body in calls:
            answer = self.red.call(method, path.replace("eth1", "eth0"), body, status=409)
            self.assertEqual("headnode.frozen", answer.json["errors"][0]["code"], path)
        self.assertEqual(["eth0", "eth2"], [hnic["name"] for hnic in self.shown()["hnics"]])

    def test_busy(self) -> None:
        """While something is done with it, nothing else is."""
        gate = self.hold("configure")
        begun = self.red.put(f"{HEAD}/power", ON, 202)
        for method, path, body in (
            ("PUT", f"{HEAD}/power", ON),
            ("DELETE", HEAD, None),
            ("POST", f"{HEAD}/hnics", {"name": "eth2"}),
            ("DELETE", f"{HEAD}/hnics/eth0/network", None),
        ):
            answer = self.red.call(method, path, body, status=409)
            self.assertEqual("operation.pending", answer.json["errors"][0]["code"], path)
        self.assertEqual("starting", self.shown()["status"])
        gate.set()
        self.red.wait(begun)

    def test_never_started(self) -> None:
        answer = self.red.call("PUT", f"{HEAD}/power", OFF, status=409)
        self.assertEqual("headnode.new", answer.json["errors"][0]["code"])
        self.remove()

    def test_what_it_is_on_is_in_use(self) -> None:
        self.red.call("DELETE", "networks/mine", status=409)
        self.admin.call("DELETE", "projects/red", status=409)
        self.admin.add_project("blue")
        blue = self.admin.as_user("blue-member")
        theirs = blue.post("networks", {"name": "theirs"})["uuid"]
        self.red.call("PUT", f"{HEAD}/hnics/eth1/network", {"network": theirs}, status=404)
        answer = self.admin.call("PUT", f"{HEAD}/hnics/eth1/network", {"network": theirs}, status=409)
        self.assertEqual("network.no_access", answer.json["errors"][0]["code"])
        blue.put("networks/theirs/access/red", status=204)
        self.red.put(f"{HEAD}/hnics/eth1/network", {"network": theirs})
        blue.call("DELETE", "networks/theirs/access/red", status=409)
        blue.call("DELETE", "networks/theirs", status=409)
        self.admin.patch("networks/mine", {"public": True})
        blue.post("headnodes", {"name": "head", "image": "base"})
        blue.post("headnodes/head/hnics", {"name": "eth0"})
        blue.put("headnodes/head/hnics/eth0/network", {"network": self.network["uuid"]})
        self.admin.call("PATCH", "networks/mine", {"public": False}, status=409)
        self.remove_networks(blue)

    def remove_networks(self, blue: Any) -> None:
        """Each goes as soon as nobody is on it."""
        blue.delete("headnodes/head/hnics/eth0/network")
        self.admin.patch("networks/mine", {"public": False})
        self.red.delete(f"{HEAD}/hnics/eth1/network")
        blue.delete("networks/theirs/access/red")
        blue.delete("networks/theirs")
        self.remove()

    def test_networks_that_are_none_for_it(self) -> None:
        self.admin.post("networks", {"name": "named", "project_id": "red", "segment_id": "4000"})
        self.site.conf.set_override("bridges", {"elsewhere": "br0"}, group="headnode")
        for network in ("named", "mine"):
            answer = self.red.call("PUT", f"{HEAD}/hnics/eth1/network", {"network": network}, status=409)
            self.assertEqual("network.not_pooled", answer.json["errors"][0]["code"])
        # The configuration may change between this and the start.
        self.assertIn("physical network", self.power(state="error")["error"])
        self.assertEqual({}, {name: value for name, value in self.machine().items() if name == "spec"})

    def test_addresses_are_its_own(self) -> None:
        macs = [hnic["mac"] for hnic in self.shown()["hnics"]]
        self.assertEqual(2, len({mac for mac in macs if mac.startswith("fa:16:3e:")}))
        for number in range(2, 16):
            self.red.post(f"{HEAD}/hnics", {"name": f"eth{number}"})
        self.red.call("POST", f"{HEAD}/hnics", {"name": "eth16"}, status=409)
        self.red.call("POST", f"{HEAD}/hnics", {"name": "eth0"}, status=409)


class TestFailures(HeadnodeCase):
    """Each step fails in each way; it can be tried again, and deleted."""

    def test_first_start_fails(self) -> None:
        for step in ("configure", "set_power"):
            self.head_faults(fail=[step])
            self.assertEqual("The headnode's host refused.", self.power(state="error")["error"])
            shown = self.shown()
            self.assertEqual(("new", False), (shown["status"], shown["frozen"]))
            self.assertEqual("The headnode's host refused.", shown["fault"])
            self.assertNotIn("spec", self.machine())
            self.red.delete(f"{HEAD}/hnics/eth0/network")
            self.red.put(f"{HEAD}/hnics/eth0/network", {"network": "mine"})
        self.head_faults(fail_transient=3)
        self.power()
        self.assertIsNone(self.shown()["fault"])
        self.head_faults()
        self.remove()

    def test_nothing_helps(self) -> None:
        """What a failed start has left cannot be taken away just then: the next try, or the deletion, does."""
        for retry in (self.power, self.remove):
            self.head_faults(fail=["set_power", "remove"])
            self.power(state="error")
            self.assertEqual("error", self.shown()["status"])
            self.head_faults()
            retry()
            if retry == self.power:
                self.assertTrue(self.machine()["running"])
                self.remove()
                self.network = self.red.post("networks", {"name": "mine"})
                self.head = self.red.post("headnodes", {"name": "head", "image": "base"})

    def test_later_failures(self) -> None:
        self.power()
        self.head_faults(fail=["set_power"])
        self.power(OFF, "error")
        self.assertEqual(("error", True), (self.shown()["status"], self.shown()["frozen"]))
        self.head_faults()
        self.power(OFF)
        self.head_faults(keep=True)
        self.red.wait(self.red.delete(HEAD, 202), "error")
        self.assertEqual("error", self.shown()["status"])
        self.head_faults()
        self.power()
        self.assertTrue(self.machine()["running"])
        fake.fakes.DeviceFile(self.site.state_dir, fake.KIND, self.head["uuid"]).path.unlink()
        self.assertIn("not there any more", self.power(state="error")["error"])
        self.remove()

    def test_unreadable(self) -> None:
        """What cannot be seen is not said to be so."""
        self.head_faults(unreadable=True)
        for begin in (partial(self.red.put, f"{HEAD}/power", ON, 202), partial(self.red.delete, HEAD, 202)):
            self.assertEqual("The headnode's host does not answer.", self.red.wait(begin(), "error")["error"])
        self.head_faults()
        self.remove()

    def test_a_bug_in_the_driver(self) -> None:
        self.useFixture(
            fixtures.MonkeyPatch("mogan_hil.drivers.headnode.fake.FakeHeadnode.configure", lambda *_: 1 / 0)
        )
        self.power(state="error")
        self.assertEqual("new", self.shown()["status"])


class TestLateCalls(HeadnodeCase):
    """A call does not come back in time, and takes effect later."""

    settings = {**HEADNODES, ("conductor", "driver_timeout"): 5.0}

    def test_what_comes_late_goes_again(self) -> None:
        gate = self.hold("configure")
        self.assertIn("did not answer", self.power(state="error")["error"])
        self.assertEqual("error", self.shown()["status"])
        gate.set()
        until(lambda: self.admin.get("operations?verb=headnode_clean")["operations"])
        drain(self.site.database)
        self.assertNotIn("spec", self.machine())
        self.power()
        self.remove()


class TestLimits(testtools.TestCase):
    """What a project may have."""

    def test_limits(self) -> None:
        site = self.useFixture(service.Embedded({**HEADNODES, ("quota", "headnode_memory"): 0}))
        site.admin.add_project("red")
        site.admin.put("quotas/red", {"headnodes": 3, "headnode_cpus": 14})
        red = site.admin.as_user("red-member")

        def create(name: str, image: str = "base", status: int = 201) -> Any:
            return red.call("POST", "headnodes", {"name": name, "image": image}, status=status).json

        error = create("a", status=403)["errors"][0]
        self.assertEqual("quota.exceeded", error["code"])
        site.admin.put("quotas/red", {"headnode_memory": 6144})
        create("a")
        create("b", "large")
        create("c", "large", status=403)  # 18 processors
        create("c")
        used = {name: found["in_use"] for name, found in red.get("quotas")["quotas"].items() if "headnode" in name}
        self.assertEqual({"headnodes": 3, "headnode_cpus": 12, "headnode_memory": 6144}, used)
        create("d", status=403)
        red.wait(red.delete("headnodes/b", 202))
        create("d")
        create("e", status=403)
        self.assertRaises(AssertionError, red.put, "quotas/red", {"headnodes": -1})


class TestCatalogue(testtools.TestCase):
    """The images of the configuration."""

    def test_entries(self) -> None:
        found = headnodes.catalogue(["base:/images/base.qcow2:1024:2"])
        self.assertEqual(headnodes.HeadnodeImage("base", "/images/base.qcow2", 1024, 2), found["base"])
        for wrong in (
            *("", "base", "base:/x", "base:/x:1", ":/x:1:1", "base:x:1:1", "base:/x:0:1", "base:/x:1:0", "a b:/x:1:1"),
            *(
                "base:/x:1:1:1",
                "base:/x:-1:1",
                "base:/x:1:1.5",
                "base:/x:1:1025",
                "base:/x:99999999:1",
                "b:/x:\u0661:1",
            ),
        ):
            self.assertRaises(ValueError, headnodes.catalogue, [wrong])
        self.assertRaises(ValueError, headnodes.catalogue, ["base:/x:1:1", "base:/y:1:1"])

    def test_it_is_checked_at_the_start(self) -> None:
        site = self.useFixture(service.Embedded(conductor=False))
        site.conf.set_override("images", ["base"], group="headnode")
        self.assertRaises(ValueError, Conductor, site.conf, site.database, site.drivers)
        self.assertRaises(ValueError, process.services, site.conf, site.database, site.drivers, site.conductor)


class Races:
    """Many at once, whatever the database."""

    shape = {
        "apis": 3,
        "conductors": 2,
        "settings": {
            ("headnode", "images"): "base:/images/base.qcow2:1024:2",
            ("headnode", "bridges"): "default:br0",
            ("quota", "headnodes"): 5,
            ("conductor", "sweep_interval"): 0.1,
        },
    }
    site: Any
    api: Any
    at_once: Any
    check: Any

    def _tenant(self) -> Any:
        project = fresh("project")
        self.site.admin.add_project(project)
        return lambda number: self.api(number, f"{project}-member")

    def test_limit(self) -> None:
        """Of eight, five are within the limit, every time."""
        red = self._tenant()
        for number in range(12):
            calls = [
                partial(red(i).call, "POST", "headnodes", {"name": f"h{number}-{i}", "image": "base"}) for i in range(8)
            ]
            answers = self.at_once(*calls)
            statuses = sorted(answer.status for answer in answers)
            self.assertEqual([201] * 5 + [403] * 3, statuses)  # type: ignore[attr-defined]
            made = [answer.json["uuid"] for answer in answers if answer.status == 201]
            for operation in [red(0).delete(f"headnodes/{uuid}", 202) for uuid in made]:
                red(0).wait(operation)

    def test_networks_that_go(self) -> None:
        """A headnode joins a network while the network, or its project's access to it, goes."""
        red, blue = self._tenant(), self._tenant()
        project = red(0).get("headnodes")  # the project is known
        self.assertEqual([], project["headnodes"])  # type: ignore[attr-defined]
        owner = red(0).post("headnodes", {"name": "head", "image": "base"})["project_id"]
        red(0).post("headnodes/head/hnics", {"name": "eth0"})
        for number in range(8):
            name = fresh("net")
            network = blue(0).post("networks", {"name": name})["uuid"]
            blue(0).put(f"networks/{name}/access/{owner}", status=204)
            path = f"networks/{name}/access/{owner}" if number % 2 else f"networks/{name}"
            answers = self.at_once(
                partial(red(1).call, "PUT", "headnodes/head/hnics/eth0/network", {"network": network}),
                partial(blue(2).call, "DELETE", path),
            )
            joined, gone = (answer.status for answer in answers)
            self.assertIn((joined, gone), ((200, 409), (404, 204)))  # type: ignore[attr-defined]
        self.check()

    def test_start_and_change(self) -> None:
        """What was changed before the start is started so; what came too late is refused."""
        red = self._tenant()
        network = red(0).post("networks", {"name": fresh("net")})["uuid"]
        for number in range(4):
            path = f"headnodes/h{number}"
            head = red(0).post("headnodes", {"name": f"h{number}", "image": "base"})
            red(0).post(f"{path}/hnics", {"name": "eth0"})
            started, joined, removed = self.at_once(
                partial(red(0).call, "PUT", f"{path}/power", ON),
                partial(red(1).call, "PUT", f"{path}/hnics/eth0/network", {"network": network}),
                partial(red(2).call, "DELETE", path),
            )
            drain(self.site.database)
            # One of them comes first; where it was done before the other came, that is not too late, or finds nothing.
            answers = sorted((started.status, removed.status))
            self.assertIn(answers, ([202, 409], [202, 202], [202, 404]))  # type: ignore[attr-defined]
            machine = fake.machine(self.site.state_dir, head["uuid"])
            if removed.status != 202:
                nics = len(machine["spec"]["nics"])
                self.assertEqual(int(joined.status == 200), nics)  # type: ignore[attr-defined]
            else:
                self.assertNotIn("spec", machine)  # type: ignore[attr-defined]


class TestRacesSqlite(Races, OnProcesses):
    kind = "sqlite"


class TestRacesMysql(Races, OnProcesses):
    kind = "mysql"


class TestRacesPostgresql(Races, OnProcesses):
    kind = "postgresql"


class TestCrashes(OnProcesses):
    """kill -9 of the conductor in the middle of each step: the next one ends it, and nothing is left over."""

    shape = {
        **Races.shape,
        "apis": 1,
        "conductors": 1,
        "settings": {**Races.shape["settings"], ("conductor", "driver_timeout"): 600.0},
    }

    def crash(self, red: Any, name: str, begun: Any) -> None:
        """Kill them while they hang in an operation, which then ends well."""
        until(lambda: red.get(f"operations/{begun['uuid']}")["state"] == "running")
        for conductor in self.site.conductors:
            self.site.kill_conductor(conductor)
        fake.set_faults(self.site.state_dir, red.get(f"headnodes/{name}")["uuid"])
        self.site.conductors[:] = [self.site.start_conductor()]
        red.wait(begun)

    def test_each_step(self) -> None:
        self.site.admin.add_project("red")
        red = self.api(0, "red-member")
        for step in STEPS:
            head = red.post("headnodes", {"name": step, "image": "base"})
            fake.set_faults(self.site.state_dir, head["uuid"], hang=[step], hang_seconds=600)
            self.crash(red, step, red.put(f"headnodes/{step}/power", ON, 202))
            self.assertTrue(fake.machine(self.site.state_dir, head["uuid"])["running"])
        fake.set_faults(self.site.state_dir, head["uuid"], hang=["remove"], hang_seconds=600)
        self.crash(red, step, red.delete(f"headnodes/{step}", 202))
        self.assertNotIn("spec", fake.machine(self.site.state_dir, head["uuid"]))
        self.assertEqual(list(STEPS[:-1]), [found["name"] for found in red.get("headnodes")["headnodes"]])
