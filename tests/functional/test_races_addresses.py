# SPDX-License-Identifier: Apache-2.0
"""Addresses, asked for by many at once of three processes of the API: each is one NIC's, and none is lost."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import sqlalchemy as sa

from mogan_hil.db import models
from mogan_hil.drivers.switch import fake
from tests import service
from tests.functional.racks import OnProcesses, drain, fresh, rack

#: How often a pair is raced for.
TRIES = 8


class Races:
    """The races, whatever the database."""

    shape = {"apis": 3, "conductors": 1}
    api: Any
    site: Any

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()  # type: ignore[misc]
        cls.red = cls.site.admin.add_project("red")

    def network(self, cidr: str = "10.0.0.0/27", **fields: Any) -> tuple[str, str]:
        """A network with a subnet, by uuid."""
        red = self.api(0, "red-member")
        network = red.post("networks", {"name": fresh("net")})["uuid"]
        return network, red.post(f"networks/{network}/subnets", {"cidr": cidr, **fields})["uuid"]

    def attach(self, number: int, node: str, network: str, *wanted: str) -> Any:
        body = {"network": network, "addresses": list(wanted)}
        path = f"nodes/{node}/nics/eth0/attachments"
        return partial(self.api(number, "red-member").call, "POST", path, body)

    def all_at_once(self, calls: list[Any]) -> list[service.Answer]:
        answers = list(self.clients.map(lambda call: call(), calls))
        self.check_answers(answers)
        return answers

    def ips(self, network: str) -> list[str]:
        rows = models.Address
        query = sa.select(rows.ip).join(models.Network).where(models.Network.uuid == network)
        with self.site.database.reader() as session:
            return list(session.scalars(query))

    def test_to_the_last_and_back(self) -> None:
        """29 addresses for 40 NICs; then they are taken off again."""
        network, _ = self.network()
        _, names = rack(self.site, 40, project=self.red)
        answers = self.all_at_once([self.attach(number, name, network) for number, name in enumerate(names)])
        self.assertEqual({202: 29, 409: 11}, Counter(answer.status for answer in answers))
        codes = {answer.json["errors"][0]["code"] for answer in answers if answer.status == 409}
        self.assertEqual({"address.none_free"}, codes)
        self.assertEqual({f"10.0.0.{number}" for number in range(2, 31)}, set(self.ips(network)))
        self.check()
        won = [name for name, answer in zip(names, answers, strict=True) if answer.status == 202]
        path = f"nodes/{{}}/nics/eth0/attachments/{network}"
        self.all_at_once(
            [partial(self.api(i, "red-member").call, "DELETE", path.format(name)) for i, name in enumerate(won)]
        )
        self.check()
        self.assertEqual([], self.ips(network))

    def test_claims_of_many(self) -> None:
        """All or nothing: four claims of ten NICs each for 29 addresses."""
        network, _ = self.network()
        rack(self.site, 40, resource_class=(kind := fresh("kind")))
        body = {"count": 10, "resource_class": kind, "networks": [{"network": network}]}
        answers = self.all_at_once([partial(self.api(i, "red-member").call, "POST", "claims", body) for i in range(4)])
        self.assertEqual({202: 2, 409: 2}, Counter(answer.status for answer in answers))
        self.assertEqual(20, len(set(self.ips(network))))
        self.check()

    def test_failed_attaches(self) -> None:
        network, _ = self.network()
        switch, names = rack(self.site, 10, project=self.red)
        fake.set_faults(self.site.state_dir, switch, fail=["*"])
        self.all_at_once([self.attach(number, name, network) for number, name in enumerate(names)])
        drain(self.site.database)
        fake.set_faults(self.site.state_dir, switch)
        for number in range(len(names)):
            self.api(0).call("POST", f"switches/{switch}/ports/p{number}/revert", status=202)
        self.check()
        self.assertEqual([], self.ips(network))

    def test_the_same_one(self) -> None:
        network, _ = self.network()
        _, names = rack(self.site, 2 * TRIES, project=self.red)
        for number in range(TRIES):
            ip = f"10.0.0.{number + 2}"
            found = self.at_once(*(self.attach(i, names[2 * number + i], network, ip) for i in range(2)))
            self.assertEqual([202, 409], sorted(answer.status for answer in found))
        self.check()

    def test_overlapping_subnets(self) -> None:
        for _ in range(TRIES):
            network = self.api(0, "red-member").post("networks", {"name": fresh("net")})["uuid"]
            path = f"networks/{network}/subnets"
            found = self.at_once(
                *(
                    partial(self.api(i, "red-member").call, "POST", path, {"cidr": cidr})
                    for i, cidr in enumerate(("10.0.0.0/16", "10.0.5.0/24", "10.0.0.0/8"))
                )
            )
            self.assertEqual([201, 409, 409], sorted(answer.status for answer in found))

    def test_attach_and_delete_the_subnet(self) -> None:
        _, names = rack(self.site, TRIES, project=self.red)
        for number, name in enumerate(names):
            network, subnet = self.network()
            delete = partial(self.api(number + 1, "red-member").call, "DELETE", f"subnets/{subnet}")
            attached, deleted = self.at_once(self.attach(number, name, network), delete)
            found = (attached.status, deleted.status, len(self.ips(network)))
            self.assertIn(found, [(202, 409, 1), (202, 204, 0)])
        self.check()

    def test_ask_for_what_becomes_the_gateway(self) -> None:
        _, names = rack(self.site, TRIES, project=self.red)
        for number, name in enumerate(names):
            network, subnet = self.network()
            body = {"gateway": "10.0.0.9"}
            change = partial(self.api(number + 1, "red-member").call, "PATCH", f"subnets/{subnet}", body)
            found = [answer.status for answer in self.at_once(self.attach(number, name, network, "10.0.0.9"), change)]
            self.assertIn(found, ([202, 409], [400, 200]))
        self.check()


class TestRacesOnSQLite(Races, OnProcesses):
    kind = "sqlite"


class TestRacesOnMariaDB(Races, OnProcesses):
    kind = "mysql"


class TestRacesOnPostgreSQL(Races, OnProcesses):
    kind = "postgresql"
