# SPDX-License-Identifier: Apache-2.0
"""Walks every route: who may do what, and what others learn of it. A new route without an example fails here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from mogan_hil import policies
from mogan_hil.api.expose import Route
from tests import service
from tests.functional import base

PRIVATE = [route for route in base.ROUTES.values() if not route.public]

#: Another project's thing where the example has one's own; `nobody` is no name of anything.
THEIRS = {
    "group": "blue-group",
    "node": "b1",
    "network": "blue-net",
    "project": "blue",
    "operation": "THEIRS",
    "keypair": "blue-key",
    "image": "blue-image",
}
NOBODYS = dict.fromkeys(THEIRS, "nothing")

ACCESS = "/v1/networks/{network}/access/{project}"

#: What readers may not read, and members may.
MEMBERS = {"/v1/instances/{instance}/config"}

#: Routes that ask a device and write down what they saw.
LIVE = ("/drift", "/isolation")


TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z\Z")


def times(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """What says when, in an answer, by its name or by its look."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from times(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from times(item, key)
    elif isinstance(value, str) and (
        key == "at" or key.endswith("_at") or re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)
    ):
        yield key, value


class TestRoutes(base.WorldTestCase):
    """See the module."""

    def setUp(self) -> None:
        super().setUp()
        admin = self.world.admin
        operations = self.world.blue.get("operations")["operations"]
        self.world.words["THEIRS"] = operations[0]["uuid"]
        self.secrets = [
            self.world.projects["blue"],
            *(item["uuid"] for item in operations),
            admin.get("nodes/b1")["uuid"],
            admin.get("nodes/b1/nics/eth0")["uuid"],
            admin.get("nodes/b1/nics/eth0")["mac"],
            self.world.networks["blue-net"]["uuid"],
            "blue",
            '"b1"',
            self.world.blue.get("keypairs/blue-key")["fingerprint"],
            self.world.blue.get("images/blue-image")["uuid"],
        ]

    def test_every_route_has_an_example(self) -> None:
        self.assertEqual(set(base.ROUTES), set(base.EXAMPLES))

    def test_examples_are_right(self) -> None:
        """Else a refusal below could be for another reason than who asks."""
        for key, route in base.ROUTES.items():
            answer = self.world.send(self.world.admin, route)
            self.assertEqual(base.EXAMPLES[key].status, answer.status, (key, answer.text[:500]))
            self.assertEqual(route.method == "GET", not self.world.changed() or route.path.endswith(LIVE), key)
            self.world.restore()

    def test_times_have_one_form(self) -> None:
        """ISO 8601, in UTC: https://specs.openstack.org/openstack/api-sig/guidelines/time.html"""
        world, seen = self.world, set()
        for route in sorted(PRIVATE, key=lambda route: route.method != "GET"):
            world.admin.put("instances/i1/lock", {"target": True}, 202)
            answer = world.send(world.admin, route)
            if answer.headers.get("Content-Type") == "application/json":
                for key, value in times(answer.json):
                    self.assertRegex(value, TIME, (route.method, route.path, key))
                    seen.add(key)
            if route.method != "GET":
                world.restore()
        self.assertLessEqual({"created_at", "locked_at", "observed_at", "finished_at"}, seen)
        self.assertRegex(world.admin.get("nodes/n1/console/stream?redirect=false")["expires_at"], TIME)

    def test_without_credentials(self) -> None:
        for route in PRIVATE:
            path, body = self.world.path(route), self.world.body(route)
            answer = self.world.service._send(route.method, path, body, {})
            self.assert_error(answer, 401)
            self.assertEqual('Basic realm="mogan_hil", charset="UTF-8"', answer.headers["WWW-Authenticate"])
        self.assertFalse(self.world.changed())

    def test_without_a_role(self) -> None:
        nobody = self.world.admin.as_user("nobody")
        for route in PRIVATE:
            self.assert_error(self.world.send(nobody, route), 403, 404)
        self.assertFalse(self.world.changed())

    def test_reader(self) -> None:
        reader = self.world.admin.as_user("red-reader")
        for route in PRIVATE:
            if route.method != "GET":
                self.assert_error(self.world.send(reader, route), 403, 404)
        self.assertFalse(self.world.changed())

    def test_reader_reads(self) -> None:
        reader = self.world.admin.as_user("red-reader")
        for route in PRIVATE:
            if route.method == "GET":
                answer = self.world.send(reader, route)
                self.assertIn(answer.status, (base.EXAMPLES[route.method, route.path].status, 403), route.path)
                if answer.status == 403 and route.path not in MEMBERS:
                    self.assert_error(self.world.send(self.world.red, route), 403)
                self._check_silent(answer, route)

    def test_others_things_do_not_exist(self) -> None:
        """What is another project's answers as what does not exist, with every method."""
        for route in PRIVATE:
            parts = {name for name in re.findall(r"\{(\w+)", route.path) if name in THEIRS}
            if route.path == ACCESS:
                parts.remove("project")  # to give access one names others
            for part in parts:
                theirs = self._ask(route, part, THEIRS[part])
                absent = self._ask(route, part, NOBODYS[part])
                self.assert_error(theirs, 403, 404)
                self.assertEqual(absent, self._told(theirs, THEIRS[part]), (route.method, route.path, part))
                self._check_silent(theirs, route, THEIRS[part])
        self.assertFalse(self.world.changed())

    def _ask(self, route: Route, part: str, value: str) -> Any:
        answer = self.world.send(self.world.red, route, parts={part: value})
        return self._told(answer, value) if value in NOBODYS.values() else answer

    def _told(self, answer: service.Answer, name: str) -> Any:
        error = answer.json["errors"][0]
        detail = error["detail"].replace(self.world.words.get(name, name), "...")
        return answer.status, error["code"], error["title"], detail

    def _check_silent(self, answer: service.Answer, route: Route, named: str = "") -> None:
        named = self.world.words.get(named, named)
        for secret in self.secrets:
            if secret.strip('"') != named:
                text = answer.text.replace(named, "") if named else answer.text
                self.assertNotIn(secret, text, (route.method, route.path))

    def test_lists_are_silent(self) -> None:
        for route in PRIVATE:
            if route.listing is None:
                continue
            for caller in (self.world.red, self.world.admin.as_user("red-reader")):
                answer = self.world.send(caller, route)
                if answer.status == 200:
                    self._check_silent(answer, route)

    def test_filters_find_nothing_of_others(self) -> None:
        blue, node = self.world.projects["blue"], self.world.admin.get("nodes/b1")["uuid"]
        for path, key in (
            (f"nodes?project={blue}", "nodes"),
            (f"networks?project={blue}", "networks"),
            ("networks?name=blue-net", "networks"),
            (f"images?project={blue}", "images"),
            ("images?name=blue-image", "images"),
            (f"operations?project_id={blue}", "operations"),
            (f"operations?node={node}", "operations"),
            (f"operations?parent={self.world.words['THEIRS']}", "operations"),
        ):
            self.assertEqual([], self.world.red.get(path)[key])
            if "parent" not in path:
                self.assertNotEqual([], self.world.admin.get(path)[key])

    def test_filters_by_project(self) -> None:
        """By name and by id alike, for those who may see it; to others a project is as none at all."""
        found = 0
        for route in PRIVATE:
            for parameter in {"project", "project_id"} & set(route.query):
                assert route.listing is not None
                path, key = self.world.path(route), route.listing.key
                for caller, project, sees in (
                    (self.world.admin, "red", True),
                    (self.world.red, "red", True),
                    (self.world.red, "blue", False),
                    (self.world.red, "nothing", False),
                    (self.world.admin.as_user("red-reader"), "blue", False),
                ):
                    ident = self.world.projects.get(project, project)
                    named = caller.get(f"{path}?{parameter}={project}")
                    self.assertEqual(caller.get(f"{path}?{parameter}={ident}")[key], named[key], (path, project))
                    self.assertEqual(sees, named[key] != [], (path, project))
                    self.assertLessEqual({item["project_id"] for item in named[key] if "project_id" in item}, {ident})
                found += 1
        self.assertLessEqual(8, found)

    def test_markers_find_nothing_of_others(self) -> None:
        for path in (
            f"nodes?marker={self.world.admin.get('nodes/b1')['uuid']}",
            f"networks?marker={self.world.networks['blue-net']['uuid']}",
            f"images?marker={self.world.blue.get('images/blue-image')['uuid']}",
            f"operations?marker={self.world.words['THEIRS']}",
        ):
            self.assert_error(self.world.red.call("GET", path), 400)
            self.world.admin.get(path)

    def test_bodies_reach_nothing_of_others(self) -> None:
        """A name in a body answers as one that does not exist, too."""
        blue = self.world.projects["blue"]
        for method, path, body in (
            ("POST", "nodes/n1/nics/eth0/attachments", {"network": "blue-net"}),
            ("POST", "nodes/n1/nics/eth0/attachments", {"network": self.world.networks["blue-net"]["uuid"]}),
            ("POST", "claims", {"nodes": ["b1"]}),
            ("POST", "claims", {"count": 1, "networks": [{"network": "blue-net"}]}),
            ("POST", "claims", {"count": 1, "project_id": "blue"}),
            ("PUT", "nodes/n2/project", {"project_id": "blue"}),
            ("PUT", "nodes/n2/project", {"project_id": blue}),
            ("POST", "networks", {"name": "x", "project_id": "blue"}),
            ("POST", "server_groups", {"name": "x", "policy": "affinity", "project_id": "blue"}),
            ("POST", "instances", {"name": "x", "node": "n2", "server_group": "blue-group"}),
            ("POST", "networks", {"name": "x", "access": ["blue"]}),
            ("POST", "images", {"name": "x", "project_id": "blue", **base.KERNEL}),
        ):
            names = {"blue-group": "nothing", "blue-net": "nothing", "b1": "nothing", "blue": "nothing"}
            names |= {blue: "nothing", self.world.networks["blue-net"]["uuid"]: "nothing"}
            text = json.dumps(body)
            (name,) = (known for known in names if f'"{known}"' in text)
            theirs = self.world.red.call(method, path, body)
            absent = self.world.red.call(method, path, json.loads(text.replace(f'"{name}"', '"nothing"')))
            self.assert_error(theirs, 403, 404)
            self.assertEqual(self._told(absent, "nothing"), self._told(theirs, name), (path, body))
        self.assertFalse(self.world.changed())


class TestPolicies(base.WorldTestCase):
    """Rules and routes name each other."""

    def _operations(self) -> set[tuple[str, str]]:
        return {
            (operation["method"], operation["path"])
            for rule in policies.list_rules()
            for operation in getattr(rule, "operations", [])
        }

    def test_each_route_has_a_rule(self) -> None:
        routes = {(route.method, route.path.replace(":path}", "}")) for route in PRIVATE}
        self.assertEqual(routes, self._operations())

    def test_each_documented_rule_has_a_route(self) -> None:
        for rule in policies.list_rules():
            if ":" in rule.name:
                self.assertNotEqual([], rule.operations, rule.name)
                self.assertTrue(rule.description.endswith("."), rule.name)

    def test_each_route_is_in_the_schema(self) -> None:
        paths = self.world.admin.get("openapi.json")["paths"]
        shown = {(method.upper(), path) for path, methods in paths.items() for method in methods}
        self.assertEqual({(route.method, route.path.replace(":path}", "}")) for route in base.ROUTES.values()}, shown)
        for route in base.ROUTES.values():
            self.assertTrue(route.summary.endswith("."), route.path)
