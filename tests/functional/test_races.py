# SPDX-License-Identifier: Apache-2.0
"""Two at once: one wins, the other is told, and the database is as if they had come one after the other.

Three processes of the API, eight clients, every database. No answer is ever the service's own failure.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa

from mogan_hil.db import models
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import fake
from tests import service
from tests.functional.racks import OnProcesses, fresh, rack

#: How often a pair is raced for.
TRIES = 12

Call = Callable[[], service.Answer]


class Races:
    """The races, whatever the database."""

    shape = {
        "apis": 3,
        "conductors": 2,
        "settings": {
            ("network", "segments"): "default:100-3999\nsegments = narrow:10-69",
            ("conductor", "driver_timeout"): service.WAIT,
        },
    }
    api: Any
    site: Any

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()  # type: ignore[misc]
        cls.red = cls.site.admin.add_project("red")
        cls.blue = cls.site.admin.add_project("blue")

    def statuses(self, *calls: Call) -> list[int]:
        return [answer.status for answer in self.at_once(*calls)]

    def one_wins(self, won: int, *calls: Call, lost: tuple[int, ...] = (409,)) -> None:
        found = sorted(self.statuses(*calls))
        self.assertEqual(won, found[0], found)
        for status in found[1:]:
            self.assertIn(status, lost)

    def post(self, path: str, body: Any, count: int = 2, user: str = "admin") -> list[Call]:
        """The same request to several processes."""
        return [partial(self.api(number, user).call, "POST", path, body) for number in range(count)]

    def rack(self, nodes: int, **fields: Any) -> Any:
        return rack(self.site, nodes, **fields)

    def scalar(self, query: Any) -> Any:
        with self.site.database.reader() as session:
            return session.scalar(query)

    # One segment, one network.

    def create_networks(self, names: list[str], **fields: Any) -> list[service.Answer]:
        def create(number: int) -> service.Answer:
            user = ("red-member", "blue-member")[number % 2]
            return self.api(number, user).call("POST", "networks", {"name": names[number], **fields})

        answers = list(self.clients.map(create, range(len(names))))
        self.check_answers(answers)
        return answers

    def test_segments(self) -> None:
        answers = self.create_networks([fresh("net") for _ in range(300)])
        self.assertEqual({201: 300}, Counter(answer.status for answer in answers))
        self.assertEqual(300, len({answer.json["segment_id"] for answer in answers}))

    def test_last_segments(self) -> None:
        answers = self.create_networks([fresh("net") for _ in range(100)], physical_network="narrow")
        self.assertEqual({201: 60, 409: 40}, Counter(answer.status for answer in answers))
        won = {answer.json["segment_id"] for answer in answers if answer.status == 201}
        self.assertEqual({str(vlan) for vlan in range(10, 70)}, won)
        codes = {answer.json["errors"][0]["code"] for answer in answers if answer.status == 409}
        self.assertEqual({"network.pool_empty"}, codes)

    def test_named_segment(self) -> None:
        for number in range(TRIES):
            self.one_wins(
                201,
                *(
                    partial(
                        self.api(i).call, "POST", "networks", {"name": fresh("net"), "segment_id": f"{4000 + number}"}
                    )
                    for i in range(8)
                ),
            )

    # One node, one project.

    def test_nodes(self) -> None:
        _, names = self.rack(100)
        for number, name in enumerate(names):
            red, blue = self.statuses(
                partial(self.api(number, "red-member").call, "PUT", f"nodes/{name}/project", {}),
                partial(self.api(number + 1, "blue-member").call, "PUT", f"nodes/{name}/project", {}),
            )
            self.assertEqual([200], [status for status in (red, blue) if status == 200], (red, blue))
            self.assertIn(max(red, blue), (404, 409))
            owner = self.scalar(sa.select(models.Node.project_id).where(models.Node.name == name))
            self.assertEqual(self.red if red == 200 else self.blue, owner)

    def test_claims_of_many(self) -> None:
        for _ in range(4):
            resource_class = fresh("class")
            self.rack(45, resource_class=resource_class)
            answers = self.at_once(
                *(
                    partial(
                        self.api(i, ("red-member", "blue-member")[i % 2]).call,
                        "POST",
                        "claims",
                        {"count": 10, "resource_class": resource_class},
                    )
                    for i in range(8)
                )
            )
            self.assertEqual({201: 4, 409: 4}, Counter(answer.status for answer in answers))
            won = [node["uuid"] for answer in answers if answer.status == 201 for node in answer.json["nodes"]]
            self.assertEqual(40, len(set(won)))
            taken = sa.select(models.Node.uuid).where(
                models.Node.resource_class == resource_class, models.Node.project_id.is_not(None)
            )
            with self.site.database.reader() as session:
                self.assertEqual(set(won), set(session.scalars(taken)))

    def test_what_another_one_leaves(self) -> None:
        """A node that others hold for a moment, and do not take, is there for who needs it."""
        sort = fresh("class")
        _, names = self.rack(2, resource_class=sort)
        self.api(0).post("flavors", {"name": sort, "resource_class": sort})
        for path, body, status in (
            ("claims", {"count": 1, "resource_class": sort}, 201),
            ("instances", {"name": fresh("web"), "flavor": sort}, 202),
        ):
            (ask,) = self.post(path, body, 1, "red-member")
            with self.site.database.writer() as session:
                session.scalars(sa.select(models.Node).where(models.Node.name.in_(names)).with_for_update()).all()
                answer = self.clients.submit(ask)
                time.sleep(0.5)  # of those eight seconds for which it tries
            self.assertEqual(status, answer.result().status)

    def test_an_instance_gets_what_another_one_leaves(self) -> None:
        """So it is when its first node fails it."""
        sort = fresh("class")
        _, names = self.rack(2, resource_class=sort, obm_driver="fake")
        self.api(0).post("flavors", {"name": sort, "resource_class": sort})
        fake_obm.set_faults(self.site.state_dir, self.api(0).get(f"nodes/{names[0]}")["uuid"], fail=True)
        (ask,) = self.post("instances", {"name": fresh("web"), "flavor": sort}, 1, "red-member")
        with self.site.database.writer() as session:
            session.scalars(sa.select(models.Node).where(models.Node.name == names[1]).with_for_update()).all()
            answer = self.clients.submit(ask)
            time.sleep(2)
        (made,) = answer.result().json["instances"]
        self.api(0).wait(made["operation"])
        self.assertEqual(names[1], self.api(0).get(f"instances/{made['uuid']}")["node"]["name"])

    def test_claims_of_the_same(self) -> None:
        for _ in range(TRIES):
            _, names = self.rack(6)
            one, other = names[:4], names[:1:-1]
            self.one_wins(
                201,
                partial(self.api(0, "red-member").call, "POST", "claims", {"nodes": one}),
                partial(self.api(1, "blue-member").call, "POST", "claims", {"nodes": other}),
                lost=(404, 409),
            )
            taken = sa.select(sa.func.count()).where(models.Node.name.in_(names), models.Node.project_id.is_not(None))
            self.assertEqual(4, self.scalar(taken))

    # One channel, one network.

    def networks(self, count: int, user: str = "red-member") -> list[str]:
        names = [fresh("net") for _ in range(count)]
        for name in names:
            self.api(0, user).post("networks", {"name": name})
        return names

    def attach(self, number: int, node: str, network: str, channel: str | None = None) -> Call:
        body = {"network": network} if channel is None else {"network": network, "channel": channel}
        return partial(self.api(number, "red-member").call, "POST", f"nodes/{node}/nics/eth0/attachments", body)

    def test_channels(self) -> None:
        first, second = self.networks(2)
        _, names = self.rack(100, project=self.red)
        for number, name in enumerate(names):
            self.one_wins(202, self.attach(number, name, first), self.attach(number + 1, name, second))
        self.check()
        with self.site.database.reader() as session:
            nics = sa.select(models.Nic.id).join(models.Node).where(models.Node.name.in_(names))
            self.assertEqual(
                {"active": 100},
                Counter(session.scalars(sa.select(models.Attachment.status).where(models.Attachment.nic_id.in_(nics)))),
            )

    def test_one_change_of_a_nic_at_a_time(self) -> None:
        first, second = self.networks(2)
        segment = self.api(0).get(f"networks/{second}")["segment_id"]
        switch, names = self.rack(20, project=self.red)
        fake.set_faults(self.site.state_dir, switch, hold=["*"])  # nothing ends between the two
        for number, name in enumerate(names):
            self.one_wins(
                202, self.attach(number, name, first), self.attach(number + 1, name, second, f"vlan/{segment}")
            )
        fake.set_faults(self.site.state_dir, switch)
        self.check()

    def test_names(self) -> None:
        switch, names = self.rack(2, ports=3)
        for number in range(TRIES):
            mac = f"06:00:00:00:{number:02x}:00"
            self.one_wins(201, *self.post("nodes", {"name": fresh("node")}, 8))
            self.one_wins(201, *self.post("switches", {"name": fresh("switch"), "driver": "fake"}, 8))
            self.one_wins(201, *self.post("networks", {"name": fresh("net")}, 8, "red-member"))
            self.one_wins(201, *self.post(f"switches/{switch}/ports", {"name": fresh("gi")}, 8))
            self.one_wins(
                201,
                *(
                    partial(self.api(i).call, "POST", f"nodes/{names[i % 2]}/nics", {"name": fresh("eth"), "mac": mac})
                    for i in range(8)
                ),
            )
            name = fresh("eth")
            self.one_wins(
                201,
                *(
                    partial(
                        self.api(i).call, "POST", f"nodes/{names[0]}/nics", {"name": name, "mac": mac[:-1] + str(i + 1)}
                    )
                    for i in range(8)
                ),
            )
            project, user, label = fresh("project"), fresh("user"), fresh("label")
            puts = {
                f"projects/{project}": None,
                f"users/{user}": {"password": "secret"},
                f"nodes/{names[0]}/metadata/{label}": {"value": number},
            }
            for path, body in puts.items():
                calls = [partial(self.api(i).call, "PUT", path, body) for i in range(8)]
                found = self.statuses(*calls)
                self.assertEqual(1, found.count(201), found)
                self.assertLessEqual(set(found), {200, 201, 409})

    # Two things that do not go together.

    def test_attach_and_release(self) -> None:
        (network,) = self.networks(1)
        _, names = self.rack(TRIES, project=self.red)
        for number, name in enumerate(names):
            release = partial(self.api(number + 1, "red-member").call, "DELETE", f"nodes/{name}/project")
            attached, released = self.statuses(self.attach(number, name, network), release)
            self.assertIn((attached, released), [(202, 409), (403, 204)])
        self.check()

    def test_attach_and_uncable(self) -> None:
        # A claimed node's NIC stays cabled; a free one's can be uncabled while it is claimed and wired in one go.
        (network,) = self.networks(1)
        wires = [{"network": network}]
        switch, names = self.rack(TRIES)
        for number, name in enumerate(names):
            claimed, uncabled = self.statuses(
                partial(self.api(number, "red-member").call, "POST", "claims", {"nodes": [name], "networks": wires}),
                partial(self.api(number + 1).call, "DELETE", f"switches/{switch}/ports/p{number}/nic"),
            )
            self.assertIn((claimed, uncabled), [(202, 409), (409, 204)])
        self.check()

    def test_attach_and_delete_the_network(self) -> None:
        _, names = self.rack(TRIES, project=self.red)
        for number, name in enumerate(names):
            (network,) = self.networks(1)
            delete = partial(self.api(number + 1, "red-member").call, "DELETE", f"networks/{network}")
            found = tuple(self.statuses(self.attach(number, name, network), delete))
            self.assertIn(found, [(202, 409), (404, 204)])
        self.check()

    def test_attach_and_lose_access(self) -> None:
        _, names = self.rack(3 * TRIES, project=self.red)
        for number, name in enumerate(names):
            (network,) = self.networks(1, "blue-member")
            owner = self.api(number + 1, "blue-member")
            owner.put(f"networks/{network}/access/red", status=204)
            revoke = partial(owner.call, "DELETE", f"networks/{network}/access/red")
            found = tuple(self.statuses(self.attach(number, name, network), revoke))
            self.assertIn(found, [(202, 409), (404, 204)])
        self.check()

    def test_attach_and_make_private(self) -> None:
        _, names = self.rack(TRIES, project=self.red)
        for number, name in enumerate(names):
            network = self.api(0).post("networks", {"name": fresh("site"), "project_id": None, "public": True})["uuid"]
            private = partial(self.api(number + 1).call, "PATCH", f"networks/{network}", {"public": False})
            found = tuple(self.statuses(self.attach(number, name, network), private))
            self.assertIn(found, [(202, 409), (404, 200)])
        self.check()

    def test_claim_and_delete_the_node(self) -> None:
        for number in range(TRIES):
            name = self.api(0).post("nodes", {"name": fresh("node")})["name"]
            claimed, deleted = self.statuses(
                partial(self.api(number, "red-member").call, "PUT", f"nodes/{name}/project", {}),
                partial(self.api(number + 1).call, "DELETE", f"nodes/{name}"),
            )
            self.assertIn((claimed, deleted), [(200, 409), (404, 204), (409, 204)])
        self.check()

    def test_claim_and_maintenance(self) -> None:
        for number in range(TRIES):
            name = self.api(0).post("nodes", {"name": fresh("node")})["name"]
            found = self.statuses(
                partial(self.api(number, "red-member").call, "PUT", f"nodes/{name}/project", {}),
                partial(self.api(number + 1).call, "PATCH", f"nodes/{name}", {"maintenance": True}),
            )
            self.assertIn(found, ([200, 200], [409, 200]))

    def test_new_nic_and_delete_the_node(self) -> None:
        for number in range(TRIES):
            name = self.api(0).post("nodes", {"name": fresh("node")})["name"]
            body = {"name": "eth0", "mac": f"06:01:00:00:00:{number:02x}"}
            found = self.statuses(
                partial(self.api(number).call, "POST", f"nodes/{name}/nics", body),
                partial(self.api(number + 1).call, "DELETE", f"nodes/{name}"),
            )
            self.assertIn(found, ([201, 409], [404, 204]))

    def test_delete_and_cable_the_port(self) -> None:
        switch, names = self.rack(TRIES)
        with self.site.database.writer() as session:
            switch_id = session.scalar(sa.select(models.Switch.id).where(models.Switch.uuid == switch))
            session.execute(sa.update(models.Port).where(models.Port.switch_id == switch_id).values(nic_id=None))
        for number, name in enumerate(names):
            path = f"switches/{switch}/ports/p{number}"
            found = self.statuses(
                partial(self.api(number).call, "PUT", f"{path}/nic", {"node": name, "nic": "eth0"}),
                partial(self.api(number + 1).call, "DELETE", path),
            )
            self.assertIn(found, ([200, 409], [404, 204]))

    def test_uncable_twice_and_delete_the_nic(self) -> None:
        switch, names = self.rack(TRIES)
        for number, name in enumerate(names):
            path = f"switches/{switch}/ports/p{number}/nic"
            calls = [partial(self.api(i).call, "DELETE", path) for i in range(3)]
            calls += [partial(self.api(i).call, "DELETE", f"nodes/{name}/nics/eth0") for i in range(3)]
            found = self.statuses(*calls)
            self.assertLessEqual(set(found), {204, 404, 409})
            self.assertIn(204, found[:3])
        self.check()

    def test_cable_two_ways(self) -> None:
        switch, names = self.rack(TRIES, ports=2 * TRIES)
        with self.site.database.writer() as session:
            switch_id = session.scalar(sa.select(models.Switch.id).where(models.Switch.uuid == switch))
            session.execute(sa.update(models.Port).where(models.Port.switch_id == switch_id).values(nic_id=None))
        for number, name in enumerate(names):
            body = {"node": name, "nic": "eth0"}
            self.one_wins(
                200,
                partial(self.api(0).call, "PUT", f"switches/{switch}/ports/p{number}/nic", body),
                partial(self.api(1).call, "PUT", f"switches/{switch}/ports/p{TRIES + number}/nic", body),
            )

    def test_revert_and_attach(self) -> None:
        (network,) = self.networks(1)
        switch, names = self.rack(TRIES, project=self.red)
        fake.set_faults(self.site.state_dir, switch, hold=["*"])
        for number, name in enumerate(names):
            self.one_wins(
                202,
                self.attach(number, name, network),
                partial(self.api(number + 1).call, "POST", f"switches/{switch}/ports/p{number}/revert"),
            )
        fake.set_faults(self.site.state_dir, switch)
        self.check()

    def test_delete_the_project_and_claim(self) -> None:
        _, names = self.rack(2 * TRIES)
        for number, name in enumerate(names):
            project = fresh("project")
            self.api(0).put(f"projects/{project}", status=201)
            claimed, deleted = self.statuses(
                partial(self.api(number).call, "PUT", f"nodes/{name}/project", {"project_id": project}),
                partial(self.api(number + 1).call, "DELETE", f"projects/{project}"),
            )
            self.assertIn((claimed, deleted), [(200, 409), (404, 204), (409, 204)])
        self.check()

    def test_delete_the_project_and_create_a_network(self) -> None:
        for number in range(2 * TRIES):
            project = fresh("project")
            self.api(0).put(f"projects/{project}", status=201)
            body = {"name": fresh("net"), "project_id": project}
            created, deleted = self.statuses(
                partial(self.api(number).call, "POST", "networks", body),
                partial(self.api(number + 1).call, "DELETE", f"projects/{project}"),
            )
            self.assertIn((created, deleted), [(201, 409), (404, 204), (409, 204)])

    def test_delete_the_project_and_give_access(self) -> None:
        (network,) = self.networks(1)
        for number in range(TRIES):
            project = fresh("project")
            self.api(0).put(f"projects/{project}", status=201)
            given, deleted = self.statuses(
                partial(self.api(number).call, "PUT", f"networks/{network}/access/{project}"),
                partial(self.api(number + 1).call, "DELETE", f"projects/{project}"),
            )
            self.assertIn((given, deleted), [(204, 409), (404, 204), (409, 204)])


class TestRacesOnSQLite(Races, OnProcesses):
    kind = "sqlite"


class TestRacesOnMariaDB(Races, OnProcesses):
    kind = "mysql"


class TestRacesOnPostgreSQL(Races, OnProcesses):
    kind = "postgresql"
