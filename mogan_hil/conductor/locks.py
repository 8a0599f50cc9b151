# SPDX-License-Identifier: Apache-2.0
"""The locks by which conductors agree who works where."""

from __future__ import annotations

import hashlib
import struct

from tooz import coordination, locking


def get_lock(coordinator: coordination.CoordinationDriver, name: str) -> locking.Lock:
    """A lock by its name.

    tooz tells PostgreSQL's locks apart by two bytes of a hash, so that of a few hundred some are one and the same, and
    a switch whose lock somebody holds for ever under another name would never be worked on. They get all eight bytes.
    """
    lock = coordinator.get_lock(name.encode())
    if type(lock).__name__ == "PostgresLock":
        digest = hashlib.sha256(name.encode()).digest()
        lock.key = struct.unpack(">ii", digest[:8])  # type: ignore[attr-defined]
    return lock
