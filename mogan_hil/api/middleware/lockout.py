# SPDX-License-Identifier: Apache-2.0
"""Lockout: who guesses passwords is made to wait.

Failures are counted for each pair of a user's name and an address, so that nobody locks a user out from elsewhere, and
for each address, so that nobody tries one password on many names. Users that do not exist count like those that do.
Each process counts by itself: with n processes there are n times as many guesses. At the most each thread of a process
tries one more, as all of them may ask before the first is refused.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from oslo_log import log

from mogan_hil.api.middleware.auth_local import credentials
from mogan_hil.common import exception
from mogan_hil.verbs.base import Services

LOG = log.getLogger(__name__)

#: Pairs, and addresses, that are counted at a time, of some hundred bytes each; the one that failed longest ago is
#: forgotten first.
MAX_COUNTED = 10000

#: Longer names are cut: no user has one.
MAX_NAME = 255


class Failures:
    """How often something failed within a time.

    :param limit: so many failures lock
    :param window: seconds after the first failure at which counting begins anew; what is locked is so until then
    """

    def __init__(self, limit: int, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window = window
        self._clock = clock
        self._counts: OrderedDict[Any, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def locked(self, key: Any) -> float:
        """Seconds until it may be tried again; 0 where it may be now."""
        with self._lock:
            count, until = self._counts.get(key, (0, 0.0))
        return max(until - self._clock(), 0.0) if count >= self._limit else 0.0

    def count(self, key: Any) -> bool:
        """One more failure. Returns whether this is the one that locks."""
        now = self._clock()
        with self._lock:
            count, until = self._counts.pop(key, (0, 0.0))
            if until <= now:
                count, until = 0, now + self._window
            while len(self._counts) >= MAX_COUNTED:
                self._counts.popitem(last=False)
            self._counts[key] = (count + 1, until)
            return count + 1 == self._limit

    def forget(self, key: Any) -> None:
        """It did not fail."""
        if key in self._counts:
            with self._lock:
                self._counts.pop(key, None)


class Lockout:
    """See the module."""

    def __init__(self, app: Callable[..., Any], services: Services) -> None:
        settings = services.conf.auth
        self._app = app
        self._pairs = Failures(settings.lockout_failures, settings.lockout_time)
        self._addresses = Failures(settings.lockout_address_failures, settings.lockout_time)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is None:
            return self._app(environ, start_response)
        address = _network(environ.get("REMOTE_ADDR", ""))
        pair = (_name(authorization), address)
        wait = max(self._pairs.locked(pair), self._addresses.locked(address))
        if wait > 0:
            raise exception.LockedOut(seconds=int(wait) + 1)
        try:
            answer = self._app(environ, start_response)
        except exception.Unauthorized:
            self._failed(pair)
            raise
        self._pairs.forget(pair)
        return answer

    def _failed(self, pair: tuple[str, str]) -> None:
        if self._pairs.count(pair):
            LOG.warning("Logins as %(name)r from %(address)s are locked: too many failed", _said(pair))
        if self._addresses.count(pair[1]):
            LOG.warning("Logins from %(address)s are locked: too many failed", _said(pair))


def _said(pair: tuple[str, str]) -> dict[str, str]:
    return {"name": pair[0], "address": pair[1]}


def _name(authorization: str) -> str:
    try:
        return credentials(authorization)[0][:MAX_NAME]
    except exception.Unauthorized:
        return ""


def _network(address: str) -> str:
    """Whom an address stands for: whoever has one of IPv6 has a /64 of them."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:MAX_NAME]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def lockout(app: Callable[..., Any], services: Services) -> Callable[..., Any]:
    """Put the lockout around an application where passwords are checked here, unless it is switched off."""
    settings = services.conf.auth
    return Lockout(app, services) if settings.strategy == "local" and settings.lockout_failures else app
