# SPDX-License-Identifier: Apache-2.0
"""Headnodes that are changed on their host, or switch themselves off: it is found, written down and never put right."""

from __future__ import annotations

from typing import Any

import fixtures

from mogan_hil.conductor.headnode_sync import HeadnodeSync
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.headnode import fake
from mogan_hil.drivers.headnode.base import VmState
from mogan_hil.objects.headnode import Headnode
from tests import service
from tests.functional.notified import SETTINGS, Told, data, names
from tests.functional.racks import OnProcesses, drain, fresh, until
from tests.functional.test_headnodes import HEAD, OFF, ON, HeadnodeCase

REFUSED = "The headnode's host refused."
IS_OFF = VmState(False)


class SyncCase(HeadnodeCase):
    """Nobody makes rounds but the test."""

    settings = {**HeadnodeCase.settings, **SETTINGS, ("conductor", "power_sync_interval"): 0}

    def sync(self, read: Any = None) -> None:
        """One round.

        :param read: asks the host, in place of the driver
        """
        sync = self.site.conductor._headnode_sync
        HeadnodeSync(self.site.database, sync._locks, read or sync._read, sync._clean, sync._wake).round()

    def by_hand(self, running: bool | None) -> None:
        fake.set_by_hand(self.site.state_dir, self.head["uuid"], running=running)

    def meanwhile(self, act: Any, answer: VmState | None = IS_OFF) -> None:
        """One round, in which something happens after the host was asked, and before what it says is written."""

        def read(_headnode: Headnode) -> VmState | None:
            act()
            return answer

        self.sync(read)


class TestSync(SyncCase):
    """What one round finds."""

    def status(self) -> Any:
        return self.shown()["status"]

    def test_found_off_and_on(self) -> None:
        told = Told(self.site)  # from before somebody writes: it waits for who does
        self.sync()
        self.assertEqual("new", self.status())
        self.power()
        told.new()
        self.sync()
        self.assertEqual("active", self.status())
        self.assertEqual([], names(told.new()))
        self.by_hand(False)
        self.sync()
        self.assertEqual(("stopped", None, None), tuple(self.shown()[name] for name in ("status", "vnc", "fault")))
        messages = told.new()
        self.assertLessEqual({name.rpartition(".")[0] for name in names(messages)}, {"headnode", "headnode.keep_off"})
        (message,) = [one for one in messages if one["event_type"] == "headnode.update"]
        self.assertEqual({"old": "active", "new": "stopped"}, data(message)["changes"]["status"])
        self.by_hand(True)
        self.sync()
        self.assertEqual(("active", 5900), (self.status(), self.shown()["vnc"]["port"]))
        self.power(OFF)
        self.remove()

    def test_one_that_went_off_stays_off(self) -> None:
        """Nor does it come back with its host, until somebody starts it."""
        self.power()
        self.assertIs(True, self.machine()["comes_back"])
        self.by_hand(False)
        self.sync()
        until(lambda: "comes_back" not in self.machine(), service.WAIT)
        drain(self.site.database)
        self.assertEqual("stopped", self.status())
        self.power()
        self.assertIs(True, self.machine()["comes_back"])

    def test_one_that_was_started_again_comes_back(self) -> None:
        """It was found off, and started before it was to be kept so: nobody is refused for that."""
        self.power()
        self.by_hand(False)
        self.head_faults(hang=["keep_off"], hang_seconds=0.3)
        self.sync()
        self.power()
        drain(self.site.database)
        self.assertEqual(("active", True), (self.status(), self.machine()["comes_back"]))

    def test_its_screen_moved(self) -> None:
        """Its host was started again, and it with that."""
        self.power()
        self.meanwhile(lambda: None, VmState(True, "127.0.0.2", 5901))
        self.assertEqual({"address": "127.0.0.2", "port": 5901}, self.shown()["vnc"])
        self.meanwhile(lambda: None, VmState(True))
        self.assertIsNone(self.shown()["vnc"])

    def test_gone(self) -> None:
        self.power()
        self.by_hand(None)
        self.sync()
        self.assertEqual("error", self.status())
        self.assertIn("not there any more", self.shown()["fault"])
        self.assertIn("not there any more", self.power(state="error")["error"])
        self.remove()

    def test_found_by_the_conductor_itself(self) -> None:
        self.power()
        self.by_hand(False)
        self.site.conductor._rounds.stop()
        self.site.conf.set_override("power_sync_interval", 0.05, group="conductor")
        again = service.Conductor(self.site.conf, self.site.database, self.site.drivers)
        again.start()
        self.addCleanup(again.stop)
        until(lambda: self.status() == "stopped", service.WAIT)

    def test_an_action_in_flight_is_left_alone(self) -> None:
        self.power()
        gate = self.hold("set_power")

        def begin() -> None:
            self.begun = self.red.put(f"{HEAD}/power", ON, 202)

        self.meanwhile(begin)
        self.assertEqual("starting", self.status())
        gate.set()
        self.red.wait(self.begun)
        self.assertEqual("active", self.status())

    def test_an_action_that_ended_meanwhile(self) -> None:
        self.power()
        self.meanwhile(self.power)
        self.assertEqual("active", self.status())
        self.power(OFF)
        self.meanwhile(lambda: [self.power(body) for body in (ON, OFF)], VmState(True, "127.0.0.1", 5900))
        self.assertEqual("stopped", self.status())

    def test_an_action_that_was_begun_before(self) -> None:
        """It ends before the answer is written, which is older."""
        self.power()
        real, gate = HeadnodeSync._look, self.hold("set_power")

        def look(sync: HeadnodeSync, thing: Headnode) -> None:
            self.begun = self.red.put(f"{HEAD}/power", ON, 202)
            real(sync, thing)

        def end() -> None:
            gate.set()
            self.red.wait(self.begun)

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.headnode_sync.HeadnodeSync._look", look))
        self.meanwhile(end)
        end()
        self.assertEqual("active", self.status())

    def test_deleted_meanwhile(self) -> None:
        self.power()
        self.meanwhile(self.remove)
        self.red.call("GET", HEAD, status=404)

    def test_what_cannot_be_asked(self) -> None:
        self.power()
        other = self.red.post("headnodes", {"name": "other", "image": "base"})
        self.red.wait(self.red.put("headnodes/other/power", ON, 202))
        self.head_faults(unreadable=True)
        fake.set_by_hand(self.site.state_dir, other["uuid"], running=False)
        self.sync()
        self.assertEqual("active", self.status())
        self.assertEqual("stopped", self.red.get("headnodes/other")["status"])

    def test_a_bug_in_the_driver(self) -> None:
        self.power()
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.drivers.headnode.fake.FakeHeadnode.read", lambda _: 1 / 0))
        self.sync()
        self.assertEqual("active", self.status())


