# SPDX-License-Identifier: Apache-2.0
"""Consoles: start, stop, read what was recorded, follow. An instance's is that of its node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import console_tokens, exception, states
from mogan_hil.db import models
from mogan_hil.drivers.obm.base import CONSOLE
from mogan_hil.objects.console import Console
from mogan_hil.objects.instance import Instance, locked_by
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import base as base_rules
from mogan_hil.policies import console as rules
from mogan_hil.verbs import instances, locks, obm
from mogan_hil.verbs.base import Call, journal, nodes_seen_by, visible_node, writes


@dataclass(frozen=True, slots=True)
class Record:
    """What a console has written.

    :param start: where in all that it ever wrote the text begins
    :param end: where it ends; whoever asks for what comes after it gets what was written since
    """

    text: str
    start: int
    end: int
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stream:
    """Leave to follow a console once, from now on.

    :param url: where, for HTTP; `websocket_url` is the same for a websocket
    :param types: whether it is also leave to type
    :param expires_at: until when it has to be begun
    """

    url: str
    websocket_url: str
    types: bool
    expires_at: datetime


@writes
def start(call: Call, ident: str) -> Operation:
    """Open a node's console, and record what it writes from then on. One that is open already stays as it is.

    :raises exception.NotFound: there is no such node, or it is another project's
    :raises exception.InstanceLocked: its instance is locked
    :raises exception.NoObm: the node has no controller, or that has no console
    :raises exception.ObmDisabled: out-of-band management is disabled
    :raises exception.Busy: it is being opened
    """
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        call.check(rules.START, node.project_id)
        locks.check_node(session, call, node)
        obm.check_controller(call, node, CONSOLE)
        operation = _begin(session, call, "console_start", node, node.console_key, overrides_lock=False)
        Console.want(session, node.id)
    call.services.client.wake(operation.lane)
    return operation


@writes
def stop(call: Call, ident: str) -> Operation:
    """Close a node's console. Its streams end, what was recorded stays. Done when the controller has its line back.

    :raises exception.NotFound: there is no such node, or it is another project's
    :raises exception.InstanceLocked: its instance is locked
    :raises exception.Busy: it is being closed
    """
    with call.writer() as session:
        node = visible_node(session, call, ident, lock="update")
        call.check(rules.STOP, node.project_id)
        locks.check_node(session, call, node)
        # Streams end with this transaction: a lock that is laid from now on finds nothing to stop.
        operation = _begin(session, call, "console_stop", node, node.console_stop_key, overrides_lock=True)
        Console.stop(session, node.id)
    call.services.client.wake(operation.lane)
    return operation


def _begin(session: orm.Session, call: Call, verb: str, node: Node, key: str, *, overrides_lock: bool) -> Operation:
    return journal(
        session,
        call,
        verb,
        node.lane,
        pending_key=key,
        busy=exception.Busy(kind="the console of node", name=node.name),
        project_id=node.project_id,
        node=node.uuid,
        payload={"node": node.name},
        overrides_lock=overrides_lock,
    )


@writes
def start_instance(call: Call, ident: str) -> Operation:
    """Open the console of an instance's node.

    :raises exception.InstanceState: it has no node
    :raises: see :func:`start`
    """
    return start(call, _node_of(call, ident, rules.START))


@writes
def stop_instance(call: Call, ident: str) -> Operation:
    """Close the console of an instance's node.

    :raises exception.InstanceState: it has no node
    :raises: see :func:`stop`
    """
    return stop(call, _node_of(call, ident, rules.STOP))


def _node_of(call: Call, ident: str, rule: str) -> str:
    with call.reader() as session:
        instance = instances.visible_instance(session, call, ident)
        call.check(rule, instance.project_id)
        nodes = Node.find(session, models.Node.id == instance.node_id)
    if not nodes:
        locks.check_instance(call, instance)
        raise exception.InstanceState(name=instance.name, status=str(instance.status), event="have a console")
    return nodes[0].uuid


def record(
    call: Call, node: str | None = None, instance: str | None = None, offset: int = 0, length: int | None = None
) -> Record:
    """What a console has written, as far as it is kept. It lags about a second behind.

    :param node: whose console; or
    :param instance: whose
    :param offset: only what comes after so many bytes of all that it ever wrote
    :param length: only so many bytes, the last; None for all
    :raises exception.NotFound: there is no such node or instance, or it is another project's; or it never had a console
    """
    with call.reader() as session:
        console = _found(session, call, rules.GET, node, instance).console
        bound = call.services.conf.console.record_size if length is None else length
        begin = max(offset, console.written - min(bound, call.services.conf.console.record_size))
        pieces = Console.recorded(session, console.id, begin)
    if not pieces:
        return Record("", console.written, console.written, console.status, console.reason)
    start = pieces[0][0] - len(pieces[0][1])
    data = b"".join(data for _, data in pieces)[max(0, begin - start) :]
    return Record(data.decode("utf-8", "replace"), max(start, begin), pieces[-1][0], console.status, console.reason)


def stream(call: Call, node: str | None = None, instance: str | None = None) -> Stream:
    """Leave to follow a console, and to type if the caller may and no lock forbids it. Nothing is written down.

    :raises exception.NotFound: see :func:`record`
    :raises exception.ConsoleNotActive: it is not open
    """
    with call.reader() as session:
        found = _found(session, call, rules.STREAM, node, instance)
    console = found.console
    if console.status != states.Console.ACTIVE:
        raise exception.ConsoleNotActive(name=found.node.name, status=str(console.status))
    holder = None if found.instance is None else locked_by(found.instance)
    settled = found.instance is None or found.instance.status not in states.INSTANCE_UNSETTLED
    project = found.node.project_id
    unlocked = call.allows(base_rules.WRITABLE, project, locked_by=holder or "nobody")
    types = settled and unlocked and call.allows(rules.TYPE, project)
    ttl = call.services.conf.console.token_ttl
    token, expires = console_tokens.issue(console.token_key, console.id, types, ttl)
    url = f"{console.url}/{found.node.uuid}?token={token}"
    expires_at = datetime.fromtimestamp(expires, UTC).replace(tzinfo=None)
    return Stream(url, f"ws{url.removeprefix('http')}", types, expires_at)


@dataclass(frozen=True, slots=True)
class _Found:
    node: models.Node
    instance: models.Instance | None
    console: models.Console


def _found(session: orm.Session, call: Call, rule: str, node: str | None, instance: str | None) -> _Found:
    """A node, its instance and its console, at one moment: a key that is older than a lock opens nothing."""
    nodes, guests, consoles = models.Node, models.Instance, models.Console
    query: Any = sa.select(nodes, guests, consoles)
    if instance is not None:
        query = query.select_from(guests).outerjoin(nodes, nodes.id == guests.node_id)
        query = query.where(Instance.identified(instance), *instances.seen_by(call))
    else:
        query = query.select_from(nodes).outerjoin(guests, guests.node_id == nodes.id)
        query = query.where(Node.identified(node or ""), *nodes_seen_by(call))
    query = query.outerjoin(consoles, consoles.node_id == nodes.id).execution_options(populate_existing=True)
    rows = session.execute(query).all()
    kind, name = ("node", node or "") if instance is None else ("instance", instance)
    if not rows:
        raise exception.NotFound(kind=kind, name=name)
    if len(rows) > 1:
        raise exception.NameAmbiguous(kind=kind, name=name)
    machine, guest, console = rows[0]
    call.check(rule, machine.project_id if instance is None else guest.project_id)
    if console is None:
        raise exception.NotFound(kind=f"console of {kind}", name=name)
    return _Found(machine, guest, console)
