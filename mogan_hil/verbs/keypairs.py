# SPDX-License-Identifier: Apache-2.0
"""Keypairs: public keys that a user's instances are given. They belong to the user, whatever the project."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception, ssh_keys
from mogan_hil.db import models
from mogan_hil.objects.keypair import Keypair
from mogan_hil.policies import keypair as rules
from mogan_hil.verbs import quotas
from mogan_hil.verbs.base import Call, writes
from mogan_hil.verbs.listing import Page, paged

SORT_KEYS = ("name", "created_at")


def own_keypair(session: orm.Session, call: Call, ident: str) -> Keypair:
    """A keypair of the caller's.

    :raises exception.NotFound: there is none, or it is another user's
    """
    return Keypair.get(session, ident, models.Keypair.user_id == _self(call))


def _self(call: Call) -> str:
    user: str | None = call.context.user_id
    if not user:
        raise exception.Forbidden("Keypairs belong to users, and you act as none.")
    return user


def _seen_by(call: Call, user: str | None) -> sa.ColumnElement[bool]:
    """The condition for keypairs of a user, the caller if None, that the caller may see."""
    owner = models.Keypair.user_id
    asked = owner == (user or _self(call))
    return asked if call.allows(rules.GET_OTHERS) else sa.and_(asked, owner == _self(call))


@writes
def create(call: Call, name: str, public_key: str | None, kind: str) -> tuple[Keypair, str | None]:
    """Keep a public key, or make a pair.

    :param public_key: a line as of `~/.ssh/id_ed25519.pub`; None makes a new pair
    :param kind: of a new pair: one of `ssh_keys.GENERATED`
    :returns: the keypair, and the private key of a new pair, which is kept nowhere
    :raises exception.BadField: it is no public key that is taken
    :raises exception.QuotaExceeded: each user of the caller's project may have no more
    :raises exception.Duplicate: the user has a keypair of this name
    """
    try:
        key = None if public_key is None else ssh_keys.parse(public_key)
    except ValueError as error:
        raise exception.BadField(field="public_key", reason=str(error)) from None
    call.check(rules.CREATE)
    user, private = _self(call), None
    if key is None:
        with call.writer() as session:  # who may have no more is not to have one made, which takes its time
            quotas.room(session, call, call.project_id, 1, 1, "keypairs")
        made = ssh_keys.generate(kind, name)
        key, private = made.public, made.private
    with call.writer() as session:
        quotas.room(session, call, call.project_id, 1, 1, "keypairs")
        found = Keypair.create(
            session, name=name, user_id=user, type=key.type, fingerprint=key.fingerprint, public_key=key.text
        )
    return found, private


def list_(call: Call, page: Page, *, user_id: str | None = None) -> Sequence[models.Keypair]:
    """A page of the caller's keypairs.

    :param user_id: another user's, for an administrator
    """
    call.check(rules.LIST)
    query = sa.select(models.Keypair).where(_seen_by(call, user_id))
    with call.reader() as session:
        return [row[0] for row in paged(session, query, models.Keypair, page)]


def get(call: Call, ident: str, *, user_id: str | None = None) -> Keypair:
    """One of the caller's keypairs.

    :param user_id: another user's, for an administrator
    :raises exception.NotFound: there is none, or it is another user's
    """
    call.check(rules.GET)
    with call.reader() as session:
        return Keypair.get(session, ident, _seen_by(call, user_id))


@writes
def delete(call: Call, ident: str) -> None:
    """Delete one of the caller's keypairs. Instances keep the public key that they were given.

    :raises exception.NotFound: there is none, or it is another user's
    """
    call.check(rules.DELETE)
    with call.writer() as session:
        own_keypair(session, call, ident).delete(session)
