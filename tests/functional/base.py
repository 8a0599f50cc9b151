# SPDX-License-Identifier: Apache-2.0
"""A small world with everything in it, and an example request for every route.

Nothing moves in it unless a request does it: the conductor built it and was stopped. So its tables can be compared.
"""

from __future__ import annotations

import re
import sqlite3
import unittest
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import fixtures
import testtools

from mogan_hil.api.app import all_routes
from mogan_hil.api.expose import Route
from mogan_hil.db import models
from tests import service

ROUTES: Mapping[tuple[str, str], Route] = {(route.method, route.path): route for route in all_routes()}


#: Its private half was thrown away.
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKOgROudJCyq1EVfSkg2PmMUmd4p9A91jT7ALx8b+vBe someone@example"


SOURCE = {"url": "https://images.example/file", "sha256": "0123456789abcdef" * 4}
KERNEL = {"kernel": SOURCE, "initrd": SOURCE, "arguments": "console=ttyS0 host={name}"}

#: A catalogue of images for headnodes, and where these are.
HEADNODES: Mapping[tuple[str, str], Any] = {
    ("headnode", "images"): ["base:/images/base.qcow2:1024:2", "large:/images/base.qcow2:4096:8"],
    ("headnode", "bridges"): {"default": "br0"},
}


class Example(NamedTuple):
    """A request that an administrator succeeds with.

    :param parts: those that differ from `PARTS`
    """

    status: int = 200
    body: Any = None
    parts: Mapping[str, str] = {}


#: What each part of a path is in an example, if the example does not say. All that can be a project's is red's.
PARTS: Mapping[str, str] = {
    "switch": "rack1",
    "port": "gi1/0/1",
    "node": "n1",
    "nic": "eth0",
    "network": "red-net",
    "project": "red",
    "user": "red-member",
    "operation": "OPERATION",
    "label": "shelf",
    "instance": "i1",
    "flavor": "metal",
    "keypair": "key",
    "image": "red-image",
    "attachment": "ATTACHMENT",
    "aggregate": "east",
    "subnet": "SUBNET",
    "headnode": "head",
    "hnic": "eth0",
    "group": "spread",
}

