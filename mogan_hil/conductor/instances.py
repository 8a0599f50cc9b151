# SPDX-License-Identifier: Apache-2.0
"""Instances: each is built, switched and deleted by operations on its node and on its switches' ports.

An operation on an instance is their parent: it begins them, waits, and begins the next. What was done stands in the
journal, so that a conductor may die at any point. A build that fails is undone in reverse and tried on another node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.conductor.lanes import Lost
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.network import Attachment, Network, usable_by
from mogan_hil.objects.node import Nic, Node
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)

#: Seconds between two looks, should the wake-up of the last child be lost.
PATIENCE = 5.0
#: Nodes on which a build is tried.
TRIES = 3

#: What a change of power is made of.
POWER: dict[str, Sequence[str]] = {
    "on": ["on"],
    "off": ["off"],
    "soft_off": ["soft_off"],
    "reboot": ["cycle"],
    "soft_reboot": ["soft_off", "on"],
}


class InstanceLane:
    """Does instance_create, instance_delete, instance_power and instance_rebuild. See :class:`.lanes.Handler`.

    :param wake: told of the lanes of the operations that it begins
    """

    def __init__(self, database: Database, wake: Callable[[str], None]) -> None:
        self._database = database
        self._wake = wake

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        for operation in operations:
            for other in self._step(operation):
                self._wake(other)

    def _step(self, operation: Operation) -> set[str]:
        try:
            with self._database.writer() as session:
                found = Instance.find(
                    session, models.Instance.uuid == operation.payload["instance_uuid"], lock="update"
                )
                if not found:
                    reason = "The instance was removed."
                    _keep(operation.fail(session, reason, reason))
                    return set()
                return Saga(session, operation, found[0]).advance()
        except exception.Busy:  # somebody began something on the node just now
            with self._database.writer() as session:
                _keep(operation.wait(session, PATIENCE))
            return set()

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`: no state of an instance lasts longer than its operation."""
        for instance in Instance.find(session, models.Instance.uuid == operation.payload["instance_uuid"]):
            instance.update(session, status=states.Instance.ERROR, fault=_fault(operation.error or "", operation))

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`."""
        for instance in Instance.find(session, models.Instance.uuid == operation.payload["instance_uuid"]):
            instance.update(session, status=operation.payload["before"])

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`. Instances touch no device themselves."""


class Saga:
    """One step of an operation on an instance, in one transaction."""

    def __init__(self, session: orm.Session, operation: Operation, instance: Instance) -> None:
        self._session = session
        self._operation = operation
        self._instance = instance
        self._progress: dict[str, Any] = {"round": 0, "undo": False, "tried": [], **(operation.result or {})}
        children = Operation.children(session, operation.id)
        self._first = [child for child in children if child.payload.get("round", 0) == 0 and child.verb == "attach"]
        self._children = [child for child in children if child.payload.get("round", 0) == self._progress["round"]]
        nodes = Node.find(session, models.Node.id == instance.node_id, lock="update")
        self._node = nodes[0] if nodes else None
        self._lanes: set[str] = set()

    def advance(self) -> set[str]:
        """Do the next thing. Returns the lanes that have work now.

        :raises exception.Busy: something else is being done on the node
        """
        if any(child.state in states.OPERATION_OPEN for child in self._children):
            self._wait()
        elif self._operation.verb == "instance_create":
            self._create()
        elif self._operation.verb == "instance_delete":
            self._delete()
        else:
            self._switch()
        return self._lanes

    def _wait(self) -> None:
        self._operation.update(self._session, result=self._progress)
        _keep(self._operation.wait(self._session, PATIENCE))

    def _done(self, event: states.Event, *, verified: bool = True, **values: Any) -> None:
        self._instance.move(self._session, event, overrides_lock=True, **values)
        _keep(self._operation.finish(self._session, verified=verified, result=self._progress))

    def _fail(self, event: states.Event, error: str, detail: str) -> None:
        LOG.error("Instance %(name)s: %(error)s", {"name": self._instance.name, "error": detail})
        self._instance.move(self._session, event, overrides_lock=True, fault=_fault(error, self._operation))
        _keep(self._operation.fail(self._session, error, detail))

    def _failed(self, phase: str) -> Operation | None:
        for child in self._children:
            if child.state == states.Operation.ERROR and child.payload.get("phase", "do") == phase:
                return child
        return None

    # Power and rebuild.

    def _switch(self) -> None:
        failed = self._failed("do")
        payload = self._operation.payload
        if failed is not None:
            self._fail(states.Event.FAIL, failed.error or "", failed.error_detail or "")
            return
        if self._operation.verb == "instance_power":
            steps = [("power", {"target": target}) for target in POWER[payload["target"]]]
        else:
            steps = self._boot("cycle")
        if not self._next(steps):
            self._done(states.Event.DONE)

    def _boot(self, power: str) -> list[tuple[str, dict[str, Any]]]:
        device = self._operation.payload.get("boot_device")
        steps: list[tuple[str, dict[str, Any]]] = [("power", {"target": power})]
        return [("boot_device", {"device": device, "persistent": False}), *steps] if device else steps

    def _next(self, steps: Sequence[tuple[str, dict[str, Any]]], phase: str = "do") -> bool:
        """Begin the first of these steps that was not begun yet. False if all were."""
        begun = [
            child
            for child in self._children
            if child.verb in ("power", "boot_device") and child.payload.get("phase", "do") == phase
        ]
        if self._node is None or self._node.obm_driver is None or len(begun) >= len(steps):
            return False
        verb, payload = steps[len(begun)]
        self._begin(verb, self._node.lane, self._node.obm_key, phase, {"node": self._node.name, **payload})
        self._wait()
        return True

    def _begin(self, verb: str, lane: str, pending_key: str, phase: str, payload: dict[str, Any]) -> None:
        operation = self._operation
        busy = exception.Busy(kind="node", name=payload["node"])
        if Operation.open_keys(self._session, [pending_key]):
            raise busy
        Operation.create(
            self._session,
            busy,
            verb=verb,
            lane=lane,
            state=states.Operation.PENDING,
            pending_key=pending_key,
            parent_id=operation.id,
            request_id=operation.request_id,
            user_id=operation.user_id,
            project_id=operation.project_id,
            node=self._node.uuid if self._node else None,
            overrides_lock=True,
            payload={**payload, "phase": phase, "round": self._progress["round"]},
        )
        self._lanes.add(lane)

    # Create.

    def _create(self) -> None:
        failed = self._failed("do")
        if failed is not None and not self._progress["undo"]:
            self._progress |= {"undo": True, "error": failed.error, "detail": failed.error_detail}
        if self._progress["undo"]:
            self._undo()
        elif not self._next(self._boot("on")):
            verified = all(child.verified for child in self._children)
            self._done(states.Event.DONE, verified=verified)

    def _undo(self) -> None:
        on = any(child.verb == "power" and child.state == states.Operation.DONE for child in self._children)
        if on and self._next([("power", {"target": "off"})], "undo"):
            return
        if self._take_off():
            self._wait()
            return
        if self._attached():
            self._fail(
                states.Event.FAIL,
                f"{self._progress['error']} Its networks could not be taken off again.",
                str(self._progress["detail"]),
            )
            return
        self._give_back()
        if not self._elsewhere():
            self._fail(states.Event.FAIL, str(self._progress["error"]), str(self._progress["detail"]))

    def _attached(self) -> list[tuple[models.Attachment, models.Nic, models.Port, models.Switch, models.Network]]:
        if self._node is None:
            return []
        query = (
            sa.select(models.Attachment, models.Nic, models.Port, models.Switch, models.Network)
            .join(models.Nic, models.Nic.id == models.Attachment.nic_id)
            .join(models.Port, models.Port.nic_id == models.Nic.id)
            .join(models.Switch, models.Switch.id == models.Port.switch_id)
            .join(models.Network, models.Network.id == models.Attachment.network_id)
            .where(models.Nic.node_id == self._node.id)
            .order_by(models.Attachment.id)
        )
        return [(row[0], row[1], row[2], row[3], row[4]) for row in self._session.execute(query)]

    def _take_off(self) -> bool:
        """Begin to take every network off, each once. False if that was done."""
        tried = {
            (child.payload["nic"], child.payload["network_uuid"]) for child in self._children if child.verb == "detach"
        }
        seen: set[int] = set()
        begun = False
        for attachment, nic, port, switch, network in self._attached():
            if (nic.name, network.uuid) in tried or nic.id in seen:
                begun |= nic.id in seen and (nic.name, network.uuid) not in tried
                continue
            seen.add(nic.id)  # one pending change a NIC
            self._begin(
                "detach",
                f"switch:{switch.uuid}",
                f"nic:{nic.id}",
                "undo",
                {
                    "port_uuid": port.uuid,
                    "node": self._node.name if self._node else "",
                    "nic": nic.name,
                    "network": network.name,
                    "network_uuid": network.uuid,
                    "channel": attachment.channel,
                },
            )
            Attachment.move(self._session, [attachment.id], states.Attachment.ACTIVE, states.Attachment.DETACHING)
            begun = True
        return begun

    def _give_back(self) -> None:
        if self._node is not None:
            self._progress["tried"] = [*self._progress["tried"], self._node.id]
            self._instance.update(self._session, node_id=None)
            self._node.release(self._session, self._instance.project_id)

    def _elsewhere(self) -> bool:
        """Begin anew on a node that was not tried. False if there is none, or it was tried often enough."""
        payload = self._operation.payload
        while payload["resource_class"] is not None and len(self._progress["tried"]) < TRIES:
            nodes = Node.choose(self._session, 1, payload["resource_class"], payload["traits"], self._progress["tried"])
            if not nodes or not nodes[0].claim(self._session, self._instance.project_id):
                return False
            self._node = nodes[0]
            self._progress |= {"round": self._progress["round"] + 1, "undo": False}
            self._instance.update(self._session, node_id=self._node.id)
            self._operation.update(self._session, node=self._node.uuid)
            try:
                with self._session.begin_nested():
                    self._wire(self._node)
            except exception.Conflict as error:
                self._progress |= {"error": error.detail, "detail": error.detail}
                self._give_back()
                continue
            self._wait()
            return True
        return False

    def _wire(self, node: Node) -> None:
        """Attach to this node what was attached to the first."""
        taken: set[int] = set()
        for first, wish in zip(self._first, self._operation.payload["networks"], strict=False):
            networks = Network.find(
                self._session,
                models.Network.uuid == first.payload["network_uuid"],
                usable_by(self._instance.project_id),
                lock="share",
            )
            if not networks:
                raise exception.ProjectMismatch(node=node.name, network=first.payload["network"])
            nic, port, switch = self._nic(node, wish["nic"], networks[0], taken)
            taken.add(nic.id)
            self._begin(
                "attach",
                f"switch:{switch.uuid}",
                f"nic:{nic.id}",
                "do",
                {
                    "port_uuid": port.uuid,
                    "node": node.name,
                    "nic": nic.name,
                    "network": networks[0].name,
                    "network_uuid": networks[0].uuid,
                    "channel": first.payload["channel"],
                },
            )
            Attachment.create(
                self._session,
                exception.ChannelTaken(nic=nic.name, channel=first.payload["channel"]),
                nic_id=nic.id,
                network_id=networks[0].id,
                channel=first.payload["channel"],
                status=states.Attachment.ATTACHING,
            )

    def _nic(
        self, node: Node, name: str | None, network: Network, taken: set[int]
    ) -> tuple[Nic, models.Port, models.Switch]:
        query = (
            sa.select(models.Nic, models.Port, models.Switch)
            .join(models.Port, models.Port.nic_id == models.Nic.id)
            .join(models.Switch, models.Switch.id == models.Port.switch_id)
            .where(models.Nic.node_id == node.id, models.Switch.physical_network == network.physical_network)
            .order_by(models.Nic.name)
        )
        for nic, port, switch in self._session.execute(query):
            if nic.id not in taken and name in (None, nic.name, nic.uuid):
                return Nic.from_row(nic), port, switch
        raise exception.NotCabled(f"Node {node.name!r} has no free cabled NIC for network {network.name!r}.")

    # Delete.

    def _delete(self) -> None:
        switched = [child for child in self._children if child.verb == "power"]
        if not switched and self._next([("power", {"target": "off"})]):
            return
        if self._take_off():
            self._wait()
            return
        failed = next((c for c in self._children if c.verb == "detach" and c.state == states.Operation.ERROR), None)
        if self._attached():
            reason = failed.error if failed and failed.error else "Its networks could not be taken off."
            self._fail(states.Event.FAIL, reason, failed.error_detail or reason if failed else reason)
            return
        node = self._node
        self._give_back()
        if node is not None and switched and switched[0].state == states.Operation.ERROR:
            reason = f"It could not be switched off when instance {self._instance.name} was deleted."
            node.update(self._session, maintenance=True, maintenance_reason=reason)
        self._instance.delete(self._session)
        _keep(self._operation.finish(self._session, verified=True))


def _fault(message: str, operation: Operation) -> dict[str, Any]:
    return {"message": message[:1024], "at": models.now().isoformat(), "operation": operation.uuid}


def _keep(mine: bool) -> None:
    if not mine:
        raise Lost
