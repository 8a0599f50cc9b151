# SPDX-License-Identifier: Apache-2.0
"""More want an instance than there are nodes, all at once, on several processes; and nodes fail in every way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa

from mogan_hil.db import models
from mogan_hil.drivers.fakes import DeviceFile
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import fake as fake_switch
from mogan_hil.objects.address import Address
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from tests import service
from tests.functional.racks import OnProcesses, drain, fresh, rack

NODES = 100
#: Seconds in which all of them are made, or gone, on a machine that does much else.
PATIENCE = 3 * service.WAIT
CREATES = 200


class Crowd(OnProcesses):
    """Two processes of the API, two conductors, a broker between them, and a tenant `red`."""

    shape = {
        "apis": 2,
        "conductors": 2,
        "rabbit": True,
        "settings": {("conductor", "power_timeout"): 1.0, ("conductor", "driver_timeout"): 60.0},
    }

    @classmethod
    def setUpClass(cls) -> None:
        if service.broker() is None:
            raise cls.skipException("RabbitMQ is not there")
        super().setUpClass()
        cls.site.admin.add_project("red")
        cls.red = cls.site.admin.as_user("red-member")
        cls.red.post("networks", {"name": "net"})
        cls.red.post("networks/net/subnets", {"cidr": "192.0.2.0/24"})

    def setUp(self) -> None:
        super().setUp()
        self.sort = fresh("sort")
        self.site.admin.post("flavors", {"name": self.sort, "resource_class": self.sort})

    def nodes(self, count: int) -> tuple[str, list[Node]]:
        """A switch whose ports are parked, with so many nodes of this test's sort."""
        switch, names = rack(self.site, count, resource_class=self.sort, obm_driver="fake")
        for number in range(count):
            fake_switch.set_by_hand(
                self.site.state_dir, switch, f"p{number}", fake_switch.base.PortState(enabled=False)
            )
        with self.site.database.reader() as session:
            return switch, Node.find(session, models.Node.name.in_(names))

    def create(self, bodies: Sequence[Mapping[str, Any]]) -> list[service.Answer]:
        """Create them all at once, on every process."""

        def one(item: tuple[int, Mapping[str, Any]]) -> service.Answer:
            body = {"flavor": self.sort, "networks": [{"network": "net"}], **item[1]}
            return self.api(item[0], "red-member").call("POST", "instances", body)

        with ThreadPoolExecutor(16) as many:
            answers = list(many.map(one, enumerate(bodies)))
        self.check_answers(answers)
        return answers

    def found(self) -> list[Instance]:
        with self.site.database.reader() as session:
            return Instance.find(session)

    def delete_all(self) -> None:
        """Delete every instance at once, and wait until they are gone."""
        with ThreadPoolExecutor(16) as many:
            paths = [f"instances/{instance.uuid}" for instance in self.found()]
            answers = list(many.map(lambda path: self.red.call("DELETE", path), paths))
        self.assertEqual({202}, {answer.status for answer in answers})
        drain(self.site.database, PATIENCE)
        self.assertEqual([], self.found(), self._why("instance_delete"))

    def _why(self, verb: str) -> list[Any]:
        with self.site.database.reader() as session:
            rows = models.Operation
            return [item.error_detail for item in Operation.find(session, rows.verb == verb, rows.state == "error")]

    def nothing_is_left(self, nodes: Sequence[Node]) -> None:
        """Every node is free and off, every port parked, no address is anybody's."""
        self.check()
        with self.site.database.reader() as session:
            self.assertEqual([], session.execute(sa.select(models.Attachment.id)).all())
            self.assertEqual([], Address.find(session))
            after = Node.find(session, models.Node.id.in_([node.id for node in nodes]))
        self.assertEqual({None}, {node.project_id for node in after})
        for node in after:
            state = DeviceFile(self.site.state_dir, fake_obm.KIND, node.uuid).read()
            self.assertEqual("off", state.get("power", "off"), node.name)


