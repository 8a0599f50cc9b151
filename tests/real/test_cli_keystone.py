# SPDX-License-Identifier: Apache-2.0
"""`openstack hil` with a Keystone: passwords, application credentials, the catalog."""

from __future__ import annotations

from typing import Any

from mogan_hil.client import rest
from tests import keystone, openstack
from tests.real.test_keystone import KeystoneCase


class TestKeystone(KeystoneCase):
    """See the module."""

    def setUp(self) -> None:
        super().setUp()
        self.url = self.useFixture(openstack.Listening(self.serve())).url

    def cloud(self, who: str, **scope: str) -> dict[str, Any]:
        """A cloud of somebody."""
        auth = {
            "auth_url": self.directory.url,
            "username": self.directory.name(who),
            "password": keystone.PASSWORD,
            "user_domain_id": "default",
            **(scope or self.directory._scope_of(who)),
        }
        return {"auth": auth, "region_name": self.directory.region}

    def client(self) -> openstack.Client:
        """Everybody's command."""
        clouds = {who: self.cloud(who) for who in ("system-admin", "red-member", "red-reader", "blue-member")}
        made = self.directory.application_credential("red-member")
        auth = {
            "auth_url": self.directory.url,
            "application_credential_id": made.auth_methods[0].application_credential_id,
            "application_credential_secret": made.auth_methods[0].application_credential_secret,
        }
        region = self.directory.region
        clouds["credential"] = {"auth_type": "v3applicationcredential", "auth": auth, "region_name": region}
        return self.useFixture(openstack.Client(clouds))

    def test_everybody(self) -> None:
        """The address in the catalog may end with /v1, or not."""
        for address in (self.url, f"{self.url}/v1"):
            entry = self.directory.register(address)
            run = self.client()
            name = f"net-{len(address)}"
            self.assertEqual(0, run(f"hil network create {name}", "red-member").status)
            for who in ("red-reader", "credential", "system-admin"):
                found = run("hil network list -f value -c Name", who)
                self.assertEqual((0, True), (found.status, name in found.text), found.errors)
            self.assertNotIn(name, run("hil network list", "blue-member").text)
            self.assertIn("not_found", run(f"hil network show {name}", "blue-member").errors)
            for line in (f"hil network delete {name}", "hil switch list"):
                refused = run(line, "red-reader")
                self.assertEqual(1, refused.status)
                self.assertRegex(refused.errors, r"\(403, policy\.forbidden, req-[0-9a-f-]+\)")
            self.assertEqual(0, run("hil node create " + name, "system-admin").status)
            self.assertEqual(0, run("hil node claim " + name, "credential").status)
            self.assertEqual(0, run(f"hil network delete {name}", "red-member").status)
            self.directory.unregister(entry)

    def test_no_such_service(self) -> None:
        found = self.client()("hil node list", "red-member")
        self.assertEqual(1, found.status)
        self.assertIn(f"has no service of type {rest.SERVICE_TYPE}", found.errors)
        override = f"--os-baremetal-isolation-endpoint-override {self.url}"
        self.assertEqual(0, self.client()(f"{override} hil node list", "red-member").status)

    def test_a_wrong_password(self) -> None:
        cloud = self.cloud("red-member")
        cloud["auth"]["password"] = "wrong"
        found = self.useFixture(openstack.Client({"wrong": cloud}))("hil node list")
        self.assertEqual(1, found.status)
        self.assertIn("401", found.errors)
