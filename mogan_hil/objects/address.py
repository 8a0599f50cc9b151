# SPDX-License-Identifier: Apache-2.0
"""Subnets, and the addresses of attachments: one of each IP version of the network."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import addresses, exception
from mogan_hil.db import models
from mogan_hil.drivers.ipam import base as ipam_base
from mogan_hil.objects import base
from mogan_hil.objects.network import Network

#: How often an address is proposed anew when others took all that were free. Each time somebody has one more.
CHOICES = 100


class Subnet(base.Stored):
    MODEL = models.Subnet
    KIND = "subnet"

    network_id: int
    cidr: str
    gateway: str | None
    pools: Any
    dns_servers: list[str]
    dhcp: bool
    created_at: datetime

    @property
    def range(self) -> addresses.IPNetwork:
        """The CIDR, parsed."""
        return addresses.cidr(self.cidr)

    @property
    def spec(self) -> ipam_base.Subnet:
        """The subnet as an IPAM driver sees it."""
        return ipam_base.Subnet(self.cidr, self.gateway, tuple((start, end) for start, end in self.pools))

    def pooled(self, ip: str) -> bool:
        """Whether an address is one that is given to who does not ask for one."""
        found = addresses.address(ip)
        pools = [(addresses.address(start), addresses.address(end)) for start, end in self.pools]
        return any(int(start) <= int(found) <= int(end) for start, end in pools)


def subnet_for(subnets: Collection[Subnet], ip: str) -> Subnet:
    """The subnet of a network that an address lies in, if a machine may have it.

    :raises exception.BadField: there is none, or it is the network's own, the broadcast or the gateway
    """
    found = addresses.address(ip)
    for subnet in subnets:
        network = subnet.range
        if network.version == found.version and found in network:
            first, last = addresses.hosts(network)
            if not int(first) <= int(found) <= int(last):
                raise exception.BadField(field="addresses", reason=f"{ip} is no machine's in {network}")
            if ip == subnet.gateway:
                raise exception.BadField(field="addresses", reason=f"{ip} is the gateway")
            return subnet
    raise exception.BadField(field="addresses", reason=f"{ip} is in no subnet of the network")


@dataclass(frozen=True, slots=True)
class Given:
    """An address, with what it is shown with."""

    ip: str
    subnet_uuid: str
    network_uuid: str
    network_name: str
    mac: str


class Address(base.Stored):
    MODEL = models.Address
    KIND = "address"

    network_id: int
    subnet_id: int
    attachment_id: int
    ip: str
    number: str
    created_at: datetime

    @classmethod
    def give(
        cls,
        session: orm.Session,
        ipam: ipam_base.Ipam,
        subnets: Sequence[Subnet],
        attachment_id: int,
        wanted: Collection[str],
    ) -> list[Address]:
        """Give an attachment the addresses that are asked for, and a free one of each IP version that none is asked of.

        :param subnets: those of the attachment's network, which is locked against changes
        :param wanted: one of each version at the most
        :raises exception.BadField: one that is asked for cannot be had in this network
        :raises exception.AddressTaken: one that is asked for is another NIC's
        :raises exception.NoAddress: a version has subnets with pools and none of them has a free one
        """
        found = []
        for version in (4, 6):
            asked = [ip for ip in wanted if addresses.address(ip).version == version]
            fitting = [subnet for subnet in subnets if subnet.range.version == version]
            found += [cls._take(session, subnet_for(fitting, ip), attachment_id, ip) for ip in asked]
            giving = [subnet for subnet in fitting if subnet.pools]
            if giving and not asked and ipam_base.GIVE in ipam.capabilities:
                found.append(cls._any(session, ipam, giving, attachment_id))
        return found

    @classmethod
    def _take(cls, session: orm.Session, subnet: Subnet, attachment_id: int, ip: str) -> Address:
        return cls.create(
            session,
            exception.AddressTaken(ip=ip),
            network_id=subnet.network_id,
            subnet_id=subnet.id,
            attachment_id=attachment_id,
            ip=ip,
            number=addresses.number(addresses.address(ip)),
        )

    @classmethod
    def _any(cls, session: orm.Session, ipam: ipam_base.Ipam, subnets: Sequence[Subnet], attachment_id: int) -> Address:
        for subnet in subnets:
            for _ in range(CHOICES):
                chosen = cls._free(session, ipam, subnet)
                if chosen is None:
                    break
                try:
                    with session.begin_nested():
                        return cls._take(session, subnet, attachment_id, chosen)
                except exception.AddressTaken:  # somebody was quicker
                    continue
        raise exception.NoAddress(subnets=", ".join(subnet.cidr for subnet in subnets))

    @classmethod
    def _free(cls, session: orm.Session, ipam: ipam_base.Ipam, subnet: Subnet) -> str | None:
        rows = models.Address
        proposed = list(ipam.propose(subnet.spec))
        among = sa.select(rows.ip).where(rows.network_id == subnet.network_id, rows.ip.in_(proposed))
        used = set(session.scalars(among))
        for ip in proposed:
            if ip not in used:
                return ip
        # Only where nearly all are used is it worth while to look at all of them.
        every = sa.select(rows.ip).where(rows.subnet_id == subnet.id)
        return ipam.choose(subnet.spec, set(session.scalars(every)))


def given_to(session: orm.Session, key: Any, ids: Collection[int]) -> dict[int, list[Given]]:
    """The addresses of attachments or of nodes.

    :param key: `models.Attachment.id`, or `models.Nic.node_id`
    """
    rows, nics, networks = models.Address, models.Nic, models.Network
    query = (
        sa.select(key, rows.ip, models.Subnet.uuid, networks.uuid, networks.name, nics.mac)
        .select_from(rows)
        .join(models.Attachment, models.Attachment.id == rows.attachment_id)
        .join(nics, nics.id == models.Attachment.nic_id)
        .join(models.Subnet, models.Subnet.id == rows.subnet_id)
        .join(networks, networks.id == rows.network_id)
        .where(key.in_(ids))
        .order_by(rows.id)
    )
    found: dict[int, list[Given]] = {}
    for ident, *values in session.execute(query):
        found.setdefault(ident, []).append(Given(*values))
    return found


def networks_of(session: orm.Session, node_id: int) -> list[Network]:
    """The networks that a node has addresses on."""
    rows, attachments = models.Address, models.Attachment
    query = sa.select(rows.network_id).join(attachments, attachments.id == rows.attachment_id)
    ids = query.join(models.Nic, models.Nic.id == attachments.nic_id).where(models.Nic.node_id == node_id)
    return Network.find(session, models.Network.id.in_(ids))


def served_networks(session: orm.Session) -> set[str]:
    """The uuids of the networks that have subnets."""
    query = sa.select(models.Network.uuid).join(models.Subnet, models.Subnet.network_id == models.Network.id)
    return set(session.scalars(query))


def has_ip(ip: str) -> list[sa.ColumnElement[bool]]:
    """The conditions for addresses that a filter means.

    :param ip: an address, or a range of them
    """
    first, last = addresses.numbers(ip)
    rows = models.Address
    return [rows.number == first] if first == last else [rows.number.between(first, last)]
