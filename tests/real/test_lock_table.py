# SPDX-License-Identifier: Apache-2.0
"""The lock: who may do what to an instance, and to everything beneath it, in each state of its lock."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import fixtures
import sqlalchemy as sa
import testtools
import webtest
from oslo_config import cfg

from mogan_hil.api import process
from mogan_hil.api.app import make_app
from mogan_hil.api.expose import Route
from mogan_hil.db import models
from tests import keystone, service
from tests.functional import base

#: What each caller comes to, for each state of the lock. `change` is every changing route of an instance and of all
#: that is beneath it, `label` those of them that are an administrator's, and `admin` those that others are refused
#: before anything is looked for. A number is what is answered; 409 says that it is locked, or that it is being deleted.
#: A word is the lock that is there after the answer 202; `ok` is whatever the route answers without a lock.
TABLE = """
state     action  creator  colleague  manager  reader  admin  admin-elsewhere  system-admin  system-reader  stranger
unlocked  change  ok       ok         ok       403     ok     ok               ok            403            404
unlocked  label   403      403        403      403     ok     ok               ok            403            404
unlocked  admin   403      403        403      403     ok     ok               ok            403            403
unlocked  lock    owner    owner      owner    403     admin  admin            admin         403            404
unlocked  unlock  none     none       none     403     none   none             none          403            404
owner     change  409      409        409      403     ok     ok               ok            403            404
owner     label   403      403        403      403     ok     ok               ok            403            404
owner     admin   403      403        403      403     ok     ok               ok            403            403
owner     lock    owner    owner      owner    403     both   both             both          403            404
owner     unlock  none     none       none     403     none   none             none          403            404
admin     change  409      409        409      403     ok     ok               ok            403            404
admin     label   403      403        403      403     ok     ok               ok            403            404
admin     admin   403      403        403      403     ok     ok               ok            403            403
admin     lock    admin    admin      admin    403     admin  admin            admin         403            404
admin     unlock  403      403        403      403     none   none             none          403            404
both      change  409      409        409      403     ok     ok               ok            403            404
both      label   403      403        403      403     ok     ok               ok            403            404
both      admin   403      403        403      403     ok     ok               ok            403            403
both      lock    both     both       both     403     both   both             both          403            404
both      unlock  403      403        403      403     owner  owner            owner         403            404
deleting  lock    409      409        409      403     409    409              409           403            404
deleting  unlock  409      409        409      403     409    409              409           403            404
"""

#: A node is not released from under an instance, locked or not.
OTHERWISE = {("DELETE", "/v1/nodes/{node}/project"): 409}
LABELS = {("PUT", "/v1/nodes/{node}/metadata/{label}"), ("DELETE", "/v1/nodes/{node}/metadata/{label}")}
ADMINS = {
    ("PATCH", "/v1/nodes/{node}"),
    ("POST", "/v1/nodes/{node}/nics"),
    ("DELETE", "/v1/nodes/{node}/nics/{nic}"),
    ("PUT", "/v1/switches/{switch}/ports/{port:path}/nic"),
    ("POST", "/v1/switches/{switch}/ports/{port:path}/revert"),
    ("POST", "/v1/instances/{instance}/release"),
}
#: The instance is gone then, and its lock with it.
GONE = {("POST", "/v1/instances/{instance}/release")}
CHANGES = [route for route in base.ROUTES.values() if route.method != "GET" and route.exempt is None]

NO_LOCKS: list[Any] = [
    None,
    [],
    {},
    "true",
    {"target": None},
    {"target": "yes"},
    {"target": 1},
    {"lock": True},
    {"target": True, "locked_by": "admin"},
    {"target": True, "reason": 5},
    {"target": True, "reason": "x" * 256},
    b"{",
]


def table() -> dict[tuple[str, str], dict[str, str]]:
    """Caller to expectation, for each state and action."""
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    return {(row[0], row[1]): dict(zip(head[2:], row[2:], strict=True)) for row in rows}


def _action(route: Route) -> str:
    key = (route.method, route.path)
    return "label" if key in LABELS else "admin" if key in ADMINS else "change"


def _body(world: base.World, route: Route) -> Any:
    """The body of a route's example, of something beneath the instance."""
    body = world.body(route)
    return {**body, "node": "n1"} if route.path.endswith("/ports/{port:path}/nic") else body


