# SPDX-License-Identifier: Apache-2.0
"""Auth local: names and passwords, what is remembered of them, roles and projects."""

from __future__ import annotations

import base64
import time
from unittest import mock
from urllib.parse import quote

import testtools
import webtest
from oslo_db import exception as db_exception

from mogan_hil.api.middleware import auth_local
from mogan_hil.common import passwords
from mogan_hil.objects.user import User
from tests import service
from tests.functional.racks import OnProcesses, fresh


def _basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


class LocalTestCase(testtools.TestCase):
    """A service without a conductor."""

    SETTINGS = {("auth", "proof_ttl"): 3600.0}

    def setUp(self) -> None:
        super().setUp()
        self.service = self.useFixture(service.Embedded(self.SETTINGS, conductor=False))
        self.admin = self.service.admin

    def as_user(self, name: str, password: str, path: str = "/v1/nodes") -> service.Answer:
        """GET with this name and password."""
        return self.service._send("GET", path, None, _basic(name, password))


class TestStrangers(LocalTestCase):
    """A user who is not there and a password that is wrong."""

    SETTINGS = {("auth", "hash_cost"): 10}

    def _time(self, name: str, number: int) -> float:
        """Seconds of this thread on a processor: what else there is to do makes none of them."""
        began = time.thread_time()
        self.as_user(name, f"wrong{number}")
        return time.thread_time() - began

    def test_take_the_same_time(self) -> None:
        """Without a hash it takes a tenth."""
        self.as_user("admin", "wrong")
        times = [(self._time("admin", number), self._time("nobody", number)) for number in range(7)]
        known, unknown = (min(took) for took in zip(*times, strict=True))
        self.assertLess(max(known, unknown) / min(known, unknown), 3, (known, unknown))

    def test_take_the_same_time_after_a_change_of_the_cost(self) -> None:
        """Whether a hash is from before it or from after it."""
        self._rehash("cheap", 7)
        self._rehash("dear", 12)
        names = ("admin", "cheap", "dear", "nobody")
        times = [tuple(self._time(name, number) for name in names) for number in range(5)]
        took = [min(each) for each in zip(*times, strict=True)]
        self.assertLess(max(took) / min(took), 3, dict(zip(names, took, strict=True)))

    def test_a_hash_of_another_cost_is_renewed(self) -> None:
        for cost in (7, 12):
            self._rehash(f"user{cost}", cost)
            self.assertEqual(403, self.as_user(f"user{cost}", service.PASSWORD).status)  # it has no role
            with self.service.database.reader() as session:
                known = User.get(session, f"user{cost}").password_hash
            self.assertEqual("$2b$10$", known[:7])
            with self.service.statements() as found:
                self.as_user(f"user{cost}", service.PASSWORD)
            self.assertEqual(1, len(found), found)

    def test_a_hash_that_cannot_be_renewed(self) -> None:
        self._rehash("user", 7)
        with mock.patch.object(User, "renew", autospec=True, side_effect=db_exception.DBError):
            self.assertEqual(403, self.as_user("user", service.PASSWORD).status)

    def _rehash(self, name: str, cost: int) -> None:
        """Make a user whose password was hashed with another cost."""
        with self.service.database.writer() as session:
            User.create(session, name=name, password_hash=passwords.hashed(service.PASSWORD, cost))

    def test_look_alike(self) -> None:
        known, unknown = self.as_user("admin", "wrong"), self.as_user("nobody", "wrong")
        self.assertEqual((401, 401), (known.status, unknown.status))
        for answer in (known, unknown):
            del answer.json["errors"][0]["request_id"]
        texts = [answer.text.replace(answer.json["errors"][0]["request_id"], "") for answer in (known, unknown)]
        self.assertEqual(texts[0], texts[1])
        names = [{name for name in answer.headers} for answer in (known, unknown)]
        self.assertEqual(names[0], names[1])


