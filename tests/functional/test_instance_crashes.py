# SPDX-License-Identifier: Apache-2.0
"""A conductor is killed in each state of an instance and in each step of it: what was accepted comes to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.drivers.fakes import DeviceFile
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import fake as fake_switch
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.operation import Operation
from tests import service
from tests.functional.racks import OnProcesses, drain, fresh, rack, until

POWER = {states.Instance.ACTIVE: "on", states.Instance.STOPPED: "off"}


class TestKilled(OnProcesses):
    """One conductor, three nodes for each test."""

    kind = "sqlite"
    shape = {
        "apis": 1,
        "conductors": 0,
        "settings": {
            ("conductor", "sweep_interval"): 0.1,
            ("conductor", "power_timeout"): 2.0,
            ("conductor", "driver_timeout"): 2 * service.WAIT,
        },
    }

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.site.admin.add_project("red")
        cls.red = cls.site.admin.as_user("red-member")
        cls.red.post("networks", {"name": "net"})
        cls.conductor: Any = None

    def setUp(self) -> None:
        super().setUp()
        self.name = fresh("web")
        self.site.admin.post("flavors", {"name": self.name, "resource_class": self.name})
        self.switch, names = rack(self.site, 3, resource_class=self.name, obm_driver="fake")
        for number in range(3):
            fake_switch.set_by_hand(
                self.site.state_dir, self.switch, f"p{number}", fake_switch.base.PortState(enabled=False)
            )
        self.nodes = [self.site.admin.get(f"nodes/{name}")["uuid"] for name in names]
        if self.conductor is None:
            type(self).conductor = self.site.start_conductor()

    def faults(self, hold: Sequence[str] = (), **faults: Any) -> None:
        """Such changes wait, so that the kill finds them under way; the first controller has further faults."""
        fake_switch.set_faults(self.site.state_dir, self.switch, hold=[*hold])
        for number, node in enumerate(self.nodes):
            fake_obm.set_faults(self.site.state_dir, node, hold=[*hold], **({} if number else faults))

    def create(self, **fields: Any) -> Any:
        body = {"name": self.name, "flavor": self.name, "networks": [{"network": "net"}], **fields}
        return self.red.post("instances", body, 202)["instances"][0]["operation"]

    def made(self, *, stopped: bool = False) -> None:
        """An instance that is active, or stopped."""
        self.red.wait(self.create())
        if stopped:
            self.red.wait(self.red.put(f"instances/{self.name}/power", {"target": "off"}, 202))

    def step(self, operation: Any, verb: str, wanted: Mapping[str, Any]) -> Operation | None:
        """The step of an operation that is under way, if it is this one."""
        rows = models.Operation
        with self.site.database.reader() as session:
            (parent,) = Operation.find(session, rows.uuid == operation["uuid"])
            for child in Operation.find(
                session, rows.parent_id == parent.id, rows.state == "running", rows.verb == verb
            ):
                if wanted.items() <= child.payload.items():
                    return child
        return None

    def under_way(self, operation: Any, verb: str, **wanted: Any) -> Operation:
        """Wait for a step."""
        found: list[Operation] = []
        until(lambda: found.extend(filter(None, [self.step(operation, verb, wanted)])) or found)
        return found[0]

    def kill_in(self, operation: Any, status: str, verb: str, **wanted: Any) -> Any:
        """Kill the conductor in a step, start another, and see the operation to its end."""
        step = self.under_way(operation, verb, **wanted)
        self.site.kill_conductor(self.conductor)
        self.assertEqual(status, self.red.get(f"instances/{self.name}")["status"])
        self.faults()
        type(self).conductor = self.site.start_conductor()
        drain(self.site.database)
        with self.site.database.reader() as session:
            (again,) = Operation.find(session, models.Operation.id == step.id)
        self.assertLess(1, again.attempts, "the kill missed")
        return self.red.get(f"operations/{operation['uuid']}")

    def ends_as(self, operation: Any, status: str | None) -> None:
        """It was done, the instance is as it says, and so are its node and its port."""
        self.assertEqual("done", operation["state"], operation)
        self.check()
        with self.site.database.reader() as session:
            found = Instance.find(session, models.Instance.name == self.name)
        self.assertEqual([status] if status else [], [instance.status for instance in found])
        free = {node["uuid"] for node in self.site.admin.get(f"nodes?free=true&resource_class={self.name}")["nodes"]}
        mine = set(self.nodes) - free
        self.assertEqual(len(found), len(mine))
        for node in self.nodes:
            power = DeviceFile(self.site.state_dir, fake_obm.KIND, node).read().get("power", "off")
            self.assertEqual(POWER[found[0].status] if node in mine else "off", power)
        if found:
            self.assertEqual(1, len(self.red.get(f"instances/{self.name}/interfaces")["interfaces"]))

    def _build(self, hold: str, verb: str, **wanted: Any) -> None:
        self.faults([hold])
        self.ends_as(self.kill_in(self.create(boot_device="pxe"), "building", verb, **wanted), "active")

    def test_building_attach(self) -> None:
        self._build("configure", "attach")

    def test_building_boot_device(self) -> None:
        self._build("boot_device", "boot_device")

    def test_building_power_off(self) -> None:
        self._build("off", "power", target="off")

    def test_building_power_on(self) -> None:
        self._build("on", "power", target="on")

    def test_building_undo_power(self) -> None:
        """The first node cannot be switched on."""
        self.faults(["on"], lie=True)
        operation = self.create()
        self.under_way(operation, "power", target="on")
        self.faults(["off"], lie=True)
        self.ends_as(self.kill_in(operation, "building", "power", target="off", phase="undo"), "active")
        self.assertNotEqual(self.nodes[0], self.red.get(f"instances/{self.name}")["node"]["uuid"])

    def test_building_undo_detach(self) -> None:
        """No node can boot from that."""
        self.faults(["park"])
        ended = self.kill_in(self.create(boot_device="floppy"), "building", "detach", phase="undo")
        self.assertEqual(("error", True), (ended["state"], "floppy" in ended["error"]))
        found = self.red.get(f"instances/{self.name}")
        self.assertEqual(("error", None, ended["error"]), (found["status"], found["node"], found["fault"]["message"]))
        self.ends_as(self.red.wait(self.red.delete(f"instances/{self.name}", 202)), None)

    def _switch(self, target: str, status: str, after: str, step: str, *, stopped: bool = False) -> None:
        self.made(stopped=stopped)
        self.faults([step])
        operation = self.red.put(f"instances/{self.name}/power", {"target": target}, 202)
        self.ends_as(self.kill_in(operation, status, "power", target=step), after)

    def test_powering_on(self) -> None:
        self._switch("on", "powering-on", "active", "on", stopped=True)

    def test_powering_off(self) -> None:
        self._switch("off", "powering-off", "stopped", "off")

    def test_rebooting(self) -> None:
        self._switch("reboot", "rebooting", "active", "cycle")

    def test_rebooting_softly(self) -> None:
        self._switch("soft_reboot", "rebooting", "active", "on")

    def _rebuild(self, hold: str, verb: str, **wanted: Any) -> None:
        self.made(stopped=True)
        self.faults([hold])
        operation = self.red.put(f"instances/{self.name}/rebuild", {"boot_device": "pxe"}, 202)
        self.ends_as(self.kill_in(operation, "rebuilding", verb, **wanted), "active")

    def test_rebuilding_boot_device(self) -> None:
        self._rebuild("boot_device", "boot_device")

    def test_rebuilding_power(self) -> None:
        self._rebuild("on", "power", target="on")

    def _delete(self, hold: str, verb: str) -> None:
        self.made()
        self.faults([hold])
        operation = self.red.delete(f"instances/{self.name}", 202)
        self.ends_as(self.kill_in(operation, "deleting", verb), None)

    def test_deleting_power(self) -> None:
        self._delete("off", "power")

    def test_deleting_detach(self) -> None:
        self._delete("park", "detach")
