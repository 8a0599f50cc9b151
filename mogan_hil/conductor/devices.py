# SPDX-License-Identifier: Apache-2.0
"""The drivers of devices, kept open, and called with a time limit."""

from __future__ import annotations

import abc
import threading
import time
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Generic, ParamSpec, Protocol, TypeVar

import orjson
import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log

from mogan_hil.common import masking
from mogan_hil.common.sealing import Opener, Purpose
from mogan_hil.conductor.failures import log_failure
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.loader import Drivers, check_options
from mogan_hil.drivers.switch.base import SwitchDriver
from mogan_hil.objects.switch import Switch

LOG = log.getLogger(__name__)

#: How often the end of a late call is tried to be written down.
RETRIES = 60

#: What says in its row that a call may still change its device.
Troubled = models.Switch | models.Node | models.Headnode

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
        self, database: Database, row: type[Troubled], uuid: str, limit: float, settled: Callable[[], None]
    ) -> None:
        self._database = database
        self._row = row
        self._uuid = uuid
        self._limit = limit
        self._settled = settled

    def begins(self, future: Future[R]) -> None:
        """A call is given up."""
        try:
            self._write(models.now() + timedelta(seconds=self._limit))
        finally:  # whether it could be written down or not: what it does is seen to when it comes back
            future.add_done_callback(self._ends)

    def _ends(self, _future: Future[R]) -> None:
        for _ in range(RETRIES):
            try:
                self._write(None)
                self._settled()
                return
            except Exception:  # in a thread that nobody waits for; the limit is the last resort
                log_failure(LOG, "The end of a late call to %s could not be written down", self._uuid)
                time.sleep(1)

    def _write(self, until: datetime | None) -> None:
        with self._database.writer() as session:
            session.execute(sa.update(self._row).where(self._row.uuid == self._uuid).values(unsettled_until=until))


def option_value(text: str) -> Any:
    """A driver's option as the configuration has it: JSON, or else a text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


class Guard:
    """Calls one device, one call at a time, with a time limit, and makes every failure a `DriverError`.

    A call that hangs cannot be stopped. It is left to its thread; until it comes back every further call is refused, so
    that no two talk to the device at once.

    :param trouble: told of calls that are given up, and of their coming back; None for calls that change nothing
    :param shown: what tenants are told in place of the name
    :param hidden: the device's secrets, which no error tells
    """

    def __init__(
        self, name: str, timeout: float, trouble: Trouble | None = None, shown: str = "", hidden: Collection[str] = ()
    ) -> None:
        self._name = name
        self._shown = shown or name
        self._timeout = timeout
        self._trouble = trouble
        self._hidden = hidden
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
                raise DriverError(f"{self._shown} {late}", f"{self._name} {late}", transient=True, undone=True)
            self._stuck = None
            future: Future[R] = Future()
            threading.Thread(target=_run, args=(future, function, args, kwargs), name=self._name, daemon=True).start()
            try:
                return future.result(self._timeout)
            except DriverError as error:
                error.mask(self._hidden)
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
                detail = masking.masked("".join(traceback.format_exception(error)), self._hidden)
                LOG.error(
                    "The driver of %(name)s failed unexpectedly: %(detail)s", {"name": self._name, "detail": detail}
                )
                raise DriverError(f"{self._shown} cannot be used: its driver failed unexpectedly.", detail) from error


def _run(future: Future[R], function: Callable[..., R], args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    try:
        future.set_result(function(*args, **kwargs))
    except BaseException as error:  # everything must reach the waiting thread
        future.set_exception(error)


class Closable(Protocol):
    """A driver that has a session."""

    def close(self) -> None:
        """End it."""


class Thing(Protocol):
    """What is beside a device: mostly its row."""

    @property
    def uuid(self) -> str:
        """The device's."""

    @property
    def name(self) -> str:
        """For logs."""


T = TypeVar("T", bound=Thing)
D = TypeVar("D", bound=Closable)


@dataclass(frozen=True, slots=True)
class Device(Generic[D]):
    """One device: its driver, and what it is to be called through."""

    driver: D
    guard: Guard


