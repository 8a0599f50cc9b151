# SPDX-License-Identifier: Apache-2.0
"""Notifications over RabbitMQ: what others hear, and what happens when the broker goes away."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import unittest
import uuid
from collections.abc import Callable
from typing import Any

import fixtures
import oslo_messaging
import sqlalchemy as sa
import testtools
from oslo_config import cfg

from tests import service
from tests.functional import proxy
from tests.servers import base


class Gone(proxy.Proxy):
    """A way to a server of which nothing is left while it is cut, not even who refuses."""

    def cut(self) -> None:
        with contextlib.suppress(OSError):  # it is cut already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        super().cut()

    def mend(self) -> None:
        super().mend()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()


class Heard(fixtures.Fixture):
    """Listens as another service would.

    :ivar events: priority, type and payload of each, in the order in which they came
    """

    def __init__(self, url: str, topic: str) -> None:
        super().__init__()
        self._url = url
        self._topic = topic
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def _setUp(self) -> None:
        heard = self

        class Endpoint:
            def info(self, _context: Any, _publisher: str, name: str, payload: Any, _about: Any) -> None:
                heard.events.append(("info", name, payload.get("mogan_hil_object.data", payload)))

            def error(self, _context: Any, _publisher: str, name: str, payload: Any, _about: Any) -> None:
                heard.events.append(("error", name, payload.get("mogan_hil_object.data", payload)))

        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        transport = oslo_messaging.get_notification_transport(conf, url=self._url)
        target = oslo_messaging.Target(topic=self._topic)
        listener = oslo_messaging.get_notification_listener(transport, [target], [Endpoint()], executor="threading")
        listener.start(override_pool_size=1)  # several threads would hand out of order what comes together
        self.addCleanup(transport.cleanup)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.stop)

    def names(self) -> list[str]:
        """The types of events."""
        return [name for _, name, _ in self.events]


class TestRabbit(testtools.TestCase):
    """See the module."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if "MOGAN_HIL_TEST_RABBIT_URL" not in os.environ:
            raise unittest.SkipTest("RabbitMQ is not there")

    def setUp(self) -> None:
        super().setUp()
        broker = os.environ["MOGAN_HIL_TEST_RABBIT_URL"]
        url = sa.engine.make_url(broker.replace("rabbit:", "amqp:", 1))
        self.proxy = Gone(("127.0.0.1", int(url.port or 0)), base.free_port())  # nobody takes it meanwhile
        self.addCleanup(self.proxy.close)
        self.through = broker.replace(f":{url.port}", f":{self.proxy.port}")
        self.topic = f"test-{uuid.uuid4().hex[:8]}"
        self.heard = self.useFixture(Heard(broker, self.topic))

    def settings(self, **options: Any) -> dict[tuple[str, str], Any]:
        """Notifications, sent through the proxy."""
        return {
            ("oslo_messaging_notifications", "driver"): "messagingv2",
            ("oslo_messaging_notifications", "transport_url"): self.through,
            ("notifications", "topics"): self.topic,
            **{("notifications", name): value for name, value in options.items()},
        }

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + service.WAIT
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"it did not become so; heard: {self.heard.names()}")
            time.sleep(0.02)

    def test_processes(self) -> None:
        site = self.useFixture(service.Processes(apis=1, settings=self.settings()))
        site.admin.add_switch("s", ["p"])
        site.admin.add_node("n", "s", "p")
        site.admin.add_project("red")
        site.admin.as_user("red-member").put("nodes/n/project", {})
        site.admin.as_user("red-member").post("networks", {"name": "net"})
        site.admin.attach("n", "net")
        self.until(lambda: "attachment.attach.end" in self.heard.names())  # the conductor's
        self.until(lambda: "attachment.attach.start" in self.heard.names())  # the API's
        (claim,) = (payload for _, name, payload in self.heard.events if name == "node.claim")
        self.assertEqual(claim["by_project_id"], claim["project_id"])
        self.assertEqual({"info"}, {priority for priority, _, _ in self.heard.events})

    def test_the_broker_goes_and_comes_back(self) -> None:
        settings = {**self.settings(), ("notifications", "topics"): [self.topic]}
        settings["oslo_messaging_notifications", "driver"] = ["messagingv2"]
        site = self.useFixture(service.Embedded(settings, conductor=False))
        self._flavor(site, "before")
        self.until(lambda: self._heard("before"))
        self.proxy.cut()
        done = threading.Event()

        def change() -> None:
            for number in range(50):
                self._flavor(site, f"f{number}")
            done.set()

        threading.Thread(target=change, daemon=True).start()
        self.assertTrue(done.wait(service.WAIT))  # no request waits for the broker
        self.assertFalse(self._heard("f0"))
        self.proxy.mend()
        self.until(lambda: self._heard("f49"))
        found = [payload["name"] for _, name, payload in self.heard.events if name == "flavor.create"]
        self.assertEqual(["before", *(f"f{number}" for number in range(50))], found)

    def test_the_queue_is_full(self) -> None:
        settings = {**self.settings(queue_size=5), ("notifications", "topics"): [self.topic]}
        settings["oslo_messaging_notifications", "driver"] = ["messagingv2"]
        self.proxy.cut()
        site = self.useFixture(service.Embedded(settings, conductor=False))
        log = self.useFixture(fixtures.FakeLogger())
        for number in range(20):
            self._flavor(site, f"f{number}")
        self.assertIn("was dropped", log.output)
        self.assertEqual(1, log.output.count("was dropped"))
        self.proxy.mend()
        self.until(lambda: self._heard("f0"))
        self.until(lambda: self._sent(site, "later"))

    def _sent(self, site: service.Embedded, name: str) -> bool:
        if site.admin.call("GET", f"flavors/{name}").status != 200:
            self._flavor(site, name)
        site.admin.patch(f"flavors/{name}", {"description": uuid.uuid4().hex})
        return "flavor.update" in self.heard.names()

    def _flavor(self, site: service.Embedded, name: str) -> None:
        site.admin.post("flavors", {"name": name, "resource_class": "x"})

    def _heard(self, name: str) -> bool:
        return any(payload.get("name") == name for _, _, payload in self.heard.events)
