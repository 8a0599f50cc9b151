# SPDX-License-Identifier: Apache-2.0
"""The NICs of headnodes, and which networks they are on. All of it can be changed until the first start."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.db import models
from mogan_hil.objects.headnode import Headnode, Hnic
from mogan_hil.objects.network import Network, usable_by
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import hnic as rules
from mogan_hil.verbs.base import Call, writes
from mogan_hil.verbs.headnodes import HnicView, hnics_of, visible_headnode
from mogan_hil.verbs.networks import find_network

#: How often another MAC address is tried where there is one like it. A prefix leaves 2 ** 24 of them.
CHOICES = 20

#: NICs of one headnode: its host has no more places for cards.
MAX_HNICS = 16


def _changeable(session: orm.Session, call: Call, ident: str, rule: str) -> Headnode:
    """A headnode that the caller may change, locked until the end of the transaction.

    :raises: what the verbs raise
    """
    found = visible_headnode(session, call, ident, lock="update")
    call.check(rule, found.project_id)
    if found.frozen:
        raise exception.HeadnodeFrozen(name=found.name)
    if Operation.open_keys(session, [found.lane]):
        raise exception.Busy(kind="headnode", name=found.name)
    if found.status != states.Headnode.NEW:
        # A machine may run on these networks. A network that nobody is known to be on may be deleted, and its segment
        # be another tenant's.
        raise exception.HeadnodeUnclean(name=found.name)
    return found


@writes
def create(call: Call, headnode: str, name: str) -> HnicView:
    """Give a headnode a NIC, with a MAC address that no other has. It is on no network yet.

    :raises exception.NotFound: there is no such headnode, or it is another project's
    :raises exception.HeadnodeFrozen: it was started
    :raises exception.HeadnodeUnclean: a start failed, and what it has made could not be taken away yet
    :raises exception.Duplicate: the headnode has a NIC of this name
    :raises exception.Conflict: it has as many as it can have
    :raises exception.Busy: an operation on it is not finished
    """
    with call.writer() as session:
        owner = _changeable(session, call, headnode, rules.CREATE)
        known = Hnic.find(session, models.Hnic.headnode_id == owner.id)
        if any(hnic.name == name for hnic in known):
            raise exception.Duplicate(kind="hnic", field="name")
        if len(known) >= MAX_HNICS:
            raise exception.Conflict(reason=f"Headnode {owner.name!r} has {MAX_HNICS} NICs, which is the most.")
        return HnicView(_create(session, call, owner, name), None, None)


def _create(session: orm.Session, call: Call, owner: Headnode, name: str) -> Hnic:
    for _ in range(CHOICES):
        tail = secrets.token_hex(3)
        mac = ":".join([call.services.conf.headnode.mac_prefix, tail[:2], tail[2:4], tail[4:]])
        if session.scalar(sa.select(models.Nic.id).where(models.Nic.mac == mac)) is not None:
            continue
        try:
            with session.begin_nested():
                return Hnic.create(session, name=name, headnode_id=owner.id, mac=mac)
        except exception.Duplicate:
            pass  # the row of the headnode is locked, so that it is not the name
    raise exception.Conflict(reason="No MAC address is free; try again.")


def list_(call: Call, headnode: str) -> Sequence[HnicView]:
    """Every NIC of a headnode.

    :raises exception.NotFound: there is no such headnode, or it is another project's
    """
    with call.reader() as session:
        owner = visible_headnode(session, call, headnode)
        call.check(rules.LIST, owner.project_id)
        return hnics_of(session, [owner.id])[owner.id]


@writes
def delete(call: Call, headnode: str, hnic: str) -> None:
    """Take a NIC from a headnode.

    :raises exception.NotFound: there is no such headnode or NIC, or the headnode is another project's
    :raises exception.HeadnodeFrozen: it was started
    :raises exception.HeadnodeUnclean: a start failed, and what it has made could not be taken away yet
    :raises exception.Busy: an operation on it is not finished
    """
    with call.writer() as session:
        owner = _changeable(session, call, headnode, rules.DELETE)
        Hnic.get(session, hnic, models.Hnic.headnode_id == owner.id).delete(session)


@writes
def connect(call: Call, headnode: str, hnic: str, network: str) -> HnicView:
    """Say which network a NIC is to be on, in place of any other.

    :raises exception.NotFound: there is no such headnode, NIC or network, or the caller may not see it
    :raises exception.HeadnodeFrozen: it was started
    :raises exception.HeadnodeUnclean: a start failed, and what it has made could not be taken away yet
    :raises exception.ProjectMismatch: the headnode's project may not use the network
    :raises exception.NotPooled: the network has a segment that an administrator chose, or one that no bridge reaches
    :raises exception.Busy: an operation on the headnode is not finished
    """
    with call.writer() as session:
        owner = _changeable(session, call, headnode, rules.CONNECT)
        found = Hnic.get(session, hnic, models.Hnic.headnode_id == owner.id)
        target = _usable(session, call, owner, network)
        if not target.pooled:
            raise exception.NotPooled(name=target.name, reason="its segment is not of the pool")
        if target.physical_network not in call.services.conf.headnode.bridges:
            reason = f"their host is not on physical network {target.physical_network!r}"
            raise exception.NotPooled(name=target.name, reason=reason)
        found.update(session, network_id=target.id)
        return HnicView(found, target.uuid, target.name)


def _usable(session: orm.Session, call: Call, headnode: Headnode, ident: str) -> Network:
    # As for attachments: locked against deletion and against losing access, and looked at again after the wait.
    usable = usable_by(headnode.project_id)
    try:
        found = find_network(session, ident, headnode.project_id, usable, lock="share")
        return Network.get(session, found.uuid, usable)
    except exception.NotFound:
        if call.sees_all and Network.find(session, Network.identified(ident)):
            raise exception.ProjectMismatch(
                f"The project of headnode {headnode.name!r} has no access to network {ident!r}."
            ) from None
        raise


@writes
def disconnect(call: Call, headnode: str, hnic: str) -> None:
    """Let a NIC be on no network; it is no error if it is on none.

    :raises: see :func:`delete`
    """
    with call.writer() as session:
        owner = _changeable(session, call, headnode, rules.DISCONNECT)
        Hnic.get(session, hnic, models.Hnic.headnode_id == owner.id).update(session, network_id=None)
