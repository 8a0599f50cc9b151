# SPDX-License-Identifier: Apache-2.0
"""Changes behind the service's back: noticed, pushed or polled; healed where that is wanted; never imagined."""

from __future__ import annotations

import functools
import threading
from collections.abc import Collection, Mapping
from typing import Any

from mogan_hil.db import models
from mogan_hil.drivers.switch import base, fake
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.switch import Switch
from tests import service
from tests.functional.racks import InProcess, OnProcesses, rack, until

CLOSED = base.PortState(enabled=False)
OTHER = base.PortState(native=4001)


class Polled(fake.FakeSwitch):
    """A switch that pushes nothing."""

    capabilities = fake.FakeSwitch.capabilities - {base.WATCH}


class Slow(Polled):
    """A switch whose next look, or next save, takes until somebody lets it go on."""

    looks: threading.Event | None = None
    saves: threading.Event | None = None
    reached = threading.Event()

    @classmethod
    def _hold(cls, name: str) -> None:
        gate = getattr(cls, name)
        if gate is not None:
            setattr(cls, name, None)
            cls.reached.set()
            gate.wait(service.WAIT)

    def read(self, ports: Collection[str]) -> Mapping[str, base.PortState | None]:
        type(self)._hold("looks")
        return super().read(ports)

    def save(self) -> None:
        type(self)._hold("saves")


class Late(Slow):
    """A switch whose next look shows what was there before it was held up."""

    def read(self, ports: Collection[str]) -> Mapping[str, base.PortState | None]:
        seen = fake.FakeSwitch.read(self, ports)
        type(self)._hold("looks")
        return seen


class Drift(InProcess):
    drivers = {"polled": Polled, "slow": Slow, "late": Late}

    def wired(self, driver: str = "fake") -> tuple[str, str]:
        """A switch, and a node that is on the network and was seen so."""
        switch, (node,) = self.rack(1, driver)
        self.red.wait(self.attach(node))
        self.until(lambda: self.port(switch)["in_sync"])
        return switch, node

    def by_hand(self, switch: str, state: base.PortState) -> None:
        fake.set_by_hand(self.site.state_dir, switch, "p0", state)

    def operations(self, verb: str) -> list[Operation]:
        with self.site.database.reader() as session:
            return Operation.find(session, models.Operation.verb == verb)


class TestReported(Drift):
    settings = {("conductor", "poll_interval"): 0.2}

    def reported(self, driver: str) -> None:
        switch, _ = self.wired(driver)
        self.by_hand(switch, OTHER)
        self.until(lambda: self.port(switch)["in_sync"] is False)
        self.assertEqual(4001, self.port(switch)["observed"]["native"])
        drifted = self.admin.get(f"switches/{switch}/drift")["ports"]
        self.assertEqual(["p0"], [port["name"] for port in drifted])
        self.assertEqual("native 4001", self.seen(switch))
        self.by_hand(switch, base.PortState(native=self.vlan))
        self.until(lambda: self.port(switch)["in_sync"])
        self.assertEqual([], self.admin.get(f"switches/{switch}/drift")["ports"])
        self.assertEqual([], self.operations("switch_heal"))

    def test_pushed(self) -> None:
        self.reported("fake")

    def test_polled(self) -> None:
        self.reported("polled")

    def test_healed_on_demand(self) -> None:
        switch, _ = self.wired("polled")
        self.by_hand(switch, fake.OPEN)
        self.until(lambda: self.port(switch)["in_sync"] is False)
        healed = self.admin.wait(self.admin.call("POST", f"switches/{switch}/heal", status=202).json)
        self.assertEqual({"healed": ["p0"]}, healed["result"])
        self.assertEqual(f"native {self.vlan}", self.seen(switch))
        self.until(lambda: self.port(switch)["in_sync"])
        self.check()

    def test_port_that_went_away(self) -> None:
        switch, _ = self.wired("polled")
        self.faults(switch, ports=["p7"])
        self.until(lambda: self.port(switch)["in_sync"] is False)
        self.assertIsNone(self.port(switch)["observed"])

    def test_switch_that_is_away_for_a_while(self) -> None:
        switch, _ = self.wired("polled")
        self.faults(switch, unreadable=True)
        self.admin.get(f"switches/{switch}/drift", 503)  # one call at a time: no look is under way that could read it
        self.by_hand(switch, OTHER)
        self.admin.get(f"switches/{switch}/drift", 503)
        self.assertIs(True, self.port(switch)["in_sync"])
        self.faults(switch)
        self.until(lambda: self.port(switch)["in_sync"] is False)

    def test_not_while_it_is_being_changed(self) -> None:
        """What an operation is about is not drift, and is not judged before the operation is done."""
        switch, node = self.wired()
        self.faults(switch, delay=0.4)
        operation = self.detach(node)
        while True:
            self.by_hand(switch, OTHER)
            in_sync = self.port(switch)["in_sync"]
            if self.red.get(f"operations/{operation['uuid']}")["state"] in ("done", "error"):
                break
            self.assertIs(True, in_sync)


class TestHealed(Drift):
    settings = {("conductor", "poll_interval"): 0.2, ("conductor", "on_drift"): "heal"}

    def healed(self, driver: str) -> None:
        switch, node = self.wired(driver)
        for state in (OTHER, fake.OPEN, CLOSED):
            self.by_hand(switch, state)
            self.until(lambda: self.seen(switch) == f"native {self.vlan}")
        self.until(lambda: self.port(switch)["in_sync"])
        self.red.wait(self.detach(node))
        self.by_hand(switch, fake.OPEN)
        self.until(lambda: self.seen(switch) == "closed")
        self.check()

    def test_pushed(self) -> None:
        self.healed("fake")

    def test_polled(self) -> None:
        self.healed("polled")


