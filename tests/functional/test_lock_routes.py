# SPDX-License-Identifier: Apache-2.0
"""A route that changes something is stopped by the lock, or says why it is not. A new one is either, or fails."""

from __future__ import annotations

import testtools

from tests.functional import base

#: Only administrators may, whom no lock stops; the lock counts where a site's policy lets others.
ADMINS = {("PUT", "/v1/nodes/{node}/metadata/{label}"), ("DELETE", "/v1/nodes/{node}/metadata/{label}")}


class TestLockRoutes(testtools.TestCase):
    """Instance i1 on node n1, locked."""

    def setUp(self) -> None:
        super().setUp()
        self.world = self.useFixture(base.World())

    def _locked_out(self) -> None:
        bound = [route for route in base.ROUTES.values() if route.method != "GET" and route.exempt is None]
        self.assertLessEqual(12, len(bound))
        before = self.world.dump()
        for route in bound:
            answer = self.world.send(self.world.red, route, parts={"node": "n1"})
            if (route.method, route.path) in ADMINS:
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

    def test_an_exemption_is_a_reason(self) -> None:
        for route in base.ROUTES.values():
            if route.method == "GET":
                self.assertIsNone(route.exempt, route.path)
            elif route.exempt is not None:
                self.assertLessEqual(10, len(route.exempt), route.path)
