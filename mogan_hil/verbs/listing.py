# SPDX-License-Identifier: Apache-2.0
"""Pages of lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted.

    :param limit: how many at the most, 1 to the configured maximum
    :param marker: the uuid of the last one of the page before
    :param sort_key: a column without NULLs; equal values are sorted by age
    """

    limit: int = 1000
    marker: str | None = None
    sort_key: str = "id"
    sort_dir: Literal["asc", "desc"] = "asc"


def paged(session: orm.Session, query: Any, model: Any, page: Page) -> Sequence[Any]:
    """One page of a query's rows.

    :param query: selects the model, and perhaps more
    :raises exception.MarkerNotFound: the marker is not among what the query selects
    """
    key = getattr(model, page.sort_key)
    if page.marker is not None:
        last = session.execute(
            query.with_only_columns(key, model.id).where(model.uuid == page.marker).limit(1)
        ).one_or_none()
        if last is None:
            raise exception.MarkerNotFound()
        after = sa.tuple_(key, model.id)
        mark = sa.tuple_(sa.literal(last[0], key.type), sa.literal(last[1], model.id.type))
        query = query.where(after > mark if page.sort_dir == "asc" else after < mark)
    order = (key, model.id) if page.sort_dir == "asc" else (key.desc(), model.id.desc())
    return session.execute(query.order_by(*order).limit(page.limit)).all()
