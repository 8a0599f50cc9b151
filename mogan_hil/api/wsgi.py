# SPDX-License-Identifier: Apache-2.0
"""`mogan_hil.api.wsgi:application`, for any WSGI server.

Configuration is read from the files that MOGAN_HIL_CONFIG names, with colons between, else from the usual places of
oslo.config (`/etc/mogan_hil/mogan_hil.conf`). The server's own command line is not looked at.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

# futurist and oslo.service import eventlet where it is installed, and use it nowhere here.
warnings.filterwarnings("ignore", message="\\s*Eventlet is deprecated")

from oslo_service import backend  # noqa: E402 - the filter comes first

# Before anything of oslo.service is used: its default is eventlet.
backend.init_backend(backend.BackendType.THREADING)

from oslo_config import cfg  # noqa: E402

from mogan_hil.api import process  # noqa: E402
from mogan_hil.rpc import transport  # noqa: E402


def make_application() -> Callable[..., Any]:
    """The application of this process."""
    files = os.environ.get("MOGAN_HIL_CONFIG")
    conf = process.configure(cfg.CONF, [], files.split(":") if files else None)
    return process.application(conf, transport.client(conf))


application = make_application()
