# SPDX-License-Identifier: Apache-2.0
"""Subnets: create, show, change, delete. Whoever owns the network owns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import addresses, exception
from mogan_hil.db import models
from mogan_hil.objects.address import Subnet
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.network import Network
from mogan_hil.policies import subnet as rules
from mogan_hil.verbs import locks
from mogan_hil.verbs.base import Call, writes
from mogan_hil.verbs.networks import changed, seen_by, visible_network, wake

#: An attachment looks at all of a network's subnets.
MAX_SUBNETS = 64

Range = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SubnetView:
    """A subnet and its network."""

    subnet: Subnet
    network: Network


@writes
def create(call: Call, network: str, cidr: str, settings: Mapping[str, Any]) -> SubnetView:
    """Give a network a subnet. Who is attached already gets no address of it.

    :param cidr: in canonical notation
    :param settings: any of those of :func:`update`. The gateway is the first address if it is not said, and the pools
        are all other addresses that machines may have.
    :raises exception.NotFound: there is no such network, or the caller's project may not use it
    :raises exception.Forbidden: it is not the caller's network
    :raises exception.BadField: machines cannot have addresses of this subnet; or see :func:`update`
    :raises exception.SubnetOverlap: it overlaps another of the network
    """
    wanted = addresses.cidr(cidr)
    try:
        addresses.check_subnet(wanted)
    except ValueError as error:
        raise exception.BadField(field="cidr", reason=str(error)) from None
    first, last = addresses.hosts(wanted)
    values = {"gateway": str(first), "dns_servers": [], "dhcp": True, **settings}
    _check(wanted, values)
    values.setdefault("pools", _pools_without(values["gateway"], int(first), int(last), wanted))
    with call.writer() as session:
        owner = visible_network(session, call, network, lock="update")  # so no other subnet comes to be meanwhile
        call.check(rules.CREATE, owner.project_id)
        known = Subnet.find(session, models.Subnet.network_id == owner.id)
        for other in known:
            if other.range.version == wanted.version and other.range.overlaps(wanted):
                raise exception.SubnetOverlap(cidr=cidr, other=other.cidr)
        if len(known) >= MAX_SUBNETS:
            raise exception.Conflict(reason=f"Network {owner.name!r} has {len(known)} subnets, which is the most.")
        found = SubnetView(Subnet.create(session, network_id=owner.id, cidr=cidr, **values), owner)
        lane = changed(session, call, owner)
    wake(call, lane)
    return found


def _pools_without(gateway: str | None, first: int, last: int, within: addresses.IPNetwork) -> list[Range]:
    middle = int(addresses.address(gateway)) if gateway is not None else first - 1
    base = int(within[0])
    spans = [(first, middle - 1), (middle + 1, last)]
    return [(str(within[low - base]), str(within[high - base])) for low, high in spans if low <= high]


def _check(within: addresses.IPNetwork, settings: Mapping[str, Any]) -> None:
    gateway = settings.get("gateway")
    if gateway is not None and not _usable(within, gateway):
        raise exception.BadField(field="gateway", reason=f"it must be an address of a machine in {within}")
    for server in settings.get("dns_servers", ()):
        if addresses.address(server).version != within.version:
            raise exception.BadField(field="dns_servers", reason=f"they must be of IPv{within.version}")
    _check_pools(within, settings.get("pools", ()))


def _check_pools(within: addresses.IPNetwork, pools: Sequence[Range]) -> None:
    before = -1
    for start, end in sorted(pools, key=lambda pool: int(addresses.address(pool[0]))):
        if not (_usable(within, start) and _usable(within, end)):
            raise exception.BadField(field="pools", reason=f"they must be addresses of machines in {within}")
        low, high = int(addresses.address(start)), int(addresses.address(end))
        if low > high:
            raise exception.BadField(field="pools", reason=f"{start} comes after {end}")
        if low <= before:
            raise exception.BadField(field="pools", reason="two of them overlap")
        before = high


def _usable(within: addresses.IPNetwork, ip: str) -> bool:
    found = addresses.address(ip)
    first, last = addresses.hosts(within)
    return found.version == within.version and int(first) <= int(found) <= int(last)


def list_(call: Call, network: str) -> Sequence[SubnetView]:
    """Every subnet of a network.

    :raises exception.NotFound: there is no such network, or the caller's project may not use it
    """
    call.check(rules.LIST)
    with call.reader() as session:
        owner = visible_network(session, call, network)
        return [SubnetView(found, owner) for found in Subnet.find(session, models.Subnet.network_id == owner.id)]


def get(call: Call, ident: str) -> SubnetView:
    """One subnet.

    :raises exception.NotFound: there is none, or the caller's project may not use its network
    """
    call.check(rules.GET)
    with call.reader() as session:
        return _visible(session, call, ident)


def _visible(session: orm.Session, call: Call, ident: str) -> SubnetView:
    subnets, networks = models.Subnet, models.Network
    query = sa.select(subnets, networks).join(networks).where(subnets.uuid == ident, *seen_by(call))
    row = session.execute(query.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise exception.NotFound(kind="subnet", name=ident)
    return SubnetView(Subnet.from_row(row[0]), Network.from_row(row[1]))


def _locked(session: orm.Session, call: Call, ident: str) -> SubnetView:
    """A subnet whose network is locked, so that nobody is attached to it meanwhile."""
    seen = _visible(session, call, ident)
    Network.find(session, models.Network.id == seen.network.id, lock="update")
    return _visible(session, call, ident)


@writes
def update(call: Call, ident: str, settings: Mapping[str, Any]) -> SubnetView:
    """Change a subnet. Addresses that NICs have stay theirs.

    What machines are told of it stays as it is while a locked instance of the network's owner has an address of it.

    :param settings: any of gateway (None for none), pools (pairs of first and last address), dns_servers, dhcp
    :raises exception.NotFound: there is none, or the caller's project may not use its network
    :raises exception.Forbidden: it is not the caller's network
    :raises exception.BadField: one of them is outside of the subnet or of the other IP version; or two pools overlap
    :raises exception.AddressTaken: a NIC has the address of the gateway
    :raises exception.InstanceLocked: an instance with an address of it is locked, and not only pools are to change
    """
    with call.writer() as session:
        found = _locked(session, call, ident)
        call.check(rules.UPDATE, found.network.project_id)
        _check(found.subnet.range, settings)
        if set(settings) - {"pools"} and not call.overrides_lock:
            _check_locks(session, call, found)
        gateway = settings.get("gateway")
        rows = models.Address
        taken = sa.select(rows.id).where(rows.network_id == found.network.id, rows.ip == gateway)
        if gateway is not None and session.scalar(taken) is not None:
            raise exception.AddressTaken(ip=gateway)
        if settings:
            found.subnet.update(session, **settings)
        lane = changed(session, call, found.network)
    wake(call, lane)
    return found


def _check_locks(session: orm.Session, call: Call, found: SubnetView) -> None:
    # Other projects' locks do not bind the owner of a network, who could not even know of them.
    rows, attachments, guests = models.Address, models.Attachment, models.Instance
    nodes = sa.select(models.Nic.node_id).join(attachments, attachments.nic_id == models.Nic.id)
    nodes = nodes.join(rows, rows.attachment_id == attachments.id).where(rows.subnet_id == found.subnet.id)
    mine = guests.project_id == (found.network.project_id or "")
    for instance in Instance.find(session, mine, guests.node_id.in_(nodes), lock="share"):
        locks.check_instance(call, instance)


@writes
def delete(call: Call, ident: str) -> None:
    """Delete a subnet.

    :raises exception.NotFound: there is none, or the caller's project may not use its network
    :raises exception.Forbidden: it is not the caller's network
    :raises exception.InUse: NICs have addresses of it
    """
    with call.writer() as session:
        found = _locked(session, call, ident)
        call.check(rules.DELETE, found.network.project_id)
        in_use = exception.InUse(kind="Subnet", name=found.subnet.cidr, what="addresses that NICs have")
        found.subnet.delete(session, in_use)
        lane = changed(session, call, found.network)
    wake(call, lane)
