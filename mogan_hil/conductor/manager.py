# SPDX-License-Identifier: Apache-2.0
"""What conductors answer to over RPC. See :mod:`mogan_hil.rpc.client` for the history of its version."""

from __future__ import annotations

import oslo_messaging

from mogan_hil.common import exception
from mogan_hil.conductor.service import Conductor
from mogan_hil.rpc.client import VERSION


class Manager:
    """The RPC endpoint."""

    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def wake(self, _context: object, lane: str) -> None:
        """Work on a lane soon."""
        self._conductor.wake(lane)

    def observe(self, _context: object, switch: str, timeout: float) -> str | None:
        """Look at a switch now. Returns why it could not be done, for the user."""
        try:
            self._conductor.observe(switch, timeout)
        except exception.DeviceUnavailable as error:
            return error.detail
        return None
