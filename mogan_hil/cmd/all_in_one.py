# SPDX-License-Identifier: Apache-2.0
"""mogan-hil: API and conductor in one process, with SQLite and file locks. Everything is in one directory."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import stat
import sys
import threading
from pathlib import Path
from typing import IO, Any

import yaml
from oslo_config import cfg

from mogan_hil.api import app, process
from mogan_hil.cmd import base
from mogan_hil.cmd.version import add_version
from mogan_hil.common import passwords, sealing
from mogan_hil.conductor.service import Conductor
from mogan_hil.db import migration
from mogan_hil.db.api import Database
from mogan_hil.drivers.loader import Drivers
from mogan_hil.objects import sealed
from mogan_hil.objects.project import Project
from mogan_hil.objects.user import RoleAssignment, User
from mogan_hil.rpc import notifier

ADMIN = "admin"

#: What is secret in the directory.
FILES = ("mogan_hil.db", "mogan_hil.db-wal", "mogan_hil.db-shm", "clouds.yaml", "secrets.keys")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="mogan-hil", description=__doc__)
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=default_state_dir(),
        metavar="DIR",
        help="where everything is kept (default: %(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=6385, help="the port to listen on; 0 picks a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--auth",
        choices=["local", "none", "keystone"],
        default="local",
        help="how callers are told apart; none makes everyone an administrator (default: %(default)s)",
    )
    parser.add_argument(
        "--config-file", action="append", default=[], metavar="FILE", help="further configuration; may be given again"
    )
    parser.add_argument("--debug", action="store_true", help="log more")
    add_version(parser)
    return parser.parse_args()


def default_state_dir() -> Path:
    """/var/lib/mogan-hil for root, else the user's own directory for state."""
    if os.geteuid() == 0:
        return Path("/var/lib/mogan-hil")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "mogan-hil"


def configure(given: argparse.Namespace) -> cfg.ConfigOpts:
    """The configuration: the files', with what this shape needs where they say nothing."""
    conf = cfg.CONF
    process.configure(conf, ["--debug"] if given.debug else [], given.config_file)
    if not conf.database.connection:
        conf.set_override("connection", f"sqlite:///{given.state_dir}/mogan_hil.db", group="database")
    conf.set_override("state_path", str(given.state_dir))
    conf.set_override("strategy", given.auth, group="auth")
    conf.set_default("host", given.host, group="console")
    base.check_auth(conf, given.host)
    return conf


def take(state_dir: Path) -> IO[str]:
    """Make the directory, close it to others and lock it: two services on one directory would both be wrong.

    :raises SystemExit: it is in use, cannot be written, or is not ours to close
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        close(state_dir)
        lock = open(state_dir / "lock", "w", encoding="utf-8")  # noqa: SIM115 - held as long as the process lives
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"Another mogan-hil runs on {state_dir}.") from None
    except OSError as error:
        raise SystemExit(f"{state_dir} cannot be used: {error.strerror}. Choose another with --state-dir.") from None
    return lock


def close(state_dir: Path) -> None:
    """Let nobody else read what is in the directory, also where it was made by somebody else, or by an older version.

    :raises SystemExit: it is open and not ours, or is for everybody, as /tmp is
    """
    found = state_dir.stat()
    if stat.S_IMODE(found.st_mode) & 0o077:
        if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
            raise SystemExit(f"{state_dir} is open to others: make it 0700 and your own, or choose another directory.")
        state_dir.chmod(0o700)
    for name in FILES:
        with contextlib.suppress(FileNotFoundError):
            (state_dir / name).chmod(0o600)


def seal(conf: cfg.ConfigOpts, database: Database) -> None:
    """Make the keys at the first start, and seal what an older version wrote in clear text.

    :raises SystemExit: the keys cannot be read or written
    """
    key_file, public_key_file = conf.secrets.key_file, conf.secrets.public_key_file
    try:
        sealing.ensure(key_file, public_key_file)
        with database.reader() as session:
            clear = sealed.count(session)[sealed.CLEAR]
        if clear:
            sealed.seal_all(database, sealing.Sealer(public_key_file), sealing.Opener(key_file))
    except sealing.SealingError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}") from None


def add_admin(conf: cfg.ConfigOpts, database: Database, password: str) -> bool:
    """Make the user `admin`, an administrator in the project `admin`, unless there are users already.

    :returns: whether it was made
    """
    with database.writer() as session:
        if User.find(session):
            return False
        project = Project.create(session, name=ADMIN)
        user = User.create(session, name=ADMIN, password_hash=passwords.hashed(password, conf.auth.hash_cost))
        RoleAssignment.create(session, user_id=user.id, project_id=project.uuid, role="admin")
        return True


def first_admin(conf: cfg.ConfigOpts, database: Database, state_dir: Path, url: str) -> bool:
    """At the first start make an administrator; tell the password in clouds.yaml and nowhere else.

    The file comes first: a start that is cut off leaves a password without a user, which the next start uses, and never
    a user without a password. A later start only puts the service's new address into the file, if it is ours.

    :returns: whether the file tells
    :raises SystemExit: somebody else's file is where the password is to go
    """
    clouds = state_dir / "clouds.yaml"
    known = our_clouds(clouds)
    with database.reader() as session:
        if User.find(session):
            if known is not None:
                _write(clouds, known, url)
            return known is not None
    if known is None:
        if clouds.exists():
            raise SystemExit(f"{clouds} is not of mogan-hil, which is to write the first password there: move it away.")
        auth = {"endpoint": url, "username": ADMIN, "password": passwords.generated()}
        known = {"clouds": {"mogan-hil": {"auth_type": "http_basic", "auth": auth}}}
    _write(clouds, known, url)
    add_admin(conf, database, known["clouds"]["mogan-hil"]["auth"]["password"])
    return True


def our_clouds(path: Path) -> dict[str, Any] | None:
    """What is in clouds.yaml, None where it is not there or tells no password for this service."""
    try:
        found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        password = found["clouds"]["mogan-hil"]["auth"]["password"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return None
    return found if isinstance(password, str) else None


def _write(path: Path, content: dict[str, Any], url: str) -> None:
    cloud = content["clouds"]["mogan-hil"]
    endpoint = "baremetal_isolation_endpoint_override"
    if (cloud["auth"].get("endpoint"), cloud.get(endpoint)) == (url, f"{url}/v1"):
        return
    cloud["auth"]["endpoint"], cloud[endpoint] = url, f"{url}/v1"
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        yaml.safe_dump(content, file, sort_keys=False)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def main() -> int:
    """Run the command."""
    os.umask(0o077)
    given = arguments()
    lock = take(given.state_dir)
    conf = configure(given)
    database = process.open_database(conf)
    migration.upgrade(database.engine)
    seal(conf, database)
    drivers = Drivers()
    conductor = Conductor(conf, database, drivers)
    services = process.services(conf, database, drivers, conductor)
    try:
        server = process.Server(app.make_app(services), (given.host, given.port), conf.api.threads, alone=True)
    except OSError as error:
        raise SystemExit(f"{given.host} port {given.port} cannot be listened on: {error.strerror or error}.") from None
    try:
        told = given.auth == "local" and first_admin(conf, database, given.state_dir, server.url)
    except BaseException:
        server.stop()  # its threads would keep the process
        raise
    conductor.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.stop).start())
    print(f"listening on {server.url}", flush=True)
    if told:
        print(f"the administrator's name and password are in {given.state_dir}/clouds.yaml", flush=True)
    server.serve()
    conductor.stop()
    notifier.close_all()
    lock.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