class TestProofs(LocalTestCase):
    """What was proven is remembered."""

    def _hashes(self, *names: str) -> int:
        with mock.patch.object(auth_local.passwords, "matches", wraps=auth_local.passwords.matches) as matches:
            for name in names:
                self.as_user(name, service.PASSWORD)
            return matches.call_count

    def test_a_password_is_hashed_once(self) -> None:
        self.admin.add_project("red")
        self.assertEqual(1, self._hashes("red-member", "red-member", "red-member"))
        self.assertEqual(0, self._hashes("red-member"))

    def test_a_wrong_password_is_never_remembered(self) -> None:
        self.assertEqual(2, self._hashes("nobody", "nobody"))

    def test_a_known_user_takes_one_statement(self) -> None:
        self.as_user("admin", service.PASSWORD)
        with self.service.statements() as found:
            self.assertEqual(200, self.as_user("admin", service.PASSWORD, "/v1/drivers").status)
        self.assertEqual(1, len(found), found)

    def test_changes_count_at_once(self) -> None:
        self.admin.add_project("red", "member")
        self.assertEqual(200, self.as_user("red-member", service.PASSWORD).status)
        self.admin.patch("users/red-member", {"password": "another"})
        self.assertEqual(401, self.as_user("red-member", service.PASSWORD).status)
        self.assertEqual(200, self.as_user("red-member", "another").status)
        self.admin.delete("users/red-member/projects/red")
        self.assertEqual(403, self.as_user("red-member", "another").status)
        self.admin.put("users/red-member/projects/red", {"role": "reader"})
        self.assertEqual(200, self.as_user("red-member", "another").status)
        self.admin.delete("users/red-member")
        self.assertEqual(401, self.as_user("red-member", "another").status)

    def test_a_project_that_is_deleted_is_gone_at_once(self) -> None:
        self.admin.add_project("red", "member")
        self.assertEqual(200, self.as_user("red-member", service.PASSWORD).status)
        self.admin.delete("projects/red")
        self.assertEqual(403, self.as_user("red-member", service.PASSWORD).status)

    def test_what_is_remembered_is_bounded(self) -> None:
        with mock.patch.object(auth_local, "MAX_PROOFS", 2):
            self.admin.add_project("red", "member", "reader")
            self._hashes("red-member", "red-reader", "admin")
            self.assertEqual(1, self._hashes("red-member"))
            self.assertEqual(0, self._hashes("admin"))


class TestExpiry(LocalTestCase):
    """Nothing is remembered for longer than is said."""

    SETTINGS = {("auth", "proof_ttl"): 0.0}

    def test_a_proof_ends(self) -> None:
        with mock.patch.object(auth_local.passwords, "matches", wraps=auth_local.passwords.matches) as matches:
            self.assertEqual([200, 200], [self.as_user("admin", service.PASSWORD).status for _ in range(2)])
            self.assertEqual(2, matches.call_count)


class TestOtherProcesses(OnProcesses):
    """A process that knew a password, and was told nothing, does not take it any more."""

    shape = {"apis": 2, "conductors": 0, "settings": {("auth", "proof_ttl"): 3600.0}}

    def status(self, user: str, path: str = "nodes") -> int:
        """What the process that is told nothing answers."""
        return int(self.api(1, user).call("GET", path).status)

    def known(self) -> tuple[str, str]:
        """A project, and a user who is its administrator and whom both processes know."""
        project = fresh("red")
        self.api(0).add_project(project, "admin")
        user = f"{project}-admin"
        self.assertEqual([200, 200], [self.status(user), self.api(0, user).call("GET", "users").status])
        return project, user

    def test_a_password_is_changed(self) -> None:
        _, user = self.known()
        self.api(0).patch(f"users/{user}", {"password": "another"})
        self.assertEqual(401, self.status(user))
        self.api(0).patch(f"users/{user}", {"password": service.PASSWORD})
        self.assertEqual(200, self.status(user))

    def test_a_user_is_deleted(self) -> None:
        _, user = self.known()
        self.api(0).delete(f"users/{user}")
        self.assertEqual(401, self.status(user))
        self.api(0).put(f"users/{user}", {"password": "another"}, 201)
        self.assertEqual(401, self.status(user))

    def test_a_role_is_lost(self) -> None:
        project, user = self.known()
        self.api(0).put(f"users/{user}/projects/{project}", {"role": "member"})
        self.assertEqual([403, 200], [self.status(user, "users"), self.status(user)])
        self.api(0).delete(f"users/{user}/projects/{project}")
        self.assertEqual(403, self.status(user))
        self.api(0).put(f"users/{user}/projects/{project}", {"role": "reader"})
        self.assertEqual(200, self.status(user))

    def test_a_project_is_deleted(self) -> None:
        project, user = self.known()
        self.api(0).delete(f"projects/{project}")
        self.assertEqual(403, self.status(user))


