# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-api: the API, in processes of its own."""

from __future__ import annotations

import sys
import threading

from oslo_config import cfg
from oslo_service import service

from mogan_hil.api import process
from mogan_hil.cmd import base
from mogan_hil.rpc import notifier, transport


class ApiService(service.Service):
    """One process of the API."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._conf = conf
        self._server: process.Server | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Listen, and answer."""
        settings = self._conf.api
        app = process.application(self._conf, transport.client(self._conf))
        self._server = process.Server(
            app, (str(settings.host), settings.port), settings.threads, alone=settings.workers == 1
        )
        base.announce(f"listening on {self._server.url}")
        threading.Thread(target=self._server.serve, name="http", daemon=True).start()

    def wait(self) -> None:
        """Until stopped."""
        self._stopped.wait()

    def stop(self, graceful: bool = True) -> None:
        """Finish what is being answered."""
        if self._server is not None:
            self._server.stop()
        notifier.close_all()
        self._stopped.set()


def main() -> int:
    """Run the command."""
    conf = process.configure(cfg.CONF, sys.argv[1:], description=__doc__)
    base.check_auth(conf, str(conf.api.host))
    if conf.api.workers > 1 and conf.api.port == 0:
        raise SystemExit("Several workers need a port of their own choice: set [api] port.")
    service.launch(conf, ApiService(conf), workers=conf.api.workers, restart_method="mutate").wait()
    return 0
