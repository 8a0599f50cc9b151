# SPDX-License-Identifier: Apache-2.0
"""The application: a router in Pecan, behind the middleware in one visible tuple."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pecan
import webob
from webob import acceptparse

from mogan_hil.api import bodies, openapi, version
from mogan_hil.api.controllers import root
from mogan_hil.api.controllers.v1 import (
    aggregates,
    claims,
    configurations,
    consoles,
    drivers,
    flavors,
    headnodes,
    images,
    instances,
    keypairs,
    networks,
    nics,
    nodes,
    obm,
    operations,
    ports,
    projects,
    quotas,
    server_groups,
    subnets,
    switches,
    users,
)
from mogan_hil.api.expose import Answer, Listing, Route, routes_of
from mogan_hil.api.hil_v0.app import HilV0
from mogan_hil.api.middleware import pipeline
from mogan_hil.api.query import parse_page, parse_query, select
from mogan_hil.api.routing import Router, sent_path
from mogan_hil.common import exception
from mogan_hil.context import RequestContext
from mogan_hil.verbs.base import Call, Services

CONTROLLERS = (
    root,
    switches,
    ports,
    nodes,
    aggregates,
    obm,
    consoles,
    claims,
    nics,
    networks,
    subnets,
    instances,
    configurations,
    flavors,
    server_groups,
    images,
    keypairs,
    headnodes,
    projects,
    quotas,
    users,
    operations,
    drivers,
)

WsgiApp = Callable[..., Any]


class Request(pecan.Request):
    """A request that Pecan leaves alone: the router reads its path, and :mod:`.bodies` its body, once and strictly."""

    #: Any bytes can be decoded so; whether a path is UTF-8 is for :func:`.routing.sent_path` to say.
    url_encoding = "latin-1"

    @property
    def accept(self) -> Any:
        """Anything: JSON is all there is, and better than a refusal (RFC 9110, 12.5.1)."""
        return acceptparse.AcceptNoHeader()

    @property
    def json(self) -> Any:
        raise ValueError

    @property
    def params(self) -> Any:
        return webob.multidict.NoVars()

    @property
    def GET(self) -> Any:  # noqa: N802 - the name is WebOb's
        return webob.multidict.NoVars()


class Root:
    """The one Pecan controller: every path comes here, and the router decides."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.router = Router(all_routes())
        self._openapi = openapi.document(self.router.routes)

    @pecan.expose()  # type: ignore[untyped-decorator]
    def _route(self, _remainder: list[str], _request: Request) -> tuple[Callable[..., Any], list[str]]:
        return self.dispatch, []

    @pecan.expose(content_type=None)  # type: ignore[untyped-decorator]
    def dispatch(self, request: Request, _response: pecan.Response) -> webob.Response:
        """Answer a request.

        :raises exception.MoganHilError: for the fault wrapper
        """
        environ = request.environ
        route, parts = self.router.match(request.method, sent_path(environ))
        environ["mogan_hil.route"] = route.path
        if not route.public and environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
            raise exception.Unauthorized()
        microversion = version.negotiate(environ.get("HTTP_OPENSTACK_API_VERSION"))
        for part in parts.values():
            bodies.check_text(part)
        if route.path == "/v1/openapi.json":
            return _respond(Answer(200, self._openapi), microversion)
        call = Call(RequestContext.from_environ(environ), self._services)
        return _respond(self._answer(route, call, request, parts), microversion)

    def _answer(self, route: Route, call: Call, request: Request, parts: Mapping[str, str]) -> Answer:
        arguments: dict[str, Any] = dict(parts)
        if route.linked:
            arguments["base"] = self._base(request)
        query = parse_query(request.environ.get("QUERY_STRING", ""), route)
        if route.body is not None:
            arguments["body"] = bodies.parse(route.body, _json(request))
        elif request.method not in ("GET", "HEAD"):
            _check_origin(request)
            if bodies.read(request):
                raise exception.BadRequest(reason="this request takes no body")
        if route.listing is not None:
            return self._list(route, route.listing, call, request, arguments, query)
        result = route.handler(call, **arguments, **query.filters)
        if isinstance(result, Answer):
            return result
        return Answer(204, None) if result is None else Answer(200, result)

    def _list(
        self, route: Route, listing: Listing, call: Call, request: Request, arguments: dict[str, Any], query: Any
    ) -> Answer:
        if not listing.sort_keys:
            items = route.handler(call, **arguments, **query.filters)
            return Answer(200, {listing.key: select(items, query.fields)})
        page = parse_page(query, listing.sort_keys, self._services.conf.api.max_limit)
        items = route.handler(call, page, **arguments, **query.filters)
        body: dict[str, Any] = {listing.key: select(items, query.fields)}
        if len(items) == page.limit:
            body["next"] = query.next_link(self._base(request), request.environ, items[-1]["uuid"])
        return Answer(200, body)

    def _base(self, request: Request) -> str:
        configured = self._services.conf.api.public_endpoint
        return str(configured or request.application_url).rstrip("/")


def all_routes() -> list[Route]:
    """Every route of the service, in the order of its controllers."""
    return [route for module in CONTROLLERS for route in routes_of(module)]


def _check_origin(request: Request) -> None:
    """A page of another site may have a browser send a POST with the password that it remembers for this one.

    It can do so without asking first (https://fetch.spec.whatwg.org/#cors-preflight-fetch), as long as it does not say
    that it sends JSON.

    :raises exception.UnsupportedMediaType: a browser sends a POST and does not say so
    """
    if request.method == "POST" and "HTTP_ORIGIN" in request.environ and request.content_type != "application/json":
        raise exception.UnsupportedMediaType()


def _json(request: Request) -> Any:
    # Who says nothing may be a form of another site: a browser sends that without asking first.
    kind = request.content_type.lower()
    if kind not in ("application/json", ""):
        raise exception.UnsupportedMediaType()
    _check_origin(request)
    data = bodies.read(request)
    if data and not kind:
        raise exception.UnsupportedMediaType()
    return bodies.load(data or b"{}")


def _respond(answer: Answer, microversion: str) -> webob.Response:
    headers = [("OpenStack-API-Version", microversion), ("Vary", "OpenStack-API-Version"), *answer.headers.items()]
    if answer.location is not None:
        headers.append(("Location", answer.location))
    if answer.body is None:
        return webob.Response(status=answer.status, headerlist=headers)
    kind, data = "application/json", answer.body
    if isinstance(data, bytes):
        # What a machine writes is text to everybody, never a page of this site.
        kind = "text/plain; charset=utf-8"
        headers.append(("X-Content-Type-Options", "nosniff"))
    else:
        data = orjson.dumps(data, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    headers += [("Content-Type", kind), ("Content-Length", str(len(data)))]
    return webob.Response(status=answer.status, app_iter=[data], headerlist=headers)


def make_app(services: Services) -> WsgiApp:
    """The WSGI application of one process."""
    app = pecan.make_app(
        Root(services),
        use_context_locals=False,
        request_cls=Request,
        guess_content_type_from_ext=False,
        force_canonical=False,
        wrap_app=None,
    )
    hil_v0 = HilV0(services)

    def by_path(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        front_end = hil_v0 if environ.get("PATH_INFO", "").startswith("/v0/") else app
        return front_end(environ, start_response)

    return pipeline.wrap(by_path, services)
