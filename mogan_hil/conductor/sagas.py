# SPDX-License-Identifier: Apache-2.0
"""Sagas: an instance is built, switched and deleted by operations on its node and on its switches' ports.

An operation on an instance is their parent: it begins them, waits, and begins the next. What was done stands in the
journal, so that a conductor may die at any point. :mod:`.builds` has the one that is undone and tried elsewhere.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.conductor.lanes import LOCKED, keep
from mogan_hil.conductor.steps import VERBS, Step, Steps
from mogan_hil.db import models
from mogan_hil.drivers.ipam.base import Ipam
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.network import Attachment
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.release import Releases

LOG = log.getLogger(__name__)

#: Seconds between two looks, should the wake-up of the last child be lost.
PATIENCE = 5.0


class Saga(abc.ABC):
    """One step of an operation on an instance, in one transaction."""

    def __init__(
        self,
        session: orm.Session,
        operation: Operation,
        instance: Instance,
        steps: Steps,
        ipam: Ipam,
        releases: Releases,
    ) -> None:
        self._session = session
        self._operation = operation
        self._instance = instance
        self._steps = steps
        self._ipam = ipam
        self._releases = releases
        self._progress: dict[str, Any] = {"round": 0, "undo": False, "tried": [], **(operation.result or {})}
        self._all_children = Operation.children(session, operation.id)
        self._children = [child for child in self._all_children if self._round(child) == self._progress["round"]]
        nodes = Node.find(session, models.Node.id == instance.node_id, lock="update")
        self._node = nodes[0] if nodes else None
        self._lanes: set[str] = set()

    @staticmethod
    def _round(child: Operation) -> int:
        number: int = child.payload.get("round", 0)
        return number

    def advance(self) -> set[str]:
        """Do the next thing. Returns the lanes that have work now.

        :raises exception.Busy: something else is being done on the node
        """
        if any(child.state in states.OPERATION_OPEN for child in self._children):
            self._wait()
        else:
            self._go_on()
        return self._lanes

    @abc.abstractmethod
    def _go_on(self) -> None:
        """Nothing that was begun is under way any more: do the next thing."""

    def _wait(self) -> None:
        self._operation.update(self._session, result=self._progress)
        keep(self._operation.wait(self._session, PATIENCE))

    def _done(self) -> None:
        verified = all(child.verified is not False for child in self._children if self._phase(child) == "do")
        self._instance.move(self._session, states.Event.DONE, overrides_lock=True)
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

    @staticmethod
    def _phase(child: Operation) -> str:
        phase: str = child.payload.get("phase", "do")
        return phase

    def _failed(self) -> Operation | None:
        """What could not be done; nothing that is being undone."""
        for child in self._children:
            if child.state == states.Operation.ERROR and self._phase(child) == "do":
                return child
        return None

    def _next(self, steps: Sequence[Step], phase: str = "do", *, overrides_lock: bool = True) -> bool:
        """Begin the first of these steps that was not begun yet. False if all were."""
        verbs = {step.verb for step in steps}  # the node may have lost its controller since, and these be fewer
        begun = [child for child in self._children if child.verb in verbs and self._phase(child) == phase]
        if self._node is None or len(begun) >= len(steps):
            return False
        step = steps[len(begun)]
        payload = {"node": self._node.name, "instance_uuid": self._instance.uuid, **step.payload}
        self._begin(step.verb, step.lane, step.key, phase, payload, overrides_lock=overrides_lock)
        self._wait()
        return True

    def _begin(
        self,
        verb: str,
        lane: str,
        pending_key: str,
        phase: str,
        payload: dict[str, Any],
        *,
        overrides_lock: bool = True,
    ) -> None:
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
            overrides_lock=overrides_lock,
            payload={**payload, "phase": phase, "round": self._progress["round"]},
        )
        self._lanes.add(lane)

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
        """Free the node, and keep it from others if it may still be on, or may still boot what this one was given."""
        node = self._node
        if node is None:
            return
        self._progress["tried"] = [*self._progress["tried"], node.uuid]
        self._instance.update(self._session, node_id=None)
        operation, owner = self._operation, self._instance.project_id
        self._lanes |= self._releases.give_back(self._session, node, owner, operation.request_id, operation.user_id)
        for child in self._children:
            left = child.verb == "undeploy" or (child.verb == "power" and child.payload.get("target") == "off")
            if left and self._phase(child) == "undo" and child.state == states.Operation.ERROR:
                what = "switched off" if child.verb == "power" else "kept from booting what it was given"
                # Whoever looks for free nodes reads it: whose it was, and what was said, is the journal's to tell.
                reason = f"It could not be {what} when it was given back."
                node.update(self._session, maintenance=True, maintenance_reason=reason)


class Change(Saga):
    """Power and rebuild. A lock stops what has touched no device yet; what has is finished."""

    def _go_on(self) -> None:
        power = self._operation.verb == "instance_power"
        failed = self._failed()
        if failed is not None and failed.error == LOCKED:
            self._fail(LOCKED, LOCKED, unchanged=True)
            return
        gone = self._node is None or self._node.obm_driver is None
        if (failed is not None or gone) and self._offer_again():
            return
        if failed is not None:
            unchanged = power or failed.verb != "power"
            self._fail(failed.error or "", failed.error_detail or "", unchanged=unchanged)
        elif self._node is None or self._node.obm_driver is None:
            self._fail("The node has no controller any more.", "its driver was removed", unchanged=True)
        elif not self._next(
            self._wanted(self._node), overrides_lock=self._operation.overrides_lock or bool(self._children)
        ):
            self._done()

    def _offer_again(self) -> bool:
        """Begin to offer the node its own image again, if another one was offered in vain. False if that was done."""
        offered = any(child.verb == "deploy" for child in self._children)
        if self._node is None or not offered or self._operation.payload.get("image") is None:
            return False
        self._instance.update(self._session, next_image_id=None)
        return self._next(self._steps.offer(self._node), "undo")

    def _wanted(self, node: Node) -> list[Step]:
        payload = self._operation.payload
        if self._operation.verb == "instance_power":
            return self._steps.power(node, payload["target"])
        return self._steps.boot(node, payload.get("boot_device"))


class Deletion(Saga):
    """Delete: off, without an offer, off every network; then the node is free."""

    def _go_on(self) -> None:
        if Operation.open_keys(self._session, [self._instance.pending_key]):
            raise exception.Busy(kind="instance", name=self._instance.name)  # it is still being built, or unbuilt
        if self._node and self._next(self._steps.end(self._node, frozenset(VERBS)), "undo"):
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
    return {"message": message[:1024], "at": models.told(models.now()), "operation": operation.uuid}
