# SPDX-License-Identifier: Apache-2.0
"""A private Keystone."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import requests

from tests.servers import base

#: What is installed, into an environment of its own: what Keystone requires must not decide what mogan_hil runs with.
REQUIREMENTS = ("keystone>=27.0.0", "cheroot>=10.0.0")

#: Beside the environment a Keystone with its first user is kept: to make one takes ten seconds.
HOME = Path(__file__).parents[2] / ".venv-keystone"
PYTHON = HOME / "env/bin/python"
SNAPSHOT = HOME / "snapshot"

INSTALL_TIME = 900

_CONFIG = """\
[DEFAULT]
log_file = {here}/server.log
[database]
connection = sqlite:///{here}/files/keystone.db
sqlite_synchronous = false
[fernet_tokens]
key_repository = {here}/files/fernet
[credential]
key_repository = {here}/files/credential
[cache]
enabled = true
backend = oslo_cache.dict
[identity]
password_hash_rounds = 4
"""


class Keystone(base.Server):
    """One process of Keystone with SQLite and fernet tokens."""

    name: ClassVar[str] = "keystone"
    variable: ClassVar[str] = "MOGAN_HIL_TEST_KEYSTONE_URL"
    packages: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def missing(cls) -> str | None:
        return None if PYTHON.exists() and _installed() == _wanted() else "keystone in .venv-keystone"

    @classmethod
    def install(cls, say: Callable[[str], None]) -> None:
        HOME.mkdir(exist_ok=True)
        with _alone():
            if cls.missing() is None:
                return
            say(f"Installing {' '.join(REQUIREMENTS)} into {HOME.name} (half a minute) ...")
            for path in (PYTHON.parents[1], SNAPSHOT):
                shutil.rmtree(path, ignore_errors=True)
            try:
                _run([sys.executable, "-m", "venv", str(PYTHON.parents[1])])
                _run([str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check", *REQUIREMENTS])
            except (OSError, subprocess.SubprocessError) as error:
                said = str(getattr(error, "stdout", "") or error).strip().splitlines()
                raise base.NotAvailableError(said[-1] if said else "pip failed") from error
            (HOME / "installed").write_text(_wanted())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v3"

    @property
    def variables(self) -> dict[str, str]:
        return {self.variable: self.url, "MOGAN_HIL_TEST_KEYSTONE_PASSWORD": self.password}

    def launch(self) -> None:
        self.port = base.free_port()
        self.directory.chmod(0o700)
        (self.directory / "keystone.conf").write_text(_CONFIG.format(here=self.directory))
        files = self.directory / "files"
        if SNAPSHOT.exists():
            shutil.copytree(SNAPSHOT, files)
            self.password = (files / "password").read_text()
        else:
            self._bootstrap(files)
        program = Path(__file__).with_name("keystone_wsgi.py")
        self.spawn([str(PYTHON), "-I", str(program), str(self.port)])

    def _bootstrap(self, files: Path) -> None:
        for part in ("fernet", "credential"):
            (files / part).mkdir(parents=True, mode=0o700)
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        owner = ["--keystone-user", user, "--keystone-group", group]
        urls = [word for kind in ("public", "internal", "admin") for word in (f"--bootstrap-{kind}-url", self.url)]
        for command in (
            ["db_sync"],
            ["fernet_setup", *owner],
            ["credential_setup", *owner],
            ["bootstrap", "--bootstrap-region-id", "RegionOne", *urls],
        ):
            manage = str(PYTHON.with_name("keystone-manage"))
            self.run(
                [manage, "--config-file", str(self.directory / "keystone.conf"), *command],
                env={"OS_BOOTSTRAP_PASSWORD": self.password},  # the command line of a process is not a secret
            )
        (files / "password").write_text(self.password)
        fresh = HOME / f"snapshot-{self.port}"
        shutil.copytree(files, fresh)
        fresh.chmod(0o700)
        try:
            fresh.rename(SNAPSHOT)
        except OSError:  # another run was quicker
            shutil.rmtree(fresh)

    def probe(self) -> None:
        """Log in, and correct the catalog, which names the port of the run that made the snapshot."""
        with requests.Session() as session:
            session.headers["X-Auth-Token"] = self._token(session)
            found = session.get(f"{self.url}/endpoints", timeout=10).json()["endpoints"]
            for endpoint in found:
                if endpoint["url"] != self.url:
                    change = {"endpoint": {"url": self.url}}
                    session.patch(f"{self.url}/endpoints/{endpoint['id']}", json=change, timeout=10).raise_for_status()

    def _token(self, session: requests.Session) -> str:
        user = {"name": "admin", "domain": {"id": "default"}, "password": self.password}
        auth: dict[str, Any] = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
        }
        answer = session.post(f"{self.url}/auth/tokens", json={"auth": auth}, timeout=10)
        answer.raise_for_status()
        return answer.headers["X-Subject-Token"]


def _wanted() -> str:
    return "\n".join((*REQUIREMENTS, sys.version))


def _installed() -> str:
    with contextlib.suppress(FileNotFoundError):
        return (HOME / "installed").read_text()
    return ""


def _run(command: list[str]) -> None:
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=INSTALL_TIME,
        check=True,
    )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One run installs at a time; others wait for it."""
    with open(HOME / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
