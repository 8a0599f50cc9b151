# SPDX-License-Identifier: Apache-2.0
"""Audit events without Keystone: what is told of which route, and that a fault of theirs breaks nothing."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fixtures
import testtools

from mogan_hil.api.middleware import audit
from tests import service
from tests.functional import base

MAP = Path(__file__).resolve().parents[2] / "etc/mogan_hil/api_audit_map.conf"

#: Last parts of paths that need no word of their own, as the method tells everything.
PLAIN = {"drift", "isolation", "openapi.json", "v1", ""}


class TestMap(testtools.TestCase):
    """The map knows every route."""

    def test_every_route(self) -> None:
        known = configparser.ConfigParser()
        known.read(MAP)
        words, actions = dict(known["path_keywords"]), dict(known["custom_actions"])
        used = set()
        for route in base.ROUTES.values():
            parts = route.path.strip("/").split("/")
            for part, after in zip(parts, [*parts[1:], ""], strict=True):
                if after.startswith("{"):
                    self.assertIn(part, words, route.path)
                    used.add(part)
            last = parts[-1]
            if not last.startswith("{") and last not in words and last not in PLAIN:
                action = f"{last}/{route.method.lower()}"
                used.add(action)
                self.assertTrue(route.method == "GET" or action in actions, (route.method, route.path))
            used.add(last)
        self.assertEqual(set(), (set(words) | set(actions)) - used - set(known["DEFAULT"]))


class TestAudit(testtools.TestCase):
    """With users of the service's own."""

    def serve(self, settings: Mapping[tuple[str, str], Any] = {}) -> service.Embedded:
        found = self.useFixture(
            service.Embedded({("audit", "enabled"): True, ("audit", "map_file"): str(MAP), **settings}, conductor=False)
        )
        self.log = self.useFixture(fixtures.FakeLogger(audit.LOG.logger.name))
        return found

    def test_lines_in_the_log(self) -> None:
        served = self.serve()
        served.admin.post("switches", {"name": "s", "driver": "fake", "options": {"password": "hush"}})
        served.admin.call("POST", "switches", {"name": "s", "driver": "fake"}, status=409)
        outcomes = re.findall(r"'outcome': '(\w+)'", self.log.output)
        self.assertEqual(["pending", "success", "pending", "failure"], outcomes)
        self.assertNotIn("hush", self.log.output)
        self.assertIn("'action': 'create'", self.log.output)
        self.assertIn("'typeURI': 'service/baremetal-isolation/switches'", self.log.output)

    def test_methods_that_are_left_out(self) -> None:
        served = self.serve({("audit", "ignore_methods"): ["GET"]})
        served.admin.get("switches")
        self.assertEqual("", self.log.output)

    def test_a_fault_breaks_nothing(self) -> None:
        served = self.serve()
        self.useFixture(fixtures.FakeLogger())
        self.useFixture(fixtures.MonkeyPatch("keystonemiddleware.audit._api.OpenStackAuditApi.get_action", None))
        served.admin.post("switches", {"name": "s", "driver": "fake", "options": {}})
        served.admin.get("switches/none", 404)

    def test_no_map(self) -> None:
        self.assertRaises(SystemExit, self.serve, {("audit", "map_file"): "nowhere.conf"})
