# SPDX-License-Identifier: Apache-2.0
"""Nodes are claimed and given back; networks are wired to them, and other projects see none of it."""

from __future__ import annotations

from tempest.lib import decorators
from tempest.lib.exceptions import BadRequest, Conflict, Forbidden, NotFound

from mogan_hil_tempest_plugin.tests.api import base


class TestNodes(base.BaseTest):
    """Claim and release."""

    @decorators.idempotent_id("5798cfc2-6ee0-4866-8917-89ab5cd42111")
    @decorators.attr(type="smoke")
    def test_claim_and_release(self) -> None:
        node = self.claim(self.member)["uuid"]
        self.assertEqual(self.member.project_id, self.member.show("nodes", node)["project_id"])
        for client in (self.member, self.reader, self.admin):
            self.assertIn(node, [found["uuid"] for found in client.show("nodes")["nodes"]])
        self.refused(NotFound, self.other.show, "nodes", node)
        self.refused(Conflict, self.admin.set, "nodes", node, "project", project_id=self.other.project_id)
        self.refused(NotFound, self.other.remove, "nodes", node, "project")
        self.refused(Forbidden, self.reader.remove, "nodes", node, "project")
        self.member.remove("nodes", node, "project")
        self.assertIsNone(self.admin.show("nodes", node)["project_id"])

    @decorators.idempotent_id("ac3fb8f7-509a-43ed-b825-a4f66b5bf744")
    def test_who_may_not(self) -> None:
        self.refused(Forbidden, self.reader.create, "claims", count=1)
        self.refused(Forbidden, self.member.create, "nodes", name=base.name("node"))
        self.refused(Forbidden, self.member.create, "claims", count=1, project_id=self.other.project_id)
        self.refused(BadRequest, self.member.create, "claims")
        self.refused(Forbidden, self.member.show, "switches")

    @decorators.idempotent_id("5ef06717-f43f-44c8-b98e-8cbf48b9d584")
    def test_register(self) -> None:
        node = base.name("node")
        self.drop("nodes", node)
        self.admin.create("nodes", name=node, resource_class=base.name("class"))
        self.refused(Conflict, self.admin.create, "nodes", name=node)
        self.refused(Forbidden, self.member.update, "nodes", node, description="mine")
        self.admin.update("nodes", node, description="seen")
        self.assertEqual("seen", self.admin.show("nodes", node)["description"])
        self.admin.remove("nodes", node)
        self.refused(NotFound, self.admin.show, "nodes", node)

    @decorators.idempotent_id("7d506348-a9aa-4d66-93a4-c5df12f94c5a")
    def test_power(self) -> None:
        node = self.claim(self.member)["uuid"]
        self.refused(NotFound, self.other.set, "nodes", node, "power", target="on")
        self.refused(Forbidden, self.reader.set, "nodes", node, "power", target="on")
        self.refused(BadRequest, self.member.set, "nodes", node, "power", target="sideways")
        for target in ("on", "off"):
            self.member.wait(self.member.set("nodes", node, "power", target=target))
            self.assertEqual({"power": target}, self.reader.show("nodes", node, "power"))


class TestNetworks(base.BaseTest):
    """Networks, and what keeps projects apart."""

    @decorators.idempotent_id("f26960ea-2ec0-4768-8bf7-364a92a9c0e6")
    @decorators.attr(type="smoke")
    def test_isolation_between_projects(self) -> None:
        network = self.network(self.member)["uuid"]
        self.assertEqual(network, self.reader.show("networks", network)["uuid"])
        self.refused(NotFound, self.other.show, "networks", network)
        self.refused(NotFound, self.other.show, "networks", network, "isolation")
        self.refused(NotFound, self.other.remove, "networks", network)
        self.refused(NotFound, self.other.update, "networks", network, description="mine")
        self.refused(Forbidden, self.reader.update, "networks", network, description="mine")
        self.refused(Forbidden, self.member.update, "networks", network, public=True)
        self.assertNotIn(network, [found["uuid"] for found in self.other.show("networks")["networks"]])
        node = self.claim(self.other)
        path = ("nodes", node["uuid"], "nics", self.nic(node), "attachments")
        self.refused(NotFound, self.other.create, *path, network=network)

    @decorators.idempotent_id("ff570d30-8672-40ac-8b33-e0f0f4186b5c")
    @decorators.attr(type="smoke")
    def test_attach_and_detach(self) -> None:
        network = self.network(self.member)["uuid"]
        node = self.claim(self.member)
        path = ("nodes", node["uuid"], "nics", self.nic(node), "attachments")
        self.refused(Forbidden, self.reader.create, *path, network=network)
        self.refused(NotFound, self.other.create, *path, network=network)
        done = self.member.wait(self.member.create(*path, network=network))
        self.assertTrue(done["verified"])
        found = self.member.show("networks", network, "attachments")["attachments"]
        self.assertEqual(["active"], [item["status"] for item in found])
        self.assertTrue(self.reader.show("networks", network, "isolation")["isolated"])
        self.refused(Conflict, self.member.remove, "networks", network)
        self.refused(Conflict, self.member.remove, "nodes", node["uuid"], "project")
        self.refused(NotFound, self.other.remove, *path, network)
        self.member.wait(self.member.remove(*path, network))
        self.assertEqual([], self.member.show("networks", network, "attachments")["attachments"])
        self.refused(NotFound, self.member.remove, *path, network)

    @decorators.idempotent_id("28b56d22-8ea1-4392-a203-90ceb39f9343")
    def test_access(self) -> None:
        network = self.network(self.member)["uuid"]
        self.refused(NotFound, self.other.set, "networks", network, "access", self.other.project_id)
        self.member.set("networks", network, "access", self.other.project_id)
        self.assertEqual(network, self.other.show("networks", network)["uuid"])
        self.refused(Forbidden, self.other.remove, "networks", network)
        self.member.remove("networks", network, "access", self.other.project_id)
        self.refused(NotFound, self.other.show, "networks", network)
