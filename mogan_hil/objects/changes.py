# SPDX-License-Identifier: Apache-2.0
"""From what a transaction changed to what is told of it. No verb has to think of it.

A :class:`Watch` sees every row that a session is about to write. At the end of the transaction the rows are read once
more, and what differs is told; so what was undone by a savepoint, or came out as it was, is not. The names of events
follow from the tables and the journal:

* `<noun>.<action>` for a row: `flavor.create`, `node.claim`, `instance.lock`
* `<noun>.<action>.<phase>` for an operation, with `start` when it is written and `end` or `error` when it is over
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from oslo_context import context
from sqlalchemy import event, orm

from mogan_hil.common import states
from mogan_hil.db import models
from mogan_hil.objects.payloads import PAYLOADS

Row = Mapping[str, Any]
#: From a row before and after, and the columns that differ, to the names of what happened. None stands for no row.
Names = Callable[[Row | None, Row | None, Sequence[str]], Iterable[str]]

#: What is not told, and why.
UNTOLD: Mapping[str, str] = {
    "addresses": "they come and go with an attachment, which is told",
    "console_pieces": "they are what a tenant's machine wrote",
    "consoles": "they are opened and closed by operations, which are told",
    "node_traits": "they are a column of the node, too",
    "key_owners": "they are there to be locked; their keypairs are told",
    "instance_configs": "they have a tenant's secrets, and come and go with the instance",
}

#: Columns in which a change alone is no news.
QUIET = frozenset({"observed_at", "unsettled_until", "generation", "status_reason", "details"})


@dataclass(frozen=True, slots=True)
class Event:
    """What is told.

    :param priority: `info`, `warn` or `error`
    """

    name: str
    payload: Mapping[str, Any]
    priority: str


def _plain(noun: str) -> Names:
    return _named(f"{noun}.create", f"{noun}.update", f"{noun}.delete")


def _named(create: str, update: str, delete: str) -> Names:
    def names(before: Row | None, after: Row | None, changed: Sequence[str]) -> Iterable[str]:
        if before is None:
            yield create
        elif after is None:
            yield delete
        elif not QUIET.issuperset(changed):
            yield update

    return names


def _special(noun: str, turns: Callable[[Row, Row], Iterable[tuple[str, str]]]) -> Names:
    """With names of their own for some changes.

    :param turns: each of those that happened, with the column that it explains
    """
    plain = _plain(noun)

    def names(before: Row | None, after: Row | None, changed: Sequence[str]) -> Iterable[str]:
        if before is None or after is None:
            yield from plain(before, after, changed)
            return
        found = list(turns(before, after))
        yield from (f"{noun}.{action}" for action, _ in found)
        if not {column for _, column in found} | QUIET >= set(changed):
            yield f"{noun}.update"

    return names


def _node(before: Row, after: Row) -> Iterable[tuple[str, str]]:
    if before["project_id"] == after["project_id"]:
        return
    if before["project_id"] is not None:
        yield "release", "project_id"
    if after["project_id"] is not None:  # also of one that is given back: the project for maintenance
        yield "claim", "project_id"


def _instance(before: Row, after: Row) -> Iterable[tuple[str, str]]:
    for column in ("owner_lock", "admin_lock"):
        if (before[column] is None) != (after[column] is None):
            yield "unlock" if after[column] is None else "lock", column


def _instances(before: Row | None, after: Row | None, changed: Sequence[str]) -> Iterable[str]:
    # To build and to delete one are operations, which tell of it.
    if before is None:
        if after is not None and after["status"] != states.Instance.BUILDING:
            yield "instance.adopt"
    elif after is None:
        if before["status"] != states.Instance.DELETING:
            yield "instance.release"
    else:
        yield from _special("instance", _instance)(before, after, changed)


def _port(before: Row, after: Row) -> Iterable[tuple[str, str]]:
    if before["nic_id"] != after["nic_id"]:
        yield "uncable" if after["nic_id"] is None else "cable", "nic_id"
    if after["in_sync"] is False and before["in_sync"] is not False and after["status"] != states.Port.ERROR:
        yield "drift", "in_sync"
    if after["in_sync"] and before["in_sync"] is False:
        yield "heal", "in_sync"
    if before["status"] != after["status"] and states.Port.ERROR in (before["status"], after["status"]):
        yield "fail" if after["status"] == states.Port.ERROR else "recover", "status"


#: Operations that are called otherwise in notifications than `<noun>_<action>`.
VERBS: Mapping[str, str] = {
    "attach": "attachment.attach",
    "detach": "attachment.detach",
    "boot_device": "node.boot_device",
    "claim": "claim.wire",
    "deploy": "node.deploy",
    "power": "node.power",
    "undeploy": "node.undeploy",
}


def operation_name(row: Row) -> str:
    """What an operation is called: `instance.power_on` for an instance_power to `on`. Any verb has a name."""
    verb = row["verb"]
    noun, _, action = verb.partition("_")
    name = VERBS.get(verb) or (f"{noun}.{action}" if action else f"operation.{verb}")
    target = row["payload"].get("target")
    return f"{name}_{target}" if verb.rpartition("_")[2] == "power" and target else str(name)


_PHASES = {states.Operation.DONE.value: "end", states.Operation.ERROR.value: "error"}


def _operation(before: Row | None, after: Row | None, _changed: Sequence[str]) -> Iterable[str]:
    if after is None:
        return
    if before is None:
        yield f"{operation_name(after)}.start"
    if (before is None or before["state"] != after["state"]) and after["state"] in _PHASES:
        yield f"{operation_name(after)}.{_PHASES[after['state']]}"


#: By table; those with a payload that are not here are told plainly, by their models' names.
NAMES: Mapping[type[models.Base], Names] = {
    models.Node: _special("node", _node),
    models.NodeMetadata: _named("node.set_label", "node.set_label", "node.delete_label"),
    models.AggregateMetadata: _named("aggregate.set_label", "aggregate.set_label", "aggregate.delete_label"),
    models.AggregateNode: _named("aggregate.add_node", "aggregate.add_node", "aggregate.remove_node"),
    models.Port: _special("port", _port),
    models.NetworkAccess: _named("network.grant", "network.grant", "network.revoke"),
    models.FlavorAccess: _named("flavor.grant", "flavor.grant", "flavor.revoke"),
    models.Quota: _named("quota.set", "quota.set", "quota.reset"),
    models.RoleAssignment: _named("user.assign", "user.assign", "user.unassign"),
    models.Instance: _instances,
    models.Operation: _operation,
}

_WARN = frozenset({"port.drift", "node.quarantine"})
_ERROR = frozenset({"port.fail"})


def _names(model: type[models.Base]) -> Names:
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in model.__name__)
    return NAMES.get(model) or _plain(words.lstrip("_"))


def _priority(name: str) -> str:
    if name in _ERROR or name.endswith(".error"):
        return "error"
    return "warn" if name in _WARN else "info"


class Watch:
    """Sees what one session writes, until :meth:`events` tells.

    :param session: of one transaction
    """

    def __init__(self, session: orm.Session) -> None:
        self._session = session
        #: What rows were before they were first written, None where there was none.
        self._before: dict[tuple[type[models.Base], int], Row | None] = {}
        event.listen(session, "do_orm_execute", self._execute)
        event.listen(session, "before_flush", self._before_flush)
        event.listen(session, "after_flush", self._after_flush)

    def _execute(self, state: orm.ORMExecuteState) -> None:
        if not (state.is_update or state.is_delete):
            return
        model = state.bind_mapper.class_ if state.bind_mapper is not None else None
        if model is not None and model in PAYLOADS:
            where = getattr(state.statement, "whereclause", None)
            self._keep(model, [] if where is None else [where])

    def _before_flush(self, session: orm.Session, _context: Any, _objects: Any) -> None:
        for changed in (*session.dirty, *session.deleted):
            model = type(changed)
            if model in PAYLOADS:
                self._keep(model, [model.id == changed.id])

    def _after_flush(self, session: orm.Session, _context: Any) -> None:
        for made in session.new:
            if type(made) in PAYLOADS:
                self._before.setdefault((type(made), made.id), None)

    def _keep(self, model: type[models.Base], where: Sequence[sa.ColumnElement[bool]]) -> None:
        for number, row in self._read(model, where).items():
            self._before.setdefault((model, number), row)

    def _read(self, model: type[models.Base], where: Sequence[sa.ColumnElement[bool]]) -> dict[int, Row]:
        # Columns, not objects: what the session knows already may be older.
        with self._session.no_autoflush:
            found = self._session.execute(sa.select(*model.__table__.columns).where(*where)).mappings()
            return {row["id"]: dict(row) for row in found}

    def events(self) -> list[Event]:
        """What is to be told, once the transaction is committed."""
        self._session.flush()
        if not self._before:
            return []
        ids: dict[type[models.Base], list[int]] = {}
        for model, number in self._before:
            ids.setdefault(model, []).append(number)
        after = {model: self._read(model, [model.id.in_(numbers)]) for model, numbers in ids.items()}
        pairs = [(model, old, after[model].get(number)) for (model, number), old in self._before.items()]
        found = [told for model, old, new in pairs for told in self._tell(model, old, new)]
        return found + self._quarantined(pairs)

    def _tell(self, model: type[models.Base], before: Row | None, after: Row | None) -> list[Event]:
        row = after if after is not None else before
        if row is None or before == after:
            return []
        changed: list[str] = []
        if before is not None and after is not None:
            changed = sorted(name for name in row if before[name] != after[name])
        names = list(_names(model)(before, after, changed))
        if not names:
            return []
        payload = self._payload(model, row, before, after, changed)
        return [Event(name, payload, _priority(name)) for name in names]

    def _payload(
        self, model: type[models.Base], row: Row, before: Row | None, after: Row | None, changed: Sequence[str]
    ) -> Mapping[str, Any]:
        kind = PAYLOADS[model]
        changes = {}
        if before is not None and after is not None and model is not models.Operation:
            changes = {name: {"old": before[name], "new": after[name]} for name in changed if name in kind.PLAIN}
        caller = context.get_current()
        return kind.of(
            row,
            {name: self._uuid(model, name, row[name]) for name in kind.REFERENCES},
            by_user_id=caller.user_id if caller else None,
            by_project_id=caller.project_id if caller else None,
            request_id=caller.request_id if caller else None,
            changed=list(changed),
            changes=changes,
        )

    def _uuid(self, model: type[models.Base], column: str, number: int | None) -> str | None:
        if number is None:
            return None
        (key,) = model.__table__.columns[column].foreign_keys
        table = key.column.table
        return self._session.scalar(sa.select(table.c.uuid).where(table.c.id == number))

    def _quarantined(self, pairs: Iterable[tuple[type[models.Base], Row | None, Row | None]]) -> list[Event]:
        """Free nodes that may not be given away any more, or may again, since ports of theirs changed."""
        turned = [(old, new) for model, old, new in pairs if model is models.Port and _wrong_at(old) != _wrong_at(new)]
        if not turned:
            return []
        were, are = Counter(_wrong_at(old) for old, _ in turned), Counter(_wrong_at(new) for _, new in turned)
        nodes, nics, ports = models.Node, models.Nic, models.Port
        query = sa.select(nics.node_id, nics.id).where(nics.id.in_([nic for nic in {*were, *are} if nic is not None]))
        changed: dict[int, list[int]] = {}
        for node, nic in self._session.execute(query):
            changed.setdefault(node, []).append(nic)
        wrong = sa.select(nics.node_id, sa.func.count()).join(ports, ports.nic_id == nics.id)
        wrong = wrong.where(nics.node_id.in_(changed), ports.in_sync.is_(False) | (ports.status != states.Port.OK))
        now = {node: count for node, count in self._session.execute(wrong.group_by(nics.node_id))}
        found = []
        for row in self._read(nodes, [nodes.id.in_(changed), nodes.project_id.is_(None)]).values():
            bad = now.get(row["id"], 0)
            before = bad + sum(were[nic] - are[nic] for nic in changed[row["id"]])
            if bool(bad) != bool(before):
                name = "node.quarantine" if bad else "node.unquarantine"
                found.append(Event(name, self._payload(nodes, row, None, row, []), _priority(name)))
        return found


def _wrong_at(port: Row | None) -> int | None:
    """The NIC whose node cannot be given away because of a port; None if there is none."""
    wrong = port is not None and (port["in_sync"] is False or port["status"] != states.Port.OK)
    return port["nic_id"] if port is not None and wrong else None
