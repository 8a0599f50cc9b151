# SPDX-License-Identifier: Apache-2.0
"""Callers of HIL's API who are of several projects, and arguments that HIL's clients never send."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from tests.functional.test_hil_v0 import PASSWORD, SCHEMA, HilCase


def network(project: str, access: str | None = None, net_id: str = "") -> dict[str, Any]:
    return {"owner": project, "access": project if access is None else access, "net_id": net_id}


class TestSeveralProjects(HilCase):
    """Carol is of both projects, red and green."""

    def setUp(self) -> None:
        super().setUp()
        self.world()

    def _uuids(self, name: str) -> list[str]:
        return [one["uuid"] for one in self.service.admin.get(f"networks?name={name}")["networks"]]

    def test_name_that_several_have(self) -> None:
        """Nothing is done to one of them that was meant for the other."""
        self.ok("alice", "PUT", "/network/net", network("red"))
        self.ok("bob", "PUT", "/network/net", network("green"))
        self.ok("admin", "PUT", "/network/net", network("admin", "", "200"))
        self.ok("admin", "PUT", "/project/blue")
        for method, path in (
            ("GET", "/network/net"),
            ("GET", "/network/net/attachments"),
            ("PUT", "/network/net/access/blue"),
            ("DELETE", "/network/net/access/red"),
            ("DELETE", "/network/net"),
        ):
            self.no("BlockedError", "carol", method, path)
        self.assertEqual(3, len(self._uuids("net")))
        self.ok("bob", "DELETE", "/network/net")
        self.ok("carol", "DELETE", "/network/net")  # now only red's can be meant
        self.assertEqual("admin", self.ok("carol", "GET", "/network/net")["owner"])

    def test_administrator_of_one(self) -> None:
        """An administrator's role in one project does not make another project's network that project's."""
        self.service.admin.put("users/carol/projects/red", {"role": "admin"})
        self.ok("alice", "PUT", "/network/net", network("red"))
        self.ok("bob", "PUT", "/network/net", network("green"))
        self.no("BlockedError", "carol", "DELETE", "/network/net")
        for uuid in self._uuids("net"):
            self.ok("carol", "DELETE", f"/network/{uuid}")

    def test_what_all_of_them_see(self) -> None:
        """The owner's view, where one of them is the owner; else what each of them sees."""
        self.ok("bob", "PUT", "/network/net", network("green"))
        self.ok("bob", "PUT", "/network/net/access/red")
        self.ok("admin", "PUT", "/network/all", network("admin", "", "200"))
        for project, node in (("red", "n1"), ("green", "n2")):
            self.ok("carol", "POST", f"/project/{project}/connect_node", {"node": node})
            for name, channel in (("net", "vlan/native"), ("all", "vlan/200")):
                wanted = {"network": name, "channel": channel}
                self.done("carol", self.ok("carol", "POST", f"/node/{node}/nic/eth0/connect_network", wanted, 202))
        shown = self.ok("carol", "GET", "/network/net")
        self.assertEqual(("green", ["green", "red"]), (shown["owner"], shown["access"]))
        for name in ("net", "all"):
            both = {"n1": ["eth0"], "n2": ["eth0"]}
            self.assertEqual(both, self.ok("carol", "GET", f"/network/{name}")["connected-nodes"])
        self.assertEqual({"n1": ["eth0"]}, self.ok("alice", "GET", "/network/all")["connected-nodes"])


class TestArguments(HilCase):
    """What HIL's clients never send."""

    def test_arguments_of_drivers(self) -> None:
        """They may be called as anything."""
        for name in ("caller", "call", "given", "self", ""):
            wanted = {"type": f"{SCHEMA}/switches/mock", "hostname": "sw", name: "x"}
            self.no("BadArgumentError", "admin", "PUT", "/switch/sw", wanted)

    def test_empty_channel(self) -> None:
        """It is the default one: HIL's command line sends it where none was given."""
        self.world()
        self.ok("alice", "PUT", "/network/net", network("red"))
        self.ok("alice", "POST", "/project/red/connect_node", {"node": "n1"})
        wanted = {"network": "net", "channel": ""}
        begun = self.ok("alice", "POST", "/node/n1/nic/eth0/connect_network", wanted, 202)
        self.assertEqual("vlan/native", self.done("alice", begun)["channel"])

    def test_administrator_without_their_project(self) -> None:
        """A user who cannot be made an administrator is not made at all."""
        self.ok("admin", "PUT", "/project/ops")
        self.ok("admin", "PUT", "/auth/basic/user/dave", {"password": PASSWORD})
        self.service.admin.put("users/dave/projects/ops", {"role": "admin"})
        self.ok("dave", "DELETE", "/auth/basic/user/admin")
        self.ok("dave", "DELETE", "/project/admin")
        self.no("NotFoundError", "dave", "PUT", "/auth/basic/user/eve", {"password": PASSWORD, "is_admin": True})
        self.assertEqual(["dave"], sorted(self.ok("dave", "GET", "/auth/basic/users")))


class TestAdministrators(HilCase):
    """Who is one becomes so, or ceases to be, all at once: what fails midway leaves nothing behind."""

    @contextlib.contextmanager
    def broken(self, what: str) -> Iterator[None]:
        """The database does not write roles."""
        with self.service.database.engine.begin() as connection:
            begin = f"CREATE TRIGGER broken BEFORE {what} ON role_assignments"
            connection.execute(sa.text(f"{begin} BEGIN SELECT RAISE(ABORT, 'broken'); END"))
        yield
        with self.service.database.engine.begin() as connection:
            connection.execute(sa.text("DROP TRIGGER broken"))

    def roles(self) -> dict[str, str]:
        return {item["name"]: item["role"] for item in self.service.admin.get("users/eve")["projects"]}

    def test_new_one(self) -> None:
        wanted = {"password": PASSWORD, "is_admin": True}
        with self.broken("INSERT"):
            self.assertLessEqual(500, self.send("admin", "PUT", "/auth/basic/user/eve", wanted).status)
            self.assertEqual(["admin"], sorted(self.ok("admin", "GET", "/auth/basic/users")))
        self.ok("admin", "PUT", "/auth/basic/user/eve", wanted)
        self.assertEqual({"admin": "admin"}, self.roles())

    def test_no_more(self) -> None:
        self.ok("admin", "PUT", "/auth/basic/user/eve", {"password": PASSWORD, "is_admin": True})
        self.ok("admin", "PUT", "/project/ops")
        self.service.admin.put("users/eve/projects/ops", {"role": "admin"})
        both = {"admin": "admin", "ops": "admin"}
        for what in ("UPDATE", "DELETE"):
            with self.broken(what):
                self.assertLessEqual(
                    500, self.send("admin", "PATCH", "/auth/basic/user/eve", {"is_admin": False}).status
                )
                self.assertEqual(both, self.roles(), what)
        self.ok("admin", "PATCH", "/auth/basic/user/eve", {"is_admin": False})
        self.ok("admin", "PATCH", "/auth/basic/user/eve", {"is_admin": False})
        self.assertEqual({"ops": "member"}, self.roles())
        self.no("AuthorizationError", "eve", "GET", "/projects")
