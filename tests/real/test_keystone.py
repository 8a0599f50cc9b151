# SPDX-License-Identifier: Apache-2.0
"""Auth `keystone`, with a Keystone: who may do what."""

from __future__ import annotations

import json
import os
import time
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fixtures
import testtools
from keystoneauth1 import session as ksa_session

from tests import keystone, service
from tests.functional.racks import until

SETTINGS = {("auth", "strategy"): "keystone"}

#: What a request is answered with, for these callers in this order.
CALLERS = (
    "system-admin",
    "blue-admin",
    "red-admin",
    "red-manager",
    "red-member",
    "red-reader",
    "system-reader",
    "system-member",
    "blue-member",
    "red-service",
    "hil",
    "domain-admin",
    "nobody",
)
TABLE: Sequence[tuple[str, str, Any, str]] = [
    ("GET", "switches", None, "200 200 200 403 403 403 200 200 403 403 403 403 403"),
    ("GET", "switches/rack1/ports", None, "200 200 200 403 403 403 200 200 403 403 403 403 403"),
    ("GET", "switches/rack1/drift", None, "200 200 200 403 403 403 200 200 403 403 403 403 403"),
    ("GET", "drivers", None, "200 200 200 403 403 403 200 200 403 403 403 403 403"),
    ("GET", "projects", None, "200 200 200 403 403 403 200 200 403 403 403 403 403"),
    ("PATCH", "switches/rack1", {"description": "x"}, "200 200 200 403 403 403 403 403 403 403 403 403 403"),
    ("PATCH", "nodes/n-red", {"description": "x"}, "200 200 200 403 403 403 403 403 403 403 403 403 403"),
    ("GET", "nodes", None, "200 200 200 200 200 200 200 200 200 403 403 403 403"),
    ("GET", "nodes/n-free", None, "200 200 200 200 200 200 200 200 200 403 403 403 403"),
    ("GET", "nodes/n-red", None, "200 200 200 200 200 200 200 200 404 403 404 403 404"),
    ("GET", "nodes/n-blue", None, "200 200 200 404 404 404 200 200 200 404 404 403 404"),
    ("GET", "nodes/n-red/nics", None, "200 200 200 200 200 200 200 200 404 403 404 403 404"),
    ("GET", "networks/net-red", None, "200 200 200 200 200 200 200 200 404 403 403 403 403"),
    ("GET", "networks/net-red/isolation", None, "200 200 200 200 200 200 200 200 404 403 404 403 404"),
    ("PATCH", "networks/net-red", {"description": "x"}, "200 200 200 200 200 403 403 403 404 403 404 403 404"),
    ("PATCH", "networks/net-red", {"public": False}, "200 200 200 403 403 403 403 403 404 403 404 403 404"),
    ("GET", "instances", None, "200 200 200 200 200 200 200 200 200 403 403 403 403"),
    ("GET", "flavors", None, "200 200 200 200 200 200 200 200 200 403 403 403 403"),
    ("GET", "images", None, "200 200 200 200 200 200 200 200 200 403 403 403 403"),
    ("GET", "keypairs", None, "200 200 200 200 200 200 200 200 200 403 403 403 403"),
    ("GET", "keypairs/none", None, "404 404 404 404 404 404 404 404 404 403 403 403 403"),
    ("GET", "operations", None, "200 200 200 200 200 200 200 200 200 403 403 403 403"),
    ("GET", "projects/{red}", None, "200 200 200 200 200 200 200 200 404 404 404 404 404"),
    ("GET", "projects/{red}/nodes", None, "200 200 200 200 200 200 200 200 404 404 404 404 404"),
    ("PUT", "nodes/n-red/project", {"project_id": "{red}"}, "200 200 200 200 200 403 403 403 403 403 403 403 403"),
    ("DELETE", "nodes/n-red/project", None, "409 409 409 409 409 403 403 403 404 403 404 403 404"),
    (
        "POST",
        "nodes/n-red/nics/eth0/attachments",
        {"network": "net-red"},
        "409 409 409 409 409 403 403 403 404 403 404 403 404",
    ),
]


class KeystoneCase(testtools.TestCase):
    """With the directory of a class, and services as each test wants them."""

    directory: keystone.Directory

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if "MOGAN_HIL_TEST_KEYSTONE_URL" not in os.environ:
            raise unittest.SkipTest("Keystone is not there")
        cls.directory = keystone.Directory()
        cls.directory.setUp()
        cls.addClassCleanup(cls.directory.cleanUp)

    def serve(self, url: str | None = None, *, conductor: bool = False, **options: object) -> service.Embedded:
        """A service that asks Keystone.

        :param options: of [keystone_authtoken]
        """
        path = Path(self.useFixture(fixtures.TempDir()).path) / "keystone.conf"
        file = self.directory.config(path, url, **options)
        return self.useFixture(service.Embedded(SETTINGS, conductor=conductor, files=[file]))

    def api(self, served: service.Embedded, who: str | None, service_token: str | None = None) -> keystone.TokenApi:
        """The API, called by somebody; by nobody if None."""
        token = None if who is None else self.directory.token(who)
        return keystone.TokenApi(served._send, token, service_token)

    def status(self, served: service.Embedded, token: str | None, service_token: str | None = None) -> int:
        """What a simple request with a token is answered with."""
        return int(keystone.TokenApi(served._send, token, service_token).call("GET", "nodes").status)


