# SPDX-License-Identifier: Apache-2.0
"""A member and a reader of one project try to learn of another's things, and to do what they may not."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any
from unittest import mock

import fixtures
import testtools
import webtest

from mogan_hil.common import passwords, ssh_keys
from mogan_hil.context import RequestContext
from tests import service
from tests.functional import base

SOMEBODY = {"name": "mine", "flavor": "metal"}

#: Requests that name a thing, and what of blue's, or nobody's, may be named there.
NAMING: list[tuple[str, str, Callable[[str], Any], str]] = [
    ("POST", "claims", lambda it: {"nodes": [it]}, "node"),
    ("POST", "claims", lambda it: {"count": 1, "networks": [{"network": it}]}, "network"),
    ("POST", "claims", lambda it: {"count": 1, "project_id": it}, "project"),
    ("POST", "instances", lambda it: {"name": "mine", "node": it}, "node"),
    ("POST", "instances", lambda it: {"name": "mine", "flavor": it}, "flavor"),
    ("POST", "instances", lambda it: {**SOMEBODY, "networks": [{"network": it}]}, "network"),
    ("POST", "instances", lambda it: {**SOMEBODY, "image": it}, "image"),
    ("POST", "instances", lambda it: {**SOMEBODY, "keypair": it}, "keypair"),
    ("POST", "instances", lambda it: {**SOMEBODY, "server_group": it}, "group"),
    ("POST", "instances", lambda it: {**SOMEBODY, "project_id": it}, "project"),
    ("PUT", "instances/i1/rebuild", lambda it: {"image": it}, "image"),
    ("POST", "instances/i1/interfaces", lambda it: {"network": it, "nic": "eth0", "channel": "x"}, "network"),
    ("DELETE", "instances/i1/interfaces/{}", lambda it: None, "attachment"),
    ("POST", "nodes/n1/nics/eth0/attachments", lambda it: {"network": it, "channel": "x"}, "network"),
    ("DELETE", "nodes/n1/nics/eth0/attachments/{}", lambda it: None, "network"),
    ("PUT", "nodes/n2/project", lambda it: {"project_id": it}, "project"),
    ("PUT", "headnodes/head/hnics/eth0/network", lambda it: {"network": it}, "network"),
    *[
        ("POST", path, lambda it, body=body: {**body, "project_id": it}, "project")
        for path, body in (
            ("networks", {"name": "mine"}),
            ("images", {"name": "mine", **base.KERNEL}),
            ("server_groups", {"name": "mine", "policy": "affinity"}),
            ("headnodes", {"name": "mine", "image": "base"}),
        )
    ],
    *[
        ("GET", f"{path}/{{}}", lambda it: None, kind)
        for path, kind in (("quotas", "project"), ("projects", "project"))
    ],
    *[
        ("GET", f"{path}?{name}={{}}", lambda it: None, kind)
        for path, names in (
            ("nodes", {"project": "project", "marker": "node"}),
            ("networks", {"project": "project", "name": "network", "marker": "network"}),
            (
                "instances",
                {"project": "project", "node": "node", "image": "image", "flavor": "flavor", "marker": "instance"},
            ),
            ("addresses", {"project": "project", "node": "node", "network": "network"}),
            ("images", {"project": "project", "name": "image", "marker": "image"}),
            ("server_groups", {"project": "project", "name": "group", "marker": "group"}),
            ("headnodes", {"project": "project", "marker": "headnode"}),
            ("operations", {"parent": "operation", "node": "node", "project_id": "project", "marker": "operation"}),
            ("keypairs", {"user_id": "user", "marker": "keypair"}),
            ("flavors", {"marker": "flavor"}),
        )
        for name, kind in names.items()
    ],
]


class TestOthersThings(base.WorldTestCase):
    """Whatever names blue's thing is answered as if there were none."""

    def setUp(self) -> None:
        super().setUp()
        admin, blue = self.world.admin, self.world.blue
        admin.post("flavors", {"name": "theirs", "resource_class": "baremetal", "public": False})
        admin.post("instances/adopt", {"name": "blue-instance", "node": "b1"})
        self.names = {
            "node": ("b1", admin.get("nodes/b1")["uuid"]),
            "network": ("blue-net", blue.get("networks/blue-net")["uuid"]),
            "project": ("blue", self.world.projects["blue"]),
            "flavor": ("theirs", admin.get("flavors/theirs")["uuid"]),
            "image": ("blue-image", blue.get("images/blue-image")["uuid"]),
            "keypair": ("blue-key", blue.get("keypairs/blue-key")["uuid"]),
            "group": ("blue-group", blue.get("server_groups/blue-group")["uuid"]),
            "headnode": ("blue-head", blue.get("headnodes/blue-head")["uuid"]),
            "instance": ("blue-instance", blue.get("instances/blue-instance")["uuid"]),
            "user": ("blue-member", admin.get("users/blue-member")["uuid"]),
            "operation": tuple(item["uuid"] for item in blue.get("operations")["operations"][:1]),
            "attachment": (blue.get("instances/blue-instance/interfaces")["interfaces"][0]["uuid"],),
        }

    def said(self, caller: service.Api, request: tuple[str, str, Callable[[str], Any], str], name: str) -> Any:
        method, path, body, _ = request
        answer = caller.call(method, path.format(name), body(name))
        self.assertLess(answer.status, 500, answer.text)
        told = answer.json or {}
        for error in told.get("errors", []):
            del error["request_id"]
        return answer.status, str(told).replace(name, "-")

    def test_named(self) -> None:
        for caller in (self.world.red, self.world.admin.as_user("red-reader")):
            for request in NAMING:
                for name in self.names[request[3]]:
                    # A uuid is told from a name; whose it is, is not.
                    nobodys = str(uuid.uuid4()) if len(name) == 36 else "nothing"
                    theirs, absent = (self.said(caller, request, item) for item in (name, nobodys))
                    self.assertEqual(absent, theirs, (caller.user, request[:2], name))
                    self.assertTrue(theirs[0] >= 400 or request[0] == "GET", (request[:2], theirs))


