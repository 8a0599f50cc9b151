# SPDX-License-Identifier: Apache-2.0
"""The lane of a network: what its machines are told and given, by the network manager.

Each operation says no more than that something has changed. What is to be is read from the rows when the lane gets to
it, once for all operations that wait, so that many changes at once cost one.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import configs, exception, states
from mogan_hil.conductor.devices import Guard, Hung, option_value
from mogan_hil.conductor.lanes import keep, put_off
from mogan_hil.db import models
from mogan_hil.db.api import Database, when_committed
from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.loader import Drivers, check_options
from mogan_hil.drivers.network.base import READ, SERVE, NetworkDriver, NetworkSpec, Reservation, SubnetSpec
from mogan_hil.objects.network import Network
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)


class Changes:
    """Writes down that the network manager is to be told of what has changed, together with the change.

    :param serves: whether there is a network manager at all; without one nothing is written
    :param wake: told of the lanes that have work, once it is committed
    """

    def __init__(self, serves: bool, wake: Callable[[str], None]) -> None:
        self._serves = serves
        self._wake = wake

    def of_attachments(self, session: orm.Session, ids: Collection[int]) -> None:
        """These attachments are about to come to be, or to go."""
        if not (self._serves and ids):
            return
        addresses, networks = models.Address, models.Network
        query = sa.select(networks).distinct().join(addresses, addresses.network_id == networks.id)
        for row in session.scalars(query.where(addresses.attachment_id.in_(ids))).all():
            lane = Network.from_row(row).changed(session)
            when_committed(session, functools.partial(self._wake, lane))


class NetworkLane:
    """Does network_configure. See :class:`.lanes.Handler`.

    :param wake: told of the lanes that have work
    """

    def __init__(self, conf: cfg.ConfigOpts, database: Database, drivers: Drivers, wake: Callable[[str], None]) -> None:
        self._wake = wake
        self._settings = conf.conductor
        self._database = database
        driver = drivers.network(conf.network.manager_driver)
        options = {name: option_value(text) for name, text in conf.network.manager_options.items()}
        check_options(driver, options, "manager_options")
        environment = Environment(conf.host, conf.host, Path(conf.state_path), conf.conductor.driver_timeout * 0.8)
        self._driver: NetworkDriver = driver(options, environment)
        self._guards: dict[str, Guard] = {}

    @property
    def serves(self) -> bool:
        """Whether there is anything to be told."""
        return SERVE in self._driver.capabilities

    @property
    def reads(self) -> bool:
        """Whether it can be asked how a network is served."""
        return READ in self._driver.capabilities

    def seen(self, network: str) -> NetworkSpec | None:
        """How a network is served, None for one that is not.

        :param network: its uuid
        :raises DriverError: that cannot be told now
        """
        return self._guard(network).call(self._driver.read, network)

    def _guard(self, network: str) -> Guard:
        made = Guard(f"The manager of network {network}", self._settings.driver_timeout)
        return self._guards.setdefault(network, made)

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        try:
            verified = self._configure(lane.partition(":")[2])
        except DriverError as error:
            if isinstance(error, Hung):  # it is not known what it will have done when it comes back
                error = DriverError(error.user, error.operator, transient=True)
            for operation in operations:
                put_off(self._database, self._settings, operation, error)
            return
        with self._database.writer() as session:
            for operation in operations:
                keep(operation.finish(session, verified=verified))

    def _configure(self, network: str) -> bool | None:
        """Make it so.

        :returns: True where it was read back, None where the driver cannot read
        """
        with self._database.reader() as session:
            spec = spec_of(session, network)
        self._guard(network).call(self._driver.configure, spec)
        seen = self.seen(network) if self.reads else None
        if not spec.subnets:
            self._guards.pop(network, None)  # a network that is gone is not remembered
        if not self.reads:
            return None
        if seen != (spec if spec.subnets else None):
            said = {"uuid": network, "spec": spec, "seen": seen}
            LOG.error("Network %(uuid)s was to be %(spec)s and is %(seen)s", said)
            raise DriverError("The network manager accepted the change and did not make it.", f"{spec} is {seen}")
        return True

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`. Whatever ended in error :class:`.NetworkSync` puts right."""

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`. Nothing but the journal says what was wanted."""

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`. What was told here last may be older than what the other one tells."""
        with self._database.writer() as session:
            follow(session, lane.partition(":")[2], Operation.latest(session, lane))
        self._wake(lane)

    def close(self) -> None:
        """End every session."""
        self._driver.close()


def follow(session: orm.Session, network: str, last: Operation | None, tries: int = 0) -> bool:
    """Write that the network manager is to be told of a network again, as it will be then.

    Its uuid follows from that of the operation before. So the unique constraint lets one through of all who find at
    once that it is needed, also when the first has ended meanwhile.

    :param network: its uuid; it may have been deleted
    :param last: the latest operation on its lane, None if there is none
    :param tries: how often it was put right in vain
    :returns: whether it was written, and not by somebody else
    """
    found = Network.find(session, models.Network.uuid == network)
    name = found[0].name if found else last.payload.get("network", "") if last else ""
    owner = found[0].project_id if found else last.project_id if last else None
    ident = str(uuid.uuid5(uuid.UUID(last.uuid if last else network), "network_configure"))
    try:
        with session.begin_nested():
            Operation.create(
                session,
                uuid=ident,
                verb="network_configure",
                lane=f"network:{network}",
                state=states.Operation.PENDING,
                pending_key=f"serve:{ident}",
                project_id=owner,
                payload={"network": name, "network_uuid": network, "tries": tries},
            )
    except exception.Duplicate:
        return False
    return True


def spec_of(session: orm.Session, network: str) -> NetworkSpec:
    """What a network is to be, as the rows say now. Nothing for one that was deleted."""
    found = Network.find(session, models.Network.uuid == network)
    if not found:
        return NetworkSpec(network)
    subnets, rows = models.Subnet, models.Address
    known = session.scalars(sa.select(subnets).where(subnets.network_id == found[0].id).order_by(subnets.id)).all()
    nodes, instances = models.Node, models.Instance
    machine = (nodes.project_id, nodes.uuid, nodes.name, instances.uuid, instances.name)
    query = (
        sa.select(models.Nic.mac, rows.ip, *machine)
        .select_from(rows)
        .join(models.Attachment, models.Attachment.id == rows.attachment_id)
        .join(models.Nic, models.Nic.id == models.Attachment.nic_id)
        .join(nodes, nodes.id == models.Nic.node_id)
        .outerjoin(instances, instances.node_id == nodes.id)
        .where(rows.network_id == found[0].id)
        .order_by(rows.id)
    )
    names = _Names()
    kept: dict[str, tuple[str, str | None, list[str]]] = {}
    for mac, ip, project, node, node_name, instance, name in session.execute(query):
        called = names.of(project, node, configs.hostname(name or node_name, instance or node))
        kept.setdefault(mac, (*called, []))[2].append(ip)
    return NetworkSpec(
        network,
        physical_network=found[0].physical_network,
        segment_id=found[0].segment_id,
        subnets=tuple(SubnetSpec(item.cidr, item.gateway, tuple(item.dns_servers), item.dhcp) for item in known),
        reservations=tuple(
            Reservation(mac, tuple(ips), name, domain=domain) for mac, (name, domain, ips) in sorted(kept.items())
        ),
    )


class _Names:
    """The machines of one network, called so that no two of a project have one name. Who has it first keeps it."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str | None, str], str] = {}

    def of(self, project: str | None, node: str, name: str) -> tuple[str, str | None]:
        """What a machine is called, and the domain of its project.

        :param node: its uuid
        :param name: what it would be called
        """
        domain = None if project is None else configs.domain(project)
        for label in (name, configs.apart(name, node)):
            if self._taken.setdefault((domain, label), node) == node:
                return label, domain
        return node, domain  # somebody has a machine that is called like the beginning of another one's uuid
