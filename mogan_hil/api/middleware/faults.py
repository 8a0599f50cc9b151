# SPDX-License-Identifier: Apache-2.0
"""Makes every failure an answer in the error format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import orjson
import webob
from oslo_log import log

from mogan_hil.api.hil_v0 import errors as hil_errors
from mogan_hil.common import exception
from mogan_hil.db.api import busy

LOG = log.getLogger(__name__)

#: A client that is still sending does not read the answer: this much of a refused body is read and thrown away.
MAX_DRAIN = 64 * 1024 * 1024


class FaultWrapper:
    """See the module."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request, stream = webob.Request(environ), environ["wsgi.input"]
        try:
            response = request.get_response(self._app)
        except Exception as error:  # whatever it is, the client gets an answer
            response = fault(_known(error), environ)
        if response.status_int >= 400 and response.content_type != "application/json":
            response = _translated(response, environ)
        if response.status_int >= 400:
            _drain(stream, environ)
        answer: Iterable[bytes] = response(environ, start_response)
        return answer


def _known(error: Exception) -> exception.MoganHilError:
    if isinstance(error, exception.MoganHilError) and error.status < 500:
        return error
    if isinstance(error, UnicodeDecodeError):
        return exception.BadRequest(reason="the path or a header is not UTF-8")
    if isinstance(error, webob.exc.HTTPRequestEntityTooLarge):
        return exception.TooLarge(str(error.explanation))
    if busy(error):
        LOG.warning("The database gave up a request: %s", error)
        return exception.DatabaseBusy()
    if isinstance(error, exception.MoganHilError):
        LOG.warning("%s", error.detail)
        return error
    LOG.error("A request failed unexpectedly", exc_info=error)
    return exception.MoganHilError()


def fault(error: exception.MoganHilError, environ: dict[str, Any]) -> webob.Response:
    """An error as an answer, as the front end has it that the path belongs to."""
    hil = environ.get("PATH_INFO", "").startswith("/v0/")
    response = hil_errors.fault(error) if hil else _json(error, environ)
    if isinstance(error, exception.LockedOut):
        response.headers["Retry-After"] = str(error.seconds)
    if isinstance(error, exception.MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.allowed)
    if error.status == 401 and "mogan_hil.challenge" in environ:
        response.headers["WWW-Authenticate"] = environ["mogan_hil.challenge"]
    return response


def _json(error: exception.MoganHilError, environ: dict[str, Any]) -> webob.Response:
    body = {
        "errors": [
            {
                "status": error.status,
                "code": error.code,
                "title": error.title,
                "detail": error.detail,
                "request_id": environ.get("openstack.request_id", ""),
            }
        ]
    }
    return webob.Response(status=error.status, content_type="application/json", body=orjson.dumps(body, default=str))


def _translated(response: webob.Response, environ: dict[str, Any]) -> webob.Response:
    """The answer of a library, in the error format and with the headers that it has beyond the body's."""
    status = response.status_int
    known = {
        401: exception.Unauthorized(),
        404: exception.RouteNotFound(),
        413: exception.TooLarge("The request body is too large."),
    }
    error = known.get(status)
    if error is None:
        error = exception.MoganHilError() if status >= 500 else exception.BadRequest(response.status)
        error.status, error.title = status, HTTPStatus(status).phrase
        if status >= 500:
            error.detail = f"{HTTPStatus(status).phrase}."
    translated = fault(error, environ)
    for name, value in response.headers.items():
        if name.lower() not in ("content-type", "content-length"):
            translated.headers.setdefault(name, value)
    return translated


def _drain(stream: Any, environ: dict[str, Any]) -> None:
    length = environ.get("CONTENT_LENGTH") or (MAX_DRAIN if environ.get("wsgi.input_terminated") else 0)
    try:
        left = min(int(length), MAX_DRAIN)
        while left > 0 and (data := stream.read(min(left, 65536))):
            left -= len(data)
    except Exception:  # the client went away, or its body is malformed: the answer stands
        LOG.debug("A refused body was not read to its end", exc_info=True)
