# SPDX-License-Identifier: Apache-2.0
"""Aggregates and zones: where instances come to be, and that no node is ever in two places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import testtools

from mogan_hil.db import models
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.objects.node import Criteria
from tests.functional.racks import OnProcesses, fresh
from tests.functional.test_instances import InstanceCase


class TestChoice(InstanceCase):
    """Four nodes: n0 and n1 in the zone east, n2 and n3 in west; n1 and n3 have the trait GPU."""

    def setUp(self) -> None:
        super().setUp()
        for zone, nodes in (("east", ("n0", "n1")), ("west", ("n2", "n3"))):
            self.admin.post("aggregates", {"name": zone, "metadata": {"availability_zone": zone}})
            for node in nodes:
                self.admin.put(f"aggregates/{zone}/nodes/{node}", status=204)
        for node in ("n1", "n3"):
            self.admin.patch(f"nodes/{node}", {"traits": ["GPU"]})
        self.admin.post("aggregates", {"name": "fast", "metadata": {"disk": "nvme"}})
        self.admin.post("flavors", {"name": "gpu", "resource_class": "baremetal", "traits": ["GPU"]})

    def test_all_criteria_together(self) -> None:
        """The zone is asked besides the resource class, the traits and the metadata, not in their place."""
        self.assertEqual("n3", self.create("a", flavor="gpu", availability_zone="west")["node"]["name"])
        self.assertEqual("n2", self.create("b", availability_zone="west")["node"]["name"])
        body = {"name": "c", "flavor": "metal", "availability_zone": "west"}
        self.assertEqual("claim.not_enough_nodes", self.red.post("instances", body, 409)["errors"][0]["code"])
        self.admin.post("flavors", {"name": "other", "resource_class": "large"})
        self.red.post("instances", {"name": "c", "flavor": "other", "availability_zone": "east"}, 409)
        found = self.red.get("instances?availability_zone=west")["instances"]
        self.assertEqual([("a", "west"), ("b", "west")], [(one["name"], one["availability_zone"]) for one in found])
        self.assertEqual({"n0", "n1"}, self.free())

    def test_aggregate_metadata(self) -> None:
        wanted = {"disk": "nvme", "availability_zone": "east"}  # of two aggregates
        self.admin.post("flavors", {"name": "fast", "resource_class": "baremetal", "aggregate_metadata": wanted})
        self.red.post("instances", {"name": "a", "flavor": "fast"}, 409)
        for node in ("n1", "n3"):
            self.admin.put(f"aggregates/fast/nodes/{node}", status=204)
        self.assertEqual("n1", self.create("a", flavor="fast")["node"]["name"])
        self.red.post("instances", {"name": "b", "flavor": "fast"}, 409)

    def test_also_when_it_is_tried_elsewhere(self) -> None:
        fake_obm.set_faults(self.service.state_dir, self.node["n2"]["uuid"], fail=True)
        self.assertEqual("n3", self.create("a", availability_zone="west")["node"]["name"])

    def test_nowhere_else(self) -> None:
        for node in ("n2", "n3"):
            fake_obm.set_faults(self.service.state_dir, self.node[node]["uuid"], fail=True)
        made = self.create(state="error", availability_zone="west")
        self.assertEqual(("error", None, None), (made["status"], made["node"], made["availability_zone"]))
        quiet = [self.admin.get(f"nodes/{node}/power") for node in ("n0", "n1")]
        self.assertEqual([{"power": "off"}] * 2, quiet)

    def test_named_node(self) -> None:
        body = {"name": "a", "node": "n2", "availability_zone": "east"}
        self.assertEqual("node.elsewhere", self.red.post("instances", body, 409)["errors"][0]["code"])
        self.red.wait(
            self.red.post("instances", {**body, "availability_zone": "west"}, 202)["instances"][0]["operation"]
        )

    def test_default_zone(self) -> None:
        self.service.conf.set_override("default_availability_zone", "west")
        self.assertEqual("n2", self.create("a")["node"]["name"])
        self.assertEqual("n0", self.create("b", availability_zone="east")["node"]["name"])
        named = self.red.post("instances", {"name": "c", "node": "n1"}, 202)["instances"][0]
        self.red.wait(named["operation"])

    def test_claims(self) -> None:
        body = {"count": 2, "availability_zone": "west"}
        self.assertEqual({"n2", "n3"}, {node["name"] for node in self.red.post("claims", body)["nodes"]})
        self.red.post("claims", {"count": 1, "availability_zone": "west"}, 409)

    def test_an_instance_stays_in_its_zone(self) -> None:
        self.create("a", availability_zone="west")
        node = self.red.get("instances/a")["node"]["name"]
        for method, path, body in (
            ("DELETE", f"aggregates/west/nodes/{node}", None),
            ("PATCH", "aggregates/west", {"metadata": {}}),
            ("PATCH", "aggregates/west", {"metadata": {"availability_zone": "north"}}),
            ("DELETE", "aggregates/west", None),
        ):
            answer = self.admin.call(method, path, body, status=409)
            self.assertEqual("conflict.in_use", answer.json["errors"][0]["code"])
            self.assertIn(node, answer.json["errors"][0]["detail"])
        self.admin.patch("aggregates/west", {"metadata": {"availability_zone": "west", "failure_domain": "pdu"}})
        self.admin.post("aggregates", {"name": "also", "metadata": {"availability_zone": "west"}})
        self.admin.put(f"aggregates/also/nodes/{node}", status=204)
        self.admin.delete(f"aggregates/west/nodes/{node}")  # it is in the zone by the other
        self.assertEqual("west", self.red.get("instances/a")["availability_zone"])

    def test_a_zone_may_be_given_to_a_node_in_use(self) -> None:
        self.admin.delete("aggregates/east")
        self.create("a")
        self.assertIsNone(self.red.get("instances/a")["availability_zone"])
        self.admin.post("aggregates", {"name": "south", "metadata": {"availability_zone": "south"}})
        self.admin.put("aggregates/south/nodes/n0", status=204)
        self.assertEqual("south", self.red.get("instances/a")["availability_zone"])


class TestCriteria(testtools.TestCase):
    """What an operation keeps."""

    def test_there_and_back(self) -> None:
        criteria = Criteria("metal", ["GPU"], "east", {"disk": "nvme"})
        self.assertEqual(criteria, Criteria.of({"networks": [], **criteria.payload()}))

    def test_of_an_older_version(self) -> None:
        self.assertEqual(Criteria("metal", ["GPU"]), Criteria.of({"resource_class": "metal", "traits": ["GPU"]}))


class Races:
    """Two administrators put one node in two places at the same time."""

    shape = {"apis": 2, "conductors": 0}
    api: Any
    site: Any
    at_once: Any
    assertEqual: Any  # noqa: N815 - its name is unittest's

    def test_one_place(self) -> None:
        for _ in range(10):
            nodes = [fresh("node") for _ in range(4)]
            with self.site.database.writer() as session:
                session.add_all(models.Node(name=name) for name in nodes)
            zones = [fresh("zone") for _ in range(4)]
            for number, zone in enumerate(zones):
                key = ("availability_zone", "failure_domain")[number % 2]
                self.api(0).post("aggregates", {"name": zone, "metadata": {key: zone}})
            self._all_at_once(zones, nodes)

    def _all_at_once(self, zones: list[str], nodes: list[str]) -> None:
        def add(zone: int, node: str) -> Callable[[], Any]:
            return lambda: self.api(zone).call("PUT", f"aggregates/{zones[zone]}/nodes/{node}")

        calls = [add(zone, node) for node in nodes[:2] for zone in range(4)]
        self._check(zones, nodes[:2], [answer.status for answer in self.at_once(*calls)])
        # Half of them by metadata: the node is in both aggregates already.
        late = [fresh("late") for _ in range(4)]
        for name in late:
            self.api(0).post("aggregates", {"name": name})
            for node in nodes[2:]:
                self.api(0).put(f"aggregates/{name}/nodes/{node}", status=204)

        def patch(number: int) -> Callable[[], Any]:
            metadata = {("availability_zone", "failure_domain")[number % 2]: late[number]}
            return lambda: self.api(number).call("PATCH", f"aggregates/{late[number]}", {"metadata": metadata})

        calls = [*(patch(number) for number in range(4)), *(add(zone, nodes[2]) for zone in range(4))]
        self.at_once(*calls)
        self._check([*zones, *late], nodes[2:])

    def _check(self, names: list[str], nodes: list[str], statuses: Sequence[int] = ()) -> None:
        """Hold nodes against the aggregates that they may be in."""
        if statuses:
            self.assertEqual([204] * 4 + [409] * 4, sorted(statuses))
        aggregates = {name: self.api(0).get(f"aggregates/{name}")["metadata"] for name in names}
        places: dict[str, dict[str, set[str]]] = {node: {} for node in nodes}
        for name, metadata in aggregates.items():
            members = {node["name"] for node in self.api(0).get(f"aggregates/{name}/nodes")["nodes"]}
            for node in members & places.keys():
                for key, value in metadata.items():
                    places[node].setdefault(key, set()).add(value)
        for node, found in places.items():
            shown = self.api(0).get(f"nodes/{node}")
            for key in ("availability_zone", "failure_domain"):
                self.assertEqual({shown[key]}, found.get(key, {None}), (node, key))


class TestRacesMariaDB(Races, OnProcesses):
    kind = "mysql"


class TestRacesPostgreSQL(Races, OnProcesses):
    kind = "postgresql"


class TestRacesSQLite(Races, OnProcesses):
    kind = "sqlite"