class TestPasswords(LocalTestCase):
    """What may be one."""

    def test_every_kind(self) -> None:
        for number, password in enumerate(("x", "x" * 72, "a:b:c", "\u00e4\u20ac\U0001f511", " ", "'; --", "\u202e")):
            self.admin.put(f"users/u{number}", {"password": password}, 201)
            self.admin.put(f"users/u{number}/projects/admin", {"role": "reader"})
            self.assertEqual(200, self.as_user(f"u{number}", password).status, password)
            self.assertEqual(401, self.as_user(f"u{number}", password + "x").status, password)
            self.assertEqual(401, self.as_user(f"u{number}", password[:-1]).status, password)

    def test_what_bcrypt_would_cut_is_refused(self) -> None:
        for password in ("x" * 73, "\u00e4" * 37, ""):
            self.admin.put("users/u", {"password": password}, 400)

    def test_names_differ_by_case(self) -> None:
        self.admin.put("users/Admin", {"password": "other"}, 201)
        self.assertEqual(401, self.as_user("Admin", service.PASSWORD).status)
        self.assertEqual(200, self.as_user("admin", service.PASSWORD).status)


class TestNames(testtools.TestCase):
    """A name is the whole of it, on each database."""

    def _test(self, database: str) -> None:
        if dict(service.databases())[database] is None:
            self.skipTest(f"{database} is not there")
        fixture = self.useFixture(service.Embedded(database=database, conductor=False))
        for name, status in (("admin", 200), ("admin ", 401), (" admin", 401), ("Admin", 401), ("admin\t", 401)):
            answer = fixture._send("GET", "/v1/users", None, _basic(name, service.PASSWORD))
            self.assertEqual(status, answer.status, name)

    def test_sqlite(self) -> None:
        self._test("sqlite")

    def test_mysql(self) -> None:
        self._test("mysql")

    def test_postgresql(self) -> None:
        self._test("postgresql")


class TestRoles(LocalTestCase):
    """Each role includes the lesser ones; a project is chosen where there are several."""

    def setUp(self) -> None:
        super().setUp()
        self.red = self.admin.add_project("red", "admin", "member", "reader")
        self.blue = self.admin.add_project("blue", "member")

    def test_roles(self) -> None:
        for role, write, register in (("reader", 403, 403), ("member", 201, 403), ("admin", 201, 201)):
            caller = self.admin.as_user(f"red-{role}")
            self.assertEqual([], caller.get("nodes?project=nothing")["nodes"])
            caller.post("networks", {"name": f"{role}-net"}, write)
            caller.post("nodes", {"name": f"{role}-node"}, register)

    def test_several_projects(self) -> None:
        both = self.admin.as_user("red-member")
        self.admin.put("users/red-member/projects/blue", {})
        self.assertIn("X-Project-Id", both.call("GET", "nodes", status=400).text)
        for ident, expected in (("red", self.red), (self.red, self.red), ("blue", self.blue), (self.blue, self.blue)):
            chosen = self.admin.as_user("red-member", ident)
            self.assertEqual(expected, chosen.post("networks", {"name": f"net-{ident}"})["project_id"])
        self.admin.as_user("red-member", "admin").call("GET", "nodes", status=403)
        self.admin.as_user("red-member", "nothing").call("GET", "nodes", status=403)

    def test_an_administrator_need_not_choose(self) -> None:
        self.admin.put("users/admin/projects/red", {"role": "member"})
        self.assertEqual("admin", self.admin.get("projects/admin")["name"])
        self.admin.as_user("admin", "red").call("GET", "users", status=403)

    def test_two_administrators_roles_have_to_be_chosen_from(self) -> None:
        self.admin.put("users/admin/projects/red", {"role": "admin"})
        self.admin.call("GET", "nodes", status=400)
        self.admin.as_user("admin", "red").get("users")

    def test_the_default_role_is_member(self) -> None:
        self.admin.put("users/red-reader/projects/blue", {})
        roles = {item["name"]: item["role"] for item in self.admin.get("users/red-reader")["projects"]}
        self.assertEqual({"red": "reader", "blue": "member"}, roles)


class TestLastAdministrator(LocalTestCase):
    """Somebody must be left who can let others in."""

    def test_cannot_be_removed(self) -> None:
        self.admin.delete("users/admin", 409)
        self.admin.delete("users/admin/projects/admin", 409)
        for role in ("member", "reader"):
            self.admin.put("users/admin/projects/admin", {"role": role}, 409)
        self.admin.delete("projects/admin", 409)
        self.assertEqual("admin", self.admin.get("users/admin")["projects"][0]["role"])

    def test_with_a_role_in_two_projects(self) -> None:
        self.admin.call("PUT", "projects/red", status=201)
        self.admin.put("users/admin/projects/red", {"role": "admin"})
        admin = self.admin.as_user("admin", "admin")
        admin.delete("users/admin", 409)
        admin.delete("users/admin/projects/red")
        admin.delete("users/admin/projects/admin", 409)

    def test_can_go_when_there_is_another(self) -> None:
        self.admin.add_project("red", "admin")
        other = self.admin.as_user("red-admin")
        other.delete("users/admin")
        other.delete("users/red-admin", 409)


