# SPDX-License-Identifier: Apache-2.0
"""The drivers of devices, kept open, and called with a time limit."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log

from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.loader import Drivers
from mogan_hil.drivers.switch.base import SwitchDriver
from mogan_hil.objects.switch import Switch

LOG = log.getLogger(__name__)

#: How often the end of a late call is tried to be written down.
RETRIES = 60

P = ParamSpec("P")
R = TypeVar("R")


class Hung(DriverError):
    """A call did not come back in time. It may still be going on, and may still change the device."""


class Trouble:
    """A call that was given up, as every conductor has to know of it.

    It may still change the device. Until it comes back, or the time is over after which nobody waits for it any more,
    nothing that is seen on the device is proof of anything: the device's row says so.

    :param row: the model of the device
    :param settled: told when it has come back
    :param limit: seconds after which it is forgotten; the conductor that made the call may have died
    """

    def __init__(
        self,
        database: Database,
        row: type[models.Switch] | type[models.Node],
        uuid: str,
        limit: float,
        settled: Callable[[], None],
    ) -> None:
        self._database = database
        self._row = row
        self._uuid = uuid
        self._limit = limit
        self._settled = settled

    def begins(self, future: Future[R]) -> None:
        """A call is given up."""
        self._write(models.now() + timedelta(seconds=self._limit))
        future.add_done_callback(self._ends)

    def _ends(self, _future: Future[R]) -> None:
        for _ in range(RETRIES):
            try:
                self._write(None)
                self._settled()
                return
            except Exception:  # in a thread that nobody waits for; the limit is the last resort
                LOG.exception("The end of a late call to %s could not be written down", self._uuid)
                time.sleep(1)

    def _write(self, until: datetime | None) -> None:
        with self._database.writer() as session:
            session.execute(sa.update(self._row).where(self._row.uuid == self._uuid).values(unsettled_until=until))


class Guard:
    """Calls one device, one call at a time, with a time limit, and makes every failure a `DriverError`.

    A call that hangs cannot be stopped. It is left to its thread; until it comes back every further call is refused, so
    that no two talk to the device at once.

    :param trouble: told of calls that are given up, and of their coming back; None for calls that change nothing
    :param shown: what tenants are told in place of the name
    """

    def __init__(self, name: str, timeout: float, trouble: Trouble | None = None, shown: str = "") -> None:
        self._name = name
        self._shown = shown or name
        self._timeout = timeout
        self._trouble = trouble
        self._lock = threading.Lock()
        self._stuck: Future[object] | None = None

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a driver.

        :raises Hung: it did not come back in time
        :raises DriverError: it failed, in whatever way
        """
        with self._lock:
            if self._stuck is not None and not self._stuck.done():
                late = "has not come back from an earlier call."
                raise DriverError(f"{self._shown} {late}", f"{self._name} {late}", transient=True)
            self._stuck = None
            future: Future[R] = Future()
            threading.Thread(target=_run, args=(future, function, args, kwargs), name=self._name, daemon=True).start()
            try:
                return future.result(self._timeout)
            except DriverError:
                raise
            except TimeoutError:
                if future.done():  # the driver's own TimeoutError
                    late = "did not answer in time."
                    raise DriverError(f"{self._shown} {late}", f"{self._name} {late}", transient=True) from None
                self._stuck = future  # type: ignore[assignment]
                if self._trouble is not None:
                    self._trouble.begins(future)
                raise Hung(
                    f"{self._shown} did not answer within {self._timeout:g} seconds.",
                    f"{function} of {self._name} did not return within {self._timeout:g} seconds",
                ) from None
            except Exception as error:
                LOG.exception("The driver of %s failed unexpectedly", self._name)
                detail = "".join(traceback.format_exception(error))
                raise DriverError(f"{self._shown} cannot be used: its driver failed unexpectedly.", detail) from error


def _run(future: Future[R], function: Callable[..., R], args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    try:
        future.set_result(function(*args, **kwargs))
    except BaseException as error:  # everything must reach the waiting thread
        future.set_exception(error)


class SwitchDevice:
    """One switch: its driver, guarded."""

    def __init__(self, driver: SwitchDriver, guard: Guard) -> None:
        self.driver = driver
        self.guard = guard

    @property
    def capabilities(self) -> frozenset[str]:
        """What the driver can do."""
        return self.driver.capabilities


class Switches:
    """The switches that a conductor has talked to. One that was changed gets a new driver.

    :param trouble: what to tell of a switch's calls that are given up; None for calls that change nothing
    """

    def __init__(
        self, conf: cfg.ConfigOpts, drivers: Drivers, timeout: float, trouble: Callable[[Switch], Trouble] | None = None
    ) -> None:
        self._trouble = trouble
        self._drivers = drivers
        self._timeout = timeout
        self._state_dir = Path(conf.state_path)
        self._known: dict[str, tuple[int, SwitchDevice]] = {}
        self._lock = threading.Lock()

    def get(self, switch: Switch) -> SwitchDevice:
        """The device of a switch. Nothing is connected yet.

        :raises DriverError: its driver is not installed here, or refuses its options
        """
        with self._lock:
            generation, device = self._known.get(switch.uuid, (-1, None))
            if device is None or generation != switch.generation:
                if device is not None:
                    threading.Thread(target=device.driver.close, daemon=True).start()
                device = self._make(switch)
                self._known[switch.uuid] = (switch.generation, device)
            return device

    def _make(self, switch: Switch) -> SwitchDevice:
        # A driver that keeps to its time says why it failed; the guard only knows that it did not come back.
        environment = Environment(switch.uuid, switch.name, self._state_dir, self._timeout * 0.8)
        try:
            driver = self._drivers.switch(switch.driver)({**switch.options, **switch.secrets}, environment)
        except Exception as error:
            LOG.exception("No driver for switch %s", switch.name)
            detail = f"Switch {switch.name}: {error}"
            raise DriverError("The switch cannot be managed by this conductor.", detail) from error
        trouble = None if self._trouble is None else self._trouble(switch)
        return SwitchDevice(driver, Guard(f"Switch {switch.name}", self._timeout, trouble, "The switch"))

    def close(self) -> None:
        """End every session."""
        with self._lock:
            for _, device in self._known.values():
                device.driver.close()
            self._known.clear()
