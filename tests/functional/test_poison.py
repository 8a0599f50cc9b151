# SPDX-License-Identifier: Apache-2.0
"""One bad operation, driver or switch stops only itself, and the port is never left with more than it should carry."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import fixtures
import sqlalchemy as sa
import testtools

from mogan_hil.conductor import lanes, locks
from mogan_hil.conductor.networking import SwitchLane
from mogan_hil.conductor.observer import Observer
from mogan_hil.db import models
from mogan_hil.drivers import fakes
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.switch import base, fake
from tests import service
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


class Stubborn(fake.FakeSwitch):
    """A switch that refuses as many changes as somebody wrote into its file."""

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        with self._device.file.change() as state:
            left = state.get("refusals", 0)
            state["refusals"] = max(left - 1, 0)
        if left:
            raise DriverError("The switch refused the change.")
        super().configure(ports)


class Held(fake.FakeSwitch):
    """A switch that changes nothing of its first port until a test lets it."""

    #: Set while it may; that it was asked; and that it has let something through.
    gate, asked, opened = threading.Event(), threading.Event(), threading.Event()

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        if "p0" in ports:
            Held.asked.set()
            Held.gate.wait(2 * service.WAIT)
        super().configure(ports)
        if "p0" in ports and ports["p0"].enabled:
            Held.opened.set()


class Gone(Held):
    """A switch that is there at first."""


class Poison(InProcess):
    settings = {("conductor", "poll_interval"): 0.3, ("conductor", "max_attempts"): 4}
    drivers = {
        "unread": Unread,
        "fingers": Fingers,
        "moody": Moody,
        "slowly": Slowly,
        "stubborn": Stubborn,
        "held": Held,
        "gone": Gone,
    }

    def setUp(self) -> None:
        super().setUp()
        Held.gate.set()
        self.addCleanup(Held.gate.set)

    def hold(self) -> None:
        """From now on nothing of a first port of switches with the driver `held` is changed."""
        for event in (Held.gate, Held.asked, Held.opened):
            event.clear()

    def all_but(self, bad: int, operations: list[Any]) -> Any:
        """All of these are done but one, which is returned as the operator sees it."""
        for number, operation in enumerate(operations):
            self.red.wait(operation, "error" if number == bad else "done")
        return self.admin.get(f"operations/{operations[bad]['uuid']}")

    def put_off(self) -> None:
        """From now on what is to be tried again is so when the test is long over."""
        for name in ("retry_delay", "max_retry_delay"):
            self.site.conf.set_override(name, 600.0, group="conductor")

    def postponed(self, operation: Any) -> bool:
        found = self.red.get(f"operations/{operation['uuid']}")
        return (found["state"], found["attempts"]) == ("pending", 1)

    def mended(self, switch: str, port: str = "p0") -> None:
        """The port comes right by itself."""
        self.until(lambda: self.port(switch, port)["status"] == "ok")

    def tries_to_mend(self) -> int:
        """How many have failed."""
        found = self.admin.get("operations?verb=port_mend")["operations"]
        return sum(operation["state"] == "error" for operation in found)

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

    def test_what_is_closed_at_the_last_try_is_done(self) -> None:
        switch, (node,) = self.rack(1, "stubborn")
        self.red.wait(self.attach(node))
        with fakes.DeviceFile(self.site.state_dir, fake.KIND, switch).change() as state:
            state["refusals"] = 2
        self.red.wait(self.detach(node))
        self.assertEqual(CLOSED, self.seen(switch))
        self.check()

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

    def test_lie_about_a_heal(self) -> None:
        switch, (node,) = self.rack(1)
        self.red.wait(self.attach(node))
        fake.set_by_hand(self.site.state_dir, switch, "p0", fake.OPEN)
        self.faults(switch, lie=["p0"])
        name = self.admin.get(f"switches/{switch}")["name"]
        failed = self.admin.wait(self.admin.call("POST", f"switches/{name}/heal", status=202).json, "error")
        self.assertIn("could not be made as they should be", failed["error"])
        self.assertIs(False, self.port(switch)["in_sync"])

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
        self.until(lambda: self.tries_to_mend() > 1)  # they come to nothing
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
        self.put_off()
        _, names = self.rack(6, "moody")
        busy = self.attach(names[0])
        self.until(lambda: self.postponed(busy))
        for name in names[1:]:
            self.red.wait(self.attach(name))
        self.assertTrue(self.postponed(busy))

    def test_healed_around_what_waits(self) -> None:
        """A port whose operation waits for its next try is that operation's."""
        self.put_off()
        switch, names = self.rack(2, "moody")
        waiting = self.attach(names[0])
        self.until(lambda: self.postponed(waiting))
        fake.set_by_hand(self.site.state_dir, switch, "p1", fake.OPEN)
        name = self.admin.get(f"switches/{switch}")["name"]
        healed = self.admin.call("POST", f"switches/{name}/heal")
        if healed.status == 202:  # otherwise a round has begun one already
            self.admin.wait(healed.json)
        self.until(lambda: self.seen(switch, "p1") == CLOSED)
        self.assertEqual((["attaching"], CLOSED), (self.attached(names[0]), self.seen(switch)))


