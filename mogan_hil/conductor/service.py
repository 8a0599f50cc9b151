# SPDX-License-Identifier: Apache-2.0
"""The conductor: the only part that touches devices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from oslo_log import log
from oslo_utils import uuidutils
from sqlalchemy.engine import make_url
from tooz import coordination

from mogan_hil.common import exception
from mogan_hil.conductor.claims import ClaimLane
from mogan_hil.conductor.controllers import Controllers, NodeLane
from mogan_hil.conductor.devices import Switches, Trouble
from mogan_hil.conductor.instances import InstanceLane
from mogan_hil.conductor.lanes import Handler, Lanes
from mogan_hil.conductor.networking import SwitchLane
from mogan_hil.conductor.observer import Observer, Watchers
from mogan_hil.conductor.rounds import Rounds
from mogan_hil.db import models
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.loader import Drivers
from mogan_hil.objects.node import Node
from mogan_hil.objects.switch import Switch

LOG = log.getLogger(__name__)


def lock_url(conf: cfg.ConfigOpts) -> str:
    """Where conductors agree who has a lane: as configured, else where the database is."""
    if conf.conductor.lock_url:
        return str(conf.conductor.lock_url)
    url = make_url(conf.database.connection)
    if url.get_backend_name() == "sqlite":
        return f"file://{os.path.abspath(conf.state_path)}/locks"
    query = {name: value for name, value in url.query.items() if name != "charset"}
    plain = url.set(drivername=url.get_backend_name(), query=query)
    return plain.render_as_string(hide_password=False)


class Conductor:
    """One conductor. It is also a :class:`mogan_hil.rpc.client.Client` for an API in the same process.

    :param drivers: the driver classes that are installed
    """

    def __init__(self, conf: cfg.ConfigOpts, database: Database, drivers: Drivers) -> None:
        self._settings = conf.conductor
        self._database = database
        me = f"{conf.host}:{os.getpid()}:{uuidutils.generate_uuid()[:8]}"
        self._coordinator = coordination.get_coordinator(lock_url(conf), me.encode())
        limit = conf.conductor.hang_limit

        def switch_trouble(switch: Switch) -> Trouble:
            return Trouble(database, models.Switch, switch.uuid, limit, lambda: switch_lane.recheck(switch.lane))

        def node_trouble(node: Node) -> Trouble:
            return Trouble(database, models.Node, node.uuid, limit, lambda: self.wake(node.lane))

        self._switches = Switches(conf, drivers, conf.conductor.driver_timeout, switch_trouble)
        self._eyes = Switches(conf, drivers, min(conf.conductor.driver_timeout, conf.api.device_timeout))
        self._observer = Observer(conf, database, self._eyes, self.wake)
        self._watchers = Watchers(self._observer, self._coordinator)
        switch_lane = SwitchLane(conf, database, self._switches, self.wake)
        timeout = min(conf.conductor.driver_timeout, conf.api.device_timeout)
        self._obms = Controllers(conf, drivers, conf.conductor.driver_timeout, node_trouble)
        self._controllers = Controllers(conf, drivers, timeout)
        handlers: dict[str, Handler] = {
            "switch": switch_lane,
            "node": NodeLane(conf, database, self._obms),
            "instances": InstanceLane(database, self.wake),
            "claims": ClaimLane(database, self.wake),
        }
        self._lanes = Lanes(conf, database, self._coordinator, handlers, me)
        self._rounds = Rounds(conf, database, self._lanes, self._observer, self._watchers)

    def start(self) -> None:
        """Begin to work, with what was left in the journal."""
        self._coordinator.start(start_heart=True)
        self._lanes.start()
        self._rounds.start()
        LOG.info("The conductor works")

    def stop(self) -> None:
        """Finish what is being done, and stop."""
        self._rounds.stop()
        self._watchers.close()
        self._lanes.stop()
        self._switches.close()
        self._eyes.close()
        self._obms.close()
        self._controllers.close()
        self._coordinator.stop()

    def wake(self, lane: str) -> None:
        """Work on a lane soon. Never waits."""
        self._lanes.wake(lane)
        self._rounds.hear(lane)

    def ask(self, node: str, question: str, timeout: float) -> Mapping[str, Any]:
        """Ask the controller of a node.

        :param question: `power` or `boot_device`
        :raises exception.DeviceUnavailable: it could not be asked
        """
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

        :raises exception.DeviceUnavailable: it could not be asked
        """
        with self._database.reader() as session:
            found = Switch.find(session, models.Switch.uuid == switch)
        if not found:
            raise exception.DeviceUnavailable(reason="The switch was removed.")
        try:
            self._observer.observe(found[0])
        except DriverError as error:
            LOG.warning("Switch %(name)s: %(error)s", {"name": found[0].name, "error": error.operator})
            raise exception.DeviceUnavailable(reason=error.user) from None
