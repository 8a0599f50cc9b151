# SPDX-License-Identifier: Apache-2.0
"""Runs gabbits/: what each noun answers, over the real application, database, conductor and a pretend switch."""

from __future__ import annotations

import base64
import os
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gabbi import driver, fixture

from mogan_hil.api.app import make_app
from tests import service
from tests.functional.base import HEADNODES

_running: list[tuple[service.Embedded, Callable[..., Any]]] = []


def application() -> Callable[..., Any]:
    """The application of the file that runs now: gabbi asks for it before there is one."""

    def forward(environ: dict[str, Any], start_response: Any) -> Any:
        return _running[-1][1]({**environ, "REMOTE_ADDR": "127.0.0.1"}, start_response)

    return forward


class Empty(fixture.GabbiFixture):
    """Projects red and blue and their users; `$ENVIRON['RED_MEMBER']` and the like are their credentials."""

    def start_fixture(self) -> None:
        embedded = service.Embedded(HEADNODES)
        embedded.setUp()
        embedded.conf.set_override("allowed_origin", ["https://ui.example"], group="cors")
        _running.append((embedded, make_app(embedded.services)))
        admin = embedded.admin
        for project in ("red", "blue"):
            os.environ[project.upper()] = admin.add_project(project)
        users = ("admin", *(f"{project}-{role}" for project in ("red", "blue") for role in ("member", "reader")))
        for user in users:
            credentials = base64.b64encode(f"{user}:{service.PASSWORD}".encode()).decode()
            os.environ[user.upper().replace("-", "_")] = f"Basic {credentials}"
        self.fill(admin)

    def fill(self, admin: service.Api) -> None:
        """What else there is."""

    def stop_fixture(self) -> None:
        _running.pop()[0].cleanUp()


class Rack(Empty):
    """Besides, a switch with three ports; n1, claimed by red, and n2 are cabled to two; n3's NIC is not cabled."""

    def fill(self, admin: service.Api) -> None:
        admin.add_switch("rack1", ["gi1/0/1", "gi1/0/2", "gi1/0/3"])
        admin.add_node("n1", "rack1", "gi1/0/1")
        admin.add_node("n2", "rack1", "gi1/0/2")
        admin.add_node("n3")
        admin.as_user("red-member").put("nodes/n1/project", {})


def load_tests(loader: unittest.TestLoader, _tests: unittest.TestSuite, _pattern: str | None) -> unittest.TestSuite:
    """One suite a file."""
    directory = Path(__file__).parent / "gabbits"
    found: unittest.TestSuite = driver.build_tests(
        str(directory),
        loader,
        intercept=application,
        fixture_module=__import__(__name__, fromlist=["Empty"]),
        test_loader_name=__name__,
    )
    return found
