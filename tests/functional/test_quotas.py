# SPDX-License-Identifier: Apache-2.0
"""Quotas: what is in use is what is there, whoever made it, and the last one is taken once."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from mogan_hil.db import models
from mogan_hil.objects import quota
from mogan_hil.objects.project import Project
from tests import service
from tests.functional.base import KERNEL, PUBLIC_KEY
from tests.functional.racks import OnProcesses, fresh, rack
from tests.functional.test_instances import InstanceCase


class TestQuotas(InstanceCase):
    """Four nodes, and the project red."""

    def used(self, resource: str) -> tuple[int, int]:
        found = self.red.get("quotas")["quotas"][resource]
        return found["limit"], found["in_use"]

    def refused(self, method: str, path: str, body: Any, api: Any = None) -> str:
        error = (api or self.red).call(method, path, body, status=403).json["errors"][0]
        self.assertEqual("quota.exceeded", error["code"])
        return str(error["detail"])

    def test_instances(self) -> None:
        self.admin.put("quotas/red", {"instances": 1})
        self.create("a")
        self.assertEqual((1, 1), self.used("instances"))
        self.assertEqual((-1, 1), self.used("nodes"))
        detail = self.refused("POST", "instances", {"name": "b", "flavor": "metal"})
        self.assertEqual("The quota of instances is 1; 1 are in use, and 1 more were asked for.", detail)
        self.refused("POST", "instances", {"name": "b", "node": "n2"})
        body = {"name": "b", "flavor": "metal", "project_id": "red"}
        self.refused("POST", "instances", body, self.admin)  # it counts for the tenant
        self.admin.wait(self.admin.delete("instances/a", 202))
        self.assertEqual((1, 0), self.used("instances"))
        self.create("b")

    def test_as_many_as_there_is_room_for(self) -> None:
        self.admin.put("quotas/red", {"nodes": 3})
        self.red.put("nodes/n0/project", {})
        body = {"name": "web", "flavor": "metal", "min_count": 3, "max_count": 4}
        self.refused("POST", "instances", body)
        self.assertEqual(3, len(self.free()))
        made = self.red.post("instances", {**body, "min_count": 1}, 202)["instances"]
        self.assertEqual(["web-1", "web-2"], [one["name"] for one in made])
        self.assertEqual((3, 3), self.used("nodes"))

    def test_nodes(self) -> None:
        self.admin.put("quotas/red", {"nodes": 2})
        self.refused("POST", "claims", {"count": 3})
        self.refused("POST", "claims", {"nodes": ["n0", "n1", "n2"]})
        self.red.post("claims", {"count": 1})
        self.admin.put("nodes/n1/project", {"project_id": "red"})
        self.refused("PUT", "nodes/n2/project", {})
        self.refused("PUT", "nodes/n2/project", {"project_id": "red"}, self.admin)
        self.red.put("nodes/n1/project", {})  # it is there already
        self.red.delete("nodes/n1/project")
        self.red.put("nodes/n2/project", {})
        self.blue.put("nodes/n1/project", {})

    def test_adopt(self) -> None:
        self.red.put("nodes/n0/project", {})
        self.admin.put("quotas/red", {"instances": 0})
        self.refused("POST", "instances/adopt", {"name": "a", "node": "n0"}, self.admin)

    def test_what_else(self) -> None:
        self.admin.put("quotas/red", {"networks": 1, "server_groups": 0, "keypairs": 0, "images": 0})
        self.refused("POST", "networks", {"name": "more"})
        self.refused("POST", "server_groups", {"name": "g", "policy": "affinity"})
        self.refused("POST", "keypairs", {"name": "k"})
        self.refused("POST", "images", {"name": "i", **KERNEL})
        self.admin.post("images", {"name": "i", "public": True, **KERNEL})
        self.admin.post("networks", {"name": "site", "project_id": None})  # no project's
        self.blue.post("networks", {"name": "more"})

    def test_a_project_of_keystones_is_held_from_the_first(self) -> None:
        """Its first two requests would else hold nothing, and both find room for the last one."""
        with self.service.database.writer() as session:
            quota.hold(session, "f" * 32)
        with self.service.database.reader() as session:
            self.assertEqual(1, len(Project.find(session, models.Project.uuid == "f" * 32)))

    def test_set_and_reset(self) -> None:
        self.assertEqual(-1, self.red.get("quotas/defaults")["quotas"]["instances"]["limit"])
        self.admin.put("quotas/red", {"instances": 5, "networks": 0})
        found = self.admin.put("quotas/red", {"instances": None, "nodes": 7})["quotas"]
        self.assertEqual([-1, 0, 7], [found[name]["limit"] for name in ("instances", "networks", "nodes")])
        self.assertEqual((0, 1), self.used("networks"))  # it keeps what it has
        self.admin.delete("quotas/red")
        self.assertEqual((-1, 1), self.used("networks"))
        for body in ({"instances": -2}, {"instances": 2**31}, {"instances": "1"}, {"instances": True}, {"x": 1}):
            self.admin.put("quotas/red", body, 400)

    def test_who(self) -> None:
        reader = self.admin.as_user("red-reader")
        self.assertEqual(reader.get("quotas"), reader.get("quotas/red"))
        self.red.put("quotas/red", {"instances": 5}, 403)
        self.red.delete("quotas/red", 403)
        self.red.get("quotas/blue", 404)
        self.red.get("quotas/nothing", 404)
        self.admin.put("quotas/nothing", {"instances": 5}, 404)


class Races:
    """Eight at once want the last ones."""

    shape = {"apis": 2, "conductors": 0}
    api: Any
    site: Any
    at_once: Any
    assertEqual: Any  # noqa: N815 - its name is unittest's

    def race(self, quotas: dict[str, int], *requests: tuple[str, str, Any]) -> tuple[Counter[int], Any]:
        project = fresh("project")
        self.site.admin.add_project(project)
        self.site.admin.put(f"quotas/{project}", quotas)
        calls = [
            partial(self.api(number, f"{project}-member").call, method, path, body)
            for number, (method, path, body) in enumerate(requests)
        ]
        statuses = Counter(answer.status for answer in self.at_once(*calls))
        return statuses, self.api(0, f"{project}-member").get("quotas")["quotas"]

    def test_instances_and_claims(self) -> None:
        for _ in range(4):
            sort = fresh("sort")
            self.api(0).post("flavors", {"name": sort, "resource_class": sort})
            _, names = rack(self.site, 16, resource_class=sort)
            create = [("POST", "instances", {"name": fresh("web"), "flavor": sort}) for _ in range(3)]
            named = [("POST", "instances", {"name": fresh("web"), "node": names[-1]})]
            claim = [("POST", "claims", {"count": 1, "resource_class": sort})] * 2
            one = [("PUT", f"nodes/{names[-2]}/project", {}), ("PUT", f"nodes/{names[-3]}/project", {})]
            statuses, found = self.race({"nodes": 3}, *create, *named, *claim, *one)
            self.assertEqual(5, statuses[403], statuses)
            self.assertEqual(3, found["nodes"]["in_use"])

    def test_networks_and_groups(self) -> None:
        for _ in range(4):
            networks = [("POST", "networks", {"name": fresh("net")}) for _ in range(4)]
            groups = [("POST", "server_groups", {"name": fresh("g"), "policy": "affinity"}) for _ in range(4)]
            statuses, found = self.race({"networks": 1, "server_groups": 1}, *networks, *groups)
            self.assertEqual({201: 2, 403: 6}, statuses)
            self.assertEqual([1, 1], [found[name]["in_use"] for name in ("networks", "server_groups")])

    def test_keypairs_of_one_user_in_two_projects(self) -> None:
        for _ in range(4):
            projects, user = [fresh("project"), fresh("project")], fresh("user")
            self.site.admin.put(f"users/{user}", {"password": service.PASSWORD}, 201)
            for project in projects:
                self.site.admin.add_project(project)
                self.site.admin.put(f"users/{user}/projects/{project}", {"role": "member"})
                self.site.admin.put(f"quotas/{project}", {"keypairs": 3})
            calls = [
                partial(
                    self.api(number, user, projects[number % 2]).call,
                    "POST",
                    "keypairs",
                    {"name": fresh("key"), "public_key": PUBLIC_KEY},
                )
                for number in range(8)
            ]
            self.assertEqual({201: 3, 403: 5}, Counter(answer.status for answer in self.at_once(*calls)))
            found = self.api(0, user, projects[0]).get("quotas")["quotas"]["keypairs"]
            self.assertEqual({"limit": 3, "in_use": 3}, found)


class TestRacesMariaDB(Races, OnProcesses):
    kind = "mysql"


class TestRacesPostgreSQL(Races, OnProcesses):
    kind = "postgresql"
