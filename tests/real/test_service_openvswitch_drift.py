# SPDX-License-Identifier: Apache-2.0
"""The service on Open vSwitch, with somebody who changes ports by hand: before, after and amid operations."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import fixtures

from mogan_hil.drivers.switch import openvswitch as driver
from mogan_hil.drivers.switch.base import PARKED as NOTHING
from mogan_hil.drivers.switch.base import PortConfig, PortState
from tests import openvswitch, service
from tests.real.service_openvswitch import PARKED, SWITCH, ServiceTestCase, add_machine

#: The time limits of the observer's drivers are below this, and those of the lanes' drivers above.
LANE = 5.0


class DriftTestCase(ServiceTestCase):
    """One machine with a network on its port."""

    def setUp(self) -> None:
        super().setUp()
        self.name = self.switch.add_dummy_port()
        add_machine(self.admin, "n1", self.name)
        self.admin.add_project("red")
        self.red = self.admin.as_user("red-member")
        self.red.put("nodes/n1/project", {})
        self.red.post("networks", {"name": "mine"})
        self.mine = self.vlan("mine")
        self.other = 20 if self.mine != 20 else 21

    def in_sync(self, port: str | None = None) -> bool | None:
        found: bool | None = self.port(port or self.name)["in_sync"]
        return found

    def assert_noticed(self, observed: Mapping[str, object] | None) -> None:
        """The push is there, with what was observed; nobody has asked for it."""
        self.assert_eventually(lambda: self.in_sync() is False, str(observed))
        self.assertEqual(observed, self.port(self.name)["observed"])
        self.assertEqual([self.name], self.drift())

    def assert_closed_again(self) -> None:
        """It was noticed that a port which is not in use carries the other VLAN, and it was closed unasked."""
        noticed = f"Port {self.name} of switch {SWITCH} was changed by somebody else: it should be closed and is native"
        self.assert_eventually(lambda: f"{noticed} {self.other}" in self.logger.output)
        self.assert_eventually(lambda: self.in_sync() is True)
        self.assert_columns(self.name, NOTHING)

    def heal(self, state: str = "done") -> None:
        self.admin.wait(self.admin.call("POST", f"switches/{SWITCH}/heal", status=202).json, state)


class TestDrift(DriftTestCase):
    """What is changed by hand is noticed by the switch's push, shown, and mended on request."""

    def test_changes_are_noticed(self) -> None:
        every = {"native": 0, "tagged": "0-4095", "enabled": True}
        self.red.attach("n1", "mine")
        config, other = PortConfig(self.mine), self.other
        for settings, observed in (
            ([f"tag={other}"], {"native": other, "tagged": "", "enabled": True}),
            ([f"trunks={other}"], {"native": None, "tagged": str(other), "enabled": True}),
            (["vlan_mode=native-untagged", f"tag={self.mine}"], {**every, "native": self.mine}),
            ([], every),
            (["vlan_mode=trunk", "trunks=4095", "protected=true"], PARKED),
        ):
            self.assertEqual([], self.drift())
            self.switch.set_port(self.name, *settings)
            if observed["tagged"] == "0-4095" and observed["native"] == self.mine:
                tagged = f"1-{self.mine - 1},{self.mine + 1}-4095"
                observed = {**observed, "tagged": tagged}
            self.assert_noticed(observed)
            self.heal()
            self.assertIs(True, self.in_sync())
            self.assert_columns(self.name, config)
        # The same for a port that should be closed.
        self.red.detach("n1", "mine")
        self.switch.set_port(self.name, f"tag={other}")
        self.assert_closed_again()

    def test_change_that_is_taken_back(self) -> None:
        self.red.attach("n1", "mine")
        self.switch.set_port(self.name, f"tag={self.other}")
        self.assert_noticed({"native": self.other, "tagged": "", "enabled": True})
        self.switch.set_port(self.name, "vlan_mode=access", f"tag={self.mine}")
        self.assert_eventually(lambda: self.in_sync() is True)
        self.assertEqual([], self.drift())

    def test_port_is_deleted_and_another_drifted(self) -> None:
        """What cannot be healed does not keep the rest from it."""
        second = self.second_in_use()
        self.red.attach("n1", "mine")
        self.switch.vsctl("del-port", self.name)
        self.assert_noticed(None)
        self.switch.set_port(second, f"tag={self.other}")
        self.assert_eventually(lambda: self.in_sync(second) is False)
        self.heal("error")
        self.assertIs(True, self.in_sync(second))
        self.assert_columns(second, PortConfig(self.vlan("second")))
        # It comes back carrying everything, as new ports do.
        self.switch.vsctl("add-port", self.switch.bridge, self.name)
        self.assert_eventually(lambda: self.port(self.name)["observed"] is not None)
        self.heal()
        self.assert_columns(self.name, PortConfig(self.mine))
        self.assertEqual([], self.drift())

    def test_port_is_moved_to_another_bridge(self) -> None:
        self.red.attach("n1", "mine")
        other = openvswitch.unique("br")
        self.switch.vsctl("add-br", other, "--", "set", "bridge", other, "datapath_type=netdev")
        self.switch.vsctl(
            "del-port", self.name, "--", "add-port", other, self.name, "--", "set", "port", self.name, "tag=9"
        )
        self.assert_noticed(None)
        self.heal("error")
        self.assertEqual("9", self.switch.get_port(self.name)["tag"])  # it is another bridge's
        self.switch.vsctl("del-port", self.name, "--", "add-port", self.switch.bridge, self.name)
        self.assert_eventually(lambda: self.port(self.name)["observed"] is not None)
        self.heal()
        self.assert_columns(self.name, PortConfig(self.mine))

    def second_in_use(self) -> str:
        """The port of a second machine, on a network of its own: one that is not in use would be closed again."""
        port = self.switch.add_dummy_port()
        add_machine(self.admin, "n2", port)
        self.red.put("nodes/n2/project", {})
        self.red.post("networks", {"name": "second"})
        self.red.attach("n2", "second")
        return port

    def test_intruder(self) -> None:
        """The isolation report shows who was put on a VLAN by hand, at once."""
        intruder = self.second_in_use()
        self.red.attach("n1", "mine")
        self.assertTrue(self.red.get("networks/mine/isolation")["isolated"])
        for settings in ([f"tag={self.mine}"], [f"trunks={self.other},{self.mine}"], []):
            self.switch.set_port(intruder, *settings)
            report = self.admin.get("networks/mine/isolation")
            self.assertIs(False, report["isolated"], settings)
            found = {port["port"]: port for port in report["ports"]}
            self.assertEqual(
                (False, True, "n2"), tuple(found[intruder][key] for key in ("expected", "carries", "node"))
            )
            self.assertEqual((True, True), tuple(found[self.name][key] for key in ("expected", "carries")))
            self.assertIs(False, self.red.get("networks/mine/isolation")["isolated"])
        self.switch.set_port(intruder, f"tag={self.other}")
        self.assertTrue(self.admin.get("networks/mine/isolation")["isolated"])
        # A machine that was taken off by hand is shown too.
        self.switch.set_port(self.name, f"tag={self.other}")
        report = self.red.get("networks/mine/isolation")
        self.assertEqual([(True, False)], [(port["expected"], port["carries"]) for port in report["ports"]])

    def test_server_restarts(self) -> None:
        """What changed while nobody watched is noticed as soon as the server is back."""
        self.red.attach("n1", "mine")
        second = self.second_in_use()
        self.switch.stop("ovsdb-server")
        time.sleep(0.3)
        self.switch.start_server()
        self.switch.vsctl("--no-wait", "set", "port", self.name, f"tag={self.other}", "--", "del-port", second)
        self.assert_eventually(lambda: self.in_sync() is False and self.in_sync(second) is False)
        self.assertIsNone(self.port(second)["observed"])
        self.heal("error")
        self.assertIs(True, self.in_sync())
        # And the watch works as before.
        self.switch.set_port(self.name, f"tag={self.other}")
        self.assert_eventually(lambda: self.in_sync() is False)

    def test_nothing_false(self) -> None:
        """Quick operations of the service itself are nobody else's change."""
        for number in range(100):
            self.red.attach("n1", "mine")
            self.assertIs(True, self.in_sync(), number)
            self.red.detach("n1", "mine")
            self.assertIs(True, self.in_sync(), number)
        self.assertEqual([], self.drift())
        self.assertNotIn("changed by somebody else", self.logger.output)


