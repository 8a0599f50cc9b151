# SPDX-License-Identifier: Apache-2.0
"""A private MariaDB."""

from __future__ import annotations

import getpass
from typing import ClassVar

from tests.servers import base


class MariaDB(base.Server):
    """One `mariadbd`, as the user who runs the tests."""

    name: ClassVar[str] = "mariadb"
    variable: ClassVar[str] = "MOGAN_HIL_TEST_MYSQL_URL"
    packages: ClassVar[tuple[str, ...]] = ("mariadb-server",)

    @classmethod
    def missing(cls) -> str | None:
        return next((name for name in ("mariadbd", "mariadb-install-db") if not base.find_program(name)), None)

    @property
    def url(self) -> str:
        return f"mysql+pymysql://{self.user}:{self.password}@127.0.0.1:{self.port}/mysql"

    def launch(self) -> None:
        self.port = base.free_port()
        user = getpass.getuser()
        data = self.directory / "data"
        accounts = self.directory / "accounts.sql"
        accounts.write_text(
            f"CREATE USER {self.user}@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {self.user}@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        accounts.chmod(0o600)
        self.run(
            [
                str(base.find_program("mariadb-install-db")),
                "--no-defaults",
                f"--user={user}",
                f"--datadir={data}",
                f"--auth-root-socket-user={user}",
                "--skip-test-db",
            ]
        )
        self.spawn(
            [
                str(base.find_program("mariadbd")),
                "--no-defaults",
                f"--user={user}",
                f"--datadir={data}",
                f"--socket={self.directory / 'socket'}",
                f"--pid-file={self.directory / 'pid'}",
                f"--init-file={accounts}",
                "--bind-address=127.0.0.1",
                f"--port={self.port}",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
                "--max-connections=500",
                # A lost page after a power cut costs a test run nothing, and waiting for the disk costs it much.
                "--innodb-flush-method=nosync",
                "--innodb-flush-log-at-trx-commit=0",
                "--skip-innodb-doublewrite",
                "--skip-sync-frm",
            ]
        )

    def probe(self) -> None:
        base.log_in_with_sqlalchemy(self.url)
