# SPDX-License-Identifier: Apache-2.0
"""Instances: a claimed, wired, booted node, and the locks on it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.db import models
from mogan_hil.objects import base

Holder = Literal["owner", "admin"]

#: Lanes on which instances are watched over.
LANES = 16


class Instance(base.Stored):
    VERSION = "1.2"
    MODEL = models.Instance
    KIND = "instance"

    name: str
    description: str
    project_id: str
    user_id: str
    flavor_id: int | None
    node_id: int | None
    server_group_id: int | None
    image_id: int | None
    next_image_id: int | None
    keypair: str | None
    labels: dict[str, Any]
    status: states.Instance
    owner_lock: dict[str, Any] | None
    admin_lock: dict[str, Any] | None
    fault: dict[str, Any] | None
    details: dict[str, Any]
    created_at: datetime

    @property
    def lane(self) -> str:
        """The lane of what is done with the instance as a whole."""
        return f"instances:{int(self.uuid[0], 16) % LANES}"

    @property
    def pending_key(self) -> str:
        """What an operation on the instance holds while it is open."""
        return f"instance:{self.uuid}"

    @property
    def deletion_key(self) -> str:
        """What its deletion holds while it is open, which may be while it is still being built."""
        return f"instance-delete:{self.uuid}"

    @property
    def locked_by(self) -> Holder | None:
        """Whose lock is in force: an administrator's hides the owner's."""
        return locked_by(self)

    def lock(self, session: orm.Session, holder: Holder, user_id: str, reason: str) -> bool:
        """Lock it, unless it is being deleted. A lock of the same holder that is there already stays as it was.

        :returns: False if it is being deleted
        """
        rows = models.Instance
        column = rows.owner_lock if holder == "owner" else rows.admin_lock
        lock = {"by": user_id, "at": models.told(models.now()), "reason": reason}
        alive = rows.status != states.Instance.DELETING
        return self.update(session, alive, column.is_(None), **{f"{holder}_lock": lock}) or self._alive(session)

    def unlock(self, session: orm.Session, holder: Holder) -> bool:
        """Lift a holder's lock, unless the instance is being deleted.

        :returns: False if it is being deleted
        """
        alive = models.Instance.status != states.Instance.DELETING
        return self.update(session, alive, **{f"{holder}_lock": None})

    def _alive(self, session: orm.Session) -> bool:
        rows = models.Instance
        query = sa.select(rows.id).where(rows.id == self.id, rows.status != states.Instance.DELETING)
        return session.scalar(query) is not None

    def move(self, session: orm.Session, event: states.Event, *, overrides_lock: bool, **values: Any) -> None:
        """Compare and swap: change the state, if the table has this event for it and nobody has locked it.

        :param overrides_lock: whoever asks may change what is locked
        :raises exception.InstanceState: it is in another state now
        :raises exception.InstanceLocked: it is locked
        """
        rows = models.Instance
        where = [] if overrides_lock else [rows.owner_lock.is_(None), rows.admin_lock.is_(None)]
        after = states.INSTANCE_NEXT.get((self.status, event))
        values = {**values, **self._rebuilt(done=event == states.Event.DONE)}
        if after is not None and self.update(session, rows.status == self.status, *where, status=after, **values):
            return
        current = Instance.find(session, rows.id == self.id, lock="update")
        if not current:
            raise exception.NotFound(kind="instance", name=self.name)
        if not overrides_lock and current[0].locked_by is not None:
            raise exception.InstanceLocked(name=self.name, holder=current[0].locked_by)
        if after is None or current[0].status != self.status:
            raise exception.InstanceState(name=self.name, status=str(current[0].status), event=str(event))
        self.update(session, status=after, **values)  # it was unlocked just now

    def back(self, session: orm.Session, before: states.Instance, **values: Any) -> None:
        """Compare and swap: leave what was begun, as if it had not been.

        :raises ValueError: it cannot have been in that state before
        """
        if before not in states.INSTANCE_BACK.get(self.status, ()):
            raise ValueError(f"no instance goes back from {self.status} to {before}")
        values = {**values, **self._rebuilt(done=False)}
        self.update(session, models.Instance.status == self.status, status=before, **values)

    def _rebuilt(self, *, done: bool) -> dict[str, Any]:
        """What leaving a rebuild makes of its image: only one that was deployed as a whole is the instance's."""
        if self.status != states.Instance.REBUILDING:
            return {}
        image = self.next_image_id if done and self.next_image_id is not None else self.image_id
        return {"image_id": image, "next_image_id": None}

    @staticmethod
    def locked_nodes(session: orm.Session, nodes: Collection[str]) -> set[str]:
        """Which of these nodes, by uuid, have a locked instance. Until the transaction ends nobody locks another."""
        rows = models.Instance
        query = (
            sa.select(models.Node.uuid, rows.owner_lock, rows.admin_lock)
            .join(rows, rows.node_id == models.Node.id)
            .where(models.Node.uuid.in_(nodes))
            .order_by(rows.id)
            .with_for_update(read=True, of=rows)
        )
        return {row.uuid for row in session.execute(query) if locked_by(row) is not None}


def locked_by(row: Any) -> Holder | None:
    """See :attr:`Instance.locked_by`; for rows as well."""
    if row.admin_lock is not None:
        return "admin"
    return "owner" if row.owner_lock is not None else None


class Flavor(base.Stored):
    VERSION = "1.1"
    MODEL = models.Flavor
    KIND = "flavor"

    name: str
    description: str
    resource_class: str
    traits: list[str]
    aggregate_metadata: dict[str, Any]
    public: bool
    disabled: bool
    created_at: datetime


class FlavorAccess(base.Stored):
    MODEL = models.FlavorAccess
    KIND = "access"

    flavor_id: int
    project_id: str

    @classmethod
    def identified(cls, ident: str) -> sa.ColumnElement[bool]:
        """Access goes by its project."""
        return models.FlavorAccess.project_id == ident


def flavors_of(project_id: str | None) -> sa.ColumnElement[bool]:
    """The condition for flavors that a project may use."""
    access = models.FlavorAccess
    granted = sa.exists().where(access.flavor_id == models.Flavor.id, access.project_id == (project_id or ""))
    return sa.and_(models.Flavor.disabled.is_(False), sa.or_(models.Flavor.public.is_(True), granted))
