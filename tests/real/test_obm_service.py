# SPDX-License-Identifier: Apache-2.0
"""Power, boot device and console through the service, on real controllers."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import fixtures
import testtools

from tests import bmc, libvirtd, service
from tests.functional.racks import until

SETTINGS = {
    ("conductor", "power_timeout"): 60.0,
    ("conductor", "driver_timeout"): 30.0,
    ("conductor", "max_attempts"): 2,
    ("api", "device_timeout"): 30.0,
}
#: Where nothing will come however long one waits. The driver ends its call a fifth before that, and says so itself.
IMPATIENT = {**SETTINGS, ("conductor", "driver_timeout"): 5.0, ("conductor", "max_attempts"): 1}


class ObmTestCase(testtools.TestCase):
    """The service, with everything logged that any library has to say."""

    settings: Mapping[tuple[str, str], Any] = SETTINGS

    def setUp(self) -> None:
        super().setUp()
        self.logger = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self.service = self.useFixture(service.Embedded(self.settings))
        self.admin = self.service.admin
        self.admin.add_project("red")
        self.red = self.admin.as_user("red-member")
        self.answers: list[str] = []

    def add(self, name: str, driver: str, options: Mapping[str, Any]) -> None:
        """Register a node of red's."""
        node = self.admin.add_node(name, obm={"driver": driver, "options": options})
        self.answers.append(json.dumps(node))
        self.red.put(f"nodes/{name}/project", {})

    def begin(self, name: str, what: str, body: Mapping[str, Any]) -> Any:
        """Ask for a change."""
        return self.red.put(f"nodes/{name}/{what}", body, 202)

    def end(self, operation: Any, state: str = "done") -> Any:
        """Wait for its end, and keep what everybody is told about it."""
        ended = self.red.wait(operation, state)
        path = f"operations/{operation['uuid']}"
        self.answers += [self.red.call("GET", path).text, self.admin.call("GET", path).text]
        return ended

    def assert_no_secret(self, *secrets: str) -> None:
        """Neither in an answer nor in the log."""
        told = "".join([*self.answers, self.logger.output, self.admin.call("GET", "nodes").text])
        for secret in secrets:
            self.assertNotIn(secret, told)

    def use(self, name: str, device: str) -> None:
        """Everything that a tenant does with a node."""
        boot = self.red.get(f"nodes/{name}/boot_device")
        self.assertIn(device, boot["supported"])
        for persistent in (True, False):
            self.end(self.begin(name, "boot_device", {"device": device, "persistent": persistent}))
            seen = self.red.get(f"nodes/{name}/boot_device")
            self.assertEqual((device, persistent), (seen["device"], seen["persistent"]))
        for target, after in (("on", "on"), ("cycle", "on"), ("reset", "on"), ("off", "off")):
            self.assertEqual({"power": after}, self.end(self.begin(name, "power", {"target": target}))["result"])
        self.assertEqual({"power": "off"}, self.red.get(f"nodes/{name}/power"))
        ended = self.end(self.begin(name, "boot_device", {"device": "zip_drive"}), "error")
        self.assertIn("cannot boot from zip_drive", ended["error"])

    def refused(self, name: str, hidden: str) -> str:
        """Ask, and be told what is wrong without what is none of a tenant's business."""
        begin = time.monotonic()
        answer = self.red.call("GET", f"nodes/{name}/power", status=503)
        self.assertLess(time.monotonic() - begin, self.settings["conductor", "driver_timeout"] + 20)
        ended = self.end(self.begin(name, "power", {"target": "on"}), "error")
        self.answers.append(answer.text)
        for text in (answer.text, self.red.call("GET", f"operations/{ended['uuid']}").text):
            self.assertNotIn(hidden, text)
            self.assertNotIn(bmc.USER, text)
        return str(ended["error"])


