# SPDX-License-Identifier: Apache-2.0
"""The lane of a node: power and boot device, through its out-of-band controller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.conductor.devices import Guard, Trouble
from mogan_hil.conductor.lanes import Lost
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.loader import Drivers
from mogan_hil.drivers.obm.base import ObmDriver, Power
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)

#: Seconds between two looks at a node that was switched.
LOOK = 0.5
#: A node that is on afterwards does not show that it was off between.
UNPROVABLE = (Power.CYCLE, Power.RESET)


class Controllers:
    """The controllers that a conductor has talked to. One whose options were changed gets a new driver.

    :param trouble: what to tell of a controller's calls that are given up; None for calls that change nothing
    """

    def __init__(
        self, conf: cfg.ConfigOpts, drivers: Drivers, timeout: float, trouble: Callable[[Node], Trouble] | None = None
    ) -> None:
        self._trouble = trouble
        self._drivers = drivers
        self._timeout = timeout
        self._state_dir = Path(conf.state_path)
        self._known: dict[str, tuple[object, ObmDriver, Guard]] = {}
        self._lock = threading.Lock()

    def get(self, node: Node) -> tuple[ObmDriver, Guard]:
        """The driver of a node's controller, and what to call it through. Nothing is connected yet.

        :raises DriverError: it has none, or its driver is not installed here
        """
        wanted = (node.obm_driver, node.obm_options, node.obm_secrets)
        with self._lock:
            known = self._known.get(node.uuid)
            if known is None or known[0] != wanted:
                if known is not None:
                    threading.Thread(target=known[1].close, daemon=True).start()
                trouble = None if self._trouble is None else self._trouble(node)
                guard = Guard(f"The controller of node {node.name}", self._timeout, trouble)
                known = (wanted, self._make(node), guard)
                self._known[node.uuid] = known
            return known[1], known[2]

    def _make(self, node: Node) -> ObmDriver:
        environment = Environment(node.uuid, node.name, self._state_dir, self._timeout * 0.8)
        try:
            return self._drivers.obm(node.obm_driver or "")({**node.obm_options, **node.obm_secrets}, environment)
        except Exception as error:
            LOG.exception("No driver for the controller of node %s", node.name)
            raise DriverError(f"Node {node.name} cannot be managed by this conductor.", str(error)) from error

    def ask(self, node: Node, question: str) -> Mapping[str, Any]:
        """What a node is now.

        :param question: `power` or `boot_device`
        :raises DriverError: it could not be asked
        """
        driver, guard = self.get(node)
        if question == "power":
            return {"power": str(guard.call(driver.power))}
        device, persistent = guard.call(driver.boot_device)
        devices = guard.call(driver.boot_devices)
        return {"device": device, "persistent": persistent, "supported": sorted(devices)}

    def close(self) -> None:
        """End every session."""
        with self._lock:
            for _, driver, _ in self._known.values():
                driver.close()
            self._known.clear()


class NodeLane:
    """Does power and boot_device. See :class:`.lanes.Handler`."""

    def __init__(self, conf: cfg.ConfigOpts, database: Database, controllers: Controllers) -> None:
        self._settings = conf.conductor
        self._database = database
        self._controllers = controllers

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        with self._database.reader() as session:
            found = Node.find(session, models.Node.uuid == lane.partition(":")[2])
        for operation in operations:
            try:
                if not found:
                    raise DriverError("The node was removed.")
                self._do(found[0], operation)
            except DriverError as error:
                self._failed(operation, error)

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`. What a node is, is asked of it and not remembered."""

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`. Nothing but the journal says what was wanted."""

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`."""

    def _do(self, node: Node, operation: Operation) -> None:
        if node.project_id != operation.project_id:
            raise DriverError("The node has changed hands.")
        if node.unsettled:
            raise DriverError("The node's controller has not come back from an earlier call.", transient=True)
        driver, guard = self._controllers.get(node)
        if operation.verb == "boot_device":
            self._boot_device(driver, guard, operation)
        elif operation.result is None:
            self._set_power(driver, guard, operation)
            self._look(driver, guard, operation, models.now())
        else:
            self._look(driver, guard, operation, datetime.fromisoformat(operation.result["switched_at"]))

    def _set_power(self, driver: ObmDriver, guard: Guard, operation: Operation) -> None:
        # On and off may be repeated. A second cycle is another one: that it was begun is written down before.
        once = operation.payload["target"] in UNPROVABLE
        if once:
            self._note(operation, {"switched_at": models.now().isoformat()})
        try:
            guard.call(driver.set_power, Power(operation.payload["target"]))
        except DriverError as error:
            if once and error.transient:  # it was not done
                self._note(operation, None)
            raise

    def _note(self, operation: Operation, result: dict[str, Any] | None) -> None:
        with self._database.writer() as session:
            operation.update(session, result=result)

    def _boot_device(self, driver: ObmDriver, guard: Guard, operation: Operation) -> None:
        wanted = (operation.payload["device"], operation.payload["persistent"])
        if wanted[0] not in (supported := guard.call(driver.boot_devices)):
            raise DriverError(f"The node cannot boot from {wanted[0]}; it can from {', '.join(sorted(supported))}.")
        guard.call(driver.set_boot_device, *wanted)
        seen = guard.call(driver.boot_device)
        if seen != wanted:
            raise DriverError("The controller accepted the boot device and does not have it.", f"{wanted} is {seen}")
        with self._database.writer() as session:
            _keep(operation.finish(session, verified=True))

    def _look(self, driver: ObmDriver, guard: Guard, operation: Operation, switched: datetime) -> None:
        """Is it as it was asked to be? A node takes its time: until then nobody waits for it here."""
        off = operation.payload["target"] in (Power.OFF, Power.SOFT_OFF)
        seen = guard.call(driver.power)
        waited = (models.now() - switched).total_seconds()
        if seen != (Power.OFF if off else Power.ON) and waited > self._settings.power_timeout:
            raise DriverError(f"The node is still {seen} after {waited:.0f} seconds.")
        with self._database.writer() as session:
            if seen == (Power.OFF if off else Power.ON):
                verified = None if operation.payload["target"] in UNPROVABLE else True
                _keep(operation.finish(session, verified=verified, result={"power": str(seen)}))
            else:
                operation.update(session, result={"switched_at": switched.isoformat()})
                _keep(operation.wait(session, LOOK))

    def _failed(self, operation: Operation, error: DriverError) -> None:
        with self._database.writer() as session:
            if error.transient and operation.attempts < self._settings.max_attempts:
                delay = self._settings.retry_delay * 2 ** (operation.attempts - 1)
                LOG.warning("Operation %(uuid)s waits: %(error)s", {"uuid": operation.uuid, "error": error.operator})
                seconds = min(delay, self._settings.max_retry_delay)
                _keep(operation.postpone(session, seconds, error.user, error.operator))
            else:
                LOG.error("Operation %(uuid)s failed: %(error)s", {"uuid": operation.uuid, "error": error.operator})
                _keep(operation.fail(session, error.user, error.operator))


def _keep(mine: bool) -> None:
    if not mine:
        raise Lost
