# SPDX-License-Identifier: Apache-2.0
"""Instances: show, change, switch, rebuild, delete; the lock. They come from :mod:`.builds` and :mod:`.adoptions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import configs, exception, states
from mogan_hil.db import models
from mogan_hil.drivers.obm.base import BOOT_DEVICE, SOFT_OFF
from mogan_hil.objects import instance as instance_objects
from mogan_hil.objects.address import Given, given_to, has_ip
from mogan_hil.objects.base import Lock
from mogan_hil.objects.console import Console
from mogan_hil.objects.image import Image
from mogan_hil.objects.instance import Flavor, Instance
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.policies import instance as rules
from mogan_hil.verbs import attachments, locks, obm
from mogan_hil.verbs.base import Call, journal, of_project, writes
from mogan_hil.verbs.images import usable_image
from mogan_hil.verbs.listing import Page, paged
from mogan_hil.verbs.nics import NicView, nics_of

SORT_KEYS = ("name", "created_at", "status")

POWER_EVENTS: Mapping[str, states.Event] = {
    "on": states.Event.START,
    "off": states.Event.STOP,
    "soft_off": states.Event.STOP,
    "reboot": states.Event.REBOOT,
    "soft_reboot": states.Event.REBOOT,
}


@dataclass(frozen=True, slots=True)
class InstanceView:
    """An instance, its flavor, its node, its server group and its image."""

    instance: models.Instance
    flavor: models.Flavor | None
    node: models.Node | None
    group: models.ServerGroup | None
    image: models.Image | None
    addresses: Sequence[Given] = ()


def _query() -> Any:
    return (
        sa.select(models.Instance, models.Flavor, models.Node, models.ServerGroup, models.Image)
        .outerjoin(models.Flavor, models.Flavor.id == models.Instance.flavor_id)
        .outerjoin(models.Node, models.Node.id == models.Instance.node_id)
        .outerjoin(models.ServerGroup, models.ServerGroup.id == models.Instance.server_group_id)
        .outerjoin(models.Image, models.Image.id == models.Instance.image_id)
        .execution_options(populate_existing=True)
    )


def seen_by(call: Call) -> list[sa.ColumnElement[bool]]:
    """The conditions for instances that the caller may see."""
    return [] if call.sees_all else [models.Instance.project_id == (call.project_id or "")]


def visible_instance(session: orm.Session, call: Call, ident: str, lock: Lock = None) -> Instance:
    """An instance of the caller's project, or any for an administrator.

    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.NameAmbiguous: several projects have one of this name
    """
    return Instance.get(session, ident, *seen_by(call), lock=lock)


def begin(
    session: orm.Session,
    call: Call,
    verb: str,
    instance: Instance,
    payload: Mapping[str, Any],
    node: str | None = None,
    *,
    overrides_lock: bool = False,
) -> Operation:
    """Write an operation on an instance to the journal. The caller has authorized it.

    :param overrides_lock: see :func:`.base.journal`
    :raises exception.Busy: another one is not finished
    """
    return journal(
        session,
        call,
        verb,
        instance.lane,
        pending_key=instance.deletion_key if verb == "instance_delete" else instance.pending_key,
        project_id=instance.project_id,
        node=node,
        busy=exception.Busy(kind="instance", name=instance.name),
        payload={"instance": instance.name, "instance_uuid": instance.uuid, **payload},
        overrides_lock=overrides_lock,
    )


def list_(
    call: Call,
    page: Page,
    *,
    name: str | None = None,
    status: str | None = None,
    project: str | None = None,
    flavor: str | None = None,
    image: str | None = None,
    node: str | None = None,
    locked: bool | None = None,
    availability_zone: str | None = None,
    ip: str | None = None,
) -> Sequence[InstanceView]:
    """A page of the instances of the caller's project, or of all for an administrator.

    :param project: only those of this project
    :param locked: only those that somebody has locked, or only those that nobody has
    :param ip: only those with this address, or with one of this range
    """
    call.check(rules.LIST)
    rows = models.Instance
    query = _query().where(*seen_by(call))
    zone = (models.Node.availability_zone, availability_zone)
    for column, value in ((rows.name, name), (rows.status, status), zone):
        if value is not None:
            query = query.where(column == value)
    if project is not None:
        query = query.where(of_project(call, rows.project_id, project))
    if flavor is not None:
        query = query.where(Flavor.identified(flavor))
    if image is not None:
        query = query.where(Image.identified(image))
    if node is not None:
        query = query.where(Node.identified(node))
    if locked is not None:
        either = sa.or_(rows.owner_lock.is_not(None), rows.admin_lock.is_not(None))
        query = query.where(either if locked else sa.not_(either))
    if ip is not None:
        query = query.where(rows.node_id.in_(_nodes_with(ip)))
    with call.reader() as session:
        found = paged(session, query, rows, page)
        given = given_to(session, models.Nic.node_id, [row[0].node_id for row in found if row[0].node_id is not None])
        return [InstanceView(row[0], row[1], row[2], row[3], row[4], given.get(row[0].node_id, ())) for row in found]


def _nodes_with(ip: str) -> Any:
    query = sa.select(models.Nic.node_id).join(models.Attachment, models.Attachment.nic_id == models.Nic.id)
    return query.join(models.Address, models.Address.attachment_id == models.Attachment.id).where(*has_ip(ip))


def get(call: Call, ident: str) -> InstanceView:
    """One instance.

    :raises exception.NotFound: there is none, or it is another project's
    """
    with call.reader() as session:
        return view(session, call, ident)


def view(session: orm.Session, call: Call, ident: str) -> InstanceView:
    rows = session.execute(_query().where(Instance.identified(ident), *seen_by(call))).all()
    if not rows:
        raise exception.NotFound(kind="instance", name=ident)
    if len(rows) > 1:
        raise exception.NameAmbiguous(kind="instance", name=ident)
    instance = rows[0][0]
    call.check(rules.GET, instance.project_id)
    nodes = [] if instance.node_id is None else [instance.node_id]
    given = given_to(session, models.Nic.node_id, nodes).get(instance.node_id, ())
    return InstanceView(rows[0][0], rows[0][1], rows[0][2], rows[0][3], rows[0][4], given)


@writes
def update(call: Call, ident: str, changes: Mapping[str, Any]) -> InstanceView:
    """Change name, description or metadata; metadata as a whole.

    :raises exception.BadField: the metadata cannot be
    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.InstanceLocked: it is locked
    :raises exception.Duplicate: the project has another of this name
    """
    values = dict(changes)
    if "metadata" in values:
        values["labels"] = values.pop("metadata")
        try:
            configs.check_metadata(values["labels"])
        except ValueError as error:
            raise exception.BadField(field="metadata", reason=str(error)) from None
    with call.writer() as session:
        instance = visible_instance(session, call, ident, lock="update")
        call.check(rules.UPDATE, instance.project_id)
        locks.check_instance(call, instance)
        if values:
            instance.update(session, **values)
        return view(session, call, instance.uuid)


@writes
def delete(call: Call, ident: str) -> Operation:
    """Delete an instance: switch it off, take it off every network, give its node back. A build is ended for it.

    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.InstanceLocked: it is locked
    :raises exception.InstanceState: it is being changed or deleted
    """
    return _change(call, ident, rules.DELETE, states.Event.DELETE, "instance_delete", {})


@writes
def set_power(call: Call, ident: str, target: str) -> Operation:
    """Switch an instance on or off, or reboot it.

    :param target: one of `POWER_EVENTS`
    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.InstanceLocked: it is locked
    :raises exception.InstanceState: it is in no state for it
    :raises exception.NodeUnavailable: its node is in maintenance, and the caller is no administrator
    :raises exception.NoObm: its node cannot be switched
    :raises exception.ObmDisabled: out-of-band management of its node is disabled
    """
    needs = SOFT_OFF if target.startswith("soft_") else None
    return _change(call, ident, rules.POWER, POWER_EVENTS[target], "instance_power", {"target": target}, needs)


@writes
def rebuild(call: Call, ident: str, boot_device: str | None, image: str | None) -> Operation:
    """Boot an instance anew.

    :param boot_device: what it boots from this time; None leaves that as it is
    :param image: another image. It is the instance's when the rebuild has ended well, and not before.
    :raises exception.ImageDisabled: the image is disabled
    :raises: see :func:`set_power`
    """
    needs = BOOT_DEVICE if boot_device else None
    payload = {"boot_device": boot_device}
    return _change(call, ident, rules.REBUILD, states.Event.REBUILD, "instance_rebuild", payload, needs, image)


def _change(
    call: Call,
    ident: str,
    rule: str,
    event: states.Event,
    verb: str,
    payload: Mapping[str, Any],
    needs: str | None = None,
    image: str | None = None,
) -> Operation:
    with call.writer() as session:
        instance = visible_instance(session, call, ident)
        call.check(rule, instance.project_id)
        before, values = instance.status, {}
        if image is not None:
            found = usable_image(session, image, instance.project_id)
            payload = {**payload, "image": found.uuid}
            values["next_image_id"] = found.id
        instance.move(session, event, overrides_lock=call.overrides_lock, fault=None, **values)
        # Until it was moved its build may have gone on to another node, and the first one be another project's.
        current = sa.select(models.Instance.node_id).where(models.Instance.id == instance.id)
        nodes = Node.find(session, models.Node.id.in_(current))
        if event == states.Event.DELETE:
            Console.stop(session, nodes[0].id if nodes else None, "The instance was deleted.")
        else:
            if not nodes:
                raise exception.NoObm(f"Instance {instance.name!r} has no node.")
            if nodes[0].maintenance and not call.overrides_lock:
                raise exception.NodeUnavailable(name=nodes[0].name)
            obm.check_controller(call, nodes[0], needs)
        node = nodes[0].uuid if nodes else None
        operation = begin(session, call, verb, instance, {"before": str(before), **payload}, node)
    call.services.client.wake(operation.lane)
    return operation


@writes
def set_lock(call: Call, ident: str, locked: bool, reason: str) -> InstanceView:
    """Lock or unlock an instance. An administrator's lock is laid over the owner's, which is in force again after it.

    :raises exception.NotFound: there is none, or it is another project's
    :raises exception.Forbidden: a reader asks; or the owner wants to lift an administrator's lock
    :raises exception.InstanceState: it is being deleted
    """
    with call.writer() as session:
        instance = visible_instance(session, call, ident, lock="update")
        held = instance.locked_by
        call.check(rules.LOCK, instance.project_id)
        if locked:
            alive = True
            if held != "admin":
                holder: instance_objects.Holder = "admin" if call.overrides_lock else "owner"
                alive = instance.lock(session, holder, call.context.user_id or "", reason)
        else:
            call.check(rules.UNLOCK, instance.project_id, locked_by=held or "nobody")
            alive = instance.unlock(session, held or "owner")
        if not alive or instance.status == states.Instance.DELETING:
            raise exception.InstanceState(
                name=instance.name, status=str(instance.status), event="be locked" if locked else "be unlocked"
            )
        if held != Instance.get(session, instance.uuid).locked_by:
            Console.revoke(session, instance.node_id)  # who may type now has to be asked again
        return view(session, call, instance.uuid)


def interfaces(call: Call, ident: str) -> Sequence[NicView]:
    """The NICs of an instance, with what is attached.

    :raises exception.NotFound: there is none, or it is another project's
    """
    with call.reader() as session:
        instance = visible_instance(session, call, ident)
        call.check(rules.LIST_INTERFACES, instance.project_id)
        return nics_of(session, instance.node_id) if instance.node_id is not None else []


@writes
def attach(
    call: Call, ident: str, network: str, nic: str, channel: str | None, wanted: Sequence[str] = ()
) -> Operation:
    """Attach a NIC of an instance to a network.

    :raises: what :func:`mogan_hil.verbs.attachments.create` raises
    """
    with call.reader() as session:
        node = _placed(session, call, ident, rules.ATTACH_INTERFACE)
    return attachments.create(call, node.uuid, nic, network, channel, wanted)


@writes
def detach(call: Call, ident: str, attachment: str) -> Operation:
    """Detach an instance from a network.

    :param attachment: its uuid
    :raises: what :func:`mogan_hil.verbs.attachments.delete` raises
    """
    with call.reader() as session:
        node = _placed(session, call, ident, rules.DETACH_INTERFACE)
        found = {
            item.uuid: (view.nic.uuid, item.network_uuid)
            for view in nics_of(session, node.id)
            for item in view.attachments
        }
    if attachment not in found:
        raise exception.NotFound(kind="interface", name=attachment)
    return attachments.delete(call, node.uuid, *found[attachment])


def _placed(session: orm.Session, call: Call, ident: str, rule: str) -> Node:
    instance = visible_instance(session, call, ident)
    call.check(rule, instance.project_id)
    nodes = Node.find(session, models.Node.id == instance.node_id)
    if not nodes:
        locks.check_instance(call, instance)
        raise exception.InstanceState(name=instance.name, status=str(instance.status), event="be wired")
    return nodes[0]
