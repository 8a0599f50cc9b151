# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-conductor: talks to the devices. Any number of them share the work."""

from __future__ import annotations

import sys
import threading

import oslo_messaging
from oslo_config import cfg
from oslo_service import service

from mogan_hil.api import process
from mogan_hil.conductor.manager import Manager
from mogan_hil.conductor.service import Conductor
from mogan_hil.db.api import Database
from mogan_hil.drivers.loader import Drivers
from mogan_hil.rpc import transport


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
        self._conductor = Conductor(self._conf, Database(self._conf), Drivers())
        self._conductor.start()
        print("the conductor works", flush=True)  # by its sweep; a broker that is down only keeps wake-ups away
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
        self._stopped.set()


def main() -> int:
    """Run the command."""
    conf = process.configure(cfg.CONF, sys.argv[1:])
    service.launch(conf, ConductorService(conf), workers=1, restart_method="mutate").wait()
    return 0
