# SPDX-License-Identifier: Apache-2.0
"""Requests that wait for slow devices: they are few, and keep no others from being answered."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import fixtures
import requests

from mogan_hil.api import process
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.objects.operation import Operation
from mogan_hil.verbs import obm, operations
from tests import service
from tests.functional.test_hil_v0 import PASSWORD, HilCase


class WaitCase(HilCase):
    """One request of two may wait, and alice's nodes are not switched on before she is let."""

    settings = {**HilCase.settings, ("api", "threads"): 2}

    def setUp(self) -> None:
        super().setUp()
        self.world()
        self.uuids = {node: self.service.admin.get(f"nodes/{node}")["uuid"] for node in ("n1", "n2")}
        for node, uuid in self.uuids.items():
            self.ok("alice", "POST", "/project/red/connect_node", {"node": node})
            fake_obm.set_faults(self.service.state_dir, uuid, hold=["on"])
        self.addCleanup(self.let)
        self.pool = ThreadPoolExecutor(4)
        self.addCleanup(self.pool.shutdown)

    def let(self) -> None:
        for uuid in self.uuids.values():
            fake_obm.set_faults(self.service.state_dir, uuid)

    def state(self, node: str) -> str | None:
        """Of the latest operation on a node."""
        found = self.service.admin.get(f"operations?node={self.uuids[node]}&verb=power&sort_dir=desc")["operations"]
        return str(found[0]["state"]) if found else None

    def until(self, met: Any) -> None:
        end = time.monotonic() + service.WAIT
        while not met():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)


class TestWaits(WaitCase):
    """Who finds the places taken."""

    def test_others_are_answered_at_once(self) -> None:
        """What they begin goes on; what they ask, and what they cannot begin, they are told to try again."""
        waiting = self.pool.submit(self.send, "alice", "POST", "/node/n1/power_on")
        self.until(lambda: self.state("n1") == "running")
        self.ok("alice", "POST", "/node/n2/power_on")
        self.no("BlockedError", "alice", "POST", "/node/n2/power_off")
        self.no("OBMError", "alice", "GET", "/node/n2/power_status")
        self.service.admin.add_project("blue", "member")
        self.service.admin.as_user("blue-member").post("networks", {"name": "net"})
        for path in ("nodes/n2/power", "nodes/n2/boot_device", "switches/sw/drift", "networks/net/isolation"):
            answer = self.service.admin.call("GET", path, status=503)
            self.assertEqual("device.unavailable", answer.json["errors"][0]["code"], path)
        self.assertFalse(waiting.done())
        self.assertEqual("running", self.state("n2"))
        self.let()
        self.assertEqual(200, waiting.result().status)
        self.until(lambda: self.state("n2") == "done")
        for path in ("nodes/n2/power", "switches/sw/drift", "networks/net/isolation"):
            self.service.admin.get(path)

    def test_a_whole_process(self) -> None:
        """A user who has as many nodes switched on as it has threads."""
        server = process.Server(self.service.app.app, ("127.0.0.1", 0), 2, alone=True)
        thread = threading.Thread(target=server.serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.stop)
        self.addCleanup(self.let)

        def switch(node: str) -> requests.Response:
            url = f"{server.url}/v0/node/{node}/power_on"
            return requests.post(url, auth=("alice", PASSWORD), timeout=service.WAIT)

        begun: list[Future[requests.Response]] = []
        for node in self.uuids:
            begun.append(self.pool.submit(switch, node))
            self.until(lambda node=node: self.state(node) is not None)
        found = requests.get(f"{server.url}/v0/nodes/free", auth=("bob", PASSWORD), timeout=service.WAIT)
        self.assertEqual(["n3"], found.json())
        self.assertFalse(begun[0].done())
        self.let()
        self.assertEqual([200, 200], [one.result().status_code for one in begun])


class TestPatience(WaitCase):
    """Who waits until something can be begun."""

    settings = {**HilCase.settings, ("api", "threads"): 4}

    def test_reads_until_it_can_be_begun(self) -> None:
        """Each try to begin is a transaction that writes."""
        tries, looks = [], []
        set_power, is_open = obm.set_power, operations.is_open

        def begin(*given: Any) -> Operation:
            tries.append(given)
            return set_power(*given)

        def look(*given: Any) -> bool:
            looks.append(given)
            return is_open(*given)

        first = self.pool.submit(self.send, "alice", "POST", "/node/n1/power_on")
        self.until(lambda: self.state("n1") == "running")
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.verbs.obm.set_power", begin))
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.verbs.operations.is_open", look))
        second = self.pool.submit(self.send, "alice", "POST", "/node/n1/power_off")
        self.until(lambda: len(looks) >= 4)
        self.assertEqual(1, len(tries))
        self.let()
        self.assertEqual([200, 200], [one.result().status for one in (first, second)])
        self.assertEqual("off", self.service.admin.get("nodes/n1/power")["power"])
