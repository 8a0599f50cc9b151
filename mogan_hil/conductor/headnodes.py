# SPDX-License-Identifier: Apache-2.0
"""The lane of a headnode: its machine is started, stopped and taken away.

The first start makes the machine, from whatever an earlier try has left. What a first start that fails has made is
taken away again, so that the headnode can be changed and started anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import exception, headnodes, states
from mogan_hil.conductor.devices import Device, Devices, Trouble, option_value
from mogan_hil.conductor.lanes import keep, put_off
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.headnode.base import HeadnodeDriver, VmNic, VmSpec, VmState
from mogan_hil.drivers.loader import Drivers, check_options
from mogan_hil.objects.headnode import Headnode
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)

#: Longer texts are cut, as the column is.
FAULT_LENGTH = 1024

#: What nobody asks for, and says nothing of how a headnode is.
UNASKED = frozenset({"headnode_clean", "headnode_keep_off"})

MISSING = "The headnode's machine is not there any more."


@dataclass(frozen=True, slots=True)
class Gone:
    """What a headnode was that has no row any more."""

    uuid: str
    name: str
    lane: str


class Headnodes(Devices[Headnode | Gone, HeadnodeDriver]):
    """The machines of headnodes.

    :raises exception.BadField: the options do not fit the driver, or it is not installed
    """

    CALLED = "The host of headnode {name}"
    SHOWN = "The headnode's host"

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        drivers: Drivers,
        timeout: float,
        trouble: Callable[[Headnode | Gone], Trouble] | None = None,
    ) -> None:
        super().__init__(conf, timeout, trouble)
        self._driver = drivers.headnode(conf.headnode.driver)
        self._options = {name: option_value(text) for name, text in conf.headnode.driver_options.items()}
        check_options(self._driver, self._options, "driver_options")

    def _open(self, thing: Headnode | Gone, environment: Environment) -> tuple[HeadnodeDriver, Collection[str]]:
        return self._driver(self._options, environment), ()

    def read(self, headnode: Headnode | Gone) -> VmState | None:
        """What there is of a machine. No session stays: a host has many machines, and is rarely asked.

        :raises DriverError: its host could not be asked
        """
        device = self.get(headnode)
        return device.guard.call(_read_once, device.driver)


def _read_once(driver: HeadnodeDriver) -> VmState | None:
    try:
        return driver.read()
    finally:
        driver.close()


class HeadnodeLane:
    """Does headnode_power, headnode_delete, headnode_clean and headnode_keep_off. See :class:`.lanes.Handler`.

    :param machines: what machines are changed with
    :param wake: told of a lane that has work
    :raises ValueError: the configuration's catalogue of images is wrong
    """

    def __init__(
        self, conf: cfg.ConfigOpts, database: Database, machines: Headnodes, wake: Callable[[str], None]
    ) -> None:
        self._conf = conf
        self._settings = conf.conductor
        self._database = database
        self._machines = machines
        self._wake = wake
        self._images = headnodes.images_of(conf)

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        for operation in operations:
            with self._database.reader() as session:
                found = Headnode.find(session, models.Headnode.uuid == _uuid(lane))
            try:
                if operation.verb == "headnode_clean":
                    self._clean(found[0] if found else None, lane, operation)
                elif operation.verb == "headnode_keep_off":
                    self._keep_off(found[0] if found else None, operation)
                elif found:
                    self._do(found[0], operation)
                else:
                    raise DriverError("The headnode was removed.")
            except DriverError as error:
                self._failed(found[0] if found else None, operation, error)

    def _failed(self, headnode: Headnode | None, operation: Operation, error: DriverError) -> None:
        if headnode is None or operation.verb in UNASKED:
            put_off(self._database, self._settings, operation, error)
            return
        status = self._after(headnode, operation)
        values = {"status": status, "fault": error.user[:FAULT_LENGTH], "vnc_address": None, "vnc_port": None}
        put_off(self._database, self._settings, operation, error, lambda session: _write(session, headnode, values))

    # What is done.

    def _clean(self, headnode: Headnode | None, lane: str, operation: Operation) -> None:
        _settled(headnode)
        if headnode is None or not headnode.frozen:  # what was started is to be there
            device = self._machines.get(headnode or Gone(_uuid(lane), _uuid(lane), lane))
            self._remove(device)
        with self._database.writer() as session:
            keep(operation.finish(session, verified=True))
            if headnode is not None:
                rows = models.Headnode
                headnode.update(
                    session, rows.frozen.is_(False), rows.status == states.Headnode.ERROR, status=states.Headnode.NEW
                )

    def _keep_off(self, headnode: Headnode | None, operation: Operation) -> None:
        if headnode is not None and headnode.status == states.Headnode.STOPPED:  # nobody has started it since
            _settled(headnode)
            device = self._machines.get(headnode)
            device.guard.call(device.driver.keep_off)
        with self._database.writer() as session:
            keep(operation.finish(session, verified=None))

    def _do(self, headnode: Headnode, operation: Operation) -> None:
        _settled(headnode)
        device = self._machines.get(headnode)
        if operation.verb == "headnode_delete":
            self._delete(device, headnode, operation)
        elif operation.payload["target"] == "on":
            self._start(device, headnode, operation)
        else:
            self._stop(device, headnode, operation)

    def _start(self, device: Device[HeadnodeDriver], headnode: Headnode, operation: Operation) -> None:
        driver, call = device.driver, device.guard.call
        if not headnode.frozen:
            spec = self._spec(headnode)
            call(driver.remove)
            call(driver.configure, spec)
        elif call(driver.read) is None:
            raise DriverError(MISSING)
        call(driver.set_power, True)
        seen = call(driver.read)
        if seen is None or not seen.running:
            raise DriverError("The headnode's machine was started and does not run.", str(seen))
        self._finish(headnode, operation, seen, states.Headnode.ACTIVE)

    def _stop(self, device: Device[HeadnodeDriver], headnode: Headnode, operation: Operation) -> None:
        device.guard.call(device.driver.set_power, False)
        seen = device.guard.call(device.driver.read)
        if seen is None or seen.running:
            raise DriverError("The headnode's machine was stopped and is not as it should be.", str(seen))
        self._finish(headnode, operation, seen, states.Headnode.STOPPED)

    def _finish(self, headnode: Headnode, operation: Operation, seen: VmState, status: states.Headnode) -> None:
        with self._database.writer() as session:
            keep(operation.finish(session, verified=True))
            shown = {"vnc_address": seen.vnc_address, "vnc_port": seen.vnc_port}
            headnode.update(session, status=status, frozen=True, fault=None, **shown)

    def _delete(self, device: Device[HeadnodeDriver], headnode: Headnode, operation: Operation) -> None:
        self._remove(device)
        with self._database.writer() as session:
            keep(operation.finish(session, verified=True))
            session.execute(sa.delete(models.Hnic).where(models.Hnic.headnode_id == headnode.id))
            headnode.delete(session)

    @staticmethod
    def _remove(device: Device[HeadnodeDriver]) -> None:
        device.guard.call(device.driver.remove)
        if (seen := device.guard.call(device.driver.read)) is not None:
            raise DriverError("The headnode's machine was removed and is still there.", str(seen))

    def _after(self, headnode: Headnode, operation: Operation) -> states.Headnode:
        """What a headnode is after a failure: as new, if its first start failed and nothing is left of that."""
        first = not headnode.frozen and operation.verb == "headnode_power"
        if first and not headnode.unsettled:
            try:
                self._remove(self._machines.get(headnode))
                return states.Headnode.NEW
            except DriverError as left:
                LOG.warning("Headnode %(name)s: %(error)s", {"name": headnode.name, "error": left.operator})
        return states.Headnode.ERROR

    def _spec(self, headnode: Headnode) -> VmSpec:
        """What the machine is to be.

        :raises DriverError: the configuration does not have its image, or a bridge for one of its networks, any more
        """
        image = self._images.get(headnode.image)
        if image is None:
            raise DriverError(f"There is no image {headnode.image!r} any more.")
        networks = models.Network
        query = (
            sa.select(models.Hnic.mac, networks.physical_network, networks.segment_id)
            .join(networks, networks.id == models.Hnic.network_id)
            .where(models.Hnic.headnode_id == headnode.id)
            .order_by(models.Hnic.id)
        )
        with self._database.reader() as session:
            rows = session.execute(query).all()
        nics = []
        for mac, physical_network, segment_id in rows:
            bridge = self._conf.headnode.bridges.get(physical_network)
            if bridge is None:
                raise DriverError(f"Headnodes cannot be on physical network {physical_network!r}.")
            nics.append(VmNic(mac, bridge.replace("{segment_id}", segment_id), segment_id))
        return VmSpec(headnode.uuid, headnode.name, image.path, headnode.memory, headnode.cpus, tuple(nics))

    # What goes wrong.

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`. Nobody has seen what there is: of a first start nothing is to be."""
        if operation.verb in UNASKED:
            return
        for headnode in Headnode.find(session, models.Headnode.uuid == operation.payload["headnode_uuid"]):
            headnode.update(session, status=states.Headnode.ERROR, fault=operation.error)
            if not headnode.frozen:
                _begin_clean(session, headnode.lane)

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`. No instance is above a headnode, so that no lock stops these."""

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`. A machine that a late call has made of nothing is to go again."""
        with contextlib.suppress(exception.Duplicate), self._database.writer() as session:
            # Where another operation is open already, that one sees what there is.
            _begin_clean(session, lane)
        self._wake(lane)


def _begin_clean(session: orm.Session, lane: str) -> None:
    _begin(session, "headnode_clean", lane, lane)


def begin_keep_off(session: orm.Session, lane: str) -> None:
    """Have a machine that was found off kept so. It holds up nobody who wants something else of the headnode."""
    key = f"keep-off:{lane}"
    if not Operation.open_keys(session, [key]):
        _begin(session, "headnode_keep_off", lane, key)


def _begin(session: orm.Session, verb: str, lane: str, pending_key: str) -> None:
    Operation.create(
        session,
        verb=verb,
        lane=lane,
        state=states.Operation.PENDING,
        pending_key=pending_key,
        payload={"headnode_uuid": _uuid(lane)},
        overrides_lock=True,
    )


def _settled(headnode: Headnode | None) -> None:
    """What is done before an earlier call has come back may be undone by it.

    :raises DriverError: there is one
    """
    if headnode is not None and headnode.unsettled:
        raise DriverError("The headnode's host has not come back from an earlier call.", transient=True)


def _uuid(lane: str) -> str:
    return lane.partition(":")[2]


def _write(session: orm.Session, headnode: Headnode, values: Mapping[str, Any]) -> None:
    headnode.update(session, **values)
