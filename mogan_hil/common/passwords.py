# SPDX-License-Identifier: Apache-2.0
"""Passwords: of local users, by bcrypt; of the machines of instances, as crypt(3) has them."""

from __future__ import annotations

import secrets
import string

import bcrypt
from passlib.hash import sha512_crypt

#: bcrypt reads no more than 72 bytes; https://www.usenix.org/legacy/events/usenix99/provos.html
MAX_BYTES = 72

#: A twentieth of a second for one try on one core. Every crypt(3) for Linux knows this hash, and the number is in it.
ROUNDS = 100_000


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


def cost_of(known: str) -> int:
    """The cost of a hash. As bcrypt has them: `$2b$12$`, the salt and the hash."""
    return int(known[4:6])


def spend(password: str, cost: int, total: int) -> None:
    """After a try with a hash of one cost take as long as one of `total` does: each cost is twice the one below."""
    for each in range(cost, total):
        bcrypt.hashpw(password.encode()[:MAX_BYTES], bcrypt.gensalt(each))


def crypted(password: str) -> str:
    """The hash for /etc/shadow, of the kind `$6$` (crypt(5): sha512crypt)."""
    hashed: str = sha512_crypt.using(rounds=ROUNDS).hash(password)
    return hashed


def generated() -> str:
    """A password that nobody can guess: 24 letters and digits, 142 bits. None starts with a dash, as options do."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))
