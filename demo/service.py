# SPDX-License-Identifier: Apache-2.0
"""The service under the demo: one process, a free port, a directory of its own."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from demo.house import Failed, House
from mogan_hil.client import rest

BIN = Path(sys.executable).parent


class Service:
    """A running mogan-hil.

    :ivar admin: its API, as its administrator
    """

    def __init__(self, house: House, *arguments: str) -> None:
        self._house = house
        self.state_dir = house.path / "state"
        command = (str(BIN / "mogan-hil"), "--state-dir", str(self.state_dir), "--port", "0", *arguments)
        self._process = house.start(*command, log="mogan-hil.log")
        self.pid = self._process.pid
        self.url = ""

    def wait(self) -> None:
        """Until it listens.

        :raises Failed: it does not
        """
        end = time.monotonic() + 120
        found = None
        while found is None:
            found = re.search(r"^listening on (\S+)$", self._house.log("mogan-hil.log"), re.MULTILINE)
            if self._process.poll() is not None or time.monotonic() > end:
                raise Failed(f"mogan-hil does not start:\n{self._house.log('mogan-hil.log')[-2000:]}")
            time.sleep(0.02)
        self.url = found[1]
        self.admin = rest.by_password(self.url, "admin", self.password())

    def password(self) -> str:
        """The administrator's."""
        clouds = yaml.safe_load((self.state_dir / "clouds.yaml").read_text())
        return str(clouds["clouds"]["mogan-hil"]["auth"]["password"])

    @property
    def environment(self) -> dict[str, str]:
        """What lets any OpenStack client find it."""
        clouds = str(self.state_dir / "clouds.yaml")
        return {**self._house.environment, "OS_CLIENT_CONFIG_FILE": clouds, "OS_CLOUD": "mogan-hil"}


def finished(api: rest.Api, operation: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
    """An operation, when it is done.

    :raises Failed: it ended in error, or not in time
    """
    end = time.monotonic() + seconds
    while operation["state"] in ("pending", "running"):
        if time.monotonic() > end:
            raise Failed(f"operation {operation['uuid']} ({operation['verb']}) is not finished after {seconds:g} s")
        time.sleep(0.002)
        operation = api.get("operations", operation["uuid"])
    if operation["state"] != "done":
        raise Failed(f"operation {operation['uuid']} ({operation['verb']}) failed: {operation['error']}")
    return operation
