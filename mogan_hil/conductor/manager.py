# SPDX-License-Identifier: Apache-2.0
"""What conductors answer to over RPC. See :mod:`mogan_hil.rpc.client` for the history of its version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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

    def observe(self, _context: object, switch: str, timeout: float) -> Mapping[str, Any]:
        """Look at a switch now. Answers `unavailable` with the reason for the user if it could not be done."""
        return _answer(lambda: self._conductor.observe(switch, timeout))

    def ask(self, _context: object, node: str, question: str, timeout: float) -> Mapping[str, Any]:
        """Ask the controller of a node. Answers as :meth:`observe`."""
        return _answer(lambda: self._conductor.ask(node, question, timeout))


def _answer(call: Callable[[], Mapping[str, Any] | None]) -> Mapping[str, Any]:
    try:
        return call() or {}
    except exception.DeviceUnavailable as error:
        return {"unavailable": error.detail}
