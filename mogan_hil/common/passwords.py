# SPDX-License-Identifier: Apache-2.0
"""Passwords of local users, by bcrypt."""

from __future__ import annotations

import bcrypt

#: bcrypt reads no more than 72 bytes; https://www.usenix.org/legacy/events/usenix99/provos.html
MAX_BYTES = 72


def hashed(password: str, cost: int) -> str:
    """The hash to keep.

    :param password: 1 to 72 bytes in UTF-8
    :param cost: the power of two of the work, 4 to 31
    """
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def matches(password: str, known: str) -> bool:
    """Whether this is the password of a hash. It takes the same time either way."""
    secret = password.encode()
    return bcrypt.checkpw(secret[:MAX_BYTES], known.encode()) and len(secret) <= MAX_BYTES
