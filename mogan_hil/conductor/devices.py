# SPDX-License-Identifier: Apache-2.0
"""The drivers of devices, kept open, and called with a time limit."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import ParamSpec, TypeVar

from oslo_config import cfg
from oslo_log import log

from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.loader import Drivers
from mogan_hil.drivers.switch.base import SwitchDriver
from mogan_hil.objects.switch import Switch

LOG = log.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Hung(DriverError):
    """A call did not come back in time. It may still be going on, and may still change the device."""


class Guard:
    """Calls one device, one call at a time, with a time limit, and makes every failure a `DriverError`.

    A call that hangs cannot be stopped. It is left to its thread; until it comes back every further call is refused, so
    that no two talk to the device at once.

    :param late: told when a call comes back that was given up: it may have changed the device only now
    """

    def __init__(self, name: str, timeout: float, late: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._timeout = timeout
        self._late = late
        self._lock = threading.Lock()
        self._stuck: Future[object] | None = None

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a driver.

        :raises Hung: it did not come back in time
        :raises DriverError: it failed, in whatever way
        """
        with self._lock:
            if self._stuck is not None and not self._stuck.done():
                raise DriverError(f"{self._name} has not come back from an earlier call.", transient=True)
            self._stuck = None
            future: Future[R] = Future()
            threading.Thread(target=_run, args=(future, function, args, kwargs), name=self._name, daemon=True).start()
            try:
                return future.result(self._timeout)
            except DriverError:
                raise
            except TimeoutError:
                if future.done():  # the driver's own TimeoutError
                    raise DriverError(f"{self._name} did not answer in time.", transient=True) from None
                self._stuck = future  # type: ignore[assignment]
                future.add_done_callback(lambda _future: self._late())
                raise Hung(
                    f"{self._name} did not answer within {self._timeout:g} seconds.",
                    f"{function} of {self._name} did not return within {self._timeout:g} seconds",
                ) from None
            except Exception as error:
                LOG.exception("The driver of %s failed unexpectedly", self._name)
                detail = "".join(traceback.format_exception(error))
                raise DriverError(f"The driver of {self._name} failed unexpectedly.", detail) from error


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

    :param late: told of the lane of a switch on which a call comes back that was given up
    """

    def __init__(
        self, conf: cfg.ConfigOpts, drivers: Drivers, timeout: float, late: Callable[[str], None] = lambda lane: None
    ) -> None:
        self._late = late
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
            raise DriverError(f"Switch {switch.name} cannot be managed by this conductor.", str(error)) from error
        lane = switch.lane
        return SwitchDevice(driver, Guard(f"Switch {switch.name}", self._timeout, lambda: self._late(lane)))

    def close(self) -> None:
        """End every session."""
        with self._lock:
            for _, device in self._known.values():
                device.driver.close()
            self._known.clear()
