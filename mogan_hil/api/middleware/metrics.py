# SPDX-License-Identifier: Apache-2.0
"""`GET /metrics`, for Prometheus. Nobody has to log in for it; [metrics] serve says who may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import prometheus_client
import webob

from mogan_hil.api.middleware.auth_none import is_loopback
from mogan_hil.common import exception, metrics
from mogan_hil.objects import gauges
from mogan_hil.verbs.base import Services

PATH = "/metrics"

#: Anything may be sent as a method, and each value of a label is kept for ever.
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})

#: What a proxy on this machine says of those that it speaks for.
_FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


class Metrics:
    """See the module."""

    def __init__(self, app: Callable[..., Any], services: Services) -> None:
        self._app = app
        self._serve = services.conf.metrics.serve
        self._registry = gauges.shown(services.database)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH or self._serve == "nobody":
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        if self._serve == "loopback" and not _is_here(environ):
            raise exception.RouteNotFound()  # as if it were not there
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            raise exception.MethodNotAllowed(method=environ["REQUEST_METHOD"], allowed=("GET",))
        response = webob.Response(body=prometheus_client.generate_latest(self._registry))
        response.headers["Content-Type"] = prometheus_client.CONTENT_TYPE_LATEST
        told: Iterable[bytes] = response(environ, start_response)
        return told


def _is_here(environ: dict[str, Any]) -> bool:
    return is_loopback(environ.get("REMOTE_ADDR", "")) and not any(name in environ for name in _FORWARDED)


def count(environ: dict[str, Any], status: str, seconds: float) -> None:
    """Count a request."""
    method = environ["REQUEST_METHOD"]
    metrics.REQUESTS.labels(
        method if method in METHODS else "other", environ.get("mogan_hil.route", "none"), status
    ).observe(seconds)
