# SPDX-License-Identifier: Apache-2.0
"""Auth `none`: everyone is an administrator. For a laptop: nobody but this machine is answered.

The commands refuse it on any address but loopback; behind another WSGI server this is the only place that can. A page
of another site in this machine's browser is refused too: by its `Host` where its name was made to lead here (DNS
rebinding), else by its `Origin` (RFC 6454, 7).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from mogan_hil.api.middleware import identity
from mogan_hil.common import exception
from mogan_hil.verbs.base import PROJECT_ID, Services


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _named(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_local(environ: dict[str, Any]) -> bool:
    origin = environ.get("HTTP_ORIGIN")
    return (
        is_loopback(environ.get("REMOTE_ADDR", ""))
        and is_loopback(_named(f"//{environ.get('HTTP_HOST') or 'localhost'}"))  # every browser sends it
        and (origin is None or is_loopback(_named(origin)))
    )


class NoAuth:
    """See the module. `X-Project-Id` chooses the project to act for, `admin` if there is none."""

    def __init__(self, app: Callable[..., Any], services: Services) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if not _is_local(environ):
            raise exception.Forbidden("Without authentication only this machine is answered, at a name of its own.")
        project = environ.get("HTTP_X_PROJECT_ID") or "admin"
        if PROJECT_ID.fullmatch(project) is None:
            raise exception.BadRequest(reason="X-Project-Id is no id of a project")
        identity.strip(environ)
        identity.confirm(
            environ,
            user_id="nobody",
            user_name="nobody",
            project_id=project,
            project_name=project,
            roles=["admin", "member", "reader"],
        )
        return self._app(environ, start_response)
