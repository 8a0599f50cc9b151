# SPDX-License-Identifier: Apache-2.0
"""Keypairs, flavors, aggregates, server groups, quotas, and what there is not."""

from __future__ import annotations

import uuid

from tempest.lib import decorators
from tempest.lib.exceptions import Conflict, Forbidden, NotFound

from mogan_hil_tempest_plugin.tests.api import base


class TestNouns(base.BaseTest):
    """Who may see and make them."""

    @decorators.idempotent_id("e13e6d6c-b15f-47b7-ac88-65082a9bdf6b")
    def test_keypairs(self) -> None:
        key = base.name("key")
        self.drop("keypairs", key, client=self.member)
        made = self.member.create("keypairs", name=key)
        self.assertIn("private_key", made)
        self.assertNotIn("private_key", self.member.show("keypairs", key))
        self.refused(Conflict, self.member.create, "keypairs", name=key)
        for client in (self.reader, self.other):
            self.refused(NotFound, client.show, "keypairs", made["uuid"])
            self.assertNotIn(key, [found["name"] for found in client.show("keypairs")["keypairs"]])
        self.refused(NotFound, self.other.remove, "keypairs", made["uuid"])
        self.refused(Forbidden, self.reader.create, "keypairs", name=key)
        self.member.remove("keypairs", key)
        self.refused(NotFound, self.member.show, "keypairs", key)

    @decorators.idempotent_id("fa9fedc0-13be-4f1b-b7cd-ae491fc8b355")
    def test_flavors(self) -> None:
        shared, secret = self.flavor()["uuid"], self.flavor(public=False)["uuid"]
        for client in (self.member, self.reader, self.other):
            self.assertEqual(shared, client.show("flavors", shared)["uuid"])
            self.refused(NotFound, client.show, "flavors", secret)
            self.refused(Forbidden, client.create, "flavors", name=base.name("flavor"), resource_class="x")
        self.admin.set("flavors", secret, "access", self.member.project_id)
        self.assertEqual(secret, self.reader.show("flavors", secret)["uuid"])
        self.refused(NotFound, self.other.show, "flavors", secret)
        self.refused(NotFound, self.other.create, "instances", name="x", flavor=secret)
        self.refused(Forbidden, self.member.update, "flavors", shared, description="mine")
        self.refused(Forbidden, self.member.remove, "flavors", shared)
        self.admin.remove("flavors", secret)
        self.refused(NotFound, self.member.show, "flavors", secret)

    @decorators.idempotent_id("587bf748-c4b1-48e6-ac73-571cd958c3f2")
    def test_aggregates(self) -> None:
        made = self.admin.create("aggregates", name=base.name("aggregate"), metadata={"power": "a"})
        aggregate, node = made["uuid"], self.claim(self.member)["uuid"]
        self.drop("aggregates", aggregate)
        self.admin.set("aggregates", aggregate, "nodes", node)
        found = self.admin.show("aggregates", aggregate, "nodes")["nodes"]
        self.assertEqual([node], [item["uuid"] for item in found])
        for client in (self.member, self.reader, self.other):
            self.refused(Forbidden, client.show, "aggregates", aggregate)
            self.refused(Forbidden, client.create, "aggregates", name=base.name("aggregate"))
        self.admin.remove("aggregates", aggregate)
        self.refused(NotFound, self.admin.show, "aggregates", aggregate)

    @decorators.idempotent_id("401c2a03-1c6e-4f6e-b8fc-cfa591742d3d")
    def test_server_groups(self) -> None:
        made = self.member.create("server_groups", name=base.name("group"), policy="anti-affinity")
        group = made["uuid"]
        self.drop("server_groups", group)
        self.assertEqual("anti-affinity", self.reader.show("server_groups", group)["policy"])
        self.refused(NotFound, self.other.show, "server_groups", group)
        self.refused(NotFound, self.other.remove, "server_groups", group)
        self.refused(Forbidden, self.reader.remove, "server_groups", group)
        self.member.remove("server_groups", group)
        self.refused(NotFound, self.member.show, "server_groups", group)

    @decorators.idempotent_id("f8029eda-29d9-4788-94fc-58c72c0c356d")
    def test_quotas(self) -> None:
        project = self.member.project_id
        self.drop("quotas", project)
        self.refused(Forbidden, self.member.set, "quotas", project, networks=-1)
        self.refused(NotFound, self.other.show, "quotas", project)
        self.admin.set("quotas", project, server_groups=0)
        self.reader.show("quotas", project)
        group = {"name": base.name("group"), "policy": "affinity"}
        self.refused(Forbidden, self.member.create, "server_groups", **group)
        self.admin.remove("quotas", project)
        self.drop("server_groups", self.member.create("server_groups", **group)["uuid"])

    @decorators.idempotent_id("35d4e607-312e-42e2-bd72-a191e957b921")
    def test_unknown(self) -> None:
        unknown = str(uuid.uuid4())
        for noun in ("nodes", "networks", "instances", "keypairs", "flavors", "images", "server_groups", "operations"):
            for client in (self.admin, self.member, self.reader):
                self.refused(NotFound, client.show, noun, unknown)
        for noun in ("instances", "networks", "keypairs", "server_groups"):
            self.refused(NotFound, self.member.remove, noun, unknown)
        for noun in ("switches", "aggregates"):
            self.refused(NotFound, self.admin.show, noun, unknown)
        self.refused(NotFound, self.member.show, "nothing")
