# SPDX-License-Identifier: Apache-2.0
"""What the tables are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: SQLite counts rows by itself only in a column of exactly this type.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
ProjectId = sa.String(64)
Name = sa.String(255)


def now() -> datetime:
    """The time in UTC, without a zone: the databases have none."""
    return datetime.now(UTC).replace(tzinfo=None)


def told(moment: datetime) -> str:
    """A moment within a JSON value, in the form that answers have: ISO 8601 in UTC, with a Z.

    :param moment: in UTC, without a zone
    """
    return f"{moment.isoformat()}Z"


def unique(table: str, *columns: str) -> sa.UniqueConstraint:
    """No two rows of a table have the same in these columns."""
    return sa.UniqueConstraint(*columns, name="0".join([f"uniq_{table}", *columns]))


class Base(DeclarativeBase):
    # Names that differ in case or accent are different names on every database.
    __table_args__: Any = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

    id: Mapped[int] = mapped_column(BigId, primary_key=True, sort_order=-2)


OPTIONS = Base.__table_args__


class Named:
    """What is called by a name or a uuid."""

    uuid: Mapped[str] = mapped_column(sa.String(36), default=uuidutils.generate_uuid, sort_order=-1)
    name: Mapped[str] = mapped_column(Name, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


def project(ondelete: str | None = None, **options: Any) -> Any:
    """A column with a project's id."""
    return mapped_column(ProjectId, sa.ForeignKey("projects.uuid", ondelete=ondelete), index=True, **options)
