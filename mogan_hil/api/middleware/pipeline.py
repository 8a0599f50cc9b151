# SPDX-License-Identifier: Apache-2.0
"""The middleware, from the outside in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import stevedore
from oslo_config import cfg
from oslo_middleware import cors, healthcheck, request_id, sizelimit

from mogan_hil.api.hil_v0.paths import HilPaths
from mogan_hil.api.middleware.faults import FaultWrapper
from mogan_hil.api.middleware.lockout import lockout
from mogan_hil.api.middleware.metrics import Metrics
from mogan_hil.api.middleware.request_log import RequestLog
from mogan_hil.verbs.base import Services

WsgiApp = Callable[..., Any]


def _authentication(app: WsgiApp, services: Services) -> WsgiApp:
    name = services.conf.auth.strategy
    driver: stevedore.DriverManager[WsgiApp] = stevedore.DriverManager(
        "mogan_hil.auth", name, invoke_on_load=True, invoke_args=(app, services)
    )
    wrapped: WsgiApp = driver.driver
    return wrapped


def _audit(app: WsgiApp, services: Services) -> WsgiApp:
    if not services.conf.audit.enabled:
        return app
    from mogan_hil.api.middleware import audit  # it takes seconds, which nobody else need wait for

    return audit.wrap(app, services)


def _healthcheck(app: WsgiApp, services: Services) -> WsgiApp:
    check = healthcheck.Healthcheck(None, services.conf)

    def at_its_path(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        inner = check if environ.get("PATH_INFO") == "/healthcheck" else app
        return inner(environ, start_response)

    return at_its_path


def _cors(app: WsgiApp, services: Services) -> WsgiApp:
    # A browser may read an error only if it has the headers too: so it has to be an answer before it comes here.
    for_browsers = cors.CORS(FaultWrapper(app), services.conf)

    def by_origin(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        inner = for_browsers if "HTTP_ORIGIN" in environ else app
        return inner(environ, start_response)

    return by_origin


#: Each takes what is within it and the services.
PIPELINE: tuple[Callable[[Any, Services], Any], ...] = (
    HilPaths,  # all below see one path for one call
    lambda app, services: request_id.RequestId(app),  # everything that follows can name the request
    lambda app, services: FaultWrapper(app),  # what goes wrong in any of those below becomes an answer
    lambda app, services: RequestLog(app),  # within the faults, for the status; it times all that is below
    lambda app, services: sizelimit.RequestBodySizeLimiter(app, services.conf),
    _cors,  # before authentication: a preflight has no credentials
    _healthcheck,
    Metrics,
    lockout,  # before authentication, which costs time
    _authentication,
    _audit,  # it tells who asked
)


def wrap(app: WsgiApp, services: Services) -> WsgiApp:
    """Put the pipeline around the application."""
    services.conf.set_default("max_request_body_size", services.conf.api.max_body_size, group="oslo_middleware")
    for layer in reversed(PIPELINE):
        app = layer(app, services)
    return app


def set_defaults(conf: cfg.ConfigOpts) -> None:
    """Register the libraries' own options, with defaults that fit this API."""
    conf.register_opts(sizelimit.OPTS, group="oslo_middleware")
    cors.set_defaults(
        allow_headers=[
            "X-Auth-Token",
            "X-Project-Id",
            "X-Openstack-Request-Id",
            "OpenStack-API-Version",
            "Authorization",
        ],
        expose_headers=["X-Openstack-Request-Id", "OpenStack-API-Version", "Location"],
        allow_methods=["GET", "PUT", "POST", "DELETE", "PATCH"],
    )
