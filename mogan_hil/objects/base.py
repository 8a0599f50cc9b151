# SPDX-License-Identifier: Apache-2.0
"""Versioned objects: one row each, its invariants kept by constraints and compare-and-swap.

A subclass names its model and annotates its fields; the fields of oslo.versionedobjects follow from the annotations. A
change of the fields needs a new VERSION, which a test of fingerprints enforces.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import sqlalchemy as sa
from oslo_db import exception as db_exception
from oslo_utils import uuidutils
from oslo_versionedobjects import base
from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.fields import field_for

#: How a row is locked until the end of the transaction: not at all, against changes, or for a change.
Lock = typing.Literal[None, "share", "update"]


class Registry(base.VersionedObjectRegistry):
    """Every object class of the service."""


class Stored(base.VersionedObject):
    """One row of one table."""

    OBJ_PROJECT_NAMESPACE = "mogan_hil"
    VERSION = "1.0"
    MODEL: ClassVar[type[models.Base]]
    KIND: ClassVar[str]

    id: int
    uuid: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hints = typing.get_type_hints(cls)
        columns = cls.MODEL.__table__.columns.keys()
        cls.fields = {name: field_for(hint) for name, hint in hints.items() if name in columns}
        Registry.register(cls)

    @classmethod
    def from_row(cls, row: Any) -> Self:
        """The object of a row. The database is trusted: to coerce its values again would cost most of the time."""
        found = cls()
        for name in cls.fields:
            setattr(found, f"_obj_{name}", getattr(row, name))
        return found

    @classmethod
    def identified(cls, ident: str) -> sa.ColumnElement[bool]:
        """The condition for a uuid or a name. No name looks like a uuid, so that one never means the other."""
        model: Any = cls.MODEL
        if uuidutils.is_uuid_like(ident) or not hasattr(model, "name"):
            return typing.cast("sa.ColumnElement[bool]", model.uuid == ident)
        return typing.cast("sa.ColumnElement[bool]", model.name == ident)

    @classmethod
    def find(cls, session: orm.Session, *where: sa.ColumnElement[bool], lock: Lock = None) -> list[Self]:
        """All that fulfil the conditions, oldest first."""
        query = sa.select(cls.MODEL).where(*where).order_by(cls.MODEL.id)
        if lock is not None:
            query = query.with_for_update(read=lock == "share")
        return [cls.from_row(row) for row in session.scalars(query.execution_options(populate_existing=True))]

    @classmethod
    def get(cls, session: orm.Session, ident: str, *where: sa.ColumnElement[bool], lock: Lock = None) -> Self:
        """The one with this uuid or name among those that fulfil the conditions.

        :raises exception.NotFound: there is none
        :raises exception.NameAmbiguous: there are several
        """
        found = cls.find(session, cls.identified(ident), *where, lock=lock)
        if not found:
            raise exception.NotFound(kind=cls.KIND, name=ident)
        if len(found) > 1:
            raise exception.NameAmbiguous(kind=cls.KIND, name=ident)
        return found[0]

    @classmethod
    def create(cls, session: orm.Session, conflict: exception.MoganHilError | None = None, **values: Any) -> Self:
        """Write a new row.

        :param conflict: what to raise when a unique constraint refuses it, whichever
        :raises exception.Duplicate: a unique constraint refused it and no other error was given
        """
        row = cls.MODEL(**values)
        session.add(row)
        try:
            session.flush()
        except db_exception.DBDuplicateEntry as error:
            column = next((name for name in error.columns or () if name in ("name", "mac", "label")), "name")
            raise (conflict or exception.Duplicate(kind=cls.KIND, field=column)) from None
        except db_exception.DBReferenceError:
            raise exception.Conflict(reason=f"What this {cls.KIND} belongs to was deleted meanwhile.") from None
        return cls.from_row(row)

    def update(self, session: orm.Session, *where: sa.ColumnElement[bool], **values: Any) -> bool:
        """Compare and swap: change the row if it still fulfils the conditions.

        :returns: whether it did; if not, nothing changed
        :raises exception.Duplicate: a unique constraint refuses the new values
        :raises exception.Conflict: what the new values refer to is not there any more
        """
        statement = sa.update(self.MODEL).where(self.MODEL.id == self.id, *where).values(**values)
        try:
            result = session.execute(statement.execution_options(synchronize_session=False))
        except db_exception.DBDuplicateEntry as error:
            raise exception.Duplicate(kind=self.KIND, field=(error.columns or ["name"])[0]) from None
        except db_exception.DBReferenceError:
            raise exception.Conflict(reason=f"What this {self.KIND} was to belong to was deleted meanwhile.") from None
        if typing.cast("sa.CursorResult[Any]", result).rowcount != 1:
            return False
        for name, value in values.items():
            if name in self.fields:
                setattr(self, f"_obj_{name}", value)
        return True

    def delete(self, session: orm.Session, blocked: exception.MoganHilError | None = None) -> None:
        """Delete the row.

        :param blocked: what to raise when another row still refers to it
        """
        try:
            session.execute(sa.delete(self.MODEL).where(self.MODEL.id == self.id))
        except db_exception.DBReferenceError:
            raise (blocked or exception.InUse(kind=self.KIND.capitalize(), name=self.uuid, what="users")) from None


def column(rows: Sequence[Any], name: str) -> list[Any]:
    """One column of rows."""
    return [getattr(row, name) for row in rows]
