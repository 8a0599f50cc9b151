# SPDX-License-Identifier: Apache-2.0
"""One bad operation, driver or switch stops only itself, and the port is never left with more than it should carry."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import fixtures
import sqlalchemy as sa

from mogan_hil.conductor.networking import SwitchLane
from mogan_hil.db import models
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.switch import base, fake
from tests.functional.racks import InProcess

CLOSED = "closed"


class Unread(fake.FakeSwitch):
    """A switch that can be told, and not asked."""

    capabilities = fake.FakeSwitch.capabilities - {base.READ, base.WATCH}


class Fingers(fake.FakeSwitch):
    """A switch at which somebody changes a port as soon as we have."""

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        super().configure(ports)
        for port in ports:
            fake.set_by_hand(self.environment.state_dir, self.environment.uuid, port, fake.OPEN)


class Moody(fake.FakeSwitch):
    """A switch of which one port is busy for ever."""

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        if "p0" in ports:
            raise DriverError("The port is busy.", transient=True)
        super().configure(ports)


class Slowly(fake.FakeSwitch):
    """A switch that takes each third change."""

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        with self._device.file.change() as state:
            state["asked"] = state.get("asked", 0) + 1
        if state["asked"] % 3:
            raise DriverError("The switch is busy.", transient=True)
        super().configure(ports)


class Gone(fake.FakeSwitch):
    """A switch that is there at first."""


class Poison(InProcess):
    settings = {("conductor", "poll_interval"): 0.3, ("conductor", "max_attempts"): 4}
    drivers = {"unread": Unread, "fingers": Fingers, "moody": Moody, "slowly": Slowly, "gone": Gone}

    def all_but(self, bad: int, operations: list[Any]) -> Any:
        """All of these are done but one, which is returned as the operator sees it."""
        for number, operation in enumerate(operations):
            self.red.wait(operation, "error" if number == bad else "done")
        return self.admin.get(f"operations/{operations[bad]['uuid']}")

    def postponed(self, operation: Any) -> bool:
        found = self.red.get(f"operations/{operation['uuid']}")
        return (found["state"], found["attempts"]) == ("pending", 1)

    def mended(self, switch: str, port: str = "p0") -> None:
        """The port comes right by itself."""
        self.until(lambda: self.port(switch, port)["status"] == "ok")

    def blocked(self, node: str) -> None:
        """The network stays as long as nobody can prove that it is off the port."""
        self.assertEqual(["detaching"], self.attached(node))
        self.red.delete("networks/mine", 409)
        self.red.delete(f"nodes/{node}/project", 409)


class TestDrivers(Poison):
    """What drivers do."""

    def one_of_ten(self, **faults: Any) -> Any:
        switch, names = self.rack(10, **faults)
        failed = self.all_but(3, [self.attach(name) for name in names])
        self.assertEqual(([], CLOSED), (self.attached(names[3]), self.seen(switch, "p3")))
        self.check()
        return failed

    def test_crash(self) -> None:
        failed = self.one_of_ten(crash=["p3"], delay=0.1)
        self.assertNotIn("RuntimeError", failed["error"])
        self.assertIn("RuntimeError: crash: p3", failed["error_detail"])

    def test_refusal(self) -> None:
        failed = self.one_of_ten(fail=["p3"], delay=0.1)
        self.assertEqual("The switch refused the change.", failed["error"])

    def test_lie(self) -> None:
        failed = self.one_of_ten(lie=["p3"], delay=0.1)
        self.assertIn(f"wanted native {self.vlan}; found closed", failed["error_detail"])
        self.assertNotIn(str(self.vlan), failed["error"])
        shown = self.red.get(f"operations/{failed['uuid']}")
        self.assertNotIn("error_detail", shown)
        self.assertIs(False, shown["verified"])

    def test_lie_about_a_detach(self) -> None:
        switch, (node,) = self.rack(1)
        self.red.wait(self.attach(node))
        self.faults(switch, lie=["*"])
        self.red.wait(self.detach(node), "error")
        self.assertEqual(f"native {self.vlan}", self.seen(switch))
        self.blocked(node)
        self.faults(switch)
        self.mended(switch)
        self.assertEqual((CLOSED, []), (self.seen(switch), self.attached(node)))
        self.red.delete("networks/mine")

    def test_passing_failures(self) -> None:
        _, (node,) = self.rack(1, "slowly")
        self.assertEqual(3, self.red.wait(self.attach(node))["attempts"])
        self.check()

    def test_failures_that_do_not_pass(self) -> None:
        switch, (node,) = self.rack(1, fail_transient=10**6)
        failed = self.red.wait(self.attach(node), "error")
        self.assertEqual((4, "The device is busy."), (failed["attempts"], failed["error"]))
        self.blocked(node)
        self.faults(switch)
        self.mended(switch)
        self.red.delete("networks/mine")

    def test_switch_that_cannot_be_read(self) -> None:
        switch, (node,) = self.rack(1, "unread")
        self.assertIs(False, self.red.wait(self.attach(node))["verified"])
        self.assertEqual((f"native {self.vlan}", None), (self.seen(switch), self.port(switch)["in_sync"]))
        self.assertIs(False, self.red.wait(self.detach(node))["verified"])
        self.check()

    def test_unreadable_for_a_while(self) -> None:
        """What cannot be proven keeps the segment from being given to somebody else."""
        switch, (node,) = self.rack(1, unreadable=True)
        self.red.wait(self.attach(node), "error")
        self.blocked(node)
        time.sleep(0.7)  # tries to mend it come to nothing
        self.blocked(node)
        self.faults(switch)
        self.mended(switch)
        self.assertEqual((CLOSED, []), (self.seen(switch), self.attached(node)))
        self.red.delete("networks/mine")
        self.red.delete(f"nodes/{node}/project")

    def test_changed_between_write_and_read(self) -> None:
        switch, (node,) = self.rack(1, "fingers")
        failed = self.red.wait(self.attach(node), "error")
        self.assertIn("not as it was asked to be", failed["error"])
        self.blocked(node)
        self.assertEqual("error", self.port(switch)["status"])

    def test_one_busy_port(self) -> None:
        self.site.conf.set_override("retry_delay", 20.0, group="conductor")
        self.site.conf.set_override("max_retry_delay", 20.0, group="conductor")
        _, names = self.rack(6, "moody")
        began = time.monotonic()
        busy = self.attach(names[0])
        self.until(lambda: self.postponed(busy))
        for name in names[1:]:
            self.red.wait(self.attach(name))
        self.assertLess(time.monotonic() - began, 19)
        self.assertEqual("pending", self.red.get(f"operations/{busy['uuid']}")["state"])


class TestHangs(Poison):
    """Calls that do not come back in time."""

    settings = {**Poison.settings, ("conductor", "driver_timeout"): 1.0}

    def test_hang(self) -> None:
        switch, names = self.rack(3, hang=["p0"], hang_seconds=4)
        _, (other,) = self.rack(1)
        began = time.monotonic()
        hung = self.attach(names[0])
        self.red.wait(self.attach(other))
        self.assertLess(time.monotonic() - began, 3, "another switch had to wait")
        later = self.attach(names[1])
        self.red.wait(hung, "error")
        self.assertLess(time.monotonic() - began, 3.9, "it ended with the call, not before")
        self.red.wait(later, None)
        self.blocked(names[0])
        self.faults(switch)
        self.until(lambda: time.monotonic() - began > 4)  # now the lost call changes the port after all
        self.until(lambda: self.attached(names[0]) == [] and self.seen(switch) == CLOSED)
        self.mended(switch)
        self.red.wait(self.attach(names[2]))
        self.check()

    def test_late_call(self) -> None:
        """A call that comes back late changes a port that all are done with."""
        switch, (node,) = self.rack(1, hang=["p0"], hang_seconds=3)
        self.red.wait(self.attach(node), "error")
        with self.site.database.writer() as session:  # as another conductor would have mended it meanwhile
            session.execute(sa.delete(models.Attachment))
            session.execute(sa.update(models.Port).values(status="ok", in_sync=True, status_reason=""))
        self.faults(switch)
        self.until(lambda: self.seen(switch) != CLOSED)
        self.until(lambda: self.seen(switch) == CLOSED)
        self.check()


class TestMissing(Poison):
    """What is not there any more."""

    def busy(self, driver: str = "fake") -> tuple[str, list[str], list[Any]]:
        """Operations that wait behind a slow one."""
        switch, names = self.rack(4, driver, delay=0.25)
        operations = [self.attach(names[0])]
        self.until(lambda: self.red.get(f"operations/{operations[0]['uuid']}")["state"] == "running")
        operations += [self.attach(name) for name in names[1:]]
        return switch, names, operations

    def change(self, *statements: Any) -> None:
        """Change the database by hand."""
        with self.site.database.writer() as session:
            for statement in statements:
                session.execute(statement)

    def test_driver(self) -> None:
        switch, names, operations = self.busy("gone")
        self.change(sa.update(models.Switch).values(driver="none", generation=1))
        self.red.wait(operations[0])
        for operation in operations[1:]:
            failed = self.red.wait(operation, "error")
            self.assertIn("cannot be managed by this conductor", failed["error"])
        _, (other,) = self.rack(1)
        self.red.wait(self.attach(other))
        self.blocked(names[1])
        self.change(sa.update(models.Switch).where(models.Switch.uuid == switch).values(driver="gone", generation=2))
        self.mended(switch, "p1")
        self.assertEqual([], self.attached(names[1]))

    def test_switch(self) -> None:
        switch, names, operations = self.busy()
        found = sa.select(models.Switch.id).where(models.Switch.uuid == switch).scalar_subquery()
        self.change(
            sa.delete(models.Port).where(models.Port.switch_id == found),
            sa.delete(models.Switch).where(models.Switch.uuid == switch),
        )
        for operation in operations:
            self.red.wait(operation, None)
        self.assertEqual("error", self.red.get(f"operations/{operations[-1]['uuid']}")["state"])
        self.assertEqual([], self.attached(names[-1]))
        _, (other,) = self.rack(1)
        self.red.wait(self.attach(other))

    def test_cable(self) -> None:
        switch, names, operations = self.busy()
        found = sa.select(models.Switch.id).where(models.Switch.uuid == switch).scalar_subquery()
        at = (models.Port.switch_id == found, models.Port.name == "p2")
        self.change(sa.update(models.Port).where(*at).values(nic_id=None))
        failed = self.all_but(2, operations)
        self.assertIn("not cabled", failed["error"])
        self.assertEqual(([], CLOSED), (self.attached(names[2]), self.seen(switch, "p2")))
        self.check()

    def test_cable_that_was_in_use(self) -> None:
        """The network of a NIC that somebody unplugs under its detach must come off the port too."""
        switch, names = self.rack(2)
        for name in names:
            self.red.wait(self.attach(name))
        self.faults(switch, delay=0.25)
        first = self.detach(names[0])
        self.until(lambda: self.red.get(f"operations/{first['uuid']}")["state"] == "running")
        second = self.detach(names[1])
        self.change(sa.update(models.Port).where(models.Port.name == "p1").values(nic_id=None))
        self.red.wait(first)
        self.red.wait(second, "error")
        self.until(lambda: self.seen(switch, "p1") == CLOSED)
        self.check()


class TestBugs(Poison):
    """What the service itself does wrong."""

    def test_handler(self) -> None:
        """An exception that nobody foresaw ends the operation that it belongs to, and its port is closed."""
        judge = SwitchLane._judge

        def stumble(self: SwitchLane, switch: Any, operation: Any, target: Any, *rest: Any) -> None:
            if target.port.name == "p3":
                raise KeyError("nobody foresaw this")
            judge(self, switch, operation, target, *rest)

        bug = fixtures.MonkeyPatch("mogan_hil.conductor.networking.SwitchLane._judge", stumble)
        switch, names = self.rack(10, delay=0.1)
        with bug:
            failed = self.all_but(3, [self.attach(name) for name in names])
            self.assertNotIn("foresaw", failed["error"])
            self.assertIn("nobody foresaw this", failed["error_detail"])
            self.blocked(names[3])
        self.mended(switch, "p3")
        self.assertEqual(([], CLOSED), (self.attached(names[3]), self.seen(switch, "p3")))
        self.check()

    def test_unknown_lane(self) -> None:
        with self.site.database.writer() as session:
            session.add(models.Operation(verb="dance", lane="floor:1", state="pending", pending_key="floor:1"))
        self.check()

    def test_unknown_verb(self) -> None:
        switch, (node,) = self.rack(1)
        with self.site.database.writer() as session:
            session.add(models.Operation(verb="dance", lane=f"switch:{switch}", state="pending", pending_key="dance"))
        self.red.wait(self.attach(node))
        self.check()

    def test_many_that_wait(self) -> None:
        """However many wait for their next try, what is due is found behind them."""
        self.site.conf.set_override("batch_size", 1, group="conductor")
        self.site.conf.set_override("retry_delay", 30.0, group="conductor")
        self.site.conf.set_override("max_retry_delay", 30.0, group="conductor")
        switch, names = self.rack(9, fail_transient=10**6)
        waiting = [self.attach(name) for name in names[:8]]
        for operation in waiting:
            self.until(lambda operation=operation: self.postponed(operation))
        self.faults(switch)
        self.red.wait(self.attach(names[8]))
        self.assertEqual({"pending"}, {self.red.get(f"operations/{item['uuid']}")["state"] for item in waiting})
