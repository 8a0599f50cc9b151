# SPDX-License-Identifier: Apache-2.0
"""The conductor: the only part that touches devices."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log
from oslo_utils import uuidutils

from mogan_hil.common import exception
from mogan_hil.common.turns import Turns
from mogan_hil.conductor.claims import ClaimLane
from mogan_hil.conductor.consoles import Consoles
from mogan_hil.conductor.controllers import Controllers
from mogan_hil.conductor.deploys import DeployLane, Deploys
from mogan_hil.conductor.devices import Devices, Switches, Trouble, Troubled
from mogan_hil.conductor.headnode_sync import HeadnodeSync
from mogan_hil.conductor.headnodes import HeadnodeLane, Headnodes
from mogan_hil.conductor.instances import InstanceLane
from mogan_hil.conductor.lanes import Handler, Lanes
from mogan_hil.conductor.locks import locks
from mogan_hil.conductor.network_sync import NetworkSync
from mogan_hil.conductor.networking import SwitchLane
from mogan_hil.conductor.nodes import NodeLane
from mogan_hil.conductor.notices import NoticeLane
from mogan_hil.conductor.observer import Observer, Watchers
from mogan_hil.conductor.power_sync import PowerSync
from mogan_hil.conductor.retention import PERIOD, Retention
from mogan_hil.conductor.rounds import Rounds
from mogan_hil.conductor.served import Changes, NetworkLane
from mogan_hil.conductor.steps import Steps
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.loader import Drivers
from mogan_hil.objects.node import Node
from mogan_hil.objects.release import Releases
from mogan_hil.objects.switch import Switch

LOG = log.getLogger(__name__)


class Conductor:
    """One conductor. It is also a :class:`mogan_hil.rpc.client.Client` for an API in the same process.

    :param drivers: the driver classes that are installed
    """

    def __init__(self, conf: cfg.ConfigOpts, database: Database, drivers: Drivers) -> None:
        self._database = database
        self._turns: Turns[tuple[str, str], Mapping[str, Any]] = Turns()
        me = f"{conf.host}:{os.getpid()}:{uuidutils.generate_uuid()[:8]}"
        self._locks = locks(conf, me)
        patience = conf.conductor.driver_timeout
        glance = min(patience, conf.api.device_timeout)

        def trouble(row: type[Troubled], settled: Callable[[str], None]) -> Callable[[Any], Trouble]:
            limit = conf.conductor.hang_limit
            return lambda thing: Trouble(database, row, thing.uuid, limit, lambda: settled(thing.lane))

        switch_trouble = trouble(models.Switch, lambda lane: switch_lane.recheck(lane))
        node_trouble = trouble(models.Node, self.wake)
        headnode_trouble = trouble(models.Headnode, lambda lane: headnode_lane.recheck(lane))
        switches, eyes = Switches(conf, drivers, patience, switch_trouble), Switches(conf, drivers, glance)
        self._observer = Observer(conf, database, eyes, self.wake)
        self._watchers = Watchers(self._observer, self._locks)
        self._networks = NetworkLane(conf, database, drivers, self.wake)
        changes = Changes(self._networks.serves, self.wake)
        switch_lane = SwitchLane(conf, database, switches, changes, self.wake)
        obms = Controllers(conf, drivers, patience, node_trouble)
        self._controllers = Controllers(conf, drivers, glance)
        deploy = drivers.deploy(conf.conductor.deploy_driver)
        deploys = Deploys(conf, deploy, node_trouble)
        steps, ipam = Steps(deploy, self._networks.serves), drivers.ipam(conf.network.ipam_driver)()
        ports = Controllers(conf, drivers, patience)
        self._consoles = Consoles(conf, database, ports, self.wake, me)
        releases = Releases(conf)
        hosts = Headnodes(conf, drivers, patience, headnode_trouble)
        headnode_lane = HeadnodeLane(conf, database, hosts, self.wake)
        screens = Headnodes(conf, drivers, glance)
        handlers: dict[str, Handler] = {
            "switch": switch_lane,
            "node": NodeLane(conf, database, obms, self._consoles),
            "deploy": DeployLane(conf, database, deploys),
            "instances": InstanceLane(database, steps, ipam, releases, self.wake),
            "network": self._networks,
            "headnode": headnode_lane,
            "claims": ClaimLane(database, releases, self.wake),
            "notices": NoticeLane(conf, database),
        }
        #: What is kept open, by what it belongs to.
        self._open: Mapping[type[Troubled], Sequence[Devices[Any, Any]]] = {
            models.Switch: (switches, eyes),
            models.Node: (obms, self._controllers, deploys, ports),
            models.Headnode: (hosts, screens),
        }
        self._lanes = Lanes(conf, database, self._locks, handlers, me)
        self._rounds = Rounds(conf, database, self._lanes, self._observer, self._watchers)
        self._headnode_sync = HeadnodeSync(database, self._locks, screens.read, headnode_lane.recheck, self.wake)
        self._retention = Retention(database, self._locks, conf.journal.retention)
        self._plan(conf)

    def _plan(self, conf: cfg.ConfigOpts) -> None:
        """Say what is to be done time and again."""
        power_sync = PowerSync(self._database, self._locks, self._controllers.power)
        for sync in (power_sync, self._headnode_sync):
            self._rounds.every(conf.conductor.power_sync_interval, sync.round)
        if self._networks.serves:
            pause = conf.conductor.network_sync_interval
            network_sync = NetworkSync(self._database, self._locks, self._networks, self.wake, pause)
            self._rounds.every(pause, network_sync.round)
        if conf.journal.retention:
            self._rounds.every(PERIOD, self._retention.round)
        self._rounds.every(conf.conductor.sweep_interval, self._forget)
        self._rounds.every(conf.conductor.sweep_interval, self._consoles.sweep)
        self._rounds.every(conf.conductor.sweep_interval, self._locks.beat)

    def start(self) -> None:
        """Begin to work, with what was left in the journal."""
        self._consoles.start()
        self._locks.start()
        self._lanes.start()
        self._rounds.start()
        LOG.info("The conductor works")

    def stop(self) -> None:
        """Finish what is being done, and stop."""
        self._retention.stop()
        self._rounds.stop()
        self._watchers.close()
        self._lanes.stop()
        self._consoles.stop()
        for devices in itertools.chain(*self._open.values()):
            devices.close()
        self._networks.close()
        self._locks.stop()

    def _forget(self) -> None:
        """Close the sessions with what was removed."""
        for model, kept in self._open.items():
            with self._database.reader() as session:
                uuids = session.scalars(sa.select(model.uuid)).all()
            for devices in kept:
                devices.forget_all_but(uuids)

    def wake(self, lane: str) -> None:
        """Work on a lane soon. Never waits."""
        self._lanes.wake(lane)
        self._rounds.hear(lane)

    def ask(self, node: str, question: str, timeout: float) -> Mapping[str, Any]:
        """Ask the controller of a node.

        :param question: `power` or `boot_device`
        :param timeout: seconds to wait
        :raises exception.DeviceUnavailable: it could not be asked
        """
        try:
            return self._turns.ask((node, question), lambda _left: self._ask(node, question), timeout)
        except TimeoutError:
            raise exception.DeviceUnavailable(reason="The node's controller did not answer in time.") from None

    def _ask(self, node: str, question: str) -> Mapping[str, Any]:
        with self._database.reader() as session:
            found = Node.find(session, models.Node.uuid == node)
        if not found:
            raise exception.DeviceUnavailable(reason="The node was removed.")
        try:
            return self._controllers.ask(found[0], question)
        except DriverError as error:
            LOG.warning("Node %(name)s: %(error)s", {"name": found[0].name, "error": error.operator})
            raise exception.DeviceUnavailable(reason=error.user) from None

    def observe(self, switch: str, timeout: float) -> None:
        """Look at a switch now.

        :param timeout: seconds to wait
        :raises exception.DeviceUnavailable: it could not be asked
        """
        try:
            self._turns.ask((switch, "observe"), lambda _left: self._observe(switch), timeout)
        except TimeoutError:
            raise exception.DeviceUnavailable(reason="The switch did not answer in time.") from None

    def _observe(self, switch: str) -> Mapping[str, Any]:
        with self._database.reader() as session:
            found = Switch.find(session, models.Switch.uuid == switch)
        if not found:
            raise exception.DeviceUnavailable(reason="The switch was removed.")
        try:
            self._observer.observe(found[0])
        except DriverError as error:
            LOG.warning("Switch %(name)s: %(error)s", {"name": found[0].name, "error": error.operator})
            raise exception.DeviceUnavailable(reason=error.user) from None
        return {}
