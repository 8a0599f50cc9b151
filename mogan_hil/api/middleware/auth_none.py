# SPDX-License-Identifier: Apache-2.0
"""Auth `none`: everyone is an administrator. For a laptop; the commands refuse it on any address but loopback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mogan_hil.api.middleware import identity
from mogan_hil.common import exception
from mogan_hil.verbs.base import PROJECT_ID, Services


class NoAuth:
    """See the module. `X-Project-Id` chooses the project to act for, `admin` if there is none."""

    def __init__(self, app: Callable[..., Any], services: Services) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
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
