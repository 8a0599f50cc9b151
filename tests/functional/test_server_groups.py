# SPDX-License-Identifier: Apache-2.0
"""Server groups: whatever is asked for, named, tried again or asked for at once, the policy holds."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import sqlalchemy as sa

from mogan_hil.db import models
from mogan_hil.drivers.obm import fake as fake_obm
from tests.functional.racks import OnProcesses, fresh, rack
from tests.functional.test_instances import InstanceCase


class TestPolicies(InstanceCase):
    """Six nodes: n0 in the failure domain a, n1, n2 and n3 in b, n4 and n5 in none."""

    nodes = 6

    def setUp(self) -> None:
        super().setUp()
        for domain, numbers in (("a", (0,)), ("b", (1, 2, 3))):
            self.admin.post("aggregates", {"name": domain, "metadata": {"failure_domain": domain}})
            for number in numbers:
                self.admin.put(f"aggregates/{domain}/nodes/n{number}", status=204)
        for policy in ("affinity", "anti-affinity"):
            self.red.post("server_groups", {"name": policy, "policy": policy})

    def many(self, group: str, status: int = 202, **counts: int) -> set[str]:
        """Create some, and say on which nodes."""
        body = {"name": fresh("web"), "flavor": "metal", "server_group": group, **counts}
        made = self.red.post("instances", body, status)
        if status != 202:
            self.assertEqual("claim.not_enough_nodes", made["errors"][0]["code"])
            return set()
        for one in made["instances"]:
            self.red.wait(one["operation"])
        return {self.red.get(f"instances/{one['uuid']}")["node"]["name"] for one in made["instances"]}

    def test_anti_affinity(self) -> None:
        self.many("anti-affinity", 409, max_count=5)
        self.assertEqual(6, len(self.free()))
        self.assertEqual({"n0", "n1", "n4", "n5"}, self.many("anti-affinity", min_count=1, max_count=9))
        self.many("anti-affinity", 409)

    def test_affinity(self) -> None:
        """The first are put where there is most room."""
        self.many("affinity", 409, max_count=4)
        self.assertEqual({"n1", "n2"}, self.many("affinity", max_count=2))
        self.assertEqual({"n3"}, self.many("affinity"))
        self.many("affinity", 409)
        self.assertEqual({"n0", "n4", "n5"}, self.free())

    def test_a_node_without_a_domain_is_one(self) -> None:
        for number in range(4):
            self.admin.patch(f"nodes/n{number}", {"maintenance": True})
        self.many("affinity", 409, max_count=2)
        self.many("affinity")
        self.many("affinity", 409)

    def test_named_node(self) -> None:
        def create(node: str, group: str, status: int = 202) -> Any:
            return self.red.post("instances", {"name": fresh("web"), "node": node, "server_group": group}, status)

        def refused(node: str, group: str) -> None:
            self.assertEqual("node.elsewhere", create(node, group, 409)["errors"][0]["code"])

        create("n1", "affinity")
        refused("n0", "affinity")
        refused("n4", "affinity")
        create("n2", "affinity")
        create("n3", "anti-affinity")
        create("n0", "anti-affinity")
        create("n4", "anti-affinity")

    def test_when_it_is_tried_elsewhere(self) -> None:
        self.many("anti-affinity")  # n0
        self.many("affinity")  # n1
        fake_obm.set_faults(self.service.state_dir, self.node["n2"]["uuid"], fail=True)
        self.assertEqual({"n3"}, self.many("affinity"))
        fake_obm.set_faults(self.service.state_dir, self.node["n4"]["uuid"], fail=True)
        self.admin.patch("nodes/n2", {"maintenance": False})
        for number in (1, 3):  # n2 is in the one domain that is not taken, and refuses
            self.red.wait(self.red.delete(f"instances/{self._on(f'n{number}')}", 202))
        for number in (1, 3):
            self.admin.patch(f"nodes/n{number}", {"maintenance": True})
        self.assertEqual({"n5"}, self.many("anti-affinity"))

    def _on(self, node: str) -> str:
        return str(self.red.get(f"instances?node={node}")["instances"][0]["uuid"])

    def test_a_domain_stays_while_a_group_counts_on_it(self) -> None:
        self.many("anti-affinity")
        for method, path, body in (
            ("PATCH", "aggregates/a", {"metadata": {"failure_domain": "b"}}),
            ("DELETE", "aggregates/a/nodes/n0", None),
            ("DELETE", "aggregates/a", None),
        ):
            answer = self.admin.call(method, path, body, status=409)
            self.assertEqual("conflict.in_use", answer.json["errors"][0]["code"])
        made = self.red.post("instances", {"name": "alone", "node": "n1"}, 202)
        self.red.wait(made["instances"][0]["operation"])
        self.admin.delete("aggregates/b/nodes/n1")  # no group counts on it


class Races:
    """Eight at once want the node of one more instance of a group."""

    shape = {"apis": 2, "conductors": 0}
    api: Any
    site: Any
    at_once: Any
    assertEqual: Any  # noqa: N815 - its name is unittest's

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()  # type: ignore[misc]
        cls.site.admin.add_project("red")

    def race(self, policy: str) -> Counter[str | None]:
        """In how many domains are how many of them, of three domains with four nodes each."""
        sort, group = fresh("sort"), fresh("group")
        self.api(0).post("flavors", {"name": sort, "resource_class": sort})
        self.api(0, "red-member").post("server_groups", {"name": group, "policy": policy})
        for domain in "abc":
            rack(self.site, 4, resource_class=sort, failure_domain=f"{sort}-{domain}")
        calls = [
            partial(
                self.api(number, "red-member").call,
                "POST",
                "instances",
                {"name": fresh("web"), "flavor": sort, "server_group": group},
            )
            for number in range(8)
        ]
        statuses = Counter(answer.status for answer in self.at_once(*calls))
        with self.site.database.reader() as session:
            nodes, instances, groups = models.Node, models.Instance, models.ServerGroup
            query = sa.select(nodes.failure_domain).join(instances, instances.node_id == nodes.id)
            query = query.join(groups, groups.id == instances.server_group_id).where(groups.name == group)
            found = Counter(session.scalars(query))
        self.assertEqual(statuses[202], sum(found.values()))
        self.assertEqual({202, 409}, set(statuses))
        return found

    def test_anti_affinity(self) -> None:
        for _ in range(4):
            self.assertEqual([1, 1, 1], list(self.race("anti-affinity").values()))

    def test_affinity(self) -> None:
        for _ in range(4):
            self.assertEqual([4], list(self.race("affinity").values()))


class TestRacesMariaDB(Races, OnProcesses):
    kind = "mysql"


class TestRacesPostgreSQL(Races, OnProcesses):
    kind = "postgresql"
