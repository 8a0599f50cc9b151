# SPDX-License-Identifier: Apache-2.0
"""Two tenants call one threaded server at the same time, and each sees its own things alone."""

from __future__ import annotations

import json
from typing import Any

from mogan_hil.api.app import all_routes
from tests import service
from tests.functional.racks import OnProcesses, fresh, rack

ROUNDS = 12
#: What says whose it is, without being a secret: an id that is a part of every answer about the project's things.
TENANTS = ("red", "green")


class TestTwoTenants(OnProcesses):
    """One API process with eight threads; four clients of each tenant."""

    kind = "sqlite"
    shape = {"apis": 1, "conductors": 1}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.things: dict[str, dict[str, str]] = {}
        for tenant in TENANTS:
            cls.things[tenant] = cls.fill(tenant)

    @classmethod
    def fill(cls, tenant: str) -> dict[str, str]:
        """A node, a network, an instance and what goes with them. Returns the uuid of each by its kind."""
        admin = cls.site.admin
        project = admin.add_project(tenant)
        api = admin.as_user(f"{tenant}-member")
        flavor = fresh("metal")
        admin.post("flavors", {"name": flavor, "resource_class": flavor})
        rack(cls.site, 1, resource_class=flavor, obm_driver="fake")
        network = api.post("networks", {"name": f"{tenant}-net"})
        body = {"name": f"{tenant}-web", "flavor": flavor, "networks": [{"network": network["uuid"]}]}
        begun = api.post("instances", body, 202)["instances"][0]
        api.wait(begun["operation"])
        instance = api.get(f"instances/{begun['uuid']}")
        return {
            "project": project,
            "network": network["uuid"],
            "instance": instance["uuid"],
            "node": instance["node"]["uuid"],
            "operation": begun["operation"]["uuid"],
        }

    def paths(self, tenant: str) -> list[str]:
        """Everything that can be read, of all that this tenant has."""
        found = []
        for route in all_routes():
            path = route.path
            for kind, uuid in self.things[tenant].items():
                path = path.replace(f"{{{kind}}}", uuid)
            if route.method == "GET" and not route.public and "{" not in path:
                found.append(path)
        return found

    def read(self, tenant: str, api: service.Api) -> list[str]:
        """Read everything, with a change of its own among it. Returns what was wrong."""
        (other,) = set(TENANTS) - {tenant}
        strange = [*self.things[other].values(), f"{other}-net", f"{other}-web"]
        wrong = []
        mine = f"{tenant}-{fresh('extra')}"
        made: Any = api.post("networks", {"name": mine})
        for path in self.paths(tenant):
            answer = api.call("GET", path)
            wrong += [f"{path} shows {tenant} {item}" for item in strange if item in answer.text]
            if answer.status >= 500 and answer.status != 503:  # no broker tells a conductor to ask a node
                wrong.append(f"{path}: {answer.text}")
        if api.get(f"networks/{made['uuid']}")["name"] != mine:
            wrong.append(f"{mine} is somebody else's")
        api.call("PATCH", f"instances/{self.things[tenant]['instance']}", {"description": tenant}, status=200)
        described = api.get(f"instances/{self.things[tenant]['instance']}")["description"]
        if described != tenant:
            wrong.append(f"the instance of {tenant} was described by {described}")
        for path in (f"instances/{self.things[other]['instance']}", f"networks/{self.things[other]['network']}"):
            if (status := api.call("GET", path).status) != 404:
                wrong.append(f"{tenant} got {status} for {path}")
        api.call("DELETE", f"networks/{made['uuid']}", status=204)
        return wrong

    def test_each_sees_its_own(self) -> None:
        jobs = [tenant for _ in range(ROUNDS) for tenant in TENANTS]
        results = self.clients.map(lambda tenant: self.read(tenant, self.api(0, f"{tenant}-member")), jobs)
        self.assertEqual([], [wrong for result in results for wrong in result])
        self.assertGreater(len(self.paths("red")), 15)
        self.assertIn(self.things["red"]["instance"], json.dumps(self.api(0, "red-member").get("instances")))