def _add_nic(world: base.World) -> None:
    """A second NIC of the instance's node, that is not cabled."""
    world.admin.post("nodes/n1/nics", {"name": "eth1", "mac": "52:54:00:00:00:11"})


class Locks:
    """The table, whoever says who is who.

    :cvar world: instance `i1` on node `n1`, and a conductor that does nothing
    :cvar callers: those of the table's that there are
    """

    world: ClassVar[base.World]
    callers: ClassVar[Mapping[str, service.Api]]

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self._afresh, self.world.before)

    def _afresh(self, before: Any) -> None:
        self.world.before = before
        self.world.restore()

    def _reach(self, state: str) -> None:
        """Bring the instance into a state, through HTTP, and have the world come back to it."""
        if state in ("owner", "both"):
            self.callers["creator"].put("instances/i1/lock", {"target": True, "reason": "mine"}, 202)
        if state in ("admin", "both"):
            self.callers["admin"].put("instances/i1/lock", {"target": True, "reason": "audit"}, 202)
        if state == "deleting":
            self.callers["creator"].delete("instances/i1", 202)
        self.world.before = self.world.dump()

    def _lock(self) -> str:
        rows = models.Instance
        with self.world.service.database.engine.connect() as connection:
            found = connection.execute(sa.select(rows.owner_lock, rows.admin_lock)).one_or_none()
        if found is None:
            return "gone"
        owner, admin = found
        if owner and admin:
            return "both"
        return "owner" if owner else "admin" if admin else "none"

    def _wrong(self, state: str, action: str, caller: str, route: Route, expected: str) -> list[str]:
        """What one request of the table did otherwise than it should."""
        api = self.callers[caller]
        body = {"target": action == "lock"} if action in ("lock", "unlock") else _body(self.world, route)
        answer = api.call(route.method, self.world.path(route, {"node": "n1"}), body)
        changed = self.world.changed()
        lock = self._lock()
        if changed:
            self.world.restore()
        code = answer.json["errors"][0]["code"] if answer.status >= 400 else ""
        if expected == "ok":
            usual = OTHERWISE.get((route.method, route.path), base.EXAMPLES[route.method, route.path].status)
            left = "gone" if (route.method, route.path) in GONE else state.replace("unlocked", "none")
            right = answer.status == usual and code != "instance.locked" and lock == left
        elif expected.isdecimal():
            refused = "instance.state" if state == "deleting" else "instance.locked"
            right = answer.status == int(expected) and not changed and (expected != "409" or code == refused)
        else:
            right = answer.status == 202 and lock == expected
        return [] if right else [f"{caller} {route.method} {route.path} ({action}): {answer.status} {code}, {lock}"]

    def _check(self, state: str) -> None:
        self._reach(state)
        wrong: list[str] = []
        lock = base.ROUTES["PUT", "/v1/instances/{instance}/lock"]
        for (row, action), expected in table().items():
            if row != state:
                continue
            routes = [lock]
            if action in ("change", "label", "admin"):
                routes = [one for one in CHANGES if _action(one) == action]
            for route in routes:
                for caller in self.callers:
                    wrong += self._wrong(state, action, caller, route, expected[caller])
        self.assertEqual([], wrong)

    def test_unlocked(self) -> None:
        self._check("unlocked")

    def test_locked_by_owner(self) -> None:
        self._check("owner")

    def test_locked_by_admin(self) -> None:
        self._check("admin")

    def test_locked_by_both(self) -> None:
        self._check("both")
        admin, creator = self.callers["admin"], self.callers["creator"]
        left = admin.put("instances/i1/lock", {"target": False}, 202)
        self.assertEqual(("owner", "mine"), (left["locked_by"], left["lock_reason"]))
        self.assertEqual(409, creator.call("DELETE", "instances/i1").status)
        self.assertEqual(False, creator.put("instances/i1/lock", {"target": False}, 202)["locked"])
        creator.delete("instances/i1", 202)

    def test_deleting(self) -> None:
        self._check("deleting")

    def test_order_of_checks(self) -> None:
        self.callers["admin"].put("instances/i1/lock", {"target": True}, 202)
        nobody = self.nobody()
        for body in NO_LOCKS:
            self.assertEqual(401, nobody.call("PUT", "instances/i1/lock", body).status, body)
            for caller, api in self.callers.items():
                for instance in ("i1", "missing"):
                    answer = api.call("PUT", f"instances/{instance}/lock", body)
                    self.assertEqual(400, answer.status, (caller, body, answer.text))
        for caller, api in self.callers.items():
            for target in (True, False):
                self.assertEqual(404, api.call("PUT", "instances/missing/lock", {"target": target}).status, caller)
            for route in CHANGES:
                if "{instance}" in route.path:
                    path = self.world.path(route, {"instance": "missing"})
                    status = api.call(route.method, path, self.world.body(route)).status
                    self.assertIn(status, (404, 403) if _action(route) == "admin" else (404,), (caller, path))
        for route in CHANGES:
            answer = nobody.call(route.method, self.world.path(route, {"node": "n1"}), self.world.body(route))
            self.assertEqual(401, answer.status)

    def nobody(self) -> service.Api:
        """The API, called without saying by whom."""
        return keystone.TokenApi(self.world.service._send, None)