class TestHealing(DriftTestCase):
    """With `on_drift = heal` nobody has to ask."""

    settings = {("conductor", "on_drift"): "heal"}

    def test_unasked(self) -> None:
        self.red.attach("n1", "mine")
        ports = [self.name]
        for number in range(2, 6):
            ports.append(self.switch.add_dummy_port())
            add_machine(self.admin, f"n{number}", ports[-1])
        for settings in ([f"tag={self.other}"], [f"trunks={self.other}"], []):
            # One after the other, so that some are changed while others are being healed.
            for port in ports:
                self.switch.set_port(port, *settings)
            for port in ports:
                config = PortConfig(self.mine) if port == self.name else NOTHING
                self.assert_eventually(lambda port=port, config=config: self.is_so(port, config), port)
        self.assert_eventually(lambda: all(self.in_sync(port) for port in ports))

    def is_so(self, port: str, config: PortConfig) -> bool:
        expected = driver.columns_of(config)
        found = self.switch.get_port(port)
        return found["tag"] == str(expected["tag"][0] if expected["tag"] else "[]") and found["trunks"] == str(
            expected["trunks"]
        )


class TestVerified(DriftTestCase):
    """Done means that the port was read back and was as asked.

    :ivar reads: what the conductor's lane has read of the port, remembered by the driver's own `read`
    :ivar after_read: called when it has read the port, and before it knows what
    """

    settings = {("conductor", "poll_interval"): 0.5, ("conductor", "driver_timeout"): 10.0}

    def setUp(self) -> None:
        self.name = ""
        super().setUp()
        self.reads: list[PortState | None] = []
        self.after_read: Callable[[], object] | None = None
        read = driver.OpenVSwitch.read

        def remembered(switch: driver.OpenVSwitch, ports: Collection[str]) -> Mapping[str, PortState | None]:
            found = read(switch, ports)
            if switch.environment.timeout > LANE and self.name in ports:
                self.reads.append(found[self.name])
                after, self.after_read = self.after_read, None
                if after is not None:
                    after()
            return found

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.drivers.switch.openvswitch.OpenVSwitch.read", remembered))

    def by_hand(self) -> None:
        self.switch.set_port(self.name, f"tag={self.other}")

    def test_unknown_port(self) -> None:
        self.admin.add_node("n2")  # claimed first: a free node with a port that is not proven parked is not given away
        self.red.put("nodes/n2/project", {})
        registered = self.admin.post(f"switches/{SWITCH}/ports", {"name": "ghost"})
        self.admin.wait(registered["operation"], "error")
        self.admin.put(f"switches/{SWITCH}/ports/ghost/nic", {"node": "n2", "nic": "eth0"})
        self.assertIn("no such port", self.attached_at_last("n2")["error"])
        self.assertEqual(("error", None), (self.port("ghost")["status"], self.port("ghost")["observed"]))
        self.assertEqual(["ghost"], self.drift())

    def test_segments_out_of_range(self) -> None:
        for segment in ("0", "4095", "4096", "abc", "-1", "1.5", "010", "\u0661"):
            self.admin.post("networks", {"name": "bad", "segment_id": segment}, 400)
        for pool in ("default:0-10", "default:4095", "default:4000-4096", "default:abc", "default"):
            embedded = service.Embedded({("network", "segments"): [pool]})
            error = self.assertRaises(fixtures.MultipleExceptions, embedded.setUp)
            self.assertIs(ValueError, error.args[0][0], pool)
        for segment in ("1", "4094"):
            self.admin.post("networks", {"name": f"edge{segment}", "segment_id": segment, "access": ["red"]})
            self.red.attach("n1", f"edge{segment}", channel=f"vlan/{segment}")
        self.assert_columns(self.name, PortConfig(None, frozenset({1, 4094})))

    def test_changed_right_after_the_read(self) -> None:
        """The operation is done: the port was so. That it is not so any more is noticed by the push."""
        self.after_read = self.by_hand
        self.assertTrue(self.red.attach("n1", "mine")["verified"])
        self.assert_noticed({"native": self.other, "tagged": "", "enabled": True})
        self.after_read = lambda: setattr(self, "after_read", self.by_hand)  # the second read is after the change
        self.heal()
        self.assert_noticed({"native": self.other, "tagged": "", "enabled": True})
        self.heal()
        self.assertEqual([], self.drift())
        self.after_read = self.by_hand
        self.assertTrue(self.red.detach("n1", "mine")["verified"])
        self.assert_closed_again()

    def test_changed_right_before_the_read(self) -> None:
        configure = driver.OpenVSwitch.configure

        def meddled(switch: driver.OpenVSwitch, ports: Mapping[str, PortConfig]) -> None:
            configure(switch, ports)
            if ports[self.name].enabled:
                self.by_hand()

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.drivers.switch.openvswitch.OpenVSwitch.configure", meddled))
        failed = self.red.attach("n1", "mine", state="error")
        self.assertIn("not as it was asked", failed["error"])
        self.assertEqual({}, self.attachments("n1"))
        self.assert_columns(self.name, NOTHING)

    @contextmanager
    def somebody(self) -> Iterator[None]:
        """A person who makes the port carry another VLAN again and again."""
        done = threading.Event()
        command = ["ovs-vsctl", "--no-wait", f"--db={self.switch.endpoint}", "set", "port", self.name]
        settings = ["vlan_mode=access", f"tag={self.other}", "protected=false"]

        def work() -> None:
            while not done.wait(random.uniform(0, random.choice((0.03, 0.1, 0.5)))):  # however slow this machine is
                subprocess.run(command + settings, check=False)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def attached_at_last(self, node: str = "n1") -> Any:
        """Attach, as soon as the port is not just being closed again."""
        end = time.monotonic() + service.WAIT
        path, body = f"nodes/{node}/nics/eth0/attachments", {"network": "mine"}
        while (answer := self.red.call("POST", path, body)).status == 409 and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(202, answer.status, answer.text)
        return self.red.wait(answer.json, None)

    def test_somebody_changes_it_all_the_time(self) -> None:
        ended = []
        with self.somebody():
            while len(ended) < 25 or (len(set(ended)) < 2 and len(ended) < 200):
                self.reads.clear()
                operation = self.attached_at_last()
                ended.append(operation["state"])
                if operation["state"] == "done":
                    self.assertTrue(operation["verified"])
                    self.assertEqual(PortState(native=self.mine), self.reads[-1])
                    self.reads.clear()
                    operation = self.red.detach("n1", "mine", state=None)
                    if operation["state"] == "done":
                        self.assertTrue([state for state in self.reads if state is not None and not state.enabled])
                self.assert_eventually(lambda: self.attachments("n1") == {})
        self.assertEqual({"done", "error"}, set(ended))
        # It is not in use, so it is closed again unasked.
        self.assert_eventually(lambda: self.drift() == [] and self.port(self.name)["status"] == "ok")
        self.assert_columns(self.name, NOTHING)
