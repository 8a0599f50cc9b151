# SPDX-License-Identifier: Apache-2.0
"""Keeps the journal from growing for ever: see :mod:`mogan_hil.objects.retention`."""

from __future__ import annotations

from datetime import timedelta

from oslo_log import log

from mogan_hil.conductor.locks import Locks, alone
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.objects.retention import purge

LOG = log.getLogger(__name__)

#: Seconds between two rounds.
PERIOD = 3600.0


class Retention:
    """Deletes what ended too long ago, once a round.

    :param locks: one of them says which conductor does it
    :param days: that operations are kept
    """

    def __init__(self, database: Database, locks: Locks, days: int) -> None:
        self._database = database
        self._locks = locks
        self._days = days
        self._stopped = False

    def round(self) -> None:
        """Delete what there is to be deleted, unless another conductor does."""
        with alone(self._locks, "retention") as mine:
            if not mine:
                return
            before = models.now() - timedelta(days=self._days)
            count = purge(self._database, before, stopped=lambda: self._stopped)
        if count:
            LOG.info(
                "%(count)d operations that ended before %(before)s were deleted", {"count": count, "before": before}
            )

    def stop(self) -> None:
        """Do no more than what was begun."""
        self._stopped = True
