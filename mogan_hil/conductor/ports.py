# SPDX-License-Identifier: Apache-2.0
"""Switch ports: what the database wants of them, and what is written when they were seen.

The attachments of a NIC are what its port is to carry. One that is being attached counts, one that is being detached
does not. After an error a port is only ever driven to carry less: what could not be attached is taken off again, and a
port that cannot be made right is parked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import channels, metrics, states
from mogan_hil.conductor.served import Changes
from mogan_hil.db import models
from mogan_hil.db.api import when_committed
from mogan_hil.drivers.switch.base import PortConfig, PortState
from mogan_hil.objects.network import Attachment
from mogan_hil.objects.port import Attached, Port


@dataclass(frozen=True, slots=True)
class Target:
    """A port and what it is to carry.

    :param coming: the attachments that it is to carry and was not yet seen with, by id
    :param leaving: those that it is not to carry and was not yet seen without. An attachment that is written later is
        in neither: what is seen now says nothing about it.
    """

    port: Port
    config: PortConfig
    coming: frozenset[int]
    leaving: frozenset[int]


def targets(session: orm.Session, *where: sa.ColumnElement[bool]) -> list[Target]:
    """What ports are to carry. Two statements, however many ports."""
    by_port: dict[int, list[Attached]] = {}
    for row in Port.attached(session, *where):
        by_port.setdefault(row.port.id, []).append(row)
    nics = [rows[0].port.nic_id for rows in by_port.values() if rows[0].port.nic_id is not None]
    labels = _labels(session, nics)
    return [_target(rows, labels) for rows in by_port.values()]


def _target(rows: list[Attached], labels: Mapping[int, str]) -> Target:
    port = Port.from_row(rows[0].port)
    wanted: list[tuple[str, str]] = []
    coming: set[int] = set()
    leaving: set[int] = set()
    for row in rows:
        if row.attachment_id is None or row.channel is None or row.segment_id is None:
            continue
        if row.status == states.Attachment.DETACHING:
            leaving.add(row.attachment_id)
            continue
        wanted.append((row.channel, row.segment_id))
        if row.status == states.Attachment.ATTACHING:
            coming.add(row.attachment_id)
    native, tagged = channels.vlans_of(wanted)
    label = labels.get(port.nic_id, "") if port.nic_id is not None else ""
    return Target(port, PortConfig(native, tagged, label), frozenset(coming), frozenset(leaving))


def _labels(session: orm.Session, nics: Collection[int]) -> Mapping[int, str]:
    if not nics:
        return {}
    query = sa.select(models.Nic.id, models.Node.name, models.Nic.name).join(models.Node).where(models.Nic.id.in_(nics))
    return {nic: f"{node}/{name}" for nic, node, name in session.execute(query)}


def observed(state: PortState | None) -> dict[str, Any] | None:
    """What was seen, as it is kept. None for a port that the switch does not have."""
    if state is None:
        return None
    return {"native": state.native, "tagged": channels.ranges(state.tagged), "enabled": state.enabled}


def seen_right(
    session: orm.Session, target: Target, state: PortState | None, changes: Changes, *, verified: bool
) -> None:
    """The port is as the target says: what was coming is there, what was leaving is gone.

    :param changes: told of both
    """
    changes.of_attachments(session, target.coming | target.leaving)
    Attachment.move(session, target.coming, states.Attachment.ATTACHING, states.Attachment.ACTIVE)
    Attachment.drop(session, target.leaving, states.Attachment.DETACHING)
    if target.port.in_sync is False:
        when_committed(session, metrics.DRIFT_HEALED.inc)
    target.port.update(
        session,
        status=states.Port.OK,
        status_reason="",
        observed=observed(state),
        observed_at=models.now(),
        in_sync=True if verified else None,
    )


def undo(session: orm.Session, target: Target) -> None:
    """What was coming is not wanted any more. It stays on record until the port was seen without it."""
    Attachment.move(session, target.coming, states.Attachment.ATTACHING, states.Attachment.DETACHING)


def seen_wrong(
    session: orm.Session, target: Target, state: PortState | None, reason: str, changes: Changes, *, parked: bool
) -> None:
    """The port could not be made right.

    :param changes: told of what is gone
    :param parked: it was seen parked, so that whatever was leaving is gone
    """
    if parked:
        changes.of_attachments(session, target.leaving)
        Attachment.drop(session, target.leaving, states.Attachment.DETACHING)
    target.port.update(
        session,
        status=states.Port.ERROR,
        status_reason=reason[:1024],
        observed=observed(state),
        observed_at=models.now(),
        in_sync=False,
    )


def suspect(session: orm.Session, target: Target, reason: str) -> None:
    """Nobody knows what the port is."""
    target.port.update(session, status=states.Port.ERROR, status_reason=reason[:1024], in_sync=None)


def suspect_unproven(session: orm.Session, switch_id: int, reason: str) -> None:
    """A switch could not be made right as a whole: its ports that were never seen are tried again by the rounds."""
    for target in targets(session, models.Port.switch_id == switch_id, models.Port.status == states.Port.NEW):
        suspect(session, target, reason)


def withdraw(session: orm.Session, port: str, network: str | None, changes: Changes) -> None:
    """Nothing was done: what was coming does not come, what was leaving stays.

    :param network: this one only; None means every network of the port
    :param changes: told of what is gone
    """
    rows = models.Attachment
    query = sa.select(rows.id).join(models.Port, models.Port.nic_id == rows.nic_id).where(models.Port.uuid == port)
    if network is not None:
        query = query.join(models.Network, models.Network.id == rows.network_id).where(models.Network.uuid == network)
    ids = list(session.scalars(query))
    changes.of_attachments(session, ids)
    Attachment.drop(session, ids, states.Attachment.ATTACHING)
    Attachment.move(session, ids, states.Attachment.DETACHING, states.Attachment.ACTIVE)
    # A heal leaves out what is being worked on; of one that ran meanwhile this port is left to the rounds.
    for target in targets(session, models.Port.uuid == port, models.Port.status == states.Port.NEW):
        suspect(session, target, "What was asked for was refused before the port was seen.")
