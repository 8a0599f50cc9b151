# SPDX-License-Identifier: Apache-2.0
"""Keeps secrets that this process has opened out of its log and of what it says about errors.

Drivers are to keep them to themselves; this is for the libraries beneath them, and for drivers that do not.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from typing import Any

#: What is shown in place of a secret.
MASK = "******"

#: A shorter secret is in too many words: to mask it would tell it, and would make texts illegible.
SHORTEST = 4

_known: dict[str, frozenset[str]] = {}
_hidden: frozenset[str] = frozenset()
_lock = threading.Lock()


def texts(secrets: Mapping[str, Any]) -> frozenset[str]:
    """The texts among secrets that are masked."""
    return frozenset(value for value in secrets.values() if isinstance(value, str) and len(value) >= SHORTEST)


def remember(device: str, secrets: Mapping[str, Any]) -> frozenset[str]:
    """From now on mask a device's secrets in the log, in the place of those that it had before. Returns their texts."""
    global _hidden
    hidden = texts(secrets)
    with _lock:
        _known.pop(device, None)
        if hidden:
            _known[device] = hidden
        _hidden = frozenset[str]().union(*_known.values())
    return hidden


def masked(text: str, hidden: Collection[str]) -> str:
    """The text without these secrets. The longest goes first: another may be a part of it."""
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


class Formatter(logging.Formatter):
    """Masks what :func:`remember` was told in what another formatter makes of a record, tracebacks included."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        text = self._inner.format(record)
        return masked(text, [secret for secret in _hidden if secret in text])


def install() -> None:
    """Mask what the handlers of the root logger write."""
    for handler in logging.getLogger().handlers:
        if not isinstance(handler.formatter, Formatter):
            handler.setFormatter(Formatter(handler.formatter or logging.Formatter()))
