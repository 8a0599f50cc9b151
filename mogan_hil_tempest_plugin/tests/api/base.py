# SPDX-License-Identifier: Apache-2.0
"""What the tests share: four callers, and nodes to work with."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from tempest import config, test
from tempest.lib import exceptions
from tempest.lib.common.utils import data_utils

from mogan_hil_tempest_plugin.client import Client

CONF = config.CONF


def name(what: str) -> str:
    """A name that nothing has."""
    return str(data_utils.rand_name(what, prefix="tempest"))


class BaseTest(test.BaseTestCase):
    """Administrator, member and reader of one project, and a member of another.

    Everything that a test makes is named at random and gone at the end, so that tests may run side by side.
    """

    credentials = ["project_admin", "project_member", "project_reader", "project_alt_member"]

    @classmethod
    def skip_checks(cls) -> None:
        super().skip_checks()
        if not CONF.service_available.mogan_hil:
            raise cls.skipException("mogan_hil is not available")

    @classmethod
    def setup_clients(cls) -> None:
        super().setup_clients()
        cls.admin, cls.member, cls.reader, cls.other = (
            cls._client(manager)
            for manager in (
                cls.os_project_admin,
                cls.os_project_member,
                cls.os_project_reader,
                cls.os_project_alt_member,
            )
        )

    @classmethod
    def _client(cls, manager: Any) -> Client:
        settings = CONF.mogan_hil
        return Client(
            manager.auth_provider,
            settings.catalog_type,
            settings.region or CONF.identity.region,
            endpoint_type=settings.endpoint_type,
            build_timeout=settings.build_timeout,
            build_interval=settings.build_interval,
        )

    def refused(self, error: type[Exception], call: Callable[..., Any], *path: str, **body: Any) -> None:
        """Check that a call is answered with the status that `error` stands for."""
        self.assertRaises(error, call, *path, **body)

    def drop(self, *path: str, client: Client | None = None) -> None:
        """Delete something at the end, if it is there still."""
        self.addCleanup(self._quietly, (client or self.admin).remove, *path)

    @staticmethod
    def _quietly(call: Callable[..., Any], *path: str) -> None:
        with contextlib.suppress(exceptions.NotFound):
            call(*path)

    def when_free(self, call: Callable[..., Any], *path: str, **body: Any) -> Any:
        """Ask for nodes, until there are enough: other tests have them meanwhile."""
        end = time.monotonic() + CONF.mogan_hil.build_timeout
        while True:
            try:
                return call(*path, **body)
            except exceptions.Conflict as error:
                if "not_enough_nodes" not in str(error) or time.monotonic() > end:
                    raise
            time.sleep(CONF.mogan_hil.build_interval)

    def claim(self, client: Client) -> dict[str, Any]:
        """A node for the project of a caller."""
        found = self.when_free(client.create, "claims", count=1, resource_class=CONF.mogan_hil.resource_class)
        node: dict[str, Any] = found["nodes"][0]
        self.addCleanup(self._give_back, node["uuid"])
        return node

    def _give_back(self, node: str) -> None:
        if self.admin.show("nodes", node)["project_id"] is None:
            return
        for nic in self.admin.show("nodes", node, "nics")["nics"]:
            for attachment in nic["attachments"]:
                path = ("nodes", node, "nics", nic["uuid"], "attachments", attachment["network"]["uuid"])
                self.admin.wait(self.admin.remove(*path))
        self.admin.remove("nodes", node, "project")

    def nic(self, node: Mapping[str, Any]) -> str:
        """A NIC of a node that is cabled."""
        nics = self.admin.show("nodes", node["uuid"], "nics")["nics"]
        return str(next(nic["uuid"] for nic in nics if nic["cabled"]))

    def network(self, client: Client, **fields: Any) -> dict[str, Any]:
        """A network of the caller's project."""
        made: dict[str, Any] = client.create("networks", name=name("net"), **fields)
        self.drop("networks", made["uuid"])
        return made

    def flavor(self, **fields: Any) -> dict[str, Any]:
        """A flavor for the nodes that the tests may have."""
        fields = {"resource_class": CONF.mogan_hil.resource_class, **fields}
        made: dict[str, Any] = self.admin.create("flavors", name=name("flavor"), **fields)
        self.drop("flavors", made["uuid"])
        return made

    def instance(self, client: Client, **fields: Any) -> dict[str, Any]:
        """An instance that is active, in the caller's project."""
        fields = {"name": name("instance"), "flavor": self.flavor()["uuid"], **fields}
        begun = self.when_free(client.create, "instances", **fields)["instances"][0]
        self.addCleanup(self._delete_instance, begun["uuid"])
        client.wait(begun["operation"])
        found: dict[str, Any] = client.show("instances", begun["uuid"])
        return found

    def _delete_instance(self, instance: str) -> None:
        with contextlib.suppress(exceptions.NotFound):
            self.admin.wait(self.admin.remove("instances", instance))
