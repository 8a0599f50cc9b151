# SPDX-License-Identifier: Apache-2.0
"""VirtualBMC: IPMI for a machine of a private libvirt."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import fixtures

from tests import bmc, libvirtd

PROGRAM = Path(sys.executable).with_name("vbmcd")


def missing() -> str | None:
    """Why it cannot be run here; None if it can."""
    return libvirtd.missing() or (None if PROGRAM.exists() else "virtualbmc is not installed")


class VirtualBmc(fixtures.Fixture):
    """The daemon, with the controller of one machine.

    :param machine: it is switched; its name is the controller's
    """

    def __init__(self, daemon: libvirtd.Libvirtd, machine: libvirtd.Machine) -> None:
        super().__init__()
        self._daemon = daemon
        self._machine = machine

    def _setUp(self) -> None:
        directory = Path(self.useFixture(fixtures.TempDir()).path)
        self.port, control = bmc.free_port(), bmc.free_port()
        self.password = secrets.token_hex(8)
        (directory / "controllers").mkdir()  # it ends without a word if that is not there
        config = directory / "virtualbmc.conf"
        config.write_text(
            f"[default]\nconfig_dir = {directory}/controllers\npid_file = {directory}/pid\nserver_port = {control}\n"
            "server_response_timeout = 150000\n"
        )
        self._environment = {**os.environ, "VIRTUALBMC_CONFIG": str(config)}
        self.useFixture(fixtures.EnvironmentVariable("VIRTUALBMC_CONFIG", str(config)))
        log = directory / "log"
        bmc.start(self, [str(PROGRAM), "--foreground"], log)
        bmc.wait_for("vbmcd", log, lambda: self._command("list"))
        options = {"port": self.port, "address": "127.0.0.1", "username": bmc.USER, "password": self.password}
        given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        added = self._command("add", self._machine.name, *given, "--libvirt-uri", self._daemon.uri)
        if not (added and self._command("start", self._machine.name)):
            raise RuntimeError(f"vbmc made no controller: {log.read_text(errors='replace')[-2000:]}")
        bmc.wait_for("the controller", log, lambda: bmc._answers_ipmi(self.port))

    def _command(self, *words: str) -> bool:
        command = [str(PROGRAM.with_name("vbmc")), *words]
        done = subprocess.run(command, env=self._environment, capture_output=True, timeout=180, check=False)
        return done.returncode == 0

    @property
    def options(self) -> dict[str, Any]:
        """Options of the driver."""
        return {"host": "127.0.0.1", "port": self.port, "username": bmc.USER, "password": self.password}