class TestRoles(KeystoneCase):
    """Who may do what."""

    def setUp(self) -> None:
        super().setUp()
        self.served = self.serve(conductor=True)
        self.admin = self.api(self.served, "system-admin")
        self.admin.add_switch("rack1", ["p1"])
        for name in ("red", "blue", "free"):
            self.admin.add_node(f"n-{name}", *(("rack1", "p1") if name == "red" else ()))
        for name in ("red", "blue"):
            member = self.api(self.served, f"{name}-member")
            member.put(f"nodes/n-{name}/project", {})
            member.post("networks", {"name": f"net-{name}"})
        self.api(self.served, "red-member").attach("n-red", "net-red")

    def test_table(self) -> None:
        red = self.directory.projects["red"]
        wrong = []
        for method, path, body, statuses in TABLE:
            sent = json.loads(json.dumps(body).replace("{red}", red))
            for caller, status in zip(CALLERS, statuses.split(), strict=True):
                answer = self.api(self.served, caller).call(method, path.replace("{red}", red), sent)
                if answer.status != int(status):
                    wrong.append(f"{caller} {method} {path}: {answer.status}, not {status}: {answer.text[:200]}")
        self.assertEqual([], wrong)

    def test_readers_of_the_system_see_all_and_secrets_of_nobody(self) -> None:
        obm = {"driver": "fake", "options": {}}
        self.admin.post("nodes", {"name": "n-obm", "obm": obm})
        reader = self.api(self.served, "system-reader")
        names = {node["name"] for node in reader.get("nodes")["nodes"]}
        self.assertEqual({"n-red", "n-blue", "n-free", "n-obm"}, names)
        self.assertEqual({"net-red", "net-blue"}, {net["name"] for net in reader.get("networks")["networks"]})
        self.assertIn("obm", reader.get("nodes/n-obm"))
        projects = {item["project_id"] for item in reader.get("operations")["operations"]}
        self.assertIn(self.directory.projects["red"], projects)

    def test_keypairs(self) -> None:
        """They are a user's, whoever else is of the project."""
        made = {
            who: self.api(self.served, who).post("keypairs", {"name": "mine"})
            for who in ("red-member", "red-manager", "system-admin")
        }
        self.assertEqual(3, len({keypair["user_id"] for keypair in made.values()}))
        self.api(self.served, "red-reader").get("keypairs/mine", 404)
        member = made["red-member"]
        self.assertEqual(member["uuid"], self.api(self.served, "red-member").get("keypairs/mine")["uuid"])
        for who, status in (("red-manager", 404), ("system-reader", 200), ("system-admin", 200)):
            self.api(self.served, who).get(f"keypairs/mine?user_id={member['user_id']}", status)

    def test_a_member_sees_the_own_project(self) -> None:
        member = self.api(self.served, "blue-member")
        self.assertEqual({"n-blue", "n-free"}, {node["name"] for node in member.get("nodes")["nodes"]})
        self.assertEqual(["net-blue"], [net["name"] for net in member.get("networks")["networks"]])
        self.assertEqual([], member.get("operations")["operations"])
        red = self.directory.projects["red"]
        self.assertEqual([], member.get(f"nodes?project={red}")["nodes"])
        member.call("PUT", "nodes/n-free/project", {"project_id": red}, status=403)
        member.call("PUT", "nodes/n-red/project", {}, status=404)

    def test_nobody_is_of_a_project_called_none(self) -> None:
        for who in ("system-member", "system-reader", "nobody"):
            self.api(self.served, who).call("PUT", "nodes/n-free/project", {"project_id": "None"}, status=403)
        self.assertIsNone(self.admin.get("nodes/n-free")["project_id"])

    def test_the_system_has_no_project_of_its_own(self) -> None:
        answer = self.admin.call("PUT", "nodes/n-free/project", {}, status=400)
        self.assertIn("your token is for none", answer.text)


