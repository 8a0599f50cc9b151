# SPDX-License-Identifier: Apache-2.0
"""Sagas: an instance is built, switched and deleted by operations on its node and on its switches' ports.

An operation on an instance is their parent: it begins them, waits, and begins the next. What was done stands in the
journal, so that a conductor may die at any point. A build that fails is undone in reverse and tried on another node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.conductor.lanes import Lost
from mogan_hil.db import models
from mogan_hil.objects.base import column
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
        keep(self._operation.wait(self._session, PATIENCE))

    def _done(self, event: states.Event, *, verified: bool = True, **values: Any) -> None:
        self._instance.move(self._session, event, overrides_lock=True, **values)
        keep(self._operation.finish(self._session, verified=verified, result=self._progress))

    def _fail(self, error: str, detail: str, *, unchanged: bool = False) -> None:
        LOG.error("Instance %(name)s: %(error)s", {"name": self._instance.name, "error": detail})
        what = fault(error, self._operation)
        if unchanged:
            before = states.Instance(self._operation.payload["before"])
            self._instance.back(self._session, before, fault=what)
        else:
            self._instance.move(self._session, states.Event.FAIL, overrides_lock=True, fault=what)
        keep(self._operation.fail(self._session, error, detail))

    def _note(self, error: str, detail: str) -> None:
        """What went wrong, while it is undone. The operation's result is for the tenant, details are not."""
        keep(self._operation.note(self._session, error, detail))

    def _failed(self, phase: str) -> Operation | None:
        for child in self._children:
            if child.state == states.Operation.ERROR and child.payload.get("phase", "do") == phase:
                return child
        return None

    # Power and rebuild.

    def _switch(self) -> None:
        power = self._operation.verb == "instance_power"
        failed = self._failed("do")
        if failed is not None:
            unchanged = power or failed.verb == "boot_device"
            self._fail(failed.error or "", failed.error_detail or "", unchanged=unchanged)
        elif self._node is None or self._node.obm_driver is None:
            self._fail("The node has no controller any more.", "its driver was removed", unchanged=True)
        elif not self._next(
            [("power", {"target": target}) for target in POWER[self._operation.payload["target"]]]
            if power
            else self._boot()
        ):
            self._done(states.Event.DONE)

    def _boot(self) -> list[tuple[str, dict[str, Any]]]:
        """Boot anew, although it may be on already with what somebody else left on it."""
        device = self._operation.payload.get("boot_device")
        steps: list[tuple[str, dict[str, Any]]] = [("power", {"target": "off"}), ("power", {"target": "on"})]
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
            self._progress["undo"] = True
            self._note(failed.error or "", failed.error_detail or "")
        if self._progress["undo"]:
            self._undo()
        elif not self._next(self._boot()):
            verified = all(child.verified for child in self._children)
            self._done(states.Event.DONE, verified=verified)

    def _undo(self) -> None:
        # Also after a failure: what hung may come about later.
        begun = any(child.verb == "power" and child.payload["phase"] == "do" for child in self._children)
        if begun and self._next([("power", {"target": "off"})], "undo"):
            return
        if self._take_off():
            self._wait()
            return
        error, detail = self._operation.error or "", self._operation.error_detail or ""
        if self._attached():
            self._fail(f"{error} Its networks could not be taken off again.", detail)
            return
        self._give_back()
        if not self._elsewhere():
            self._fail(self._operation.error or "", self._operation.error_detail or "")

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
        """Free the node, and keep it from others if it may still be on."""
        node = self._node
        if node is None:
            return
        self._progress["tried"] = [*self._progress["tried"], node.uuid]
        self._instance.update(self._session, node_id=None)
        node.release(self._session, self._instance.project_id)
        off = [child for child in self._children if child.verb == "power" and child.payload.get("target") == "off"]
        if off and off[-1].state == states.Operation.ERROR:
            reason = f"It could not be switched off for instance {self._instance.uuid}: {off[-1].error}"
            node.update(self._session, maintenance=True, maintenance_reason=reason[:255])

    def _elsewhere(self) -> bool:
        """Begin anew on a node that was not tried. False if there is none, or it was tried often enough."""
        payload = self._operation.payload
        while payload["resource_class"] is not None and len(self._progress["tried"]) < TRIES:
            tried = column(Node.find(self._session, models.Node.uuid.in_(self._progress["tried"])), "id")
            nodes = Node.choose(self._session, 1, payload["resource_class"], payload["traits"], tried)
            if not nodes or not nodes[0].claim(self._session, self._instance.project_id):
                return False
            self._node, self._children = nodes[0], []
            self._progress |= {"round": self._progress["round"] + 1, "undo": False}
            self._instance.update(self._session, node_id=self._node.id)
            self._operation.update(self._session, node=self._node.uuid)
            try:
                with self._session.begin_nested():
                    self._wire(self._node)
            except exception.Conflict as error:
                self._note(error.detail, error.detail)
                self._give_back()
                continue
            self._wait()
            return True
        return False

    def _wire(self, node: Node) -> None:
        """Attach to this node what was attached to the first."""
        if self._operation.payload["boot_device"] is not None and node.obm_driver is None:
            raise exception.NoObm(name=node.name, what="no controller")
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
        if self._attached():
            failed = [child for child in self._children if child.verb == "detach" and child.error]
            reason = "Its networks could not be taken off."
            error, detail = (failed[0].error, failed[0].error_detail) if failed else (reason, reason)
            self._fail(error or reason, detail or reason)
            return
        self._give_back()
        self._instance.delete(self._session)
        keep(self._operation.finish(self._session, verified=True))


def fault(message: str, operation: Operation) -> dict[str, Any]:
    """Why an instance is as it is, for its owner."""
    return {"message": message[:1024], "at": models.now().isoformat(), "operation": operation.uuid}


def keep(mine: bool) -> None:
    """Go on only with what may be written."""
    if not mine:
        raise Lost
