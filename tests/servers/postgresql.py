# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from typing import ClassVar

from tests.servers import base

#: Debian keeps the server's programs off the PATH.
_PLACES = ("/usr/lib/postgresql/*/bin/{}", "{}")


def _program(name: str) -> str | None:
    return base.find_program(*(place.format(name) for place in _PLACES))


class PostgreSQL(base.Server):
    """One `postgres`; it refuses to run as root, so root starts it as the user of its package."""

    name: ClassVar[str] = "postgresql"
    variable: ClassVar[str] = "MOGAN_HIL_TEST_POSTGRESQL_URL"
    packages: ClassVar[tuple[str, ...]] = ("postgresql",)
    stop_signal: ClassVar[signal.Signals] = signal.SIGQUIT  # at once, with its children and its shared memory

    @classmethod
    def missing(cls) -> str | None:
        return next((name for name in ("postgres", "initdb") if not _program(name)), None)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://{self.user}:{self.password}@127.0.0.1:{self.port}/postgres"

    def launch(self) -> None:
        self.port = base.free_port()
        user = self._other_user()
        data = self.directory / "data"
        password = self.directory / "password"
        password.write_text(self.password)
        password.chmod(0o600)
        if user:
            for path in (self.directory, password):
                shutil.chown(path, user, user)
        self.run(
            [
                str(_program("initdb")),
                f"--pgdata={data}",
                f"--username={self.user}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            user=user,
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "500",
            # A lost page after a power cut costs a test run nothing, and waiting for the disk costs it much.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        self.spawn([str(_program("postgres")), "-D", str(data), *options], user=user)

    def _other_user(self) -> str | None:
        if os.geteuid() != 0:
            return None
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            raise base.NotAvailableError("it does not run as root, and there is no user postgres") from None
        return "postgres"

    def probe(self) -> None:
        base.log_in_with_sqlalchemy(self.url)
