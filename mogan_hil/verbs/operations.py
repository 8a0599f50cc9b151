# SPDX-License-Identifier: Apache-2.0
"""Operations: the journal, as its readers see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from mogan_hil.common import exception
from mogan_hil.db import models
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import operation as rules
from mogan_hil.verbs.base import Call, of_project, visible_node
from mogan_hil.verbs.listing import Page, paged

SORT_KEYS = ("created_at",)

FILTERS = ("state", "verb", "lane", "node", "project_id", "user_id", "request_id")


def list_(call: Call, page: Page, filters: dict[str, str], parent: str | None = None) -> Sequence[models.Operation]:
    """A page of the operations of the caller's project, or of all for an administrator.

    :param filters: values of some of `FILTERS`; of `project_id` also a name
    :param parent: only those begun on behalf of this one, by uuid
    """
    call.check(rules.LIST)
    rows = models.Operation
    query = sa.select(rows)
    if not call.sees_all:
        query = query.where(rows.project_id == call.project_id)
    for name, value in filters.items():
        column = getattr(rows, name)
        query = query.where(of_project(call, column, value) if name == "project_id" else column == value)
    if parent is not None:
        other = sa.select(rows.id).where(rows.uuid == parent)
        query = query.where(rows.parent_id == other.scalar_subquery())
    with call.reader() as session:
        return [row[0] for row in paged(session, query, rows, page)]


def get(call: Call, uuid: str) -> Operation:
    """One operation.

    :raises exception.NotFound: there is none, or it is another project's
    """
    with call.reader() as session:
        found = Operation.get(session, uuid)
    if not call.allows(rules.GET, found.project_id):
        raise exception.NotFound(kind="operation", name=uuid)
    return found


def is_open(call: Call, node: str, key: Callable[[Node], str]) -> bool:
    """Whether something that a node has is being worked on.

    :param key: of the node, what an operation on that holds while it is open
    :raises exception.NotFound: there is no such node, or it is another project's
    """
    with call.reader() as session:
        return bool(Operation.open_keys(session, [key(visible_node(session, call, node))]))
