# SPDX-License-Identifier: Apache-2.0
"""How many SQL statements a read takes: two at the most for one thing, and for a list the same for 3 and 300.

One more says who asks.
"""

from __future__ import annotations

import uuid

from mogan_hil.api.expose import Route
from mogan_hil.db import models
from tests.functional import base

#: A switch is asked in between, and what it says is written.
LIVE = ("/v1/switches/{switch}/drift", "/v1/networks/{network}/isolation")

READS = [
    route for route in base.ROUTES.values() if route.method == "GET" and not route.public and route.path not in LIVE
]


class TestStatements(base.WorldTestCase):
    """Walks the routes, so that a new one is measured too."""

    def _count(self, route: Route) -> int:
        self.world.send(self.world.admin, route)  # the password is proven, caches are warm
        with self.world.service.statements() as found:
            expected = base.EXAMPLES[route.method, route.path].status
            self.assertEqual(expected, self.world.send(self.world.admin, route).status)
        return len(found) - 1

    def test_one_thing(self) -> None:
        for route in READS:
            if route.listing is None:
                self.assertLessEqual(self._count(route), 2, route.path)

    def test_lists_and_large_things(self) -> None:
        few = {route.path: self._count(route) for route in READS}
        self._grow()
        many = {route.path: self._count(route) for route in READS}
        self.assertEqual(few, many)

    def test_lists_take_few(self) -> None:
        for route in READS:
            if route.listing is not None:
                self.assertLessEqual(self._count(route), 3, route.path)

    def test_a_filter_by_project_takes_no_more(self) -> None:
        for route in READS:
            for parameter in {"project", "project_id"} & set(route.query):
                path, counts = self.world.path(route), []
                for query in ("", f"?{parameter}={self.world.projects['red']}", f"?{parameter}=red"):
                    with self.world.service.statements() as found:
                        self.world.admin.get(path + query)
                    counts.append(len(found))
                self.assertEqual(1, len(set(counts)), (path, counts))

    def test_lists_grow(self) -> None:
        """Else the test above would count the same rows twice."""
        self._grow()
        for route in READS:
            if route.listing is not None and route.listing.sort_keys:
                found = self.world.send(self.world.admin, route).json[route.listing.key]
                self.assertLessEqual(100, len(found), route.path)

    def _grow(self, count: int = 300) -> None:
        rows, red = [], self.world.projects["red"]
        with self.world.service.database.writer() as session:
            switch = session.query(models.Switch).filter_by(name="rack1").one()
            node = session.query(models.Node).filter_by(name="n1").one()
            head = session.query(models.Headnode).filter_by(name="head").one()
            network = session.query(models.Network).filter_by(name="red-net").one()
            admin = session.query(models.User).filter_by(name="admin").one().uuid
            east = session.query(models.Aggregate).filter_by(name="east").one()
            subnet = session.query(models.Subnet).filter_by(cidr="10.0.0.0/16").one()
            for number in range(count):
                rows.append(
                    models.Keypair(name=f"k{number}", user_id=admin, type="rsa", fingerprint="-", public_key="-")
                )
                rows += self._one_more(number, red)
                member = models.Node(name=f"east{number}", project_id=red, availability_zone="east")
                session.add(member)
                session.flush()
                session.add(models.AggregateNode(aggregate_id=east.id, node_id=member.id))
                nic = models.Nic(
                    name=f"nic{number}", node_id=node.id, mac=f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"
                )
                session.add(nic)
                session.flush()
                session.add(
                    models.Port(name=f"port{number}", switch_id=switch.id, nic_id=nic.id, status="ok", in_sync=True)
                )
                session.add(models.Hnic(name=f"nic{number}", headnode_id=head.id, network_id=network.id, mac=nic.mac))
                attachment = models.Attachment(
                    nic_id=nic.id, network_id=network.id, channel="vlan/native", status="active"
                )
                session.add(attachment)
                session.flush()
                session.add(
                    models.Address(
                        network_id=network.id,
                        subnet_id=subnet.id,
                        attachment_id=attachment.id,
                        ip=f"10.0.{9 + number // 256}.{number % 256}",
                        number=f"{number:032x}",
                    )
                )
            session.add_all(rows)

    @staticmethod
    def _one_more(number: int, project: str) -> list[models.Base]:
        return [
            models.Switch(name=f"s{number}", driver="fake", options={}, physical_network="default"),
            models.Node(name=f"node{number}", project_id=project),
            models.Network(
                name=f"net{number}",
                project_id=project,
                owner=project,
                physical_network="other",
                segment_id=str(number),
                pooled=True,
                channels=["vlan/native"],
            ),
            models.Headnode(name=f"head{number}", project_id=project, image="base", memory=1, cpus=1, status="new"),
            models.Image(name=f"image{number}", project_id=project, owner=project, kernel={}, initrd={}),
            models.Flavor(name=f"f{number}", resource_class="baremetal"),
            models.Aggregate(name=f"a{number}"),
            models.ServerGroup(name=f"g{number}", project_id=project, policy="affinity"),
            models.Instance(name=f"instance{number}", project_id=project, status="active"),
            models.Project(name=f"p{number}"),
            models.User(name=f"u{number}", password_hash="-"),
            models.Operation(verb="attach", lane="switch:x", state="done", project_id=project, uuid=str(uuid.uuid4())),
        ]
