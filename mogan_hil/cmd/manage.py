# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-manage: for operators, on a machine that has the service's configuration."""

from __future__ import annotations

import argparse
import sys

from oslo_config import cfg

from mogan_hil.api import process
from mogan_hil.db import migration
from mogan_hil.db.api import Database


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


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="mogan-hil-manage", description=__doc__)
    found.add_argument(
        "--config-file", action="append", metavar="FILE", help="where [database] is; default: the usual places"
    )
    nouns = found.add_subparsers(required=True, metavar="COMMAND")
    verbs = nouns.add_parser("db", help="the database schema").add_subparsers(required=True, metavar="VERB")
    upgrade = verbs.add_parser("upgrade", help="bring the schema to a revision; safe to run again")
    upgrade.add_argument("revision", nargs="?", default="head", help="default: the newest")
    upgrade.set_defaults(run=_upgrade)
    version = verbs.add_parser("version", help="show the revision of the database and of the code")
    version.set_defaults(run=_version)
    revision = verbs.add_parser("revision", help="for developers: write a revision from what the models have")
    revision.add_argument("-m", "--message", required=True, help="what changes, in a few words")
    revision.set_defaults(run=_revision)
    return found


def main() -> int:
    """Run the command."""
    given = parser().parse_args()
    conf = process.configure(cfg.CONF, [], given.config_file)
    if not conf.database.connection:
        raise SystemExit("No database is configured: set [database] connection, or name a file with --config-file.")
    given.run(Database(conf), given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
