# SPDX-License-Identifier: Apache-2.0
"""What every verb is given, and what every verb does.

A verb reads as find, authorize, check, write, tell. It takes a :class:`Call` first, raises the errors of
:mod:`mogan_hil.common.exception`, and knows nothing of HTTP: every front end calls the same verbs.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.common.sealing import Sealer
from mogan_hil.common.waits import Waits
from mogan_hil.context import RequestContext
from mogan_hil.db import models
from mogan_hil.db.api import Database, again
from mogan_hil.drivers.allocator.base import Allocator
from mogan_hil.drivers.ipam.base import Ipam
from mogan_hil.drivers.loader import Drivers
from mogan_hil.objects import node as node_objects
from mogan_hil.objects import project as project_objects
from mogan_hil.objects.base import Lock
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.release import Releases
from mogan_hil.policies import base as base_rules
from mogan_hil.policy import Policy
from mogan_hil.rpc.client import Client

if TYPE_CHECKING:
    from mogan_hil.common.keystone import Projects

P = ParamSpec("P")
R = TypeVar("R")

#: Keystone's ids are 64 characters at the most: https://docs.openstack.org/api-ref/identity/v3/
PROJECT_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,63}")

Node = node_objects.Node
Project = project_objects.Project


@dataclass(frozen=True, slots=True)
class Services:
    """What a process has, made once at its start.

    :param releases: where nodes go that are given back
    :param sealer: seals secrets, which conductors alone can open
    :param waits: the places of requests that wait for devices
    :param projects: Keystone's, None where projects are made here
    """

    conf: cfg.ConfigOpts
    database: Database
    policy: Policy
    drivers: Drivers
    allocator: Allocator
    ipam: Ipam
    client: Client
    sealer: Sealer
    releases: Releases
    waits: Waits
    projects: Projects | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, and with what."""

    context: RequestContext
    services: Services

    @property
    def project_id(self) -> str | None:
        """The project that the caller acts for; None with a token for the system."""
        project: str | None = self.context.project_id
        return project

    def check(self, rule: str, project_id: str | None = None, **target: Any) -> None:
        """Authorize.

        :param project_id: the owner of the target, None where nobody owns it
        :raises exception.Forbidden: the policy does not allow it
        """
        self.services.policy.check(self.context, rule, {"project_id": project_id, **target})

    def allows(self, rule: str, project_id: str | None = None, **target: Any) -> bool:
        """Whether :meth:`check` would pass."""
        return self.services.policy.allows(self.context, rule, {"project_id": project_id, **target})

    @property
    def sees_all(self) -> bool:
        """Whether the caller sees every project's things."""
        return self.allows("site_reader")

    @property
    def overrides_lock(self) -> bool:
        """Whether the caller may change what is locked, whoever has locked it."""
        return self.allows(base_rules.WRITABLE, self.project_id, locked_by="admin")

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for a device within the block.

        :raises exception.DeviceUnavailable: too many requests of this process do already
        """
        with self.services.waits.place() as got:
            if not got:
                raise exception.DeviceUnavailable(reason="Too many requests wait for devices just now; try again.")
            yield

    @contextlib.contextmanager
    def reader(self) -> Iterator[orm.Session]:
        """See :meth:`mogan_hil.db.api.Database.reader`."""
        with self.services.database.reader() as session:
            yield session

    @contextlib.contextmanager
    def writer(self) -> Iterator[orm.Session]:
        """See :meth:`mogan_hil.db.api.Database.writer`."""
        with self.services.database.writer() as session:
            yield session


class _UnknownProject(Exception):
    """A project of Keystone's that is named here for the first time."""

    def __init__(self, call: Call, ident: str) -> None:
        self.call = call
        self.ident = ident


def writes(verb: Callable[P, R]) -> Callable[P, R]:
    """Mark a verb that writes: it is run again after a deadlock, and after a project was looked up in Keystone.

    A verb tells nobody before it commits, and leaves its arguments as they are.
    """
    tried: Callable[P, R] = again(verb)

    @functools.wraps(verb)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        while True:
            try:
                return tried(*args, **kwargs)
            except _UnknownProject as unknown:  # here, where no transaction waits for Keystone
                _look_up(unknown.call, unknown.ident)

    return wrapped


