# SPDX-License-Identifier: Apache-2.0
"""What the API asks of conductors of another version than its own."""

from __future__ import annotations

import threading
from typing import Any

import oslo_messaging
import testtools
from oslo_config import cfg
from oslo_messaging import conffixture

from mogan_hil.common import exception
from mogan_hil.conductor.manager import Manager
from mogan_hil.rpc import client

WAIT = 30.0


class Old:
    """A conductor that knows no more than the first ones."""

    target = oslo_messaging.Target(version="1.0")

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.lanes: list[str] = []

    def wake(self, _context: object, lane: str) -> None:
        self.lanes.append(lane)
        self.woken.set()

    def observe(self, _context: object, switch: str, timeout: float) -> dict[str, Any]:
        return {}


class TestVersions(testtools.TestCase):
    """A call says no more than since when it is known."""

    def setUp(self) -> None:
        super().setUp()
        conf = cfg.ConfigOpts()
        self.useFixture(conffixture.ConfFixture(conf))
        conf([])
        self.old = Old()
        transport = oslo_messaging.get_rpc_transport(conf, "fake:")
        target = oslo_messaging.Target(topic=client.TOPIC, server="old")
        server = oslo_messaging.get_rpc_server(transport, target, [self.old], executor="threading")
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        self.client = client.RemoteClient(transport)

    def test_what_is_old_is_done(self) -> None:
        self.client.wake("switch:1")
        self.assertTrue(self.old.woken.wait(WAIT))
        self.assertEqual(["switch:1"], self.old.lanes)
        self.client.observe("switch", WAIT)

    def test_what_is_new_is_refused(self) -> None:
        self.assertRaises(exception.DeviceUnavailable, self.client.ask, "node", "power", WAIT)

    def test_all_are_known(self) -> None:
        there = {name for name in vars(Manager) if not name.startswith("_")} - {"target"}
        self.assertEqual(there, set(client.SINCE))
        newest = max(tuple(map(int, version.split("."))) for version in client.SINCE.values())
        self.assertEqual(client.VERSION, ".".join(map(str, newest)))
