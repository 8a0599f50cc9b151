# SPDX-License-Identifier: Apache-2.0
"""A route that changes something is stopped by the lock, or says why it is not. A new one is either, or fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fixtures
import testtools
import webtest

from mogan_hil.api import process
from mogan_hil.api.app import make_app
from mogan_hil.api.expose import Route
from tests.functional import base

#: Only administrators may, whom no lock stops; the lock counts where a site's policy lets others. To its rule each.
ADMINS = {
    ("PUT", "/v1/nodes/{node}/metadata/{label}"): "node:set_metadata",
    ("DELETE", "/v1/nodes/{node}/metadata/{label}"): "node:delete_metadata",
    ("PATCH", "/v1/nodes/{node}"): "node:update",
    ("POST", "/v1/nodes/{node}/nics"): "nic:create",
    ("DELETE", "/v1/nodes/{node}/nics/{nic}"): "nic:delete",
    ("PUT", "/v1/switches/{switch}/ports/{port:path}/nic"): "port:cable",
    ("POST", "/v1/switches/{switch}/ports/{port:path}/revert"): "port:revert",
    ("POST", "/v1/instances/{instance}/release"): "instance:release",
}


class TestLockRoutes(testtools.TestCase):
    """Instance i1 on node n1, locked. The node has a NIC eth1, which is not cabled."""

    def setUp(self) -> None:
        super().setUp()
        self.world = self.useFixture(base.World())
        self.world.admin.post("nodes/n1/nics", {"name": "eth1", "mac": "52:54:00:00:00:11"})

    def _body(self, route: Route) -> Any:
        body = self.world.body(route)
        return {**body, "node": "n1"} if route.path.endswith("/ports/{port:path}/nic") else body

    def _locked_out(self, *, admins: bool = True) -> None:
        """A member can change nothing.

        :param admins: whether what is an administrator's is not the member's anyway
        """
        bound = [route for route in base.ROUTES.values() if route.method != "GET" and route.exempt is None]
        self.assertLessEqual(12, len(bound))
        self.assertLessEqual(set(ADMINS), {(route.method, route.path) for route in bound})
        before = self.world.dump()
        for route in bound:
            path = self.world.path(route, {"node": "n1"})
            answer = self.world.red.call(route.method, path, self._body(route))
            if admins and (route.method, route.path) in ADMINS:
                self.assertEqual(403, answer.status, route.path)
            else:
                self.assertEqual(409, answer.status, (route.method, route.path, answer.text))
                self.assertEqual("instance.locked", answer.json["errors"][0]["code"], route.path)
        self.assertEqual(before, self.world.dump())

    def test_locked_by_owner(self) -> None:
        self.world.red.put("instances/i1/lock", {"target": True}, 202)
        self._locked_out()

    def test_locked_by_admin(self) -> None:
        self.world.admin.put("instances/i1/lock", {"target": True}, 202)
        self._locked_out()

    def test_where_members_may_what_administrators_may(self) -> None:
        """A site's policy may give its members more; the lock stops them all the same."""
        rules = Path(self.useFixture(fixtures.TempDir()).path) / "policy.yaml"
        rules.write_text("".join(f'"{rule}": "rule:member"\n' for rule in ADMINS.values()))
        conf = self.world.service.conf
        conf.set_override("policy_file", str(rules), group="oslo_policy")
        served = self.world.service
        asked = process.services(conf, served.database, served.drivers, served.conductor)
        served.app = webtest.TestApp(make_app(asked), extra_environ={"REMOTE_ADDR": "127.0.0.1"})
        self.world.before = self.world.dump()
        for method, template in ADMINS:
            route = base.ROUTES[method, template]
            path = self.world.path(route, {"node": "n1", "nic": "eth1"} if route.method == "DELETE" else {"node": "n1"})
            answer = self.world.red.call(method, path, self._body(route))
            self.assertEqual(base.EXAMPLES[method, template].status, answer.status, (route.path, answer.text))
            self.world.restore()
        for caller in (self.world.red, self.world.admin):
            caller.put("instances/i1/lock", {"target": True}, 202)
            self._locked_out(admins=False)

    def test_an_exemption_is_a_reason(self) -> None:
        for route in base.ROUTES.values():
            if route.method == "GET":
                self.assertIsNone(route.exempt, route.path)
            elif route.exempt is not None:
                self.assertLessEqual(10, len(route.exempt), route.path)