class Devices(abc.ABC, Generic[T, D]):
    """The devices of one sort that a conductor has talked to. One that was changed gets a new driver.

    :cvar CALLED: what a device is called in logs, with its `{name}`
    :cvar SHOWN: what tenants are told in place of that; nothing where it is the same
    :param timeout: seconds that a call may take
    :param trouble: what to tell of calls that are given up; None for calls that change nothing
    """

    CALLED: ClassVar[str]
    SHOWN: ClassVar[str] = ""

    def __init__(self, conf: cfg.ConfigOpts, timeout: float, trouble: Callable[[T], Trouble] | None = None) -> None:
        self._timeout = timeout
        self._trouble = trouble
        self._state_dir = Path(conf.state_path)
        #: With what each was made from.
        self._devices: dict[str, tuple[object, Device[D]]] = {}
        self._lock = threading.Lock()

    def get(self, thing: T) -> Device[D]:
        """The device of this thing. Nothing is connected yet.

        :raises DriverError: its driver is not installed here, or refuses its options
        """
        source = self._source(thing)
        with self._lock:
            known = self._devices.get(thing.uuid)
            if known is None or known[0] != source:
                self._drop(thing.uuid)
                known = self._devices[thing.uuid] = (source, self._make(thing))
            return known[1]

    def _make(self, thing: T) -> Device[D]:
        # A driver that keeps to its time says why it failed; the guard only knows that it did not come back.
        environment = Environment(thing.uuid, thing.name, self._state_dir, self._timeout * 0.8)
        driver, hidden = self._open(thing, environment)
        trouble = None if self._trouble is None else self._trouble(thing)
        return Device(driver, Guard(self.CALLED.format(name=thing.name), self._timeout, trouble, self.SHOWN, hidden))

    def _source(self, thing: T) -> object:
        """What its driver is made from: one that was made from something else is closed."""

    @abc.abstractmethod
    def _open(self, thing: T, environment: Environment) -> tuple[D, Collection[str]]:
        """Its driver, and the secrets that no error may tell.

        Options of a row are checked first: whoever can write to the database may have passed the API's check by.

        :raises DriverError: there is none for it here
        """

    def forget_all_but(self, uuids: Collection[str]) -> None:
        """Close those that are not there any more."""
        with self._lock:
            for uuid in self._devices.keys() - set(uuids):
                self._drop(uuid)

    def _drop(self, uuid: str) -> None:
        known = self._devices.pop(uuid, None)
        if known is not None:  # it may take its time, and nobody is to wait for it
            _closing(known[1].driver)

    def close(self) -> None:
        """End every session, and wait for that no longer than a call may take, whatever their drivers do."""
        with self._lock:
            ends = [_closing(device.driver) for _, device in self._devices.values()]
            self._devices.clear()
        limit = time.monotonic() + self._timeout
        for end in ends:
            end.join(max(0.0, limit - time.monotonic()))


def _closing(driver: Closable) -> threading.Thread:
    thread = threading.Thread(target=_close, args=(driver,), name="close", daemon=True)
    thread.start()
    return thread


def _close(driver: Closable) -> None:
    try:
        driver.close()
    except Exception:  # the others are to be closed
        LOG.exception("A driver failed as its session was ended")


class Switches(Devices[Switch, SwitchDriver]):
    """The switches."""

    CALLED = "Switch {name}"
    SHOWN = "The switch"

    def __init__(
        self, conf: cfg.ConfigOpts, drivers: Drivers, timeout: float, trouble: Callable[[Switch], Trouble] | None = None
    ) -> None:
        super().__init__(conf, timeout, trouble)
        self._drivers = drivers
        self._opener = Opener(conf.secrets.key_file)

    def _source(self, thing: Switch) -> object:
        return thing.generation

    def _open(self, thing: Switch, environment: Environment) -> tuple[SwitchDriver, Collection[str]]:
        hidden: Collection[str] = ()
        try:
            made = self._drivers.switch(thing.driver)
            purpose = Purpose(thing.uuid, thing.driver, thing.options)
            secrets = self._opener.open(thing.secrets, purpose, made.harmless_options)
            hidden = masking.remember(thing.uuid, secrets)
            options = {**thing.options, **secrets}
            check_options(made, options)
            return made(options, environment), hidden
        except Exception as error:
            detail = masking.masked(f"Switch {thing.name}: {error!r}", hidden)
            LOG.error("No driver for a switch. %s", detail)
            raise DriverError("The switch cannot be managed by this conductor.", detail) from None
