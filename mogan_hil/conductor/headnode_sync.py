# SPDX-License-Identifier: Apache-2.0
"""Do headnodes run as they are said to? A guest may switch itself off, and somebody may have changed it on the host.

What is found is written down and never put right; one that is off then stays off when its host is started. Nothing is
written while anything is being done with the headnode, nor if anything was begun since its host was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.conductor.headnodes import MISSING, begin_keep_off
from mogan_hil.conductor.locks import Locks
from mogan_hil.conductor.sync import Sync
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.headnode.base import VmState
from mogan_hil.objects.headnode import Headnode
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)


class HeadnodeSync(Sync[Headnode]):
    """Asks the host of each headnode that nothing is done with, once a round.

    Where a first start has failed and its remains could not be taken away, they are as soon as the host answers.

    :param read: asks the host what there is of a headnode
    :param clean: has what a first start has left on a lane taken away
    :param wake: told of a lane that has work
    """

    NAME = "headnode-sync"
    ASKED = "Headnode"

    def __init__(
        self,
        database: Database,
        locks: Locks,
        read: Callable[[Headnode], VmState | None],
        clean: Callable[[str], None],
        wake: Callable[[str], None],
    ) -> None:
        super().__init__(database, locks)
        self._read = read
        self._clean = clean
        self._wake = wake

    def _all(self, session: orm.Session) -> Sequence[Headnode]:
        rows = models.Headnode
        left = sa.and_(rows.status == states.Headnode.ERROR, rows.frozen.is_(False))
        stands = rows.status.in_([states.Headnode.ACTIVE, states.Headnode.STOPPED])
        settled = sa.or_(rows.unsettled_until.is_(None), rows.unsettled_until <= models.now())
        return Headnode.find(session, sa.or_(left, stands), settled)

    def _name(self, thing: Headnode) -> str:
        return thing.name

    def _look(self, thing: Headnode) -> None:
        with self._database.reader() as session:
            last = Operation.latest(session, thing.lane)
            # What is not over when it is asked may be over when the answer is written.
            if Operation.open_keys(session, [thing.lane]):
                return
        seen = self._read(thing)
        if thing.status == states.Headnode.ERROR:
            self._clean(thing.lane)
        else:
            self._write(thing, last, _found(seen))

    def _write(self, asked: Headnode, last: Operation | None, found: Mapping[str, Any]) -> None:
        if _same(asked, found):
            return
        with self._database.writer() as session:
            now = Headnode.find(session, models.Headnode.id == asked.id, lock="update")
            if not now or now[0].status != asked.status or _same(now[0], found):
                return
            latest = Operation.latest(session, asked.lane)
            # If there is another one later, what was seen may be what it made.
            if (latest and latest.uuid) != (last and last.uuid) or Operation.open_keys(session, [asked.lane]):
                return
            now[0].update(session, models.Headnode.status == asked.status, **found)
            if found["status"] == states.Headnode.STOPPED:
                begin_keep_off(session, asked.lane)
        self._wake(asked.lane)
        LOG.warning("Headnode %(name)s was found %(status)s", {"name": asked.name, "status": found["status"]})


def _found(seen: VmState | None) -> Mapping[str, Any]:
    """What its row is to say of a machine."""
    if seen is None:
        return {"status": states.Headnode.ERROR, "fault": MISSING, "vnc_address": None, "vnc_port": None}
    status = states.Headnode.ACTIVE if seen.running else states.Headnode.STOPPED
    return {"status": status, "vnc_address": seen.vnc_address, "vnc_port": seen.vnc_port}


def _same(headnode: Headnode, found: Mapping[str, Any]) -> bool:
    return all(getattr(headnode, name) == value for name, value in found.items())
