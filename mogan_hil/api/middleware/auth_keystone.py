# SPDX-License-Identifier: Apache-2.0
"""Auth `keystone`: tokens, checked by keystonemiddleware. Its options are in [keystone_authtoken]."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import webob.exc
from keystoneauth1 import exceptions as ksa_exceptions
from keystonemiddleware import auth_token
from oslo_log import log

from mogan_hil.api.middleware import identity
from mogan_hil.common import exception
from mogan_hil.common.keystone import GROUP, configure
from mogan_hil.verbs.base import Services

LOG = log.getLogger(__name__)

#: What the middleware is to read of what a client says of itself.
TOKENS = ("HTTP_X_AUTH_TOKEN", "HTTP_X_SERVICE_TOKEN")

#: Tokens kept at a time, of some thousand bytes each; the oldest goes first.
MAX_TOKENS = 2000

_CACHE = "mogan_hil.token_cache"

_NO_ANSWER = (
    ksa_exceptions.ConnectFailure,
    ksa_exceptions.DiscoveryFailure,
    ksa_exceptions.RequestTimeout,
    auth_token.ServiceError,
)


def keystone(app: Callable[..., Any], services: Services) -> Callable[..., Any]:
    """Put auth_token around an application. It leaves the decision to the router, which knows what is public.

    :raises ConfigurationError: [keystone_authtoken] is not complete
    """
    conf = services.conf
    configure(conf)
    settings = conf[GROUP]
    if not settings.memcached_servers:
        conf.set_default("cache", _CACHE, group=GROUP)
    challenge = f'Keystone uri="{settings.www_authenticate_uri}"'
    tokens = _Tokens()
    protocol = _Protocol(_checked(app), {"oslo_config_config": conf, "delay_auth_decision": True})

    def authenticate(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        identity.strip(environ, keep=TOKENS)
        environ |= {"mogan_hil.challenge": challenge, _CACHE: tokens}
        return protocol(environ, start_response)

    return authenticate


def _checked(app: Callable[..., Any]) -> Callable[..., Any]:
    """What the middleware leaves to the application behind it when it delays its decision."""

    def check(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ.get("HTTP_X_SERVICE_IDENTITY_STATUS") == "Invalid":
            environ["HTTP_X_IDENTITY_STATUS"] = "Invalid"
        # A service token has put its own scope in the place of the user's.
        token = environ.get("keystone.token_info", {}).get("token", {})
        environ["HTTP_OPENSTACK_SYSTEM_SCOPE"] = "all" if token.get("system", {}).get("all") else None
        return app(environ, start_response)

    return check


class _Protocol(auth_token.AuthProtocol):
    """A token that could not be checked is not a wrong one: 503, and not 401, which would make clients log in again."""

    def fetch_token(self, token: str, allow_expired: bool = False) -> Any:
        try:
            return super().fetch_token(token, allow_expired=allow_expired)
        except auth_token.InvalidToken as error:
            # With its decision delayed it says this of every failure; the cause tells them apart.
            if isinstance(error.__context__, _NO_ANSWER):
                raise exception.IdentityUnavailable() from error
            raise
        except (ksa_exceptions.ClientException, webob.exc.HTTPServiceUnavailable) as error:
            LOG.error("Keystone cannot be asked for a token: %s", error)
            raise exception.IdentityUnavailable() from error


class _Tokens:
    """Tokens that were checked, for all threads of a process; what the middleware expects of a cache."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Any:
        """What was kept, None if nothing is or its time has come."""
        expires, value = self._kept.get(key, (0.0, None))
        return value if expires > monotonic() else None

    def set(self, key: str, value: Any, time: float = 0) -> None:
        """Keep it for so many seconds."""
        with self._lock:
            self._kept.pop(key, None)
            while len(self._kept) >= MAX_TOKENS:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (monotonic() + time, value)