class TestNone(testtools.TestCase):
    """Auth none: everyone is an administrator of the project that they name."""

    def _service(self, database: str) -> service.Embedded:
        if dict(service.databases())[database] is None:
            self.skipTest(f"{database} is not there")
        return self.useFixture(service.Embedded({("auth", "strategy"): "none"}, database=database, conductor=False))

    def _test(self, database: str) -> None:
        fixture = self._service(database)
        for name, status in (
            *(("red", 201), ("a" * 64, 201), ("a" * 65, 400), ("a" * 255, 400), ("", 201), ("a b", 400)),
            *(("$(reboot)", 400), ("\u00ff", 400), ("a,b", 400), ("'", 400)),
        ):
            body = b'{"name": "net"}'
            answer = fixture._send(
                "POST", "/v1/networks", body, {"X-Project-Id": name, "Content-Type": "application/json"}
            )
            self.assertEqual(status, answer.status, (name, answer.text))
        admin = fixture.admin
        network = admin.get("networks?project=red")["networks"][0]["uuid"]
        for project, status in (("x" * 65, 400), ("a" * 64, 204), ("$(reboot)", 400), ("\u202e", 400), ("new", 204)):
            admin.call("PUT", f"networks/{network}/access/{quote(project, safe='')}", status=status)
        for body in ({"name": "x", "project_id": "p" * 65}, {"name": "x", "access": ["p" * 65]}):
            admin.post("networks", body, 400)
        admin.post("nodes", {"name": "n1"})
        admin.put("nodes/n1/project", {"project_id": "p" * 65}, 400)
        admin.post("claims", {"nodes": ["n1"], "project_id": "p" * 65}, 400)
        admin.post("claims", {"nodes": ["n1"], "project_id": "p" * 64}, 201)

    def test_projects_sqlite(self) -> None:
        self._test("sqlite")

    def test_projects_mysql(self) -> None:
        self._test("mysql")

    def test_projects_postgresql(self) -> None:
        self._test("postgresql")

    def test_keypairs(self) -> None:
        """Everyone is one user here, whatever the project."""
        fixture = self._service("sqlite")
        fixture.admin.post("keypairs", {"name": "mine"})
        for project in ("red", "blue"):
            answer = fixture._send("GET", "/v1/keypairs/mine", None, {"X-Project-Id": project})
            self.assertEqual((200, "nobody"), (answer.status, answer.json["user_id"]))

    def test_forged_headers_are_not_needed_and_not_believed(self) -> None:
        fixture = self._service("sqlite")
        answer = fixture._send("GET", "/v1/users", None, {"X-Roles": "reader", "X-User-Id": "somebody"})
        self.assertEqual(200, answer.status)

    def test_users_and_projects_are_not_made(self) -> None:
        admin = self._service("sqlite").admin
        for method, path, body in (
            ("PUT", "users/u", {"password": "x"}),
            ("PUT", "projects/p", None),
            ("DELETE", "projects/admin", None),
        ):
            self.assertEqual(409, admin.call(method, path, body).status, path)

    def test_only_this_machine_is_answered(self) -> None:
        app = self._service("sqlite").app.app
        local = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:6385"}
        for changed, status in (
            ({}, 200),
            ({"HTTP_HOST": None}, 200),
            ({"HTTP_HOST": "[::1]:6385", "REMOTE_ADDR": "::1"}, 200),
            ({"HTTP_HOST": "127.9.9.9"}, 200),
            ({"HTTP_ORIGIN": "http://localhost:3000"}, 200),
            *(({"REMOTE_ADDR": address}, 403) for address in ("192.0.2.1", "2001:db8::1", "localhost.evil", "", None)),
            *(
                ({"HTTP_HOST": host}, 403)
                for host in ("evil.example", "evil.example:6385", "192.0.2.1", "[", ":80", "@")
            ),
            *(({"HTTP_ORIGIN": origin}, 403) for origin in ("http://evil.example", "null", "http://[", "")),
        ):
            environ = {name: value for name, value in {**local, **changed}.items() if value is not None}
            request = webtest.TestRequest.blank("/v1/nodes")
            for name in ("REMOTE_ADDR", "HTTP_HOST"):
                request.environ.pop(name, None)
            request.environ.update(environ)
            self.assertEqual(status, request.get_response(app).status_int, changed)
