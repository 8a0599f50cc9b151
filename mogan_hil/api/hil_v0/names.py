# SPDX-License-Identifier: Apache-2.0
"""HIL knows things by their names alone."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from mogan_hil.api.controllers.v1.ports import PORT_NAME
from mogan_hil.api.hil_v0.errors import HilError
from mogan_hil.api.types import Field, Mac, Name, Text
from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.node import Node
from mogan_hil.objects.project import Project
from mogan_hil.verbs.base import Call, resolve_project, writes

#: The owner of a network of the site.
ADMIN = "admin"

TEXT = Text(1024, 0)

PORT = Name(PORT_NAME, 63)


def new(value: str, field: Field | None = None) -> str:
    """The name of a new thing.

    :raises HilError: no thing can be called so here
    """
    try:
        return str((field or Name()).validate(value))
    except ValueError as error:
        raise HilError("BadArgumentError", f"{value[:100]!r}: {error}") from None


def mac(value: str) -> str:
    """A MAC address.

    :raises HilError: it is none
    """
    return new(value, Mac())


def project_names(call: Call, ids: Collection[str]) -> dict[str, str]:
    """The names of projects, by their ids."""
    rows = models.Project
    with call.reader() as session:
        return dict(session.execute(sa.select(rows.uuid, rows.name).where(rows.uuid.in_(ids))).tuples().all())


def is_project(call: Call, asked: str, uuid: str, name: str | None) -> bool:
    """Whether this project is asked for. Others are not looked for, so that nothing is told of them.

    :param uuid: of a project that the caller may know
    :param name: its name, as it is written down here
    """
    if asked in (call.project_id, call.context.project_name):
        return uuid == call.project_id
    return asked in (uuid, name)


def project_id(call: Call, name: str) -> str:
    """The id of a project.

    :raises exception.NotFound: there is none, or nothing is known of it
    """
    if name in (call.project_id, call.context.project_name):
        return call.project_id or name
    if call.services.projects is not None and call.allows("admin"):
        return _asked(call, name)
    with call.reader() as session:
        return Project.get(session, name).uuid


@writes
def _asked(call: Call, name: str) -> str:
    """A project of Keystone's, which may never have been named here. What there is is not for everyone to ask."""
    with call.writer() as session:
        return resolve_project(session, call, name)


def node_exists(call: Call, name: str) -> bool:
    """Whether there is such a node, whoever has it: who wants to claim one is told that it is taken."""
    with call.reader() as session:
        return bool(Node.find(session, Node.identified(name)))


def node_project(call: Call, name: str) -> str | None:
    """Whose a node is, as far as the caller may know.

    :raises exception.NotFound: there is no such node, or another project has it
    """
    with call.reader() as session:
        found = Node.get(session, name)
    if found.project_id is not None and not call.sees_all and found.project_id != call.project_id:
        raise exception.NotFound(kind="node", name=name)
    return found.project_id
