# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-manage: for operators, on a machine that has the service's configuration."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from oslo_config import cfg
from sqlalchemy import orm

from mogan_hil.api import process
from mogan_hil.api.types import Name, Secret
from mogan_hil.cmd import import_hil, purge, secrets
from mogan_hil.cmd.all_in_one import ADMIN
from mogan_hil.cmd.version import add_version
from mogan_hil.common import passwords
from mogan_hil.db import migration, models
from mogan_hil.db.api import Database
from mogan_hil.objects.project import Project
from mogan_hil.objects.user import RoleAssignment, User


def _upgrade(database: Database, given: argparse.Namespace) -> None:
    before = migration.version(database.engine)
    migration.upgrade(database.engine, given.revision)
    after = migration.version(database.engine)
    print(
        f"The schema is at {after}." if before == after else f"The schema went from {before or 'nothing'} to {after}."
    )


def _version(database: Database, _given: argparse.Namespace) -> None:
    current, head = migration.version(database.engine), migration.head()
    print(f"database: {current or 'no schema'}")
    print(f"code:     {head}")
    if current != head:
        print("Run: mogan-hil-manage db upgrade")


def _revision(database: Database, given: argparse.Namespace) -> None:
    migration.revision(database.engine, given.message)


def _set_password(database: Database, given: argparse.Namespace) -> None:
    try:
        Name().validate(given.name)
        password = Secret().validate(_password(given.password_file))
    except (OSError, ValueError) as error:
        raise SystemExit(f"This cannot be set: {error}") from None
    password_hash = passwords.hashed(password, cfg.CONF.auth.hash_cost)
    with database.writer() as session:
        found = User.find(session, models.User.name == given.name)
        if not found and not given.admin:
            raise SystemExit(f"There is no user {given.name}; --admin makes one.")
        user = found[0] if found else User.create(session, name=given.name, password_hash=password_hash)
        user.update(session, password_hash=password_hash)
        if given.admin:
            _make_admin(session, user)
    print(f"The password of {given.name} is set.")


def _make_admin(session: orm.Session, user: User) -> None:
    projects = Project.find(session, models.Project.name == ADMIN) or [Project.create(session, name=ADMIN)]
    roles, project = models.RoleAssignment, projects[0].uuid
    known = RoleAssignment.find(session, roles.user_id == user.id, roles.project_id == project)
    if known:
        known[0].update(session, role="admin")
    else:
        RoleAssignment.create(session, user_id=user.id, project_id=project, role="admin")


def _password(file: Path | None) -> str:
    if file is not None:
        return file.read_text(encoding="utf-8").partition("\n")[0]
    if sys.stdin.isatty():
        return getpass.getpass()
    return sys.stdin.readline().rstrip("\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="mogan-hil-manage", description=__doc__)
    add_version(found)
    found.add_argument(
        "--config-file", action="append", metavar="FILE", help="where [database] is; default: the usual places"
    )
    found.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="the database and the keys of a mogan-hil that has this directory"
    )
    nouns = found.add_subparsers(required=True, metavar="COMMAND")
    verbs = nouns.add_parser("db", help="the database").add_subparsers(required=True, metavar="VERB")
    upgrade = verbs.add_parser("upgrade", help="bring the schema to a revision; safe to run again")
    upgrade.add_argument("revision", nargs="?", default="head", help="default: the newest")
    upgrade.set_defaults(run=_upgrade)
    version = verbs.add_parser("version", help="show the revision of the database and of the code")
    version.set_defaults(run=_version)
    revision = verbs.add_parser("revision", help="for developers: write a revision from what the models have")
    revision.add_argument("-m", "--message", required=True, help="what changes, in a few words")
    revision.set_defaults(run=_revision)
    purge.add_parser(verbs)
    secrets.add_parsers(nouns)
    verbs = nouns.add_parser("user", help="users of auth local").add_subparsers(required=True, metavar="VERB")
    password = verbs.add_parser("set-password", help="set a password, read from standard input")
    password.add_argument("name", metavar="NAME", help="of the user")
    password.add_argument("--password-file", type=Path, metavar="FILE", help="read the first line of a file instead")
    password.add_argument(
        "--admin",
        action="store_true",
        help="make the user, if there is none, and an administrator of the project admin",
    )
    password.set_defaults(run=_set_password)
    import_hil.add_parser(nouns)
    return found


def main() -> int:
    """Run the command."""
    given = parser().parse_args()
    conf = process.configure(cfg.CONF, [], given.config_file)
    if given.state_dir is not None:
        conf.set_override("state_path", str(given.state_dir))
        conf.set_override("connection", f"sqlite:///{given.state_dir}/mogan_hil.db", group="database")
        conf.set_default("strategy", "local", group="auth")  # as mogan-hil has it
    if not conf.database.connection:
        raise SystemExit("No database is configured: set [database] connection, or name a file with --config-file.")
    given.run(process.open_database(conf), given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
