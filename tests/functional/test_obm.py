# SPDX-License-Identifier: Apache-2.0
"""Power and boot device, through the API and the pretend controller."""

from __future__ import annotations

import testtools

from mogan_hil.drivers.obm import fake
from mogan_hil.drivers.obm.base import Power
from tests import service
from tests.functional.racks import Gate


class TestObm(testtools.TestCase):
    """One node of red's, with a controller."""

    def setUp(self) -> None:
        super().setUp()
        settings = {("conductor", "power_timeout"): 1.0, ("conductor", "driver_timeout"): service.WAIT}
        self.service = self.useFixture(service.Embedded(settings))
        self.admin = self.service.admin
        self.admin.add_project("red")
        self.admin.add_project("blue")
        self.red = self.admin.as_user("red-member")
        self.node = self.admin.add_node("n1", obm={"driver": "fake"})
        self.red.put("nodes/n1/project", {})

    def _faults(self, **faults: object) -> None:
        fake.set_faults(self.service.state_dir, self.node["uuid"], **faults)

    def _power(self, target: str, state: str = "done") -> dict[str, object]:
        return dict(self.red.wait(self.red.put("nodes/n1/power", {"target": target}, 202), state))

    def test_power(self) -> None:
        self.assertEqual({"power": "off"}, self.red.get("nodes/n1/power"))
        for target, after in (("on", "on"), ("on", "on"), ("cycle", "on"), ("reset", "on"), ("soft_off", "off")):
            done = self._power(target)
            self.assertIs(None if target in ("cycle", "reset") else True, done["verified"])
            self.assertEqual({"power": after}, self.red.get("nodes/n1/power"))

    def test_boot_device(self) -> None:
        self.assertEqual(
            {"device": None, "persistent": False, "supported": ["cdrom", "disk", "pxe"]},
            self.red.get("nodes/n1/boot_device"),
        )
        self.red.wait(self.red.put("nodes/n1/boot_device", {"device": "pxe", "persistent": True}, 202))
        self.assertEqual("pxe", self.red.get("nodes/n1/boot_device")["device"])
        ended = self.red.wait(self.red.put("nodes/n1/boot_device", {"device": "floppy"}, 202), "error")
        self.assertIn("cannot boot from floppy", ended["error"])

    def test_one_at_a_time(self) -> None:
        gate = self.useFixture(Gate("mogan_hil.drivers.obm.fake.FakeObm.set_power"))
        first = self.red.put("nodes/n1/power", {"target": "on"}, 202)
        self.assertTrue(gate.reached.wait(service.WAIT))
        self.red.put("nodes/n1/power", {"target": "off"}, 409)
        self.red.delete("nodes/n1/project", 409)
        self.red.put("nodes/n1/obm", {"enabled": False}, 409)
        gate.open()
        self.red.wait(first)
        self._power("off")

    def test_disabled(self) -> None:
        self.assertEqual({"enabled": False}, self.red.put("nodes/n1/obm", {"enabled": False}))
        self.assertFalse(self.red.get("nodes/n1")["obm_enabled"])
        for method, path, body in (
            ("GET", "power", None),
            ("PUT", "power", {"target": "on"}),
            ("GET", "boot_device", None),
            ("PUT", "boot_device", {"device": "pxe"}),
        ):
            answer = self.red.call(method, f"nodes/n1/{path}", body, status=409)
            self.assertEqual("obm.disabled", answer.json["errors"][0]["code"])
        self.red.put("nodes/n1/obm", {"enabled": True})
        self._power("on")
        self.red.put("nodes/n1/obm", {"enabled": False})
        self.red.delete("nodes/n1/project")  # whoever has it next did not disable it
        self.red.put("nodes/n1/project", {})
        self._power("off")

    def test_no_controller(self) -> None:
        self.admin.add_node("n2")
        answer = self.admin.call("PUT", "nodes/n2/power", {"target": "on"}, status=409)
        self.assertEqual("obm.unavailable", answer.json["errors"][0]["code"])

    def test_strangers_and_readers(self) -> None:
        blue, reader = self.admin.as_user("blue-member"), self.admin.as_user("red-reader")
        for method, path, body in (
            ("GET", "power", None),
            ("PUT", "power", {"target": "on"}),
            ("PUT", "obm", {"enabled": False}),
        ):
            blue.call(method, f"nodes/n1/{path}", body, status=404)
            reader.call(method, f"nodes/n1/{path}", body, status=200 if method == "GET" else 403)

    def test_refused_and_transient(self) -> None:
        self._faults(fail=True)
        self.assertIn("refused", str(self._power("on", "error")["error"]))
        self._faults(fail_transient=2)
        self.assertEqual(3, self._power("on")["attempts"])
        self._faults(unreadable=True)
        self.assertEqual(503, self.red.call("GET", "nodes/n1/power").status)

    def _cycles(self) -> int:
        written = fake.fakes.DeviceFile(self.service.state_dir, "obm", self.node["uuid"]).read().get("console", [])
        return sum("power cycle" in line or "power reset" in line for line in written)

    def test_an_answer_that_is_lost(self) -> None:
        """What may have been done is not done again, unless that makes no difference."""
        self._faults(answer_lost=1)
        self.assertEqual(2, self._power("on")["attempts"])
        for count, target in enumerate(("cycle", "reset"), 1):
            self._faults(answer_lost=1)
            ended = self._power(target, "error")
            self.assertEqual((1, count), (ended["attempts"], self._cycles()))
            self.assertIn("It is not known whether", str(ended["error"]))
        self._power("cycle")
        self.assertEqual(3, self._cycles())

    def test_a_cycle_that_was_not_begun(self) -> None:
        self._power("on")
        self._faults(fail_transient=2)
        self.assertEqual((3, 1), (self._power("cycle")["attempts"], self._cycles()))

    def test_lie_is_found_out(self) -> None:
        self._faults(lie=True)
        ended = self._power("on", "error")
        self.assertIn("still off", str(ended["error"]))
        ended = self.red.wait(self.red.put("nodes/n1/boot_device", {"device": "pxe"}, 202), "error")
        self.assertIn("does not have it", ended["error"])

    def test_slow_node_holds_up_nobody(self) -> None:
        self._faults(lie=True)
        slow = self.red.put("nodes/n1/power", {"target": "soft_off"}, 202)
        self.red.wait(slow)  # it was off
        self.service.conf.set_override("power_timeout", service.WAIT, group="conductor")
        slow = self.red.put("nodes/n1/power", {"target": "on"}, 202)
        fake.set_by_hand(self.service.state_dir, self.node["uuid"], power=Power.ON)  # it takes its time to come up
        self.assertEqual({"power": "on"}, self.red.wait(slow)["result"])


class TestJournal(testtools.TestCase):
    """What was accepted while no conductor worked is done when one does."""

    def test_later(self) -> None:
        idle = self.useFixture(service.Embedded(conductor=False))
        idle.admin.add_node("n1", obm={"driver": "fake"})
        operation = idle.admin.put("nodes/n1/power", {"target": "on"}, 202)
        self.assertEqual("pending", idle.admin.get(f"operations/{operation['uuid']}")["state"])
        idle.start_conductor()
        self.assertEqual({"power": "on"}, idle.admin.wait(operation)["result"])