class TestIpmi(ObmTestCase):
    def test_use(self) -> None:
        server = self.useFixture(bmc.BootFlagsBmc())
        self.add("n1", "ipmi", server.options)
        self.use("n1", "pxe")
        self.assert_no_secret(server.password)

    def test_machine_obeys(self) -> None:
        if reason := bmc.IpmiSim.missing():
            self.skipTest(reason)
        server = self.useFixture(bmc.IpmiSim())
        self.add("n1", "ipmi", server.options)
        for target, on in (("on", True), ("on", True), ("off", False)):
            self.end(self.begin("n1", "power", {"target": target}))
            self.assertEqual(on, server.on)
        self.assertEqual(["power 1", "power 0"], server.orders)
        # It accepts a boot device, and never says that it has one.
        ended = self.end(self.begin("n1", "boot_device", {"device": "pxe"}), "error")
        self.assertIn("does not have it", ended["error"])
        self.assert_no_secret(server.password)

    def test_console(self) -> None:
        """Serial over LAN, both ways, while the node is switched; and again after a stop."""
        if reason := bmc.IpmiSim.missing():
            self.skipTest(reason)
        server = self.useFixture(bmc.IpmiSim())
        self.add("n1", "ipmi", server.options)
        for user in ("root", "guest"):
            self.end(self.red.put("nodes/n1/console", status=202))
            self.end(self.begin("n1", "power", {"target": "on"}))
            shown = self.red.get("nodes/n1/console/stream?redirect=false")
            self.assertEqual("read-write", shown["mode"])
            asyncio.run(self._log_in(server, shown["websocket_url"], user))
            end = time.monotonic() + service.WAIT
            while f"{user} login: " not in self.red.call("GET", "nodes/n1/console").text:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.05)
            self.end(self.red.delete("nodes/n1/console", 202))
        self.assert_no_secret(server.password)

    async def _log_in(self, server: bmc.IpmiSim, url: str, user: str) -> None:
        async with asyncio.timeout(service.WAIT), aiohttp.ClientSession() as session:
            async with session.ws_connect(url) as socket:
                server.write_console(f"{user} login: ")
                heard = b""
                while f"{user} login: ".encode() not in heard:
                    heard += (await socket.receive()).data
                # The simulator takes the first packet of a session for one that it has had, if the session before ended
                # with a packet of that number.
                while f"{user}\r" not in server.heard_console():
                    await socket.send_str(f"{user}\r")
                    await asyncio.sleep(0.3)

    def test_wrong_password(self) -> None:
        server = self.useFixture(bmc.BootFlagsBmc())
        self.add("n1", "ipmi", {**server.options, "password": "not-this-one"})
        self.assertIn("does not accept", self.refused("n1", "127.0.0.1"))
        self.assert_no_secret("not-this-one")

    def test_slow(self) -> None:
        server = self.useFixture(bmc.BootFlagsBmc())
        slow = self.useFixture(bmc.Relay(server.port, delay=0.1))
        self.add("n1", "ipmi", {**server.options, "port": slow.port})
        self.end(self.begin("n1", "power", {"target": "on"}))


class TestRedfish(ObmTestCase):
    def setUp(self) -> None:
        self.server = self.useFixture(bmc.Redfish())
        self.addCleanup(lambda: self.assertEqual([], self.server.sessions))  # when the service has ended
        super().setUp()

    def test_use(self) -> None:
        self.add("n1", "redfish", self.server.options)
        self.use("n1", "pxe")
        self.assert_no_secret(self.server.password)

    def _was_told(self, before: int) -> bool:
        return len(self.server.resets) > before

    def test_on_its_way(self) -> None:
        """A node that is being switched on is not off, and one that is being switched off is not on."""
        self.add("n1", "redfish", self.server.options)
        for state, shown, target in (("PoweringOn", "off", "off"), ("PoweringOff", "on", "on")):
            self.server.set_faults(state=state)
            self.assertEqual({"power": shown}, self.red.get("nodes/n1/power"))
            before = len(self.server.resets)
            operation = self.begin("n1", "power", {"target": target})
            until(functools.partial(self._was_told, before))
            self.assertNotIn(self.red.get(f"operations/{operation['uuid']}")["state"], ("done", "error"))
            self.server.set_faults()
            self.assertEqual({"power": target}, self.end(operation)["result"])

    def test_refused(self) -> None:
        for name, options, said in (
            ("n1", {"password": "not-this-one"}, "does not accept"),
            ("n2", {"verify_ca": True}, "not who it should be"),
        ):
            self.add(name, "redfish", {**self.server.options, **options})
            self.assertIn(said, self.refused(name, "127.0.0.1"))
        self.assert_no_secret(self.server.password, "not-this-one")


