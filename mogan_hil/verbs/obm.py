# SPDX-License-Identifier: Apache-2.0
"""Out-of-band management of a node: power and boot device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import orm

from mogan_hil.common import exception
from mogan_hil.drivers.obm.base import BOOT_DEVICE, CLEAR_BOOT_DEVICE, SOFT_OFF, Power
from mogan_hil.objects.console import Console
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import obm as rules
from mogan_hil.verbs import locks
from mogan_hil.verbs.base import Call, journal, visible_node, writes


@writes
def set_power(call: Call, ident: str, target: Power) -> Operation:
    """Switch a node on or off.

    :raises exception.NotFound: there is no such node, or it is another project's
    :raises exception.NoObm: the node has no controller, or it cannot do this
    :raises exception.ObmDisabled: it is disabled
    :raises exception.Busy: another operation on it is not finished
    """
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        call.check(rules.SET_POWER, node.project_id)
        locks.check_node(session, call, node)
        check_controller(call, node, SOFT_OFF if target == Power.SOFT_OFF else None)
        operation = _journal(session, call, "power", node, {"target": str(target)})
    call.services.client.wake(operation.lane)
    return operation


@writes
def set_boot_device(call: Call, ident: str, device: str | None, persistent: bool) -> Operation:
    """Set what a node boots from, next time or every time.

    :param device: None to force none
    :raises: see :func:`set_power`. Whether the node knows the device, its controller says: the operation ends in error.
    """
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        call.check(rules.SET_BOOT_DEVICE, node.project_id)
        locks.check_node(session, call, node)
        check_controller(call, node, CLEAR_BOOT_DEVICE if device is None else BOOT_DEVICE)
        wanted = {"device": device, "persistent": persistent and device is not None}
        operation = _journal(session, call, "boot_device", node, wanted)
    call.services.client.wake(operation.lane)
    return operation


@writes
def enable(call: Call, ident: str, enabled: bool) -> Node:
    """Allow or forbid power, boot device and console of a node. The same again changes nothing. A console is closed.

    :raises exception.NotFound: there is no such node, or it is another project's
    :raises exception.NoObm: the node has no controller
    :raises exception.Busy: an operation on it is not finished
    """
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        call.check(rules.ENABLE, node.project_id)
        locks.check_node(session, call, node)
        if node.obm_driver is None:
            raise exception.NoObm(name=node.name, what="no controller")
        if not enabled and Operation.open_keys(session, [node.obm_key]):
            raise exception.Busy(kind="node", name=node.name)
        node.update(session, obm_enabled=enabled)
        if not enabled:
            Console.stop(session, node.id, "Out-of-band management was disabled.")
        return node


def power(call: Call, ident: str) -> Mapping[str, Any]:
    """Ask whether a node is on.

    :raises exception.NotFound: there is no such node, or it is another project's
    :raises exception.NoObm: the node has no controller
    :raises exception.ObmDisabled: it is disabled
    :raises exception.DeviceUnavailable: the controller did not answer in time, or too many requests wait for one
    """
    return _ask(call, ident, "power", rules.GET_POWER, None)


def boot_device(call: Call, ident: str) -> Mapping[str, Any]:
    """Ask what a node boots from, and what it could be set to.

    :raises: see :func:`power`
    """
    return _ask(call, ident, "boot_device", rules.GET_BOOT_DEVICE, BOOT_DEVICE)


def _ask(call: Call, ident: str, question: str, rule: str, capability: str | None) -> Mapping[str, Any]:
    with call.reader() as session:
        node = visible_node(session, call, ident)
    call.check(rule, node.project_id)
    check_controller(call, node, capability)
    with call.waiting():
        return call.services.client.ask(node.uuid, question, call.services.conf.api.device_timeout)


def check_controller(call: Call, node: Node, capability: str | None) -> None:
    """Refuse what the controller of a node cannot do.

    :raises: see :func:`set_power`
    """
    if node.obm_driver is None:
        raise exception.NoObm(name=node.name, what="no controller")
    if capability is not None and capability not in call.services.drivers.obm(node.obm_driver).capabilities:
        raise exception.NoObm(name=node.name, what=f"a controller that cannot do {capability}")
    if not node.obm_enabled:
        raise exception.ObmDisabled(name=node.name)


def _journal(session: orm.Session, call: Call, verb: str, node: Node, payload: dict[str, Any]) -> Operation:
    return journal(
        session,
        call,
        verb,
        node.lane,
        pending_key=node.obm_key,
        busy=exception.Busy(kind="node", name=node.name),
        project_id=node.project_id,
        node=node.uuid,
        payload={"node": node.name, **payload},
    )