class TestCrowd(Crowd):
    """Two for each node."""

    kind = "mysql"

    def test_each_node_once(self) -> None:
        _, nodes = self.nodes(NODES)
        answers = self.create([{"name": fresh("web")} for _ in range(CREATES)])
        self.assertEqual({202: NODES, 409: CREATES - NODES}, Counter(answer.status for answer in answers))
        codes = {answer.json["errors"][0]["code"] for answer in answers if answer.status == 409}
        self.assertEqual({"claim.not_enough_nodes"}, codes)
        drain(self.site.database, PATIENCE)
        made = self.found()
        self.assertEqual({"active": NODES}, Counter(str(instance.status) for instance in made))
        self.assertEqual({node.id for node in nodes}, {instance.node_id for instance in made})
        self.check()
        attached = self.site.admin.get("networks/net/attachments?limit=1000")["attachments"]
        self.assertEqual((NODES, {"active"}), (len(attached), {item["status"] for item in attached}))
        with self.site.database.reader() as session:
            given = Address.find(session)
        self.assertEqual([NODES] * 2, [len(given), len({address.ip for address in given})])
        self.delete_all()
        self.nothing_is_left(nodes)

    def test_many_in_one_request(self) -> None:
        """All that are asked for or none, and never a node in two answers."""
        _, nodes = self.nodes(20)
        answers = self.create([{"name": fresh("web"), "min_count": 3, "max_count": 5} for _ in range(12)])
        found = [answer.json["instances"] for answer in answers if answer.status == 202]
        self.assertLessEqual({len(made) for made in found}, {3, 4, 5})
        drain(self.site.database, PATIENCE)
        made = self.found()
        self.assertEqual(sum(len(some) for some in found), len(made))
        self.assertEqual({"active"}, {str(instance.status) for instance in made})
        self.assertEqual(len(made), len({instance.node_id for instance in made}))
        self.assertGreater(len(made), 20 - 3)  # so few were left that nobody could have had them
        with self.site.database.reader() as session:
            taken = Node.find(session, models.Node.id.in_([node.id for node in nodes]), models.Node.project_id != "")
        self.assertEqual(len(made), len(taken))
        self.delete_all()
        self.nothing_is_left(nodes)


class TestFailures(Crowd):
    """One in two nodes fails, in each step and in each way."""

    kind = "postgresql"
    shape = {**Crowd.shape, "settings": {**Crowd.shape["settings"], ("conductor", "driver_timeout"): 10.0}}
    nodes_there = 20
    #: By the number of the node: how its port fails.
    ports: Mapping[int, str] = {0: "fail", 1: "lie", 2: "crash"}
    #: By the number of the node: how its controller fails.
    controllers: Mapping[int, Mapping[str, Any]] = {
        3: {"fail": True},
        4: {"lie": True},
        5: {"crash": True},
        6: {"hang": True, "hang_seconds": 13},
        7: {"unreadable": True},
        8: {"fail_transient": 2},
    }
    sound = nodes_there - len(ports) - len(controllers) + 1

    def test_boot_and_power(self) -> None:
        self._fail({})

    def test_boot_device(self) -> None:
        self._fail({"boot_device": "pxe"})

    def _fail(self, fields: Mapping[str, Any]) -> None:
        switch, nodes = self.nodes(self.nodes_there)
        faults: dict[str, list[str]] = {}
        for number, fault in self.ports.items():
            faults.setdefault(fault, []).append(f"p{number}")
        fake_switch.set_faults(self.site.state_dir, switch, **faults)
        for number, fault in self.controllers.items():
            fake_obm.set_faults(self.site.state_dir, nodes[number].uuid, **fault)
        answers = self.create([{"name": fresh("web"), **fields} for _ in nodes])
        # A build that fails soon is tried elsewhere, and may be there before the last of these.
        refused = [answer for answer in answers if answer.status != 202]
        codes = {answer.json["errors"][0]["code"] for answer in refused}
        self.assertLessEqual(codes, {"claim.not_enough_nodes"}, [answer.text for answer in refused])
        self.assertGreaterEqual(len(answers) - len(refused), self.sound)
        drain(self.site.database, PATIENCE)
        self.explained(nodes)
        fake_switch.set_faults(self.site.state_dir, switch)
        for number in self.controllers:
            fake_obm.set_faults(self.site.state_dir, nodes[number].uuid)
        self.delete_all()
        self.nothing_is_left(nodes)

    def explained(self, nodes: Sequence[Node]) -> None:
        """Those that are sound have an instance; each other instance says why it failed, and its operation too."""
        made = self.found()
        with self.site.database.reader() as session:
            operations = Operation.find(session, models.Operation.verb == "instance_create")
        ended = {operation.payload["instance_uuid"]: operation for operation in operations}
        for instance in made:
            operation = ended[instance.uuid]
            if instance.status == "active":
                self.assertEqual(("done", True), (operation.state, operation.verified))
            else:
                self.assertEqual(("error", "error"), (instance.status, operation.state))
                self.assertTrue(instance.fault and instance.fault["message"] == operation.error, instance.fault)
        active = {instance.node_id for instance in made if instance.status == "active"}
        faulty = {nodes[number].id for number in (*self.ports, *self.controllers) if number != 8}
        self.assertEqual({node.id for node in nodes} - faulty, active)
        kept = [instance.node_id for instance in made if instance.node_id is not None]
        self.assertEqual(len(kept), len(set(kept)))