class TestLateAnswers(ObmTestCase):
    """A controller that does as it is told, and takes longer to say so than anybody waits."""

    settings = {**SETTINGS, ("conductor", "driver_timeout"): 10.0, ("conductor", "max_attempts"): 10}

    def test_redfish(self) -> None:
        server = self.useFixture(bmc.Redfish())
        self.add("n1", "redfish", server.options)
        self.end(self.begin("n1", "power", {"target": "on"}))
        before = server.resets
        server.set_faults(late=600)
        for count, target in enumerate(("cycle", "reset"), 1):
            ended = self.end(self.begin("n1", "power", {"target": target}), "error")
            self.assertIn("It is not known whether", ended["error"])
            self.assertEqual(count, len(server.resets) - len(before), server.resets)

    def test_ipmi(self) -> None:
        if reason := bmc.IpmiSim.missing():
            self.skipTest(reason)
        server = self.useFixture(bmc.IpmiSim())
        line = self.useFixture(bmc.MuteRelay(server.port, lambda: len(server.orders) > 1))
        self.add("n1", "ipmi", {**server.options, "port": line.port})
        self.end(self.begin("n1", "power", {"target": "on"}))
        ended = self.end(self.begin("n1", "power", {"target": "reset"}), "error")
        self.assertIn("It is not known whether", ended["error"])
        self.assertEqual(["power 1", "reset 1"], server.orders)


class TestLibvirt(ObmTestCase):
    def test_use(self) -> None:
        if reason := libvirtd.missing():
            self.skipTest(reason)
        daemon = self.useFixture(libvirtd.Libvirtd())
        machine = self.useFixture(libvirtd.Machine(daemon))
        self.add("n1", "libvirt", machine.options)
        boot = self.red.get("nodes/n1/boot_device")
        self.assertEqual(["cdrom", "disk", "pxe"], boot["supported"])
        self.end(self.begin("n1", "boot_device", {"device": "pxe", "persistent": True}))
        self.assertIn("<boot dev='network'/>", machine.domain.XMLDesc(2))
        for target, on in (("on", True), ("cycle", True), ("off", False)):
            self.end(self.begin("n1", "power", {"target": target}))
            self.assertEqual(on, bool(machine.domain.isActive()))


class TestUnreachable(ObmTestCase):
    """Ports that are closed, and black holes: everything is taken, and nothing ever comes back."""

    settings = IMPATIENT

    def test_ipmi(self) -> None:
        hole = self.useFixture(bmc.Relay())
        for name, port in (("n1", bmc.free_port()), ("n2", hole.port)):
            self.add(name, "ipmi", {"host": "127.0.0.1", "port": port, "username": bmc.USER, "password": "hunter2-22"})
            self.assertIn("does not answer", self.refused(name, "127.0.0.1"))
        self.assert_no_secret("hunter2-22")

    def test_redfish(self) -> None:
        hole = self.useFixture(bmc.BlackHole())
        for name, port in (("n1", bmc.free_port()), ("n2", hole.port)):
            options = {"address": f"https://127.0.0.1:{port}", "username": bmc.USER, "password": "hunter2-22"}
            self.add(name, "redfish", options)
            self.assertIn("does not answer", self.refused(name, "127.0.0.1"))
        self.assert_no_secret("hunter2-22")

    def test_libvirt(self) -> None:
        if reason := libvirtd.missing():
            self.skipTest(reason)
        self.add("n1", "libvirt", {"uri": "qemu:///system?socket=/no/such/socket", "domain": "none-such"})
        self.assertIn("does not answer", self.refused("n1", "socket"))


class TestBlackHole(ObmTestCase):
    """One in the midst of others."""

    settings = {**SETTINGS, ("conductor", "max_attempts"): 100}

    def test_holds_up_nobody(self) -> None:
        """Ten nodes at the same time."""
        if reason := bmc.IpmiSim.missing():
            self.skipTest(reason)
        servers = [self.useFixture(bmc.IpmiSim()) for _ in range(9)]
        hole = self.useFixture(bmc.Relay())
        self.add("hole", "ipmi", {**servers[0].options, "port": hole.port})
        for number, server in enumerate(servers):
            self.add(f"n{number}", "ipmi", server.options)
        lost = self.begin("hole", "power", {"target": "on"})
        begun = [self.begin(f"n{number}", "power", {"target": "on"}) for number in range(9)]
        for operation in begun:
            self.end(operation)
        self.assertEqual([True] * 9, [server.on for server in servers])
        self.assertNotIn(self.red.get(f"operations/{lost['uuid']}")["state"], ("done", "error"))