class TestHangs(Poison):
    """Calls that do not come back in time."""

    settings = {**Poison.settings, ("conductor", "driver_timeout"): 3.0}

    def test_hang(self) -> None:
        switch, names = self.rack(3, "held")
        _, (other,) = self.rack(1)
        self.hold()
        hung = self.attach(names[0])
        self.red.wait(self.attach(other))  # another switch does not have to wait
        later = self.attach(names[1])
        self.red.wait(hung, "error")  # it ends before the call
        self.red.wait(later, None)
        self.blocked(names[0])
        Held.gate.set()
        self.assertTrue(Held.opened.wait(service.WAIT))  # now the lost call changes the port after all
        self.until(lambda: self.attached(names[0]) == [] and self.seen(switch) == CLOSED)
        self.mended(switch)
        self.red.wait(self.attach(names[2]))
        self.check()

    def test_late_call(self) -> None:
        """A call that comes back late changes a port that all are done with."""
        switch, (node,) = self.rack(1, "held")
        self.hold()
        self.red.wait(self.attach(node), "error")
        with self.site.database.writer() as session:  # as another conductor would have mended it meanwhile
            session.execute(sa.delete(models.Attachment))
            session.execute(sa.update(models.Port).values(status="ok", in_sync=True, status_reason=""))
        Held.gate.set()
        self.assertTrue(Held.opened.wait(service.WAIT))
        self.until(lambda: self.seen(switch) == CLOSED)
        self.check()