class TestLog(testtools.TestCase):
    """The log says who asked, and nothing that a client made up."""

    def setUp(self) -> None:
        super().setUp()
        settings = {("auth", "lockout_failures"): 1, ("audit", "enabled"): False}
        self.service = self.useFixture(service.Embedded(settings, conductor=False))
        self.log = self.useFixture(fixtures.FakeLogger("mogan_hil", level=logging.INFO))
        logging.getLogger("mogan_hil").setLevel(logging.INFO)
        self.addCleanup(logging.getLogger("mogan_hil").setLevel, logging.WARNING)

    def get(self, path: str = "/v1/nodes", method: str = "GET", **environ: str) -> int:
        environ = {"REMOTE_ADDR": "192.0.2.1", "REQUEST_METHOD": method, **environ}
        request = webtest.TestRequest.blank(path)
        request.environ.update(environ)
        return int(request.get_response(self.service.app.app).status_int)

    def test_made_up_callers(self) -> None:
        forged = {"HTTP_X_USER_ID": "forged", "HTTP_X_PROJECT_ID": "forged", "HTTP_X_IDENTITY_STATUS": "Confirmed"}
        wrong = {"HTTP_AUTHORIZATION": "Basic YWRtaW46d3Jvbmc="}
        self.assertEqual(401, self.get(**forged))
        self.assertEqual(401, self.get(**forged, **wrong))
        self.assertEqual(429, self.get(**forged, **wrong))  # before anything is stripped
        self.get("/healthcheck", **forged)
        self.get(method="OPTIONS", HTTP_ORIGIN="http://evil.example", **forged)
        self.get("/v1/nodes%0Aforged", **forged)
        self.get(method="GET\x1b[2Jforged", **forged)
        self.assertNotIn("user=forged", self.log.output)
        self.assertNotIn("project=forged", self.log.output)
        for line in self.log.output.splitlines():
            self.assertTrue(line.isprintable(), line)
            self.assertFalse(line.startswith("forged"), line)

    def test_who_it_was(self) -> None:
        caller = self.service.admin.get("users/admin")["uuid"]
        self.assertIn(f"user={caller} project=", self.log.output)


class TestForeignPages(base.WorldTestCase):
    """A page of another site has a browser send what it may without asking, with the password that it remembers."""

    def test_without_a_preflight(self) -> None:
        for route in base.ROUTES.values():
            if route.method != "POST":
                continue  # a browser asks first
            for kind in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                for body in (b"", b"{}"):
                    headers = {"Origin": "https://evil.example", "Content-Type": kind}
                    path = self.world.path(route)
                    answer = self.world.admin.call("POST", path, body, headers=headers)
                    self.assertEqual(415, answer.status, (path, kind, body, answer.text))
        self.assertFalse(self.world.changed())

    def test_with_one(self) -> None:
        headers = {"Origin": "https://dashboard.example", "Content-Type": "application/json"}
        answer = self.world.admin.call("POST", "switches/rack1/heal", b"", headers=headers)
        self.assertEqual(202, answer.status, answer.text)


class TestCost(base.WorldTestCase):
    """What takes its time is not done for who is refused anyway."""

    def test_passwords_of_machines(self) -> None:
        reader = self.world.admin.as_user("red-reader")
        body = {"name": "mine", "node": "n2", "admin_password": "hush"}
        with mock.patch.object(passwords, "crypted", autospec=True, side_effect=AssertionError):
            reader.post("instances", body, 403)
            self.world.red.post("instances", {**body, "project_id": "blue"}, 403)
            self.world.red.post("instances", {**body, "user_data": "not base64"}, 400)

    def test_keys(self) -> None:
        self.world.admin.put("quotas/red", {"keypairs": 0})
        with mock.patch.object(ssh_keys, "generate", autospec=True, side_effect=AssertionError):
            self.world.red.post("keypairs", {"name": "more", "type": "rsa"}, 403)
            self.world.admin.as_user("red-reader").post("keypairs", {"name": "more", "type": "rsa"}, 403)


class TestPolicyAnswers(base.WorldTestCase):
    """An answer that is remembered is that of the same question."""

    def test_target_and_caller_are_not_mixed_up(self) -> None:
        policy = self.world.service.services.policy
        nobodys, reds = (RequestContext(roles=["member"], overwrite=False, **of) for of in ({}, {"project_id": "red"}))
        policy._answers = {}
        with mock.patch.object(policy.enforcer, "authorize", autospec=True, return_value=False) as asked:
            policy.allows(nobodys, "admin", {"project_id": "red"})
            policy.allows(reds, "admin", {})
            self.assertEqual(2, asked.call_count)
