# SPDX-License-Identifier: Apache-2.0
"""Runs `openstack` within the test's process: the same program, without the second and a half of its start."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging
import os
import shlex
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import fixtures
import yaml

from mogan_hil.api import process
from tests import service

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from openstackclient import shell
    from osc_lib import clientmanager


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a command."""

    status: int
    text: str
    errors: str

    @property
    def json(self) -> Any:
        """The output, with `-f json`."""
        return json.loads(self.text)


class Listening(fixtures.Fixture):
    """An embedded service that can be reached by HTTP, as `mogan-hil` serves it.

    :ivar url: where, without `/v1`
    """

    def __init__(self, embedded: service.Embedded) -> None:
        super().__init__()
        self._app = embedded.app.app

    def _setUp(self) -> None:
        server = process.Server(self._app, ("127.0.0.1", 0), 4, alone=True)
        thread = threading.Thread(target=server.serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.stop)
        self.url = server.url


class Client(fixtures.Fixture):
    """The command, for the clouds of a file that only this has.

    :param clouds: by name, as clouds.yaml has them
    """

    def __init__(self, clouds: dict[str, Any]) -> None:
        super().__init__()
        self._clouds = clouds

    def _setUp(self) -> None:
        self.path = Path(self.useFixture(fixtures.TempDir()).path) / "clouds.yaml"
        self.path.write_text(yaml.safe_dump({"clouds": self._clouds}))
        for name in list(os.environ):
            if name.startswith("OS_") and name != "OS_DEBUG":
                self.useFixture(fixtures.EnvironmentVariable(name))

    def __call__(self, line: str, cloud: str | None = None, typed: str = "") -> Outcome:
        """Run a command line.

        :param line: what stands behind `openstack`
        :param typed: what comes from standard input
        """
        _forget()
        cloud = cloud or next(iter(self._clouds))
        root = logging.getLogger("")
        handlers, level = list(root.handlers), root.level
        out, errors, before = io.StringIO(), io.StringIO(), sys.stdin
        sys.stdin = io.StringIO(typed)
        root.handlers[:] = []  # it sets up its own, and the service's would tell all that it says
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with fixtures.EnvironmentVariable("OS_CLIENT_CONFIG_FILE", str(self.path)):
                    status = _run(["--os-cloud", cloud, *shlex.split(line)])
        finally:
            sys.stdin = before
            root.handlers[:] = handlers
            root.setLevel(level)
        return Outcome(status, out.getvalue(), errors.getvalue())


def _run(words: list[str]) -> int:
    try:
        return int(shell.OpenStackShell().run(words))
    except SystemExit as end:
        return int(end.code or 0)


def _forget() -> None:
    """A process is for one user: osc-lib keeps the clients for as long as it lives."""
    for value in vars(clientmanager.ClientManager).values():
        if isinstance(value, clientmanager.ClientCache):
            value._handle = None


def basic(url: str, user: str, password: str = service.PASSWORD, **more: Any) -> dict[str, Any]:
    """A cloud of auth `local`."""
    auth = {"endpoint": url, "username": user, "password": password}
    return {"auth_type": "http_basic", "auth": auth, "baremetal_isolation_endpoint_override": f"{url}/v1", **more}


__all__ = ["Client", "Listening", "Outcome", "basic"]