class TestMissing(Poison):
    """What is not there any more."""

    settings = {**Poison.settings, ("conductor", "driver_timeout"): service.WAIT}

    def busy(self, driver: str = "held") -> tuple[str, list[str], list[Any]]:
        """Operations that wait behind one that is held up."""
        switch, names = self.rack(4, driver)
        self.hold()
        operations = [self.attach(names[0])]
        self.assertTrue(Held.asked.wait(service.WAIT))
        operations += [self.attach(name) for name in names[1:]]
        return switch, names, operations

    def change(self, *statements: Any) -> None:
        """Change the database by hand, and let what is held up go on."""
        with self.site.database.writer() as session:
            for statement in statements:
                session.execute(statement)
        Held.gate.set()

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
        switch, names = self.rack(2, "held")
        for name in names:
            self.red.wait(self.attach(name))
        self.hold()
        first = self.detach(names[0])
        self.assertTrue(Held.asked.wait(service.WAIT))
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

    def test_handler_of_a_whole_switch(self) -> None:
        """Ports that were to be seen through new options and were not are tried one by one."""
        switch, _ = self.rack(2)
        bug = fixtures.MonkeyPatch("mogan_hil.conductor.networking.SwitchLane._apply_each", dict)
        name = self.admin.get(f"switches/{switch}")["name"]
        with bug:
            fake.set_by_hand(self.site.state_dir, switch, "p0", fake.OPEN)
            self.admin.patch(f"switches/{name}", {"options": {"delay": 0.0}})
            (heal,) = self.admin.get("operations?verb=switch_heal")["operations"]
            self.admin.wait(heal, "error")
        self.mended(switch)
        self.assertEqual(CLOSED, self.seen(switch))

    def test_cut_off_in_the_undo(self) -> None:
        """An operation whose attachment was undone is never done, and says what had gone wrong."""
        attempt, switch = SwitchLane._attempt, ""
        times: list[str] = []

        def lose(self: SwitchLane, *what: Any) -> Any:
            times.append("undone")
            if len(times) == 1:
                fake.set_faults(state_dir, switch)
                raise lanes.Lost
            return attempt(self, *what)

        switch, (node,) = self.rack(1, fail=["p0"])
        state_dir = self.site.state_dir
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.networking.SwitchLane._attempt", lose))
        failed = self.red.wait(self.attach(node), "error")
        self.assertEqual((2, "The switch refused the change."), (failed["attempts"], failed["error"]))
        self.assertEqual((["undone"], [], CLOSED), (times, self.attached(node), self.seen(switch)))
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
        self.put_off()
        switch, names = self.rack(9, fail_transient=10**6)
        waiting = [self.attach(name) for name in names[:8]]
        for operation in waiting:
            self.until(lambda operation=operation: self.postponed(operation))
        self.faults(switch)
        self.red.wait(self.attach(names[8]))
        self.assertEqual({"pending"}, {self.red.get(f"operations/{item['uuid']}")["state"] for item in waiting})


class Clinging(fake.FakeSwitch):
    """A switch whose session cannot be ended."""

    def close(self) -> None:
        super().close()
        raise RuntimeError("it does not let go")


class Endless(fake.FakeSwitch):
    """A switch whose session takes for ever to be ended."""

    def close(self) -> None:
        super().close()
        time.sleep(3600)


class TestStop(testtools.TestCase):
    """No driver keeps a conductor from stopping."""

    def test_stop(self) -> None:
        site = self.useFixture(service.Embedded({("conductor", "driver_timeout"): 2.5}, conductor=False))
        site.conductor.start()
        for driver in (Clinging, Endless):
            site.drivers._classes["switch"]["fake"] = driver
            site.admin.add_switch(driver.__name__, ["p1"])
        stopping = threading.Thread(target=site.conductor.stop, daemon=True)
        stopping.start()
        stopping.join(service.WAIT)
        self.assertFalse(stopping.is_alive())
        other = locks.locks(site.conf, "another")
        other.start()
        self.addCleanup(other.stop)
        self.assertTrue(other.get("retention").acquire(blocking=False))

    def test_what_is_looked_at_is_looked_at_to_the_end(self) -> None:
        """Nothing is written any more when it has stopped."""
        site = self.useFixture(service.Embedded(conductor=False))
        looks, goes_on = threading.Event(), threading.Event()
        self.addCleanup(goes_on.set)

        def observe(_self: Observer, _switch: Any, names: Any = None) -> set[str]:
            if names is not None:  # what the switch has pushed
                looks.set()
                goes_on.wait(service.WAIT)
            return set()

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.observer.Observer.observe", observe))
        site.conductor.start()
        site.admin.add_switch("s", ["p1"])
        stopping = threading.Thread(target=site.conductor.stop, daemon=True)
        self.assertTrue(looks.wait(service.WAIT))
        stopping.start()
        stopping.join(0.5)
        self.assertTrue(stopping.is_alive())
        goes_on.set()
        stopping.join(service.WAIT)
        self.assertFalse(stopping.is_alive())
