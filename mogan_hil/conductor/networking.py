# SPDX-License-Identifier: Apache-2.0
"""The lane of a switch: make ports as the database says, read them back, write down what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import states
from mogan_hil.conductor import ports as port_rules
from mogan_hil.conductor.devices import Device, Hung, Switches
from mogan_hil.conductor.lanes import keep
from mogan_hil.conductor.observer import system_operation
from mogan_hil.conductor.ports import Target
from mogan_hil.conductor.served import Changes
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.switch.base import PARKED, READ, PortConfig, PortState, SwitchDriver
from mogan_hil.objects.base import column
from mogan_hil.objects.network import Attachment
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.switch import Switch

LOG = log.getLogger(__name__)

UNPLUGGED = "The NIC is not cabled to the switch any more."

States = Mapping[str, PortState | None]


class NotSavedError(DriverError):
    """The ports are right, and would not be after a restart of the switch: that is not done."""


class SwitchLane:
    """Does attach, detach, port_park, port_revert, port_mend and switch_heal. See :class:`.lanes.Handler`.

    :param changes: told of the attachments that come to be, and that go
    :param wake: told of lanes whose operations waited for one of this lane
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        database: Database,
        switches: Switches,
        changes: Changes,
        wake: Callable[[str], None],
    ) -> None:
        self._wake = wake
        self._changes = changes
        self._settings = conf.conductor
        self._database = database
        self._switches = switches

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        with self._database.reader() as session:
            found = Switch.find(session, models.Switch.uuid == lane.partition(":")[2])
        if not found:
            for operation in operations:
                self._end(operation, DriverError("The switch was removed."), None)
            return
        for operation in operations:
            if operation.verb == "switch_heal":
                self._heal(found[0], operation)
        self._ports(found[0], [operation for operation in operations if operation.verb != "switch_heal"])

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`: the rounds mend the port."""
        for target in port_rules.targets(session, models.Port.uuid == operation.payload.get("port_uuid")):
            port_rules.undo(session, target)
            port_rules.suspect(session, target, operation.error or "")
        if operation.verb == "switch_heal":
            for switch in Switch.find(session, models.Switch.uuid == operation.lane.partition(":")[2]):
                port_rules.suspect_unproven(session, switch.id, operation.error or "")

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`."""
        payload = operation.payload
        port_rules.withdraw(session, payload["port_uuid"], payload.get("network_uuid"), self._changes)

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`: what a call did that came back too late is healed."""
        with self._database.writer() as session:
            found = Switch.find(session, models.Switch.uuid == lane.partition(":")[2])
            for switch in found:
                system_operation(session, switch, "switch_heal", switch.lane, {"switch": switch.name})
        self._wake(lane)

    def _device(self, switch: Switch) -> Device[SwitchDriver]:
        if switch.unsettled:
            raise DriverError(
                "The switch has not come back from an earlier call.",
                f"switch {switch.name} may still be changed by a call that was given up",
                transient=True,
            )
        return self._switches.get(switch)

    def _ports(self, switch: Switch, operations: Sequence[Operation]) -> None:
        with self._database.reader() as session:
            wanted = port_rules.targets(
                session, models.Port.uuid.in_([operation.payload["port_uuid"] for operation in operations])
            )
        by_uuid = {target.port.uuid: target for target in wanted}
        work: list[tuple[Operation, Target]] = []
        for operation in operations:
            target = by_uuid.get(operation.payload["port_uuid"])
            if target is None:
                self._end(operation, DriverError(UNPLUGGED), None)
            elif _moved(operation, target):
                self._unplugged(switch, operation, target)
            else:
                work.append((operation, target))
        if not work:
            return
        try:
            seen = self._apply(self._device(switch), {item.port.name: item.config for _, item in work})
        except DriverError as error:
            self._refused(switch, work, error)
            return
        for operation, target in work:
            self._judge(switch, operation, target, seen)

    def _unplugged(self, switch: Switch, operation: Operation, target: Target) -> None:
        """The NIC is not at this port any more, which still has to become what is wanted of it now."""
        state = self._attempt(switch, target.port.name, target.config)
        with self._database.writer() as session:
            self._forget(session, operation)
            if _matches(state, target.config):
                port_rules.seen_right(session, target, state, self._changes, verified=True)
            else:
                port_rules.seen_wrong(session, target, state, UNPLUGGED, self._changes, parked=False)
            keep(operation.fail(session, UNPLUGGED, UNPLUGGED))

    def _apply(self, device: Device[SwitchDriver], configs: Mapping[str, PortConfig]) -> States | None:
        device.guard.call(device.driver.configure, configs)
        if READ not in device.driver.capabilities:
            _save(device)
            return None
        seen = device.guard.call(device.driver.read, list(configs))
        if all(_matches(seen.get(name), config) for name, config in configs.items()):
            _save(device)
        return seen

    def _judge(self, switch: Switch, operation: Operation, target: Target, seen: States | None) -> None:
        state = seen.get(target.port.name) if seen is not None else None
        if seen is None or _matches(state, target.config):
            self._done(operation, target, state, verified=seen is not None)
            return
        LOG.error(
            "Port %(port)s of switch %(switch)s was configured as %(config)s and is %(state)s",
            {"port": target.port.name, "switch": switch.name, "config": target.config, "state": state},
        )
        wanted = PortState(target.config.native, target.config.tagged, target.config.enabled)
        error = DriverError(
            "The switch accepted the change, but the port is not as it was asked to be.",
            f"port {target.port.name} of switch {switch.name}: wanted {wanted}; found {state or 'no such port'}",
        )
        self._failed(switch, operation, target, error)

    def _refused(self, switch: Switch, work: Sequence[tuple[Operation, Target]], error: DriverError) -> None:
        # One port may be to blame for the failure of the whole session: each has its own try.
        alone = len(work) == 1
        if not alone and not isinstance(error, Hung) and not error.transient:
            for operation, _ in work:
                self._ports(switch, [operation])
            return
        for operation, target in work:
            again = error.transient or (isinstance(error, Hung) and not alone)
            if again and operation.attempts < self._settings.max_attempts:
                self._postpone(operation, error)
            else:
                self._failed(switch, operation, target, error)

    def _postpone(self, operation: Operation, error: DriverError) -> None:
        seconds = min(self._settings.retry_delay * 2 ** (operation.attempts - 1), self._settings.max_retry_delay)
        LOG.warning(
            "Operation %(uuid)s will be tried again in %(seconds)s s: %(error)s",
            {"uuid": operation.uuid, "seconds": seconds, "error": error.operator},
        )
        with self._database.writer() as session:
            keep(operation.postpone(session, seconds, error.user, error.operator))

    def _done(self, operation: Operation, target: Target, state: PortState | None, *, verified: bool) -> None:
        with self._database.writer() as session:
            port_rules.seen_right(session, target, state, self._changes, verified=verified)
            if operation.verb == "attach" and not _attached(session, operation, target):
                reason = operation.error or "The attachment was undone together with another change of the port."
                keep(operation.fail(session, reason, operation.error_detail or reason))
            else:
                keep(operation.finish(session, verified=verified))

    def _failed(self, switch: Switch, operation: Operation, target: Target, error: DriverError) -> None:
        """Nothing more is tried for the operation itself: see to it that the port carries no more than it should."""
        LOG.error("Operation %(uuid)s failed: %(error)s", {"uuid": operation.uuid, "error": error.operator})
        with self._database.writer() as session:
            keep(operation.note(session, error.user, error.operator))
            port_rules.undo(session, target)
            wanted = port_rules.targets(session, models.Port.id == target.port.id)[0]
        if error.transient or isinstance(error, Hung):
            self._end(operation, error, wanted)
            return
        state = self._attempt(switch, wanted.port.name, wanted.config)
        right = _matches(state, wanted.config)
        if not right:
            state = self._attempt(switch, wanted.port.name, PARKED)
            right = _matches(state, wanted.config)  # nothing else was wanted
        if right and operation.verb != "attach":
            self._done(operation, wanted, state, verified=True)
            return
        self._end(operation, error, wanted, state, right=right)

    def _attempt(self, switch: Switch, port: str, config: PortConfig) -> PortState | None:
        try:
            seen = self._apply(self._device(switch), {port: config})
        except DriverError as error:
            LOG.error("Port %(port)s could not be changed either: %(error)s", {"port": port, "error": error.operator})
            seen = None if isinstance(error, Hung | NotSavedError) else self._look(switch, port)
        return seen.get(port) if seen is not None else None

    def _look(self, switch: Switch, port: str) -> States | None:
        """What is refused may be so already."""
        try:
            device = self._device(switch)
            return device.guard.call(device.driver.read, [port]) if READ in device.driver.capabilities else None
        except DriverError:
            return None

    def _end(
        self,
        operation: Operation,
        error: DriverError,
        target: Target | None,
        state: PortState | None = None,
        *,
        right: bool = False,
    ) -> None:
        with self._database.writer() as session:
            if target is None:
                self._forget(session, operation)
            elif right:
                port_rules.seen_right(session, target, state, self._changes, verified=True)
            else:
                port_rules.seen_wrong(session, target, state, error.user, self._changes, parked=_matches(state, PARKED))
            keep(operation.fail(session, error.user, error.operator))

    def _heal(self, switch: Switch, operation: Operation) -> None:
        with self._database.reader() as session:
            wanted = port_rules.targets(session, models.Port.switch_id == switch.id)
            busy = Operation.open_keys(session, [target.port.pending_key for target in wanted])
        free = {target.port.name: target for target in wanted if target.port.pending_key not in busy}
        try:
            device = self._device(switch)
            before = device.guard.call(device.driver.read, list(free)) if READ in device.driver.capabilities else {}
            wrong = {name: item.config for name, item in free.items() if not _matches(before.get(name), item.config)}
            after, refused = self._apply_each(device, wrong)
        except DriverError as error:
            if error.transient and operation.attempts < self._settings.max_attempts:
                self._postpone(operation, error)
                return
            with self._database.writer() as session:
                port_rules.suspect_unproven(session, switch.id, error.user)
                keep(operation.fail(session, error.user, error.operator))
            return
        verified = READ in device.driver.capabilities
        seen = {**before, **after}
        for name in wrong:
            if verified and name not in refused and not _matches(seen.get(name), wrong[name]):
                refused[name] = "The port is not as it was asked to be."
        self._healed(operation, free, seen, wrong.keys(), refused, verified=verified)

    def _apply_each(
        self, device: Device[SwitchDriver], configs: Mapping[str, PortConfig]
    ) -> tuple[States, dict[str, str]]:
        """All at once, or each alone if the switch refuses that.

        :returns: what was read, and why ports were refused
        """
        try:
            return (self._apply(device, configs) or {} if configs else {}), {}
        except DriverError as error:
            if error.transient or isinstance(error, Hung):
                raise
            if len(configs) == 1:
                return {}, dict.fromkeys(configs, error.user)
        seen: dict[str, PortState | None] = {}
        refused: dict[str, str] = {}
        for name, config in configs.items():
            found, why = self._apply_each(device, {name: config})
            seen.update(found)
            refused.update(why)
        return seen, refused

    def _healed(
        self,
        operation: Operation,
        ports: Mapping[str, Target],
        seen: States,
        wrong: Collection[str],
        refused: Mapping[str, str],
        *,
        verified: bool,
    ) -> None:
        with self._database.writer() as session:
            for name, target in ports.items():
                port = target.port
                if name not in wrong and port.in_sync is True and port.status == states.Port.OK:
                    continue
                valid = port.as_seen()
                if name not in refused:
                    valid = sa.or_(valid, models.Port.in_sync.is_(True))
                if not port.update(session, valid, status=port.status):
                    continue  # what was read here is old: somebody has looked since
                if name in refused:
                    port_rules.seen_wrong(session, target, seen.get(name), refused[name], self._changes, parked=False)
                else:
                    port_rules.seen_right(session, target, seen.get(name), self._changes, verified=verified)
            if refused:
                names = ", ".join(sorted(refused)[:20])
                reason = f"{len(refused)} ports could not be made as they should be: {names}."
                keep(operation.fail(session, reason, "; ".join(f"{name}: {refused[name]}" for name in sorted(refused))))
            else:
                keep(operation.finish(session, verified=verified, result={"healed": sorted(wrong)}))

    def _forget(self, session: orm.Session, operation: Operation) -> None:
        """Nothing is cabled to the NIC any more, so that nothing can be on its port."""
        kind, _, nic = (operation.pending_key or "").partition(":")
        if kind == "nic":
            rows = models.Attachment
            found = Attachment.find(session, rows.nic_id == int(nic), rows.status != states.Attachment.ACTIVE)
            ids = column(found, "id")
            self._changes.of_attachments(session, ids)
            Attachment.drop(session, ids, states.Attachment.ATTACHING)
            Attachment.drop(session, ids, states.Attachment.DETACHING)


def _save(device: Device[SwitchDriver]) -> None:
    try:
        device.guard.call(device.driver.save)
    except Hung:
        raise
    except DriverError as error:
        raise NotSavedError(error.user, error.operator, transient=error.transient) from error


def _matches(state: PortState | None, config: PortConfig) -> bool:
    return state is not None and state.matches(config)


def _moved(operation: Operation, target: Target) -> bool:
    kind, _, nic = (operation.pending_key or "").partition(":")
    return kind == "nic" and target.port.nic_id != int(nic)


def _attached(session: orm.Session, operation: Operation, target: Target) -> bool:
    attachments = models.Attachment
    return any(
        item.status == states.Attachment.ACTIVE and item.channel == operation.payload["channel"]
        for item in Attachment.find(session, attachments.nic_id == target.port.nic_id)
    )
