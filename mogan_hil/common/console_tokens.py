# SPDX-License-Identifier: Apache-2.0
"""Tokens for the stream of a console: they say who may read or type, until when, and nothing else.

A token is signed (HMAC-SHA256) with a key that its console has in the database and that is replaced whenever streams
are to end: every token that was given out before is void then, and none has to be remembered or looked up.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

#: Bytes of a key and of what makes a token unlike any other.
KEY, NONCE = 32, 16
#: No token is longer.
MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says.

    :param nonce: unlike any other token's
    :param expires: seconds since 1970
    :param types: whether its holder may type, and not only read
    """

    nonce: str
    expires: int
    types: bool


def new_key() -> str:
    """A key that was never used."""
    return secrets.token_hex(KEY)


def issue(key: str, console: int, types: bool, seconds: float) -> tuple[str, int]:
    """A new token for a console, and when it expires.

    :param console: its id
    :param seconds: for how long
    """
    expires = int(time.time() + seconds)
    text = f"{expires}.{secrets.token_hex(NONCE)}.{'w' if types else 'r'}"
    return f"{text}.{_signed(key, console, text)}", expires


def read(key: str, console: int, token: str) -> Grant | None:
    """What a token says; None for one that is expired, void or none at all."""
    text, _, signature = token.rpartition(".")
    if len(token) > MAX_LENGTH or not token.isascii():
        return None
    if not hmac.compare_digest(_signed(key, console, text), signature):
        return None
    expires, nonce, mode = text.split(".")
    if int(expires) < time.time():
        return None
    return Grant(nonce, int(expires), mode == "w")


def _signed(key: str, console: int, text: str) -> str:
    return hmac.new(key.encode(), f"{console}.{text}".encode(), hashlib.sha256).hexdigest()