class TestStaleLooks(Drift):
    """A look that began before a change ends after it."""

    settings = {
        ("conductor", "poll_interval"): 600.0,
        ("conductor", "on_drift"): "heal",
        ("conductor", "driver_timeout"): service.WAIT,
    }

    def setUp(self) -> None:
        super().setUp()
        for name in ("looks", "saves"):
            self.addCleanup(setattr, Slow, name, None)
        Slow.reached.clear()

    def look(self, switch: str) -> threading.Thread:
        """Begin to look, and wait until that is held up."""
        kind = {"slow": Slow, "late": Late}[self.admin.get(f"switches/{switch}")["driver"]]
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        kind.looks = self.gate
        with self.site.database.reader() as session:
            found = Switch.get(session, switch)
        looking = threading.Thread(target=self.site.conductor._observer.observe, args=(found,))
        looking.start()
        self.assertTrue(Slow.reached.wait(service.WAIT))
        Slow.reached.clear()
        return looking

    def test_of_what_was(self) -> None:
        switch, node = self.wired("late")
        self.by_hand(switch, OTHER)
        looking = self.look(switch)
        self.red.wait(self.detach(node))
        self.gate.set()
        looking.join()
        port = self.port(switch)
        self.assertEqual((True, False), (port["in_sync"], port["observed"]["enabled"]))
        self.assertEqual([], self.operations("switch_heal"))

    def test_of_what_is_not_written_down_yet(self) -> None:
        switch, node = self.wired("slow")
        looking = self.look(switch)
        Slow.saves = saves = threading.Event()
        self.addCleanup(saves.set)
        operation = self.detach(node)
        self.assertTrue(Slow.reached.wait(service.WAIT))  # the switch has it, the database does not know
        self.gate.set()
        looking.join()
        self.assertIs(True, self.port(switch)["in_sync"])
        saves.set()
        self.red.wait(operation)
        self.assertIs(True, self.port(switch)["in_sync"])
        self.assertEqual([], self.operations("switch_heal"))


class TestHealedTooLate(Drift):
    """A port is changed again by hand while a heal writes down that it is right."""

    settings = {("conductor", "poll_interval"): 600.0, ("conductor", "driver_timeout"): service.WAIT}

    def test_what_was_seen_later_counts(self) -> None:
        self.addCleanup(setattr, Slow, "saves", None)
        Slow.reached.clear()
        switch, _ = self.wired("slow")
        with self.site.database.reader() as session:
            found = Switch.get(session, switch)
        look = functools.partial(self.site.conductor._observer.observe, found)
        self.by_hand(switch, OTHER)
        look()
        self.assertIs(False, self.port(switch)["in_sync"])
        Slow.saves = saves = threading.Event()
        self.addCleanup(saves.set)
        healing = self.admin.call("POST", f"switches/{switch}/heal", status=202).json
        self.assertTrue(Slow.reached.wait(service.WAIT))
        self.by_hand(switch, base.PortState(native=4002))
        look()
        saves.set()
        self.admin.wait(healing)
        port = self.port(switch)
        self.assertEqual((False, 4002), (port["in_sync"], port["observed"]["native"]))


class TestTwoWatchers(OnProcesses):
    """Of two conductors one watches; when it dies the other does."""

    shape = {"apis": 1, "conductors": 2, "settings": {("conductor", "poll_interval"): 600.0}}

    def noticed(self) -> dict[str, int]:
        """How often each conductor said that a port was changed."""
        logs = sorted(self.site.state_dir.glob("mogan-hil-conductor-*.log"))
        return {path.name: path.read_text().count("was changed by somebody else") for path in logs}

    def change(self, switch: str, vlan: int) -> set[str]:
        """Change a port by hand; returns who noticed."""
        before = self.noticed()
        fake.set_by_hand(self.site.state_dir, switch, "p0", base.PortState(native=vlan))
        until(lambda: self.site.admin.get(f"switches/{switch}/ports/p0")["observed"] and self.noticed() != before)
        after = self.noticed()
        return {name for name in after if after[name] != before[name]}

    def test_two_watchers(self) -> None:
        switch, (node,) = rack(self.site, 1)
        # Its port was registered open: until it is closed nobody may have the node.
        until(lambda: self.site.admin.call("PUT", f"nodes/{node}/project", {}).status == 200)
        self.site.admin.post("networks", {"name": "watched"})
        self.site.admin.attach(node, "watched")  # a port that is not in use would be closed again
        # A conductor looks at every switch once as it starts, perhaps late, and perhaps at the same moment as the other
        # one: who notices twice in a row, and alone, is the watcher.
        before: set[str] = set()
        noticed, vlan = self.change(switch, 4001), 4002  # none of the pool, which the network has one of
        while noticed != before or len(noticed) > 1:
            before, noticed, vlan = noticed, self.change(switch, vlan), vlan + 1
        (first,) = noticed
        self.site.kill_conductor(self.conductor(first))
        (second,) = self.change(switch, 4094)
        self.assertNotEqual(first, second)

    def conductor(self, log: str) -> Any:
        for process in self.site.conductors:
            if (self.site.state_dir / log).samefile(f"/proc/{process.pid}/fd/2"):
                return process
        raise AssertionError(f"nobody writes {log}")


class TestTwoWatchersOnMariaDB(TestTwoWatchers):
    kind = "mysql"


class TestTwoWatchersOnPostgreSQL(TestTwoWatchers):
    kind = "postgresql"