def _look_up(call: Call, ident: str) -> None:
    projects = call.services.projects
    if projects is None or not projects.exists(ident, call.context.auth_token):
        raise exception.NotFound(kind="project", name=ident)
    with call.writer() as session:
        Project.ensure(session, ident)


def visible_node(session: orm.Session, call: Call, ident: str, lock: Lock = None) -> Node:
    """A node that the caller may see: free, of the own project, or any for an administrator.

    :raises exception.NotFound: there is none, or it is another project's
    """
    return Node.get(session, ident, *nodes_seen_by(call), lock=lock)


def nodes_seen_by(call: Call) -> list[sa.ColumnElement[bool]]:
    """The conditions for nodes that the caller may see."""
    if call.sees_all:
        return []
    column = Node.MODEL.project_id
    return [sa.or_(column.is_(None), column == call.project_id)]


def not_claimed(session: orm.Session, node: Node) -> exception.MoganHilError:
    """Why a node could not be claimed just now."""
    for current in Node.find(session, Node.MODEL.id == node.id):
        if current.project_id is None and current.maintenance:
            return exception.NodeUnavailable(name=node.name)
        if current.project_id is None:
            return exception.NodeQuarantined(name=node.name)
    return exception.NodeClaimed(name=node.name)


def resolve_project(session: orm.Session, call: Call, ident: str | None) -> str:
    """The id of the project that is meant, the caller's own if none is named. One of Keystone's is written down.

    For verbs that are marked with :func:`writes`, which ask Keystone for a project that is not known here.

    :raises exception.NotFound: there is no such project
    :raises exception.BadField: none is named and the caller's token is for none; or it cannot be an id of Keystone's
    """
    own = call.project_id
    if ident is None or ident in (own, call.context.project_name):
        ident = own
    if ident is None:
        raise exception.BadField(field="project_id", reason="name a project; your token is for none")
    if call.services.conf.auth.strategy == "local":
        return Project.get(session, ident).uuid
    if PROJECT_ID.fullmatch(ident) is None:
        raise exception.BadField(field="project_id", reason="it is no id of a project")
    if call.services.conf.auth.strategy == "none" and (known := Project.find(session, Project.identified(ident))):
        return known[0].uuid  # perhaps made while there were local users
    if ident != own and call.services.conf.auth.strategy == "keystone":
        if not Project.find(session, models.Project.uuid == ident):
            raise _UnknownProject(call, ident)
        return ident
    Project.ensure(session, ident)
    return ident


def of_project(call: Call, column: Any, ident: str) -> sa.ColumnElement[bool]:
    """The condition for what belongs to the project that is meant. Who may see it is a condition of its own.

    :param column: that has the id of the project
    :param ident: id or name. Of one that does not exist nothing is found, as of one that has nothing.
    """
    meant = [ident, sa.select(models.Project.uuid).where(models.Project.name == ident).scalar_subquery()]
    if call.project_id is not None and ident == call.context.project_name:
        meant.append(call.project_id)  # Keystone's names are not known here, but the own one's
    return cast("sa.ColumnElement[bool]", column.in_(meant))


def journal(
    session: orm.Session,
    call: Call,
    verb: str,
    lane: str,
    *,
    busy: exception.MoganHilError,
    pending_key: str | None,
    project_id: str | None,
    node: str | None = None,
    parent_id: int | None = None,
    payload: dict[str, Any] | None = None,
    overrides_lock: bool = False,
) -> Operation:
    """Write an operation to the journal, in the transaction that writes its intent.

    :param busy: what to raise when another open operation holds the same key
    :param overrides_lock: a lock that is laid from now on does not stop it, nor what is begun on behalf of another
    """
    return Operation.create(
        session,
        busy,
        verb=verb,
        lane=lane,
        state=states.Operation.PENDING,
        pending_key=pending_key,
        request_id=call.context.request_id or "",
        user_id=call.context.user_id or "",
        project_id=project_id,
        node=node,
        parent_id=parent_id,
        payload=payload or {},
        overrides_lock=overrides_lock or parent_id is not None or call.overrides_lock,
    )
