# SPDX-License-Identifier: Apache-2.0
"""HIL's client with a token of Keystone's. HIL called a project what its id is in Keystone."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import requests
from keystoneauth1 import exceptions

from mogan_hil.api import process
from tests import service
from tests.real.test_keystone import KeystoneCase


class TestHilClient(KeystoneCase):
    """As HIL's `KeystoneHTTPClient` sends it: by a session of keystoneauth, which raises what the client catches."""

    def setUp(self) -> None:
        super().setUp()
        served = self.serve(conductor=True)
        server = process.Server(served.app.app, ("127.0.0.1", 0), 4, alone=True)
        thread = threading.Thread(target=server.serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.stop)
        self.url = server.url

    def send(self, who: str, method: str, path: str, body: Any = None) -> requests.Response:
        data = None if body is None else json.dumps(body)
        try:
            answer = self.directory.session(who).request(method=method, url=self.url + path, data=data, params=None)
        except exceptions.HttpError as error:
            answer = error.response
        return answer  # type: ignore[no-any-return]

    def ok(self, who: str, method: str, path: str, body: Any = None) -> Any:
        answer = self.send(who, method, path, body)
        self.assertIn(answer.status_code, (200, 202), answer.text)
        return answer.json() if answer.content else None

    def no(self, kind: str, who: str, method: str, path: str, body: Any = None) -> None:
        answer = self.send(who, method, path, body)
        self.assertEqual(kind, answer.json()["type"], answer.text)

    def test_with_and_without_v0(self) -> None:
        mock = "http://schema.massopencloud.org/haas/v0/{}/mock"
        self.ok("blue-admin", "PUT", "/v0/switch/sw", {"type": mock.format("switches"), "hostname": "sw"})
        self.ok("blue-admin", "PUT", "/switch/sw/port/gi1/0/1")
        self.ok("system-admin", "PUT", "/v0/node/n1", {"obm": {"type": mock.format("obm"), "host": "bmc"}})
        self.ok("system-admin", "PUT", "/node/n1/nic/eth0", {"macaddr": "52:54:00:00:00:01"})
        port = {"node": "n1", "nic": "eth0"}
        self.ok("blue-admin", "POST", "/switch/sw/port/gi1/0/1/connect_nic", port)
        red = self.directory.projects["red"]
        self.assertEqual(["n1"], self.ok("red-member", "GET", "/nodes/free"))
        # Whether a project of others is there is told to administrators alone.
        self.no("AuthorizationError", "blue-member", "POST", f"/project/{red}/connect_node", {"node": "n1"})
        self.no("AuthorizationError", "blue-member", "POST", "/v0/project/nothing/connect_node", {"node": "n1"})
        self.no("NotFoundError", "blue-admin", "POST", "/v0/project/nothing/connect_node", {"node": "n1"})
        # Nobody has named this project here yet.
        self.ok("blue-admin", "POST", f"/project/{red}/connect_node", {"node": "n1"})
        self.ok("system-admin", "POST", f"/v0/project/{red}/detach_node", {"node": "n1"})
        self.no("AuthorizationError", "blue-member", "POST", f"/project/{red}/connect_node", {"node": "n1"})
        self.ok("red-member", "POST", f"/v0/project/{red}/connect_node", {"node": "n1"})
        self.assertEqual(["n1"], self.ok("red-member", "GET", f"/project/{red}/nodes"))
        own = {"owner": red, "access": red, "net_id": ""}
        self.ok("red-member", "PUT", "/v0/network/net", own)
        wanted = {"network": "net", "channel": ""}
        begun = self.ok("red-member", "POST", "/v0/node/n1/nic/eth0/connect_network", wanted)["status_id"]
        end = time.monotonic() + service.WAIT
        while (found := self.ok("red-member", "GET", f"/networking_action/{begun}"))["status"] == "PENDING":
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        self.assertEqual("DONE", found["status"])
        shown = self.ok("red-member", "GET", "/v0/node/n1")
        self.assertEqual((red, {"vlan/native": "net"}), (shown["project"], shown["nics"][0]["networks"]))
        self.no("NotFoundError", "blue-member", "GET", "/node/n1")
        # Projects and users are Keystone's.
        self.no("BlockedError", "system-admin", "PUT", "/v0/project/new")
        self.no("BlockedError", "system-admin", "PUT", "/v0/auth/basic/user/eve", {"password": "x"})
        self.no("AuthorizationError", "red-member", "GET", "/projects")
