# SPDX-License-Identifier: Apache-2.0
"""What is asked time and again whether it is as it is said to be."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Generic, TypeVar

from oslo_log import log
from sqlalchemy import orm

from mogan_hil.conductor.failures import log_failure
from mogan_hil.conductor.locks import Locks, alone
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError

LOG = log.getLogger(__name__)

#: Things that are asked at a time.
AT_ONCE = 16

Seen = TypeVar("Seen")


class Sync(abc.ABC, Generic[Seen]):
    """Asks things whether they are as they are said to be, many at a time; one that does not answer is passed over.

    :cvar NAME: of the round, of which one conductor at a time makes one
    :cvar ASKED: what is asked, for the log
    :param locks: one of them says which conductor asks
    """

    NAME: ClassVar[str]
    ASKED: ClassVar[str]

    def __init__(self, database: Database, locks: Locks) -> None:
        self._database = database
        self._locks = locks

    def round(self) -> None:
        """Ask all."""
        with alone(self._locks, self.NAME) as mine:
            if not mine:
                return
            with self._database.reader() as session:
                found = self._all(session)
            with ThreadPoolExecutor(AT_ONCE, self.NAME) as pool:
                list(pool.map(self._ask, found))

    def _ask(self, thing: Seen) -> None:
        try:
            self._look(thing)
        except DriverError as error:
            what = {"kind": self.ASKED, "name": self._name(thing), "error": error.operator}
            LOG.warning("%(kind)s %(name)s: %(error)s", what)
        except Exception:  # the others are to be asked
            log_failure(LOG, "%s %s could not be looked at", self.ASKED, self._name(thing))

    @abc.abstractmethod
    def _all(self, session: orm.Session) -> Sequence[Seen]:
        """What is to be asked."""

    @abc.abstractmethod
    def _name(self, thing: Seen) -> str:
        """For the log."""

    @abc.abstractmethod
    def _look(self, thing: Seen) -> None:
        """Ask one, and write down what it says."""