class TestRemains(SyncCase):
    """A first start failed, and what it has made could not be taken away."""

    def leave(self) -> None:
        def refuse(_driver: fake.FakeHeadnode, _on: bool) -> None:
            self.head_faults(fail=["remove"])
            raise DriverError(REFUSED)

        with fixtures.MonkeyPatch("mogan_hil.drivers.headnode.fake.FakeHeadnode.set_power", refuse):
            self.power(state="error")
        self.assertEqual(("error", False), (self.shown()["status"], self.shown()["frozen"]))
        self.assertIn("spec", self.machine())

    def test_nothing_can_be_changed(self) -> None:
        """The machine may be on those networks."""
        self.leave()
        for method, path, body in (
            ("POST", f"{HEAD}/hnics", {"name": "eth2"}),
            ("PUT", f"{HEAD}/hnics/eth1/network", {"network": "mine"}),
            ("DELETE", f"{HEAD}/hnics/eth0/network", None),
            ("DELETE", f"{HEAD}/hnics/eth0", None),
        ):
            answer = self.red.call(method, path, body, status=409)
            self.assertEqual("headnode.unclean", answer.json["errors"][0]["code"], path)
        self.red.call("DELETE", "networks/mine", status=409)
        self.head_faults()
        self.remove()

    def test_they_go_as_soon_as_the_host_answers(self) -> None:
        self.leave()
        self.head_faults(unreadable=True)
        self.sync()
        self.assertEqual("error", self.shown()["status"])
        self.assertEqual([], self.admin.get("operations?verb=headnode_clean")["operations"])
        self.head_faults()
        self.sync()
        drain(self.site.database)
        self.assertEqual("new", self.shown()["status"])
        self.assertEqual(REFUSED, self.shown()["fault"])
        self.assertNotIn("spec", self.machine())
        self.red.delete(f"{HEAD}/hnics/eth0/network")
        self.power()
        self.assertEqual([], self.machine()["spec"]["nics"])

    def test_they_stay(self) -> None:
        self.leave()
        self.head_faults(keep=True)
        self.sync()
        drain(self.site.database)
        self.assertEqual("error", self.shown()["status"])
        self.head_faults()
        self.remove()

    def test_an_operation_that_is_given_up(self) -> None:
        """Nobody knows what it has made: it is taken away, and may be tried again."""

        def die(_driver: fake.FakeHeadnode, _on: bool) -> None:
            raise RuntimeError

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.headnodes.HeadnodeLane._start", die))
        error = self.power(state="error")["error"]
        drain(self.site.database)
        self.assertEqual(("new", error), (self.shown()["status"], self.shown()["fault"]))


class Rounds(OnProcesses):
    """Rounds of two conductors, as many as they can make, while headnodes are switched."""

    shape = {
        "apis": 2,
        "conductors": 2,
        "settings": {
            ("headnode", "images"): "base:/images/base.qcow2:1024:2",
            ("headnode", "bridges"): "default:br0",
            ("conductor", "sweep_interval"): 0.1,
            ("conductor", "power_sync_interval"): 0.01,
        },
    }

    def check_rounds(self) -> None:
        project = fresh("project")
        self.site.admin.add_project(project)
        red = self.api(0, f"{project}-member")
        heads = [red.post("headnodes", {"name": f"h{number}", "image": "base"}) for number in range(4)]
        for number in range(12):
            body = OFF if number % 2 else ON
            begun = [red.put(f"headnodes/{head['name']}/power", body, 202) for head in heads]
            for operation in begun:
                red.wait(operation)
            found = [red.get(f"headnodes/{head['name']}")["status"] for head in heads]
            self.assertEqual(["stopped" if number % 2 else "active"] * 4, found)
        for head in heads:
            fake.set_by_hand(self.site.state_dir, head["uuid"], running=True)
        until(lambda: [row["status"] for row in red.get("headnodes")["headnodes"]] == ["active"] * 4, service.WAIT)
        for operation in [red.delete(f"headnodes/{head['name']}", 202) for head in heads]:
            red.wait(operation)


class TestRoundsSqlite(Rounds):
    kind = "sqlite"

    def test_rounds(self) -> None:
        self.check_rounds()


class TestRoundsMysql(Rounds):
    kind = "mysql"

    def test_rounds(self) -> None:
        self.check_rounds()


class TestRoundsPostgresql(Rounds):
    kind = "postgresql"

    def test_rounds(self) -> None:
        self.check_rounds()
