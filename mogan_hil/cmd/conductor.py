# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-conductor: talks to the devices. Any number of them share the work."""

from __future__ import annotations

import sys
import threading

import oslo_messaging
import prometheus_client
from oslo_config import cfg
from oslo_service import service

from mogan_hil.api import process
from mogan_hil.cmd import base
from mogan_hil.conductor.manager import Manager
from mogan_hil.conductor.service import Conductor
from mogan_hil.drivers.loader import Drivers
from mogan_hil.objects import gauges
from mogan_hil.rpc import notifier, transport


class ConductorService(service.Service):
    """The conductor's process."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._conf = conf
        self._conductor: Conductor | None = None
        self._rpc: oslo_messaging.MessageHandlingServer | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to work, and listen for wake-ups."""
        database = process.open_database(self._conf)
        self._conductor = Conductor(self._conf, database, Drivers())
        self._conductor.start()
        settings = self._conf.metrics
        if settings.conductor_port:
            registry = gauges.shown(database)
            prometheus_client.start_http_server(settings.conductor_port, str(settings.conductor_host), registry)
        base.announce("the conductor works")  # by its sweep; a broker that is down only keeps wake-ups away
        self._rpc = transport.server(self._conf, Manager(self._conductor))
        if self._rpc is not None:
            self._rpc.start()

    def wait(self) -> None:
        """Until stopped."""
        self._stopped.wait()

    def stop(self, graceful: bool = True) -> None:
        """Finish what is being done."""
        if self._rpc is not None:
            self._rpc.stop()
            self._rpc.wait()
        if self._conductor is not None:
            self._conductor.stop()
        notifier.close_all()
        self._stopped.set()


def main() -> int:
    """Run the command."""
    conf = process.configure(cfg.CONF, sys.argv[1:], description=__doc__)
    service.launch(conf, ConductorService(conf), workers=1, restart_method="mutate").wait()
    return 0
