# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-manage db purge"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from oslo_config import cfg

from mogan_hil.db import migration, models
from mogan_hil.db.api import Database
from mogan_hil.objects.retention import purge

#: Days: more would be before the first year that a date can have.
MOST = 36500


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("it must be a date, or a date and a time, like 2026-11-20T12:00:00Z") from None
    try:
        return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise argparse.ArgumentTypeError("it is out of range") from None


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST:
        raise argparse.ArgumentTypeError(f"it must be a number of days, 1 to {MOST}")
    return int(text)


def _purge(database: Database, given: argparse.Namespace) -> None:
    before = given.before
    if before is None:
        days = given.older_than or cfg.CONF.journal.retention
        if not days:
            raise SystemExit("[journal] retention keeps operations for ever: say --before or --older-than.")
        before = models.now() - timedelta(days=days)
    if migration.version(database.engine) != migration.head():
        raise SystemExit("The schema is not at the newest revision: run mogan-hil-manage db upgrade.")
    count = purge(database, before, dry_run=given.dry_run)
    done = "would be deleted" if given.dry_run else "were deleted"
    print(f"{count} operations that ended before {models.told(before)} {done}.")


def add_parser(verbs: Any) -> None:
    """Add the verb to those of `db`."""
    found = verbs.add_parser("purge", help="delete operations that ended long ago; safe while the service runs")
    since = found.add_mutually_exclusive_group()
    since.add_argument(
        "--before", type=_moment, metavar="DATE", help="those that ended before; in UTC, if no zone is named"
    )
    since.add_argument(
        "--older-than",
        type=_days,
        metavar="DAYS",
        help="those that ended so many days ago; default: [journal] retention",
    )
    found.add_argument("--dry-run", action="store_true", help="only tell how many there are")
    found.set_defaults(run=_purge)
