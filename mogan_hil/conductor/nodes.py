# SPDX-License-Identifier: Apache-2.0
"""The lane of a node: power, boot device and console, through its out-of-band controller."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from oslo_config import cfg
from sqlalchemy import orm

from mogan_hil.conductor.consoles import Consoles
from mogan_hil.conductor.controllers import Controllers
from mogan_hil.conductor.devices import Guard, Hung
from mogan_hil.conductor.lanes import keep, put_off
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.obm.base import ObmDriver, Power
from mogan_hil.objects.console import Console
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation

#: Seconds between two looks at a node that was switched.
LOOK = 0.5
#: A node that is on afterwards does not show that it was off between.
UNPROVABLE = (Power.CYCLE, Power.RESET)
#: What is told of these when their answer is lost.
UNKNOWN = "It is not known whether it was done, and it was not tried again."
#: What opens a console.
OPENS = ("console_start", "console_resume")


class NodeLane:
    """Does power, boot_device, and what begins with console_. See :class:`.lanes.Handler`."""

    def __init__(self, conf: cfg.ConfigOpts, database: Database, controllers: Controllers, consoles: Consoles) -> None:
        self._settings = conf.conductor
        self._database = database
        self._controllers = controllers
        self._consoles = consoles

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
                closed = functools.partial(self._closed, operation, error.user, final=not error.transient)
                put_off(self._database, self._settings, operation, error, closed)

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`. What a node is, is asked of it, but for its console."""
        self._closed(operation, operation.error or "", session, final=True)

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`. Nothing but the journal says what was wanted, but for the console."""
        if operation.verb in OPENS and operation.node is not None:
            Console.take_back(session, operation.node, operation.error or "")

    @staticmethod
    def _closed(operation: Operation, reason: str, session: orm.Session, *, final: bool) -> None:
        if operation.verb in OPENS and operation.node is not None:
            Console.fail(session, operation.node, reason, final=final)

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`."""

    def _do(self, node: Node, operation: Operation) -> None:
        if node.project_id != operation.project_id:
            raise DriverError("The node has changed hands.")
        if operation.verb.startswith("console_"):
            self._console(node, operation)
            return
        if node.unsettled:
            raise DriverError("The node's controller has not come back from an earlier call.", transient=True)
        device = self._controllers.get(node)
        driver, guard = device.driver, device.guard
        if operation.verb == "boot_device":
            self._boot_device(driver, guard, operation)
        elif operation.result is None:
            self._set_power(driver, guard, operation)
            self._look(driver, guard, operation, models.now())
        else:
            switched = datetime.fromisoformat(operation.result["switched_at"]).replace(tzinfo=None)
            self._look(driver, guard, operation, switched)

    def _console(self, node: Node, operation: Operation) -> None:
        opens = operation.verb in OPENS
        if opens:
            self._consoles.open(node)
        waits = not opens and self._consoles.held(node)
        with self._database.writer() as session:
            keep(operation.wait(session, LOOK) if waits else operation.finish(session, verified=True))

    def _set_power(self, driver: ObmDriver, guard: Guard, operation: Operation) -> None:
        # On and off may be repeated. A second cycle is another one: that it was begun is written down before, by one
        # conductor alone, if another one has taken the lane over.
        once = operation.payload["target"] in UNPROVABLE
        if once:
            self._note(operation, {"switched_at": models.told(models.now())})
        try:
            guard.call(driver.set_power, Power(operation.payload["target"]))
        except DriverError as error:
            if not once or not (error.transient or isinstance(error, Hung)):
                raise
            if not error.undone:
                raise DriverError(f"{error.user} {UNKNOWN}", f"{error.operator} {UNKNOWN}") from error
            self._note(operation, None)
            raise

    def _note(self, operation: Operation, result: dict[str, Any] | None) -> None:
        with self._database.writer() as session:
            keep(operation.progress(session, result))

    def _boot_device(self, driver: ObmDriver, guard: Guard, operation: Operation) -> None:
        wanted = (operation.payload["device"], operation.payload["persistent"])
        if wanted[0] is None:
            guard.call(driver.clear_boot_device)
        elif wanted[0] not in (supported := guard.call(driver.boot_devices)):
            raise DriverError(f"The node cannot boot from {wanted[0]}; it can from {', '.join(sorted(supported))}.")
        else:
            guard.call(driver.set_boot_device, *wanted)
        seen = guard.call(driver.boot_device)
        if seen != wanted:
            raise DriverError("The controller accepted the boot device and does not have it.", f"{wanted} is {seen}")
        with self._database.writer() as session:
            keep(operation.finish(session, verified=True))

    def _look(self, driver: ObmDriver, guard: Guard, operation: Operation, switched: datetime) -> None:
        """Is it as it was asked to be? A node takes its time: until then nobody waits for it here."""
        off = operation.payload["target"] in (Power.OFF, Power.SOFT_OFF)
        seen = guard.call(driver.power)
        waited = (models.now() - switched).total_seconds()
        if seen != (Power.OFF if off else Power.ON) and waited > self._settings.power_timeout:
            raise DriverError(f"The node is still {seen.replace('_', ' ')} after {waited:.0f} seconds.")
        with self._database.writer() as session:
            if seen == (Power.OFF if off else Power.ON):
                verified = None if operation.payload["target"] in UNPROVABLE else True
                keep(operation.finish(session, verified=verified, result={"power": str(seen)}))
            else:
                operation.update(session, result={"switched_at": models.told(switched)})
                keep(operation.wait(session, LOOK))
