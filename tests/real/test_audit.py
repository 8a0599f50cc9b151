# SPDX-License-Identifier: Apache-2.0
"""CADF events of requests with real tokens, over a real broker."""

from __future__ import annotations

import json
import os
import time
import unittest
import uuid
from pathlib import Path
from typing import Any

import fixtures

from tests import keystone, service
from tests.functional.test_audit import MAP
from tests.real import test_keystone
from tests.real.test_notifications import Heard

REQUEST, RESPONSE = "audit.http.request", "audit.http.response"


class TestAudit(test_keystone.KeystoneCase):
    """See the module."""

    def setUp(self) -> None:
        super().setUp()
        if "MOGAN_HIL_TEST_RABBIT_URL" not in os.environ:
            raise unittest.SkipTest("RabbitMQ is not there")
        self.topic = f"audit-{uuid.uuid4().hex[:8]}"
        self.heard = self.useFixture(Heard(os.environ["MOGAN_HIL_TEST_RABBIT_URL"], self.topic))

    def audited(self, broker: str | None = None) -> service.Embedded:
        """A service that tells of its requests."""
        directory = Path(self.useFixture(fixtures.TempDir()).path)
        audit = directory / "audit.conf"
        url = broker or os.environ["MOGAN_HIL_TEST_RABBIT_URL"]
        audit.write_text(
            "[audit_middleware_notifications]\ndriver = messagingv2\n"
            f"topics = {self.topic}\ntransport_url = {url}\n[notifications]\nstop_timeout = 0.1\n"
        )
        files = [self.directory.config(directory / "keystone.conf"), audit]
        settings = {**test_keystone.SETTINGS, ("audit", "enabled"): True, ("audit", "map_file"): str(MAP)}
        return self.useFixture(service.Embedded(settings, conductor=False, files=files))

    def events(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """What was heard, once there are so many."""
        end = time.monotonic() + service.WAIT
        while len(self.heard.events) < count:
            self.assertLess(time.monotonic(), end, self.heard.names())
            time.sleep(0.02)
        return [(name, payload) for _, name, payload in self.heard.events]

    def test_who_did_what(self) -> None:
        served = self.audited()
        member = self.api(served, "red-member")
        network = member.post("networks", {"name": "net"})
        member.call("GET", "switches", status=403)
        (first, asked), (second, done), (_, _), (_, refused) = self.events(4)
        self.assertEqual((REQUEST, RESPONSE), (first, second))
        self.assertEqual(("create", "pending"), (asked["action"], asked["outcome"]))
        self.assertEqual(self.directory.users["red-member"], asked["initiator"]["id"])
        self.assertEqual(network["project_id"], asked["initiator"]["project_id"])
        self.assertEqual("service/baremetal-isolation/networks", asked["target"]["typeURI"])
        self.assertEqual(("success", "201"), (done["outcome"], done["reason"]["reasonCode"]))
        self.assertEqual(("failure", "403"), (refused["outcome"], refused["reason"]["reasonCode"]))
        self.assertEqual(asked["id"], done["id"])

    def test_nobody_and_no_secrets(self) -> None:
        served = self.audited()
        token = self.directory.token("red-member")
        self.api(served, "red-member").call("GET", "networks?name=hush", status=200)
        self.assertEqual(401, self.status(served, "no token"))
        events = self.events(4)
        text = json.dumps(events)
        self.assertNotIn(token[:12], text)
        self.assertNotIn(token[-12:], text)
        self.assertNotIn("hush", text)
        self.assertEqual(("failure", "401"), (events[3][1]["outcome"], events[3][1]["reason"]["reasonCode"]))

    def test_a_broker_that_is_down(self) -> None:
        served = self.audited("rabbit://127.0.0.1:1/")
        self.assertIsInstance(self.api(served, "red-member"), keystone.TokenApi)
        for _ in range(3):
            self.api(served, "red-member").get("networks")
        self.assertEqual([], self.heard.events)