#: A new route has to be added here, or the tests that walk the routes fail.
EXAMPLES: Mapping[tuple[str, str], Example] = {
    ("GET", "/"): Example(),
    ("GET", "/v1"): Example(),
    ("GET", "/v1/openapi.json"): Example(),
    ("POST", "/v1/switches"): Example(201, {"name": "rack9", "driver": "fake", "options": {}}),
    ("GET", "/v1/switches"): Example(),
    ("GET", "/v1/switches/{switch}"): Example(),
    ("PATCH", "/v1/switches/{switch}"): Example(200, {"description": "new"}),
    ("DELETE", "/v1/switches/{switch}"): Example(204, None, {"switch": "spare"}),
    ("GET", "/v1/switches/{switch}/drift"): Example(),
    ("POST", "/v1/switches/{switch}/heal"): Example(202),
    ("POST", "/v1/switches/{switch}/ports"): Example(201, {"name": "gi1/0/9"}),
    ("GET", "/v1/switches/{switch}/ports"): Example(),
    ("GET", "/v1/switches/{switch}/ports/{port:path}"): Example(),
    ("DELETE", "/v1/switches/{switch}/ports/{port:path}"): Example(204, None, {"port": "gi1/0/4"}),
    ("PUT", "/v1/switches/{switch}/ports/{port:path}/nic"): Example(
        200, {"node": "n2", "nic": "eth1"}, {"port": "gi1/0/4"}
    ),
    ("DELETE", "/v1/switches/{switch}/ports/{port:path}/nic"): Example(204, None, {"port": "gi1/0/2"}),
    ("POST", "/v1/switches/{switch}/ports/{port:path}/revert"): Example(202),
    ("POST", "/v1/nodes"): Example(201, {"name": "n9", "obm": {"driver": "fake", "options": {}}}),
    ("GET", "/v1/nodes"): Example(),
    ("GET", "/v1/nodes/{node}"): Example(),
    ("PATCH", "/v1/nodes/{node}"): Example(200, {"description": "new"}),
    ("DELETE", "/v1/nodes/{node}"): Example(204, None, {"node": "bare"}),
    ("PUT", "/v1/nodes/{node}/project"): Example(200, {"project_id": "red"}, {"node": "n2"}),
    ("DELETE", "/v1/nodes/{node}/project"): Example(204, None, {"node": "n3"}),
    ("GET", "/v1/nodes/{node}/metadata"): Example(),
    ("GET", "/v1/nodes/{node}/metadata/{label}"): Example(),
    ("PUT", "/v1/nodes/{node}/metadata/{label}"): Example(200, {"value": 7}),
    ("DELETE", "/v1/nodes/{node}/metadata/{label}"): Example(204),
    ("GET", "/v1/nodes/{node}/power"): Example(),
    ("PUT", "/v1/nodes/{node}/power"): Example(202, {"target": "on"}),
    ("GET", "/v1/nodes/{node}/boot_device"): Example(),
    ("PUT", "/v1/nodes/{node}/boot_device"): Example(202, {"device": "pxe", "persistent": True}),
    ("PUT", "/v1/nodes/{node}/obm"): Example(200, {"enabled": False}),
    ("PUT", "/v1/nodes/{node}/console"): Example(202),
    ("DELETE", "/v1/nodes/{node}/console"): Example(202),
    ("GET", "/v1/nodes/{node}/console"): Example(),
    ("GET", "/v1/nodes/{node}/console/stream"): Example(307),
    ("PUT", "/v1/instances/{instance}/console"): Example(202),
    ("DELETE", "/v1/instances/{instance}/console"): Example(202),
    ("GET", "/v1/instances/{instance}/console"): Example(),
    ("GET", "/v1/instances/{instance}/console/stream"): Example(307),
    ("POST", "/v1/claims"): Example(
        202, {"count": 1, "project_id": "red", "networks": [{"network": "red-net", "nic": "eth0"}]}
    ),
    ("POST", "/v1/nodes/{node}/nics"): Example(201, {"name": "eth9", "mac": "52:54:00:00:00:99"}),
    ("GET", "/v1/nodes/{node}/nics"): Example(),
    ("GET", "/v1/nodes/{node}/nics/{nic}"): Example(),
    ("DELETE", "/v1/nodes/{node}/nics/{nic}"): Example(204, None, {"node": "n2", "nic": "eth1"}),
    ("POST", "/v1/nodes/{node}/nics/{nic}/attachments"): Example(
        202, {"network": "red-idle", "channel": "TAGGED-IDLE", "addresses": ["10.1.0.5"]}
    ),
    ("GET", "/v1/nodes/{node}/nics/{nic}/attachments"): Example(),
    ("DELETE", "/v1/nodes/{node}/nics/{nic}/attachments/{network}"): Example(202),
    ("POST", "/v1/networks"): Example(201, {"name": "new", "project_id": "red"}),
    ("GET", "/v1/networks"): Example(),
    ("GET", "/v1/networks/{network}"): Example(),
    ("PATCH", "/v1/networks/{network}"): Example(200, {"description": "new"}),
    ("DELETE", "/v1/networks/{network}"): Example(204, None, {"network": "red-idle"}),
    ("PUT", "/v1/networks/{network}/access/{project}"): Example(204, None, {"project": "void"}),
    ("DELETE", "/v1/networks/{network}/access/{project}"): Example(
        204, None, {"network": "red-idle", "project": "green"}
    ),
    ("GET", "/v1/networks/{network}/attachments"): Example(),
    ("GET", "/v1/networks/{network}/isolation"): Example(),
    ("POST", "/v1/aggregates"): Example(201, {"name": "new", "metadata": {"availability_zone": "east"}}),
    ("GET", "/v1/aggregates"): Example(),
    ("GET", "/v1/aggregates/{aggregate}"): Example(),
    ("PATCH", "/v1/aggregates/{aggregate}"): Example(200, {"description": "new"}),
    ("DELETE", "/v1/aggregates/{aggregate}"): Example(204),
    ("GET", "/v1/aggregates/{aggregate}/nodes"): Example(),
    ("PUT", "/v1/aggregates/{aggregate}/nodes/{node}"): Example(204),
    ("DELETE", "/v1/aggregates/{aggregate}/nodes/{node}"): Example(204, None, {"node": "n2"}),
    ("GET", "/v1/availability_zones"): Example(),
    ("POST", "/v1/networks/{network}/subnets"): Example(
        201,
        {
            "cidr": "192.0.2.0/24",
            "gateway": "192.0.2.254",
            "pools": [{"start": "192.0.2.10", "end": "192.0.2.20"}],
            "dns_servers": ["198.51.100.53"],
            "dhcp": False,
        },
    ),
    ("GET", "/v1/networks/{network}/subnets"): Example(),
    ("GET", "/v1/subnets/{subnet}"): Example(),
    ("PATCH", "/v1/subnets/{subnet}"): Example(200, {"gateway": "10.1.0.9"}),
    ("DELETE", "/v1/subnets/{subnet}"): Example(204),
    ("GET", "/v1/addresses"): Example(),
    ("GET", "/v1/quotas"): Example(),
    ("GET", "/v1/quotas/defaults"): Example(),
    ("GET", "/v1/quotas/{project}"): Example(),
    ("PUT", "/v1/quotas/{project}"): Example(200, {"instances": 5, "server_groups": 60}),
    ("DELETE", "/v1/quotas/{project}"): Example(204),
    ("POST", "/v1/server_groups"): Example(201, {"name": "new", "policy": "affinity", "project_id": "red"}),
    ("GET", "/v1/server_groups"): Example(),
    ("GET", "/v1/server_groups/{group}"): Example(),
    ("DELETE", "/v1/server_groups/{group}"): Example(204),
    ("POST", "/v1/instances"): Example(
        202,
        {
            "name": "new",
            "project_id": "red",
            "node": "n2",
            "image": "red-image",
            "keypair": "key",
            "metadata": {"role": "web"},
            "user_data": "IyEvYmluL3No",
            "files": [{"path": "/etc/motd", "contents": "aGVsbG8="}],
            "admin_password": "hush",
        },
    ),
    ("GET", "/v1/instances"): Example(),
    ("GET", "/v1/instances/{instance}"): Example(),
    ("GET", "/v1/instances/{instance}/config"): Example(),
    ("PATCH", "/v1/instances/{instance}"): Example(200, {"description": "new", "metadata": {"role": "web"}}),
    ("DELETE", "/v1/instances/{instance}"): Example(202),
    ("PUT", "/v1/instances/{instance}/lock"): Example(202, {"target": True, "reason": "mine"}),
    ("PUT", "/v1/servers/{instance}/states/lock"): Example(202, {"target": True}),
    ("PUT", "/v1/instances/{instance}/power"): Example(202, {"target": "off"}),
    ("PUT", "/v1/instances/{instance}/rebuild"): Example(202, {"boot_device": "pxe", "image": "site-image"}),
    ("GET", "/v1/instances/{instance}/interfaces"): Example(),
    ("POST", "/v1/instances/{instance}/interfaces"): Example(
        202, {"network": "red-idle", "nic": "eth0", "channel": "TAGGED-IDLE", "addresses": ["10.1.0.5"]}
    ),
    ("DELETE", "/v1/instances/{instance}/interfaces/{attachment}"): Example(202),
    ("POST", "/v1/instances/adopt"): Example(201, {"name": "new", "node": "n3"}),
    ("POST", "/v1/instances/{instance}/release"): Example(204),
    ("POST", "/v1/flavors"): Example(201, {"name": "new", "resource_class": "baremetal", "traits": ["GPU"]}),
    ("GET", "/v1/flavors"): Example(),
    ("GET", "/v1/flavors/{flavor}"): Example(),
    ("PATCH", "/v1/flavors/{flavor}"): Example(200, {"description": "new"}),
    ("DELETE", "/v1/flavors/{flavor}"): Example(204),
    ("PUT", "/v1/flavors/{flavor}/access/{project}"): Example(204, None, {"project": "green"}),
    ("DELETE", "/v1/flavors/{flavor}/access/{project}"): Example(204),
    ("POST", "/v1/images"): Example(201, {"name": "new", "project_id": "red", "disk": SOURCE, **KERNEL}),
    ("GET", "/v1/images"): Example(),
    ("GET", "/v1/images/{image}"): Example(),
    ("PATCH", "/v1/images/{image}"): Example(200, {"description": "new"}),
    ("DELETE", "/v1/images/{image}"): Example(204),
    ("POST", "/v1/keypairs"): Example(201, {"name": "new", "public_key": PUBLIC_KEY}),
    ("GET", "/v1/keypairs"): Example(),
    ("GET", "/v1/keypairs/{keypair}"): Example(),
    ("DELETE", "/v1/keypairs/{keypair}"): Example(204),
    ("GET", "/v1/projects"): Example(),
    ("PUT", "/v1/projects/{project}"): Example(201, None, {"project": "new"}),
    ("GET", "/v1/projects/{project}"): Example(),
    ("DELETE", "/v1/projects/{project}"): Example(204, None, {"project": "void"}),
    ("GET", "/v1/projects/{project}/nodes"): Example(),
    ("GET", "/v1/projects/{project}/networks"): Example(),
    ("GET", "/v1/projects/{project}/headnodes"): Example(),
    ("GET", "/v1/headnode_images"): Example(),
    ("POST", "/v1/headnodes"): Example(201, {"name": "new", "image": "base", "project_id": "red"}),
    ("GET", "/v1/headnodes"): Example(),
    ("GET", "/v1/headnodes/{headnode}"): Example(),
    ("DELETE", "/v1/headnodes/{headnode}"): Example(202),
    ("PUT", "/v1/headnodes/{headnode}/power"): Example(202, {"target": "on"}),
    ("POST", "/v1/headnodes/{headnode}/hnics"): Example(201, {"name": "eth9"}),
    ("GET", "/v1/headnodes/{headnode}/hnics"): Example(),
    ("DELETE", "/v1/headnodes/{headnode}/hnics/{hnic}"): Example(204),
    ("PUT", "/v1/headnodes/{headnode}/hnics/{hnic}/network"): Example(200, {"network": "red-idle"}),
    ("DELETE", "/v1/headnodes/{headnode}/hnics/{hnic}/network"): Example(204),
    ("GET", "/v1/users"): Example(),
    ("PUT", "/v1/users/{user}"): Example(201, {"password": "long enough"}, {"user": "new"}),
    ("GET", "/v1/users/{user}"): Example(),
    ("PATCH", "/v1/users/{user}"): Example(200, {"password": "another"}),
    ("DELETE", "/v1/users/{user}"): Example(204, None, {"user": "nobody"}),
    ("PUT", "/v1/users/{user}/projects/{project}"): Example(200, {"role": "reader"}, {"user": "nobody"}),
    ("DELETE", "/v1/users/{user}/projects/{project}"): Example(204),
    ("GET", "/v1/operations"): Example(),
    ("GET", "/v1/operations/{operation}"): Example(),
    ("GET", "/v1/drivers"): Example(),
}

