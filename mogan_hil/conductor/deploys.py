# SPDX-License-Identifier: Apache-2.0
"""The lane on which a node is offered its system, and the offer taken away."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.conductor.devices import Devices, Trouble
from mogan_hil.conductor.lanes import keep, put_off
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.deploy.base import DeployDriver, DeployNic, DeploySpec
from mogan_hil.objects.configuration import configuration, deployed_image
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)


class Deploys(Devices[Node, DeployDriver]):
    """What the boot service has of nodes."""

    CALLED = "The boot service for node {name}"

    def __init__(self, conf: cfg.ConfigOpts, driver: type[DeployDriver], trouble: Callable[[Node], Trouble]) -> None:
        super().__init__(conf, conf.conductor.driver_timeout, trouble)
        self._driver = driver

    def _open(self, thing: Node, environment: Environment) -> tuple[DeployDriver, Collection[str]]:
        return self._driver({}, environment), ()


class DeployLane:
    """Does deploy and undeploy. See :class:`.lanes.Handler`."""

    def __init__(self, conf: cfg.ConfigOpts, database: Database, deploys: Deploys) -> None:
        self._settings = conf.conductor
        self._database = database
        self._deploys = deploys

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        for operation in operations:
            try:
                self._do(operation)
            except DriverError as error:
                kept = functools.partial(self.abandon, operation=operation)
                put_off(self._database, self._settings, operation, error, kept)

    def _do(self, operation: Operation) -> None:
        with self._database.reader() as session:
            found = Node.find(session, models.Node.uuid == operation.node)
            if not found or found[0].project_id != operation.project_id:
                raise DriverError("The node has changed hands.")
            offers = operation.verb == "deploy"
            spec = _spec(session, found[0], operation.payload["instance_uuid"]) if offers else None
        device = self._deploys.get(found[0])
        if spec is None:
            device.guard.call(device.driver.remove)
        else:
            device.guard.call(device.driver.configure, spec)
        wanted = None if spec is None else spec.instance
        if (seen := device.guard.call(device.driver.read)) != wanted:
            raise DriverError("The boot service accepted the change and did not make it.", f"{wanted} is {seen}")
        with self._database.writer() as session:
            keep(operation.finish(session, verified=True))

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`.

        A node that may still be offered what an instance was that is forgotten is kept from others. Of other failures
        the operation on the instance takes care.
        """
        if operation.verb == "undeploy" and operation.parent_id is None:
            for node in Node.find(session, models.Node.uuid == operation.node):
                reason = "It could not be kept from booting what it was given."
                node.update(session, maintenance=True, maintenance_reason=reason)

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`. Of a rebuild that a lock stops nothing was offered."""

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`."""


def _spec(session: orm.Session, node: Node, uuid: str) -> DeploySpec:
    """What the node is to be offered.

    :raises DriverError: the instance is not there any more
    """
    found = Instance.find(session, models.Instance.uuid == uuid)
    if not found:
        raise DriverError("The instance was removed.")
    query = (
        sa.select(models.Nic.name, models.Nic.mac, models.Attachment.channel, models.Network.uuid)
        .outerjoin(models.Attachment, models.Attachment.nic_id == models.Nic.id)
        .outerjoin(models.Network, models.Network.id == models.Attachment.network_id)
        .where(models.Nic.node_id == node.id)
        .order_by(models.Nic.name, models.Attachment.id)
    )
    nics: dict[tuple[str, str], dict[str, str]] = {}
    for name, mac, channel, network in session.execute(query):
        networks = nics.setdefault((name, mac), {})
        if channel is not None:
            networks[channel] = network
    return DeploySpec(
        instance=uuid,
        name=found[0].name,
        project=found[0].project_id,
        nics=tuple(DeployNic(name, mac, networks) for (name, mac), networks in nics.items()),
        image=deployed_image(session, found[0]),
        configuration=configuration(session, found[0]),
    )
