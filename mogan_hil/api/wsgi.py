# SPDX-License-Identifier: Apache-2.0
"""`mogan_hil.api.wsgi:application`, for any WSGI server.

Configuration is read from the files that MOGAN_HIL_CONFIG names, with colons between, else from the usual places of
oslo.config (`/etc/mogan_hil/mogan_hil.conf`). The server's own command line is not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from oslo_config import cfg
from oslo_service import backend

from mogan_hil.api import process
from mogan_hil.rpc import transport


def make_application() -> Callable[..., Any]:
    """The application of this process."""
    backend.init_backend(backend.BackendType.THREADING)
    files = os.environ.get("MOGAN_HIL_CONFIG")
    conf = process.configure(cfg.CONF, [], files.split(":") if files else None)
    return process.application(conf, transport.client(conf))


application = make_application()
