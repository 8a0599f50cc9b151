# SPDX-License-Identifier: Apache-2.0
"""Pages: every list gives all its things once, in order, whatever the page."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import testtools

from mogan_hil.api.expose import Route
from mogan_hil.db import models
from tests import service
from tests.functional import base

COUNT = 25

#: Two moments only, so that most things have the same.
MOMENTS = (datetime(2026, 1, 1), datetime(2026, 1, 2))


class TestLists(testtools.TestCase):
    """On each kind of list that has pages; walks the routes, so that a new one is not forgotten."""

    def _check(self, database: str) -> None:
        if dict(service.databases())[database] is None:
            self.skipTest(f"{database} is not there")
        self.service = self.useFixture(service.Embedded(database=database, conductor=False))
        self.admin = self.service.admin
        self.parts = self._fill()
        for route in base.ROUTES.values():
            if route.listing is None or not route.listing.sort_keys:
                continue
            path = base.PART.sub(lambda found: self.parts[found[1]], route.path)
            everything = self.admin.get(path)[route.listing.key]
            self.assertLessEqual(COUNT, len(everything), path)
            self._check_order(path, route.listing.key, "id", everything)
            for key in route.listing.sort_keys:
                self._check_order(path, route.listing.key, key, everything)
            self._check_rest(path, route.listing.key, everything)
            self._check_project(route, path, everything)

    def _check_project(self, route: Route, path: str, everything: list[dict[str, Any]]) -> None:
        """A filter by project takes its name as well as its id, also on the pages after the first."""
        for parameter in {"project", "project_id"} & set(route.query):
            assert route.listing is not None
            for ident in ("p", self.parts["project"]):
                pages = self._pages(f"{path}?limit=10&{parameter}={ident}", route.listing.key)
                self.assertEqual(everything, [item for page in pages for item in page], (path, ident))
            for ident in ("x", "P", "s"):
                self.assertEqual([], self.admin.get(f"{path}?{parameter}={ident}")[route.listing.key], (path, ident))

    def _pages(self, path: str, key: str) -> list[list[dict[str, Any]]]:
        found = []
        following: str | None = path
        while following is not None:
            parts = urlsplit(following)
            body = self.admin.get(f"{parts.path}?{parts.query}")
            found.append(body[key])
            following = body.get("next")
            self.assertLess(len(found), 50, "the pages do not end")
        return found

    def _check_order(self, path: str, key: str, sort_key: str, everything: list[dict[str, Any]]) -> None:
        chosen = "" if sort_key == "id" else f"&sort_key={sort_key}"
        whole = {}
        for direction in ("asc", "desc"):
            pages = self._pages(f"{path}?limit=10&sort_dir={direction}{chosen}", key)
            self.assertTrue(all(len(page) == 10 for page in pages[:-1]), path)
            uuids = [item["uuid"] for page in pages for item in page]
            self.assertEqual(len(everything), len(uuids), (path, sort_key))
            self.assertEqual({item["uuid"] for item in everything}, set(uuids))
            values = [item[sort_key] for page in pages for item in page] if sort_key in everything[0] else []
            self.assertEqual(sorted(values, reverse=direction == "desc"), values, (path, sort_key))
            whole[direction] = uuids
        self.assertEqual(whole["asc"], whole["desc"][::-1], (path, sort_key))

    def _check_rest(self, path: str, key: str, everything: list[dict[str, Any]]) -> None:
        marker = everything[4]["uuid"]
        after = self.admin.get(f"{path}?marker={marker}&limit=3&fields=uuid")
        self.assertEqual([{"uuid": item["uuid"]} for item in everything[5:8]], after[key])
        self.assertIn("fields=uuid", after["next"])
        self.assertNotIn("next", self.admin.get(f"{path}?limit=1000"))
        for query in (
            "marker=nothing",
            f"marker={'0' * 36}",
            "sort_key=id",
            "sort_dir=up",
            "limit=0",
            "fields=nothing",
        ):
            self.admin.call("GET", f"{path}?{query}", status=400)
        exact = self._pages(f"{path}?limit={len(everything)}", key)
        self.assertEqual([], exact[1] if len(exact) > 1 else [])

    def _fill(self) -> dict[str, str]:
        with self.service.database.writer() as session:
            admin = session.query(models.User).filter_by(name="admin").one().uuid
            project = models.Project(name="p")
            switch = models.Switch(name="s", driver="fake", options={}, physical_network="default")
            session.add_all([project, switch])
            session.flush()
            owned = {"project_id": project.uuid}
            network = self._network(owned, 0)
            node = models.Node(name="n", **owned)
            aggregate = models.Aggregate(name="a")
            session.add_all([network, node, aggregate])
            session.flush()
            subnet = models.Subnet(network_id=network.id, cidr="10.0.0.0/24", pools=[], dns_servers=[])
            session.add(subnet)
            session.flush()
            for number in range(1, COUNT + 1):
                when = {"created_at": MOMENTS[number % 2], "name": f"x{number * 7 % 10}-{number}"}
                nic = models.Nic(node_id=node.id, mac=f"02:00:00:00:00:{number:02x}", **when)
                member = models.Node(**when, **owned)
                session.add_all([nic, member])
                session.flush()
                attachment = models.Attachment(
                    nic_id=nic.id,
                    network_id=network.id,
                    channel="vlan/native",
                    status="active",
                    created_at=when["created_at"],
                )
                session.add(attachment)
                session.flush()
                session.add_all(
                    [
                        models.Project(**when),
                        models.Switch(driver="fake", options={}, physical_network="default", **when),
                        models.AggregateNode(aggregate_id=aggregate.id, node_id=member.id),
                        models.Aggregate(**when),
                        models.ServerGroup(policy="affinity", **when, **owned),
                        self._network(owned, number),
                        models.User(password_hash="-", **when),
                        models.Port(switch_id=switch.id, nic_id=nic.id, status="ok", **when),
                        models.Address(
                            network_id=network.id,
                            subnet_id=subnet.id,
                            attachment_id=attachment.id,
                            ip=f"10.0.0.{number}",
                            number=f"{number:032x}",
                            created_at=when["created_at"],
                        ),
                        models.Headnode(image="base", memory=1, cpus=1, status="new", **when, **owned),
                        models.Instance(status="active", **when, **owned),
                        models.Keypair(user_id=admin, type="rsa", fingerprint="-", public_key="-", **when),
                        models.Image(owner=project.uuid, kernel={}, initrd={}, **when, **owned),
                        models.Flavor(resource_class="large", **when),
                        models.Operation(verb="x", lane="x:1", state="done", created_at=when["created_at"], **owned),
                    ]
                )
            return {"project": project.uuid, "switch": "s", "network": network.uuid, "aggregate": "a"}

    @staticmethod
    def _network(owned: dict[str, str], number: int) -> models.Network:
        return models.Network(
            name=f"net{number * 7 % 10}-{number}",
            owner=owned["project_id"],
            created_at=MOMENTS[number % 2],
            physical_network="default",
            segment_id=str(100 + number),
            pooled=True,
            channels=["vlan/native"],
            **owned,
        )

    def test_sqlite(self) -> None:
        self._check("sqlite")

    def test_mysql(self) -> None:
        self._check("mysql")

    def test_postgresql(self) -> None:
        self._check("postgresql")
