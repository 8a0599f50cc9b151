# SPDX-License-Identifier: Apache-2.0
"""Instances from creation to deletion, and the lock."""

from __future__ import annotations

from tempest.lib import decorators
from tempest.lib.exceptions import BadRequest, Conflict, Forbidden, NotFound

from mogan_hil_tempest_plugin.tests.api import base


class TestInstances(base.BaseTest):
    """Create, use and delete."""

    @decorators.idempotent_id("764a774b-5792-4e6a-9d21-b760a3bf80c7")
    @decorators.attr(type="smoke")
    def test_life(self) -> None:
        network = self.network(self.member)["uuid"]
        found = self.instance(self.member, networks=[{"network": network}])
        instance = found["uuid"]
        self.assertEqual("active", found["status"])
        for client in (self.member, self.reader):
            self.assertIn(instance, [item["uuid"] for item in client.show("instances")["instances"]])
        self.assertNotIn(instance, [item["uuid"] for item in self.other.show("instances")["instances"]])
        interfaces = self.reader.show("instances", instance, "interfaces")["interfaces"]
        self.assertEqual([network], [item["network"]["uuid"] for item in interfaces])
        self.refused(Conflict, self.member.remove, "nodes", found["node"]["uuid"], "project")
        self.member.wait(self.member.remove("instances", instance))
        self.refused(NotFound, self.member.show, "instances", instance)
        self.assertEqual([], self.member.show("networks", network, "attachments")["attachments"])

    @decorators.idempotent_id("1c590034-adf7-4371-a7b7-0755fb3d9744")
    def test_power_and_rebuild(self) -> None:
        instance = self.instance(self.member)["uuid"]
        for target, status in (("off", "stopped"), ("on", "active"), ("reboot", "active")):
            self.member.wait(self.member.set("instances", instance, "power", target=target))
            self.assertEqual(status, self.member.show("instances", instance)["status"])
        self.member.wait(self.member.set("instances", instance, "rebuild"))
        self.assertEqual("active", self.member.show("instances", instance)["status"])
        self.refused(BadRequest, self.member.set, "instances", instance, "power", target="sideways")

    @decorators.idempotent_id("e8f0aa69-c08d-4bb1-a552-2f8d325d17c9")
    def test_who_may_not(self) -> None:
        instance = self.instance(self.member)["uuid"]
        for error, client in ((NotFound, self.other), (Forbidden, self.reader)):
            self.refused(error, client.update, "instances", instance, description="mine")
            self.refused(error, client.set, "instances", instance, "power", target="off")
            self.refused(error, client.set, "instances", instance, "rebuild")
            self.refused(error, client.set, "instances", instance, "lock", target=True)
            self.refused(error, client.remove, "instances", instance)
            self.refused(error, client.show, "instances", instance, "config")
        self.refused(NotFound, self.other.show, "instances", instance)
        self.refused(Forbidden, self.reader.create, "instances", name="x", flavor="x")
        self.refused(Forbidden, self.member.create, "instances", instance, "release")


class TestLock(base.BaseTest):
    """What is locked stays as it is."""

    def denied_and_allowed(self, instance: str, node: str) -> None:
        """The member is refused with 409, and the administrator is not."""
        for path, body in (
            (("instances", instance, "power"), {"target": "off"}),
            (("instances", instance, "rebuild"), {}),
            (("nodes", node, "power"), {"target": "off"}),
            (("nodes", node, "boot_device"), {"device": "pxe"}),
        ):
            self.refused(Conflict, self.member.set, *path, **body)
        self.refused(Conflict, self.member.update, "instances", instance, description="mine")
        self.refused(Conflict, self.member.remove, "instances", instance)
        self.refused(Conflict, self.member.remove, "nodes", node, "project")
        self.assertEqual("active", self.member.show("instances", instance)["status"])
        for target, status in (("off", "stopped"), ("on", "active")):
            self.admin.wait(self.admin.set("instances", instance, "power", target=target))
            self.assertEqual(status, self.member.show("instances", instance)["status"])

    @decorators.idempotent_id("14c4914f-9b8e-4a27-924c-77b7af9b476d")
    @decorators.attr(type="smoke")
    def test_locked_by_the_owner(self) -> None:
        found = self.instance(self.member)
        instance = found["uuid"]
        self.member.set("instances", instance, "lock", target=True, reason="in use")
        self.assertEqual("owner", self.reader.show("instances", instance)["locked_by"])
        self.denied_and_allowed(instance, found["node"]["uuid"])
        self.refused(Forbidden, self.reader.set, "instances", instance, "lock", target=False)
        self.refused(NotFound, self.other.set, "instances", instance, "lock", target=False)
        self.member.set("instances", instance, "lock", target=False)
        self.member.wait(self.member.remove("instances", instance))

    @decorators.idempotent_id("b7c37ce6-079b-4965-a8cf-898d88e50816")
    @decorators.attr(type="smoke")
    def test_locked_by_an_administrator(self) -> None:
        found = self.instance(self.member)
        instance = found["uuid"]
        self.admin.set("instances", instance, "lock", target=True)
        self.assertEqual("admin", self.member.show("instances", instance)["locked_by"])
        self.refused(Forbidden, self.member.set, "instances", instance, "lock", target=False)
        self.denied_and_allowed(instance, found["node"]["uuid"])
        self.admin.set("instances", instance, "lock", target=False)
        self.member.update("instances", instance, description="mine again")
        self.admin.set("instances", instance, "lock", target=True)
        self.admin.wait(self.admin.remove("instances", instance))
        self.refused(NotFound, self.member.show, "instances", instance)
