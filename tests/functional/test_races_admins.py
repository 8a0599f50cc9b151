# SPDX-License-Identifier: Apache-2.0
"""Two administrators remove each other at once: one is left, whichever way each of them chose."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests import service
from tests.functional.racks import OnProcesses, fresh

TRIES = 24


class LastAdmin:
    """The tests, whatever the database."""

    shape = {"apis": 2, "conductors": 0}
    api: Any
    at_once: Any

    def other_admin(self) -> str:
        """A second administrator, with a project of its own."""
        name = fresh("boss")
        self.api(0).put(f"projects/{name}", status=201)
        self.api(0).put(f"users/{name}", {"password": service.PASSWORD}, status=201)
        self.api(0).put(f"users/{name}/projects/{name}", {"role": "admin"})
        return name

    def test_last_admin(self) -> None:
        for number in range(TRIES):
            boss = self.other_admin()
            ways = [
                (f"users/{boss}/projects/{boss}", "users/admin/projects/admin"),
                (f"users/{boss}", "users/admin/projects/admin"),
                (f"projects/{boss}", "projects/admin"),
                (f"projects/{boss}", "users/admin/projects/admin"),
            ]
            mine, theirs = ways[number % len(ways)]
            answers = self.at_once(
                partial(self.api(number).call, "DELETE", mine),
                partial(self.api(number + 1, boss).call, "DELETE", theirs),
            )
            found = [answer.status for answer in answers]
            self.assertEqual(1, found.count(204), (mine, theirs, found))
            self.assertIn(max(found), (204, 401, 403, 404, 409))
            self.repair(boss, found[0] == 204)

    def repair(self, boss: str, kept: bool) -> None:
        """Make `admin` the one administrator again."""
        if not kept:
            self.api(0, boss).put("projects/admin", status=None)
            self.api(0, boss).put("users/admin", {"password": service.PASSWORD}, status=None)
            self.api(0, boss).put("users/admin/projects/admin", {"role": "admin"}, status=None)
        self.api(0).delete(f"users/{boss}", None)
        self.assertEqual(200, self.api(0).call("GET", "users").status)

    def test_the_last_with_two_projects(self) -> None:
        admin = self.api(0)
        boss = self.other_admin()
        admin.put(f"projects/{fresh('second')}", status=201)
        second = fresh("second")
        admin.put(f"projects/{second}", status=201)
        admin.put(f"users/admin/projects/{second}", {"role": "admin"})
        mine = self.api(0, project="admin")
        mine.delete(f"users/{boss}")
        mine.delete("users/admin", 409)
        mine.delete(f"users/admin/projects/{second}")
        self.api(0).delete("users/admin/projects/admin", 409)


class TestLastAdminOnSQLite(LastAdmin, OnProcesses):
    kind = "sqlite"


class TestLastAdminOnMariaDB(LastAdmin, OnProcesses):
    kind = "mysql"


class TestLastAdminOnPostgreSQL(LastAdmin, OnProcesses):
    kind = "postgresql"