class TestProjects(KeystoneCase):
    """Projects are Keystone's."""

    def setUp(self) -> None:
        super().setUp()
        self.served = self.serve()
        self.admin = self.api(self.served, "system-admin")
        self.admin.post("nodes", {"name": "n1"})

    def known(self) -> set[str]:
        return {project["uuid"] for project in self.admin.get("projects")["projects"]}

    def test_the_own_project_is_written_down_when_it_is_first_used(self) -> None:
        red = self.directory.projects["red"]
        self.assertNotIn(red, self.known())
        self.api(self.served, "red-member").put("nodes/n1/project", {})
        self.assertIn(red, self.known())

    def test_the_own_project_is_there_before_it_is_used(self) -> None:
        red, name = self.directory.projects["red"], self.directory.name("red")
        reader = self.api(self.served, "red-reader")
        for ident in (red, name):
            self.assertEqual([], reader.get(f"projects/{ident}/nodes")["nodes"])
            self.assertEqual([], reader.get(f"projects/{ident}/networks")["networks"])
            self.assertEqual(red, reader.get(f"projects/{ident}")["uuid"])

    def test_lists_of_the_own_project_by_its_name(self) -> None:
        red, name = self.directory.projects["red"], self.directory.name("red")
        member = self.api(self.served, "red-member")
        member.put("nodes/n1/project", {})
        for ident in (red, name):
            self.assertEqual(["n1"], [node["name"] for node in member.get(f"nodes?project={ident}")["nodes"]])
        self.assertEqual(["n1"], [node["name"] for node in self.admin.get(f"nodes?project={red}")["nodes"]])
        for ident in (self.directory.projects["blue"], self.directory.name("blue"), "0" * 32):
            self.assertEqual([], member.get(f"nodes?project={ident}")["nodes"])

    def test_a_project_that_is_named_is_looked_up(self) -> None:
        blue = self.directory.projects["blue"]
        for wrong in ("0" * 32, "default", self.directory.name("blue")):
            answer = self.admin.call("PUT", "nodes/n1/project", {"project_id": wrong}, status=404)
            self.assertEqual("not_found", answer.json["errors"][0]["code"])
        self.assertIsNone(self.admin.get("nodes/n1")["project_id"])
        self.assertEqual(blue, self.admin.put("nodes/n1/project", {"project_id": blue})["project_id"])
        self.admin.call("POST", "networks", {"name": "w", "project_id": blue, "access": ["0" * 32]}, status=404)
        self.assertEqual([], self.admin.get("networks")["networks"])

    def test_several_new_projects_in_one_request(self) -> None:
        others = [self.directory.new_project() for _ in range(3)]
        made = self.admin.post("networks", {"name": "w", "project_id": others[0], "access": others[1:]})
        self.assertEqual(sorted(others[1:]), made["access"])

    def test_what_keystone_does_not_tell_a_member_is_taken_on_trust(self) -> None:
        member = self.api(self.served, "red-member")
        member.post("networks", {"name": "w"})
        member.call("PUT", f"networks/w/access/{self.directory.projects['blue']}", status=204)

    def test_projects_are_not_made_here(self) -> None:
        for method, path in (("PUT", "projects/x"), ("DELETE", f"projects/{self.directory.projects['red']}")):
            answer = self.admin.call(method, path, status=409)
            self.assertIn("Keystone", answer.text)


