# SPDX-License-Identifier: Apache-2.0
"""HIL's calls were done when they were answered: scripts go on at once with the next step."""

from __future__ import annotations

import time
from collections.abc import Callable

from mogan_hil.api.hil_v0.errors import HilError
from mogan_hil.common import exception, states
from mogan_hil.objects.operation import Operation
from mogan_hil.verbs import operations
from mogan_hil.verbs.base import Call

#: Seconds between two looks at what a caller waits for: the first pause, the longest, and how they grow.
LOOK = 0.05
LONGEST = 0.5
GROWTH = 1.3


class _Patience:
    """How long a caller waits."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._pause = LOOK

    def __call__(self) -> bool:
        """Pause before the next look; False once it was long enough."""
        left = self._end - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(self._pause, left))
        self._pause = min(self._pause * GROWTH, LONGEST)
        return True


def finish(call: Call, begin: Callable[[], Operation], error: str, busy: Callable[[], bool] | None = None) -> None:
    """Begin something and wait for it, not longer than for a question to a device. What takes longer goes on.

    Who finds as many waiting as may wait at a time is answered as after that time, and soon.

    :param error: HIL's class for an operation that failed
    :param busy: looks whether what hinders `begin` is still there, to wait for that, too; None not to wait for it
    :raises HilError: it failed
    :raises exception.Busy: it could not be begun
    """
    with call.services.waits.place() as got:
        patience = _Patience(call.services.conf.api.device_timeout if got else 0)
        operation = _begun(begin, busy, patience)
        while operation.state in states.OPERATION_OPEN and patience():
            operation = operations.get(call, operation.uuid)
    if operation.state == states.Operation.ERROR:
        raise HilError(error, operation.error or "It failed.")


def _begun(begin: Callable[[], Operation], busy: Callable[[], bool] | None, patience: _Patience) -> Operation:
    while True:
        try:
            return begin()
        except exception.Busy:
            if busy is None or not patience():
                raise
            while busy():  # each try to begin would be a transaction that writes, and those of others wait for it
                if not patience():
                    raise
