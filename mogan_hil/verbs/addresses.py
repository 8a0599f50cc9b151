# SPDX-License-Identifier: Apache-2.0
"""Addresses of NICs: given with an attachment, listed, and gone with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import addresses, exception
from mogan_hil.db import models
from mogan_hil.objects.address import Address, Subnet, has_ip, subnet_for
from mogan_hil.objects.network import Attachment, Network
from mogan_hil.objects.node import Node
from mogan_hil.policies import address as rules
from mogan_hil.verbs.base import Call, of_project
from mogan_hil.verbs.listing import Page, paged

SORT_KEYS = ("created_at",)


@dataclass(frozen=True, slots=True)
class AddressView:
    """An address, and what has it."""

    address: models.Address
    subnet: models.Subnet
    network: models.Network
    attachment: models.Attachment
    nic: models.Nic
    node: models.Node


def give(
    session: orm.Session, call: Call, network: Network, attachment: Attachment, wanted: Collection[str]
) -> Sequence[Address]:
    """Give an attachment its addresses. The network is locked by the caller, who has been authorized to attach.

    :param wanted: in canonical notation; a free one is given of each IP version that none is asked of
    :raises exception.Forbidden: one is outside of the pools, which the network's owner keeps back
    :raises: what :meth:`.Address.give` raises
    """
    subnets = Subnet.find(session, models.Subnet.network_id == network.id)
    versions = [addresses.address(ip).version for ip in wanted]
    if len(set(versions)) != len(versions):
        raise exception.BadField(field="addresses", reason="a NIC has one address of each IP version in a network")
    for ip in wanted:
        if not subnet_for(subnets, ip).pooled(ip):
            call.check(rules.TAKE_UNPOOLED, network.project_id)
    return Address.give(session, call.services.ipam, subnets, attachment.id, wanted)


def list_(
    call: Call,
    page: Page,
    *,
    ip: str | None = None,
    network: str | None = None,
    subnet: str | None = None,
    node: str | None = None,
    project: str | None = None,
) -> Sequence[AddressView]:
    """A page of the addresses of the own project's nodes, or of all for an administrator.

    :param ip: an address, or a range of them such as 192.0.2.0/24
    :param project: only those of this project's nodes
    """
    call.check(rules.LIST)
    rows, attachments = models.Address, models.Attachment
    query = (
        sa.select(rows, models.Subnet, models.Network, attachments, models.Nic, models.Node)
        .join(models.Subnet, models.Subnet.id == rows.subnet_id)
        .join(models.Network, models.Network.id == rows.network_id)
        .join(attachments, attachments.id == rows.attachment_id)
        .join(models.Nic, models.Nic.id == attachments.nic_id)
        .join(models.Node, models.Node.id == models.Nic.node_id)
    )
    if not call.sees_all:
        query = query.where(models.Node.project_id == (call.project_id or ""))
    if ip is not None:
        query = query.where(*has_ip(ip))
    if network is not None:
        query = query.where(Network.identified(network))
    if subnet is not None:
        query = query.where(models.Subnet.uuid == subnet)
    if node is not None:
        query = query.where(Node.identified(node))
    if project is not None:
        query = query.where(of_project(call, models.Node.project_id, project))
    with call.reader() as session:
        return [AddressView(*row) for row in paged(session, query, rows, page)]