class TestTokens(KeystoneCase):
    """What is a token, and what is none."""

    def test_without_a_token(self) -> None:
        served = self.serve()
        answer = self.api(served, None).call("GET", "nodes", status=401)
        self.assertEqual("auth.required", answer.json["errors"][0]["code"])
        self.assertEqual(f'Keystone uri="{self.directory.url}"', answer.headers["WWW-Authenticate"])

    def test_the_address_that_clients_are_sent_to_is_configured(self) -> None:
        served = self.serve(www_authenticate_uri="https://keystone.example.org/v3")
        answer = self.api(served, None).call("GET", "nodes", status=401)
        self.assertEqual('Keystone uri="https://keystone.example.org/v3"', answer.headers["WWW-Authenticate"])

    def test_what_is_no_token(self) -> None:
        served = self.serve()
        for wrong in ("bogus", " ", "gAAAAA" + "A" * 200, "x" * 10000, "../../v3/users", "\xff\xfe", "a b", "%00"):
            with self.subTest(wrong=wrong[:20]):
                answer = keystone.TokenApi(served._send, wrong).call("GET", "nodes", status=401)
                self.assertIn("Keystone uri=", answer.headers["WWW-Authenticate"])
                self.assertEqual(["errors"], list(answer.json))

    def test_what_is_public_needs_no_token_and_minds_no_wrong_one(self) -> None:
        served = self.serve()
        for path in ("/", "/v1", "/v1/openapi.json", "/healthcheck"):
            for token in (None, "bogus"):
                keystone.TokenApi(served._send, token).call("GET", path, status=200)

    def test_a_password_is_no_token(self) -> None:
        served = self.serve()
        self.assertEqual(401, served.admin.call("GET", "nodes").status)

    def test_revoked(self) -> None:
        served = self.serve(token_cache_time=1)
        token = self.directory.new_token("red-member")
        self.assertEqual(200, self.status(served, token))
        self.directory.revoke(token)
        time.sleep(1.1)
        self.assertEqual(401, self.status(served, token))

    def test_revoked_counts_after_the_time_of_the_cache(self) -> None:
        served = self.serve(token_cache_time=60)
        token = self.directory.new_token("red-member")
        self.assertEqual(200, self.status(served, token))
        self.directory.revoke(token)
        self.assertEqual(200, self.status(served, token))

    def test_expired_counts_at_once(self) -> None:
        served = self.serve()
        token = self.short_lived(served)
        until(lambda: self.status(served, token) == 401)
        # A service that works for a user for long shows its own token beside.
        self.assertEqual(200, self.status(served, token, self.directory.token("hil")))
        self.assertEqual(401, self.status(served, token, self.directory.token("blue-member")))
        self.assertEqual(401, self.status(served, token))

    def short_lived(self, served: service.Embedded) -> str:
        """A token that the service has taken, and that ends soon."""
        for seconds in (4, 16, 64):
            credential = self.directory.application_credential("red-member", seconds=seconds)
            token = str(ksa_session.Session(credential).get_token())
            if self.status(served, token) == 200:
                return token
        raise AssertionError("no token was taken before it ended")

    def test_application_credential(self) -> None:
        served = self.serve()
        token = ksa_session.Session(self.directory.application_credential("red-member")).get_token()
        api = keystone.TokenApi(served._send, token)
        self.assertEqual(self.directory.projects["red"], api.post("networks", {"name": "w"})["project_id"])
        api.call("GET", "switches", status=403)

    def test_access_rules_of_an_application_credential(self) -> None:
        self.directory.register("http://127.0.0.1:6385/v1")
        served = self.serve()
        rules = [{"service": keystone.SERVICE_TYPE, "method": "GET", "path": "/v1/nodes"}]
        credential = self.directory.application_credential("red-member", rules=rules)
        api = keystone.TokenApi(served._send, ksa_session.Session(credential).get_token())
        api.call("GET", "nodes", status=200)
        api.call("GET", "networks", status=401)
        api.call("POST", "networks", {"name": "w"}, status=401)

    def test_forged_headers(self) -> None:
        served = self.serve()
        blue = self.directory.projects["blue"]
        forged = {
            "X-Identity-Status": "Confirmed",
            "X-Service-Identity-Status": "Confirmed",
            "X-Roles": "admin",
            "X-Role": "admin",
            "X-Service-Roles": "service,admin",
            "X-User-Id": "root",
            "X-User": "root",
            "X-Project-Id": blue,
            "X-Tenant-Id": blue,
            "X-Tenant": blue,
            "X-Project-Name": self.directory.name("blue"),
            "X-Domain-Id": "default",
            "X-Is-Admin-Project": "True",
            "OpenStack-System-Scope": "all",
        }
        for token in (None, "bogus"):
            keystone.TokenApi(served._send, token).call("GET", "nodes", headers=forged, status=401)
        reader = self.api(served, "red-reader")
        for names in (list(forged), *([name] for name in forged)):
            some = {name: forged[name] for name in names}
            reader.call("GET", "switches", headers=some, status=403)
            reader.call("POST", "networks", {"name": "w"}, headers=some, status=403)
            reader.call("GET", f"projects/{blue}", headers=some, status=404)


class TestServiceTokens(KeystoneCase):
    """X-Service-Token: who passes a user's request on."""

    def setUp(self) -> None:
        super().setUp()
        self.served = self.serve()
        self.member = self.directory.token("red-member")

    def test_a_service_passes_on_what_a_user_wants(self) -> None:
        api = self.api(self.served, "red-member", self.directory.token("hil"))
        self.assertEqual(self.directory.projects["red"], api.post("networks", {"name": "w"})["project_id"])

    def test_it_must_be_one_of_a_service(self) -> None:
        self.assertEqual(401, self.status(self.served, self.member, self.directory.token("blue-admin")))
        self.assertEqual(401, self.status(self.served, self.member, "bogus"))

    def test_it_is_not_enough(self) -> None:
        self.assertEqual(401, self.status(self.served, None, self.directory.token("hil")))
        self.assertEqual(401, self.status(self.served, "bogus", self.directory.token("hil")))

    def test_it_lends_neither_roles_nor_scope(self) -> None:
        everywhere = self.directory.new_token("hil", system_scope="all")
        for lent in (everywhere, self.directory.token("hil")):
            self.api(self.served, "red-reader", lent).call("GET", "switches", status=403)
        # Nor does it take any.
        self.api(self.served, "system-reader", self.directory.token("hil")).call("GET", "switches", status=200)
