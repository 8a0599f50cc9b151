# SPDX-License-Identifier: Apache-2.0
"""Answers requests below `/v0`, beside Pecan, which makes an empty answer a 204; HIL's is a 200."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
import webob

from mogan_hil.api import bodies
from mogan_hil.api.hil_v0 import headnodes, networks, nodes, projects, switches
from mogan_hil.api.hil_v0.errors import HilError
from mogan_hil.api.hil_v0.expose import Caller, HilRoute, calls_of, check_arguments
from mogan_hil.api.routing import Router, sent_path
from mogan_hil.common import exception
from mogan_hil.context import RequestContext
from mogan_hil.objects.user import ROLES, Grant
from mogan_hil.verbs.base import Call, Services

CONTROLLERS = (projects, nodes, networks, headnodes, switches)

#: What begins work on a switch, and is not done when it is answered.
ASYNCHRONOUS = ("node_connect_network", "node_detach_network")


def all_calls() -> list[HilRoute]:
    """Every call of HIL's that is answered."""
    return [call for module in CONTROLLERS for call in calls_of(module)]


class HilV0:
    """The front end."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._router = Router(all_calls())

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request.

        :raises exception.MoganHilError: for the fault wrapper
        """
        answer: Iterable[bytes] = self._answer(webob.Request(environ))(environ, start_response)
        return answer

    def _answer(self, request: webob.Request) -> webob.Response:
        environ = request.environ
        route, parts = self._router.match(request.method, sent_path(environ))
        assert isinstance(route, HilRoute)
        environ["mogan_hil.route"] = route.path
        if environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
            raise exception.Unauthorized()
        for part in parts.values():
            bodies.check_text(part)
        data = bodies.read(request)
        given = _query(environ) if request.method in ("GET", "HEAD") else _members(request, data)
        if request.method in ("GET", "HEAD") and data:
            raise HilError("ValidationError", "A request with GET has no body.")
        arguments = check_arguments(route, parts, given)
        caller = Caller(tuple(Call(context, self._services) for context in _contexts(environ)))
        result = route.handler(caller, **arguments)
        status = 202 if route.call in ASYNCHRONOUS else 200
        # HIL called its JSON text/html, which would let what somebody named run in a browser; its clients do not look.
        if isinstance(result, bytes):
            # What a machine writes is text to everybody, never a page of this site.
            headers = [("Content-Type", "text/plain; charset=UTF-8"), ("X-Content-Type-Options", "nosniff")]
            return webob.Response(status=status, headerlist=headers, body=result)
        body = b"" if result is None else orjson.dumps(result)
        return webob.Response(status=status, content_type="application/json", charset=None, body=body)


def _query(environ: Mapping[str, Any]) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            environ.get("QUERY_STRING", ""),
            keep_blank_values=True,
            strict_parsing=False,
            errors="strict",
            max_num_fields=16,
        )
    except ValueError:
        raise HilError("ValidationError", "The query is malformed.") from None
    found = dict(pairs)
    if len(found) != len(pairs) or not all(found.values()):
        raise HilError("ValidationError", "An argument of the query is empty or there twice.")
    for text in (*found, *found.values()):
        bodies.check_text(text)
    return found


def _members(request: webob.Request, data: bytes) -> dict[str, Any]:
    # HIL's clients do not say what they send. A browser does, and says from which site if it is a foreign one.
    if "HTTP_ORIGIN" in request.environ and request.content_type.lower() != "application/json":
        raise exception.UnsupportedMediaType()
    if not data:
        return {}
    found = bodies.load(data)
    if not isinstance(found, dict):
        raise HilError("ValidationError", "The body is no object.")
    return found


def _contexts(environ: dict[str, Any]) -> Iterable[RequestContext]:
    """Who asks, for each project; an administrator's role first."""
    grants: Iterable[Grant] | None = environ.get("mogan_hil.grants")
    if not grants:
        return [RequestContext.from_environ(environ)]
    ordered = sorted(grants, key=lambda grant: ROLES.index(grant.role))
    return [
        RequestContext(
            user_id=environ["HTTP_X_USER_ID"],
            user_name=environ["HTTP_X_USER_NAME"],
            project_id=grant.project_id,
            project_name=grant.project_name,
            roles=list(ROLES[ROLES.index(grant.role) :]),
            request_id=environ.get("openstack.request_id"),
            overwrite=False,
        )
        for grant in ordered
    ]
