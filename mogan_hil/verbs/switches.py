# SPDX-License-Identifier: Apache-2.0
"""Switches: register, show, change, heal, remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_utils import uuidutils
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.db import models
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.switch import Switch
from mogan_hil.policies import switch as rules
from mogan_hil.verbs.base import Call, journal, writes
from mogan_hil.verbs.listing import Page, paged
from mogan_hil.verbs.options import Kept, settle

SORT_KEYS = ("name", "created_at", "driver", "physical_network")


@writes
def create(
    call: Call, name: str, driver: str, options: Mapping[str, Any], physical_network: str | None, description: str
) -> Switch:
    """Register a switch. It is not asked: it need not be up.

    :raises exception.BadField: no such driver or physical network, or the options do not fit the driver
    :raises exception.Duplicate: the name is taken
    :raises exception.SwitchTwice: it is registered already
    """
    call.check(rules.CREATE)
    switch_class = call.services.drivers.switch(driver)
    uuid = uuidutils.generate_uuid()
    shown, secrets = settle(call, switch_class, (uuid, driver), options)
    with call.writer() as session:
        _check_single(session, switch_class.identity(shown))
        return Switch.create(
            session,
            uuid=uuid,
            name=name,
            identity=switch_class.identity(shown),
            driver=driver,
            options=shown,
            secrets=secrets,
            description=description,
            physical_network=check_physical_network(call, physical_network),
        )


def check_physical_network(call: Call, name: str | None) -> str:
    """A physical network that the allocator has, its first one if none is named.

    :raises exception.BadField: it has no such
    """
    known = call.services.allocator.physical_networks()
    if name is None:
        return known[0]
    if name not in known:
        raise exception.BadField(field="physical_network", reason=f"there is no {name!r}; there are {', '.join(known)}")
    return name


def list_(call: Call, page: Page, driver: str | None = None) -> Sequence[models.Switch]:
    """A page of switches."""
    call.check(rules.LIST)
    query = sa.select(models.Switch)
    if driver is not None:
        query = query.where(models.Switch.driver == driver)
    with call.reader() as session:
        return [row[0] for row in paged(session, query, models.Switch, page)]


def get(call: Call, ident: str) -> Switch:
    """One switch.

    :raises exception.NotFound: there is none
    """
    call.check(rules.GET)
    with call.reader() as session:
        return Switch.get(session, ident)


@writes
def update(call: Call, ident: str, changes: Mapping[str, Any]) -> Switch:
    """Change a switch's name, description or options. Options are replaced as a whole.

    :param changes: any of name, description, options; for the secrets among these see :func:`.options.settle`
    :raises exception.NotFound: there is none
    :raises exception.BadField: the options do not fit the driver
    :raises exception.Duplicate: the name is taken
    :raises exception.SwitchTwice: the options are those of another registered switch
    :raises exception.InUse: the options are another switch's, and networks are attached through this one
    :raises exception.Busy: it is being healed
    """
    call.check(rules.UPDATE)
    with call.writer() as session:
        switch = Switch.get(session, ident, lock="update")
        values = {name: changes[name] for name in ("name", "description") if name in changes}
        if "options" in changes:
            switch_class = call.services.drivers.switch(switch.driver)
            kept, device = Kept(switch.options, switch.secrets), (switch.uuid, switch.driver)
            values["options"], values["secrets"] = settle(call, switch_class, device, changes["options"], kept)
            values["generation"] = switch.generation + 1
            values["identity"] = switch_class.identity(values["options"])
            _check_move(session, switch, values["identity"])
            _prove(session, call, switch)
        if values:
            switch.update(session, **values)
    if "options" in changes:
        call.services.client.wake(switch.lane)
    return switch


def _check_single(session: orm.Session, identity: str | None) -> None:
    if identity is not None and Switch.find(session, models.Switch.identity == identity):
        raise exception.SwitchTwice()


def _check_move(session: orm.Session, switch: Switch, identity: str | None) -> None:
    """Options of another switch: what is attached would stay on this one, where nobody sees it any more."""
    if identity == switch.identity:
        return
    _check_single(session, identity)
    ports, attachments = models.Port, models.Attachment
    attached = sa.select(attachments.id).join(ports, ports.nic_id == attachments.nic_id)
    if session.scalar(attached.where(ports.switch_id == switch.id).limit(1)) is not None:
        raise exception.InUse(kind="Switch", name=switch.name, what="networks attached through it")


def _prove(session: orm.Session, call: Call, switch: Switch) -> None:
    """Nothing is known of the ports until they were seen through the new options."""
    ports = models.Port
    session.execute(
        sa.update(ports).where(ports.switch_id == switch.id).values(status=states.Port.NEW, in_sync=None, observed=None)
    )
    busy = exception.Busy(kind="switch", name=switch.name)
    payload = {"switch": switch.name}
    journal(
        session, call, "switch_heal", switch.lane, pending_key=switch.lane, project_id=None, busy=busy, payload=payload
    )


@writes
def delete(call: Call, ident: str) -> None:
    """Remove a switch.

    :raises exception.NotFound: there is none
    :raises exception.InUse: it has ports
    """
    call.check(rules.DELETE)
    with call.writer() as session:
        switch = Switch.get(session, ident, lock="update")
        switch.delete(session, exception.InUse(kind="Switch", name=switch.name, what="ports"))


def drift(call: Call, ident: str) -> tuple[Switch, Sequence[models.Port]]:
    """The ports that are not as the database says, or could not be made so, as the switch has them now.

    :raises exception.NotFound: there is no such switch
    :raises exception.DeviceUnavailable: the switch could not be asked, or too many requests wait for one
    """
    call.check(rules.DRIFT)
    with call.reader() as session:
        switch = Switch.get(session, ident)
    with call.waiting():
        call.services.client.observe(switch.uuid, call.services.conf.api.device_timeout)
    ports = models.Port
    query = (
        sa.select(ports)
        .where(ports.switch_id == switch.id, sa.or_(ports.in_sync.is_(False), ports.status == "error"))
        .order_by(ports.name)
    )
    with call.reader() as session:
        return switch, session.scalars(query).all()


@writes
def heal(call: Call, ident: str) -> Operation:
    """Make every port of a switch as the database says.

    :raises exception.NotFound: there is none
    :raises exception.Busy: it is being healed
    """
    call.check(rules.HEAL)
    with call.writer() as session:
        switch = Switch.get(session, ident)
        operation = journal(
            session,
            call,
            "switch_heal",
            switch.lane,
            pending_key=switch.lane,
            project_id=None,
            busy=exception.Busy(kind="switch", name=switch.name),
            payload={"switch": switch.name},
        )
    call.services.client.wake(operation.lane)
    return operation