class LocalWorld(base.World):
    """Red has an administrator and another member as well."""

    def _fill(self) -> None:
        super()._fill()
        _add_nic(self)
        for name, role in (("red-colleague", "member"), ("red-admin", "admin")):
            self.admin.put(f"users/{name}", {"password": service.PASSWORD}, status=201)
            self.admin.put(f"users/{name}/projects/red", {"role": role})
        creator = self.admin.get("users/red-member")["uuid"]
        with self.service.database.engine.begin() as connection:
            connection.execute(sa.update(models.Instance).values(user_id=creator))


class TestLocal(Locks, testtools.TestCase):
    """Auth `local`, which has neither managers nor tokens for the system."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = LocalWorld()
        cls.world.setUp()
        cls.addClassCleanup(cls.world.cleanUp)
        admin = cls.world.admin
        cls.callers = {
            "creator": cls.world.red,
            "colleague": admin.as_user("red-colleague"),
            "reader": admin.as_user("red-reader"),
            "admin": admin.as_user("red-admin"),
            "admin-elsewhere": admin,
            "stranger": cls.world.blue,
        }


class KeystoneWorld(base.World):
    """Red and blue are Keystone's, which also says who calls as soon as the world is there."""

    def __init__(self, directory: keystone.Directory) -> None:
        super().__init__()
        self._directory = directory

    def _fill(self) -> None:
        with self.service.database.writer() as session:
            session.add_all(models.Project(uuid=self._directory.projects[name], name=name) for name in ("red", "blue"))
        super()._fill()
        _add_nic(self)
        served = self.service
        with served.database.engine.begin() as connection:
            connection.execute(sa.update(models.Instance).values(user_id=self._directory.users["red-member"]))
        file = self._directory.config(Path(self.useFixture(fixtures.TempDir()).path) / "keystone.conf")
        conf = process.configure(cfg.ConfigOpts(), [], [str(file)])
        conf.set_override("connection", served.conf.database.connection, group="database")
        conf.set_override("state_path", served.conf.state_path)
        asked = process.services(conf, served.database, served.drivers, served.conductor)
        served.app = webtest.TestApp(make_app(asked), extra_environ={"REMOTE_ADDR": "127.0.0.1"})


class TestKeystone(Locks, testtools.TestCase):
    """Auth `keystone`, with tokens of a real one."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        directory = keystone.Directory()
        directory.setUp()
        cls.addClassCleanup(directory.cleanUp)
        cls.world = KeystoneWorld(directory)
        cls.world.setUp()
        cls.addClassCleanup(cls.world.cleanUp)
        users = {
            "creator": "red-member",
            "colleague": "red-colleague",
            "manager": "red-manager",
            "reader": "red-reader",
            "admin": "red-admin",
            "admin-elsewhere": "blue-admin",
            "system-admin": "system-admin",
            "system-reader": "system-reader",
            "stranger": "blue-member",
        }
        cls.callers = {
            name: keystone.TokenApi(cls.world.service._send, directory.token(user)) for name, user in users.items()
        }
