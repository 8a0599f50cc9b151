# SPDX-License-Identifier: Apache-2.0
"""Does the network manager serve what the rows say? It may have been away, have refused it, or have lost what it knew.

What is wrong is put right by another operation `network_configure` on the network's lane, so that whoever has the lane
does it, and the journal tells of it. At most one follows each operation of a lane, however many conductors ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import sqlalchemy as sa
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.conductor.locks import Locks
from mogan_hil.conductor.served import NetworkLane, follow, spec_of
from mogan_hil.conductor.sync import Sync
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.objects.address import served_networks
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)

#: The longest wait between two operations that put one network right in vain, in seconds.
LONGEST = 3600.0


class NetworkSync(Sync[str]):
    """Looks at each network that is to be served, and at those that could not be told of, once a round.

    :param locks: one of them says which conductor asks
    :param lane: asks the network manager
    :param wake: told of the lanes that have work
    :param interval: seconds between two rounds: a network is put right again that long after it was tried in vain, and
        after twice as long each further time
    """

    NAME = "network-sync"
    ASKED = "Network"

    def __init__(
        self, database: Database, locks: Locks, lane: NetworkLane, wake: Callable[[str], None], interval: float
    ) -> None:
        super().__init__(database, locks)
        self._lane = lane
        self._wake = wake
        self._interval = interval
        #: Where the manager cannot be read: the networks that it was told of since this conductor was started.
        self._told: set[str] = set()

    def _all(self, session: orm.Session) -> Sequence[str]:
        failed = Operation.failed_lanes(session, "network_configure")
        return sorted(served_networks(session) | {lane.partition(":")[2] for lane in failed})

    def _name(self, thing: str) -> str:
        return thing

    def _look(self, thing: str) -> None:
        """Look at one, unless it is being told of just now.

        :param thing: its uuid; it may have been deleted
        :raises DriverError: the network manager could not be asked
        """
        with self._database.reader() as session:
            last = Operation.latest(session, f"network:{thing}")
            spec = spec_of(session, thing)
        tries = 0
        if last is not None and last.state in states.OPERATION_OPEN:
            return
        if last is not None and last.state == states.Operation.ERROR:
            tries = last.payload.get("tries", 0)
            pause = min(self._interval * 2 ** min(tries, 32), LONGEST)
            if models.now() < (last.finished_at or last.created_at) + timedelta(seconds=pause):
                return
            tries += 1
        elif last is not None and not spec.subnets:
            return  # it was told that there is nothing to be served any more
        elif self._lane.reads:
            if self._lane.seen(thing) == (spec if spec.subnets else None) or self._changes(thing):
                return
            LOG.warning("Network %s is not served as it should be", thing)
        elif thing in self._told:
            return
        self.tell_again(thing, last, tries)

    def _changes(self, network: str) -> bool:
        """Whether something is being attached or detached: the network manager is told of it when it has come about."""
        rows = models.Attachment
        query = sa.select(rows.id).join(models.Network, models.Network.id == rows.network_id)
        moving = query.where(models.Network.uuid == network, rows.status != states.Attachment.ACTIVE)
        with self._database.reader() as session:
            return session.scalar(moving.limit(1)) is not None

    def tell_again(self, network: str, last: Operation | None, tries: int = 0) -> None:
        """Have the network manager told of a network, unless something was written on its lane since.

        :param last: the latest operation on its lane
        :param tries: how often it was put right in vain
        """
        with self._database.writer() as session:
            latest = Operation.latest(session, f"network:{network}")
            if (latest and latest.uuid) != (last and last.uuid):
                return
            follow(session, network, last, tries)
        self._told.add(network)
        self._wake(f"network:{network}")