PART = re.compile(r"\{(\w+)(?::path)?\}")


class World(fixtures.Fixture):
    """Projects red, blue, green and void; a rack with four ports; nodes claimed, free and bare; networks of each sort.

    :param database: sqlite, mysql or postgresql
    :param settings: (group, option) to value, besides the usual
    """

    def __init__(self, database: str = "sqlite", settings: Mapping[tuple[str, str], Any] = {}) -> None:
        super().__init__()
        self._database = database
        self._settings = settings

    def _setUp(self) -> None:
        settings = {("auth", "proof_ttl"): 3600.0, **HEADNODES, **self._settings}
        self.service = self.useFixture(service.Embedded(settings, database=self._database, conductor=False))
        self.admin = self.service.admin
        self.service.conductor.start()
        try:
            self._fill()
        finally:
            self.service.conductor.stop()
        self._open_console()
        self.before = self.dump()
        self._watch: sqlite3.Connection | None = None
        if self._database == "sqlite":
            # Changes for each commit by another connection: https://www.sqlite.org/pragma.html#pragma_data_version
            self._watch = sqlite3.connect(self.service.database.engine.url.database or "")
            self.addCleanup(self._watch.close)
        self._seen = self._version()

    def _fill(self) -> None:
        admin = self.admin
        self.projects = {name: admin.add_project(name) for name in ("red", "blue", "green")}
        self.projects["void"] = admin.call("PUT", "projects/void").json["uuid"]
        admin.put("users/nobody", {"password": service.PASSWORD}, status=201)
        admin.add_switch("rack1", [f"gi1/0/{number}" for number in range(1, 5)], password="hush")
        admin.add_switch("spare")
        admin.add_node("n1", "rack1", "gi1/0/1", obm={"driver": "fake", "options": {"password": "hush"}})
        admin.add_node("n2", "rack1", "gi1/0/2")
        admin.post("nodes/n2/nics", {"name": "eth1", "mac": "52:54:00:00:00:02"})
        admin.add_node("b1", "rack1", "gi1/0/3")
        for name in ("n3", "bare"):
            admin.post("nodes", {"name": name})
        for name in ("shelf", "rack"):
            admin.put(f"nodes/n1/metadata/{name}", {"value": f"red's {name}"}, status=201)
        self.red = admin.as_user("red-member")
        self.blue = admin.as_user("blue-member")
        for name in ("n1", "n3"):
            self.red.put(f"nodes/{name}/project", {})
        self.blue.put("nodes/b1/project", {})
        self.networks = {name: self.red.post("networks", {"name": name}) for name in ("red-net", "red-idle")}
        self.networks["blue-net"] = self.blue.post("networks", {"name": "blue-net"})
        admin.post("networks", {"name": "site", "project_id": None, "public": True})
        self.red.put("networks/red-idle/access/green", status=204)
        for network, cidr in (("red-net", "10.0.0.0/16"), ("red-net", "2001:db8::/64"), ("red-idle", "10.1.0.0/24")):
            subnet = self.red.post(f"networks/{network}/subnets", {"cidr": cidr})["uuid"]
        self.operation = self.red.attach("n1", "red-net")["uuid"]
        self.blue.attach("b1", "blue-net")
        admin.post("instances/adopt", {"name": "i1", "node": "n1"})
        admin.post("flavors", {"name": "metal", "resource_class": "baremetal", "public": False})
        admin.put("flavors/metal/access/red", status=204)
        self._give_keys()
        for caller, name in ((self.red, "red-image"), (self.blue, "blue-image")):
            caller.post("images", {"name": name, **KERNEL})
        admin.post("images", {"name": "site-image", "public": True, **KERNEL})
        for caller, name, network in ((self.red, "head", "red-net"), (self.blue, "blue-head", "blue-net")):
            caller.post("headnodes", {"name": name, "image": "base"})
            caller.post(f"headnodes/{name}/hnics", {"name": "eth0"})
            caller.put(f"headnodes/{name}/hnics/eth0/network", {"network": network})
        admin.post("aggregates", {"name": "east", "metadata": {"availability_zone": "east", "power": "a"}})
        admin.put("aggregates/east/nodes/n2", status=204)
        admin.put("quotas/red", {"server_groups": 50})
        for caller, name in ((self.red, "spread"), (self.blue, "blue-group")):
            caller.post("server_groups", {"name": name, "policy": "anti-affinity"})
        attachment = admin.get("instances/i1/interfaces")["interfaces"][0]["uuid"]
        self.words = {
            "ATTACHMENT": attachment,
            "OPERATION": self.operation,
            "SUBNET": subnet,
            "TAGGED-IDLE": self.networks["red-idle"]["channels"][1],
        }

    def _give_keys(self) -> None:
        """A keypair `key` for each who asks for one, and one of blue's; a reader's is of better days."""
        reader = self.admin.as_user("red-reader")
        self.admin.put("users/red-reader/projects/red", {"role": "member"})
        for caller in (self.admin, self.red, reader):
            caller.post("keypairs", {"name": "key"})
        self.blue.post("keypairs", {"name": "blue-key"})
        self.admin.put("users/red-reader/projects/red", {"role": "reader"})

    def _open_console(self) -> None:
        """As a conductor would leave it that still had it open."""
        with self.service.database.writer() as session:
            node = session.query(models.Node).filter_by(name="n1").one()
            console = models.Console(
                node_id=node.id,
                status="active",
                status_at=models.now(),
                token_key="k" * 64,
                conductor="elsewhere",
                url="http://127.0.0.1:9",
                seen_at=models.now(),
                written=12,
            )
            session.add(console)
            session.flush()
            session.add(models.ConsolePiece(console_id=console.id, upto=12, data=b"red's login:"))

    def path(self, route: Route, parts: Mapping[str, str] = {}, *, raw: Mapping[str, str] = {}) -> str:
        """The path of a route's example.

        :param parts: those that are to differ
        :param raw: the same, percent-encoded already
        """
        values = {**PARTS, **EXAMPLES[route.method, route.path].parts, **parts}

        def part(found: re.Match[str]) -> str:
            name = found[1]
            return raw[name] if name in raw else quote(self.words.get(values[name], values[name]), safe="")

        return PART.sub(part, route.path)

    def body(self, route: Route) -> Any:
        """The body of a route's example, ready to be changed."""
        return self._filled(EXAMPLES[route.method, route.path].body)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return self.words.get(value, value) if isinstance(value, str) else value

    def send(self, caller: service.Api, route: Route, **changed: Any) -> service.Answer:
        """Send a route's example; see :meth:`path` for what may differ."""
        answer: service.Answer = caller.call(route.method, self.path(route, **changed), self.body(route))
        return answer

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table."""
        with self.service.database.engine.connect() as connection:
            return {
                table.name: [dict(row) for row in connection.execute(table.select().order_by(table.c.id)).mappings()]
                for table in models.Base.metadata.sorted_tables
            }

    def changed(self) -> bool:
        """Whether the tables are not as they were at first."""
        if self._watch is not None and self._version() == self._seen:
            return False
        return self.dump() != self.before

    def restore(self) -> None:
        """Make the tables as they were at first."""
        with self.service.database.engine.begin() as connection:
            connection.execute(models.Operation.__table__.update().values(parent_id=None))
            for table in reversed(models.Base.metadata.sorted_tables):
                connection.execute(table.delete())
            for table in models.Base.metadata.sorted_tables:
                if self.before[table.name]:
                    connection.execute(table.insert(), self.before[table.name])
        self._seen = self._version()

    def _version(self) -> int:
        return int(self._watch.execute("PRAGMA data_version").fetchone()[0]) if self._watch is not None else 0


class WorldTestCase(testtools.TestCase):
    """Tests of one class share a world; each finds it as it was at first."""

    database = "sqlite"
    settings: Mapping[tuple[str, str], Any] = {}
    world: World

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if dict(service.databases())[cls.database] is None:
            raise unittest.SkipTest(f"{cls.database} is not there")
        cls.world = World(cls.database, cls.settings)
        cls.world.setUp()
        cls.addClassCleanup(cls.world.cleanUp)

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.world.restore)

    def assert_error(self, answer: service.Answer, *statuses: int) -> None:
        """It is an error in the documented format, and one of these.

        https://specs.openstack.org/openstack/api-sig/guidelines/errors.html
        """
        headers = {name.lower(): value for name, value in answer.headers.items()}
        self.assertEqual("application/json", headers["content-type"])
        self.assertEqual({"errors"}, set(answer.json))
        (error,) = answer.json["errors"]
        self.assertEqual({"status", "code", "title", "detail", "request_id"}, set(error))
        self.assertEqual(answer.status, error["status"])
        self.assertEqual(headers["x-openstack-request-id"], error["request_id"])
        self.assertRegex(error["code"], r"^[a-z_]+(\.[a-z_]+)?$")
        self.assertLessEqual(len(error["detail"]), 2000)
        for word in ("Traceback", 'File "', "sqlalchemy", "SELECT ", "INSERT ", "UPDATE ", "psycopg", "pymysql"):
            self.assertNotIn(word, error["detail"])
        if statuses:
            self.assertIn(answer.status, statuses, answer.text[:500])
