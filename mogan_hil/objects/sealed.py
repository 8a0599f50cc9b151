# SPDX-License-Identifier: Apache-2.0
"""The secrets of every device, as a whole: which keys they are under, and sealing them anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common.sealing import KEY, Opener, Purpose, Sealer, is_sealed
from mogan_hil.db import models
from mogan_hil.db.api import Database, again

#: How many secrets are in clear stands under this name.
CLEAR = "clear"


def _switch(row: models.Switch) -> tuple[Purpose, Mapping[str, Any]]:
    return Purpose(row.uuid, row.driver, row.options), row.secrets


def _node(row: models.Node) -> tuple[Purpose, Mapping[str, Any]]:
    return Purpose(row.uuid, row.obm_driver or "", row.obm_options), row.obm_secrets


#: Where secrets are: the model, the column, and how a row is read.
_COLUMNS: tuple[tuple[Any, str, Callable[[Any], tuple[Purpose, Mapping[str, Any]]]], ...] = (
    (models.Switch, "secrets", _switch),
    (models.Node, "obm_secrets", _node),
)


def count(session: orm.Session) -> Counter[str]:
    """How many secrets are under each key; those in clear under `CLEAR`."""
    found: Counter[str] = Counter()
    for model, column, _read in _COLUMNS:
        for secrets in session.scalars(sa.select(getattr(model, column))):
            found.update(value[KEY] if is_sealed(value) else CLEAR for value in secrets.values())
    return found


def seal_all(database: Database, sealer: Sealer, opener: Opener) -> int:
    """Seal every secret under the key of now that is under another, or in clear. Returns how many those were.

    Each row is a transaction of its own that locks it, as those do who change it. So processes of the API and
    conductors may go on meanwhile, and it may be interrupted and run again at any point.

    :raises SealingError: a key is missing
    """
    reseal: Callable[..., int] = again(_reseal)
    return sum(reseal(database, sealer, opener, *what) for what in _due(database, sealer.key_id))


def _due(database: Database, key_id: str) -> Iterator[tuple[int, Any, str, Any]]:
    for model, column, read in _COLUMNS:
        with database.reader() as session:
            rows = session.execute(sa.select(model.id, getattr(model, column))).all()
        for ident, secrets in rows:
            if any(not is_sealed(value) or value[KEY] != key_id for value in secrets.values()):
                yield ident, model, column, read


def _reseal(
    database: Database, sealer: Sealer, opener: Opener, ident: int, model: Any, column: str, read: Callable[[Any], Any]
) -> int:
    with database.writer() as session:
        query = sa.select(model).where(model.id == ident).with_for_update()
        row = session.scalars(query).one_or_none()
        if row is None:
            return 0
        device, secrets = read(row)
        key_id = sealer.key_id
        old = {name: value for name, value in secrets.items() if is_sealed(value) and value[KEY] != key_id}
        clear = {name: value for name, value in secrets.items() if not is_sealed(value)}
        anew = {name: sealer.again(opener.content(value)) for name, value in old.items()}
        setattr(row, column, {**secrets, **anew, **sealer.seal(clear, device)})
        return len(old) + len(clear)
