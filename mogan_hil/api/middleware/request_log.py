# SPDX-License-Identifier: Apache-2.0
"""One line in the log for every request, which is counted, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from oslo_log import log

from mogan_hil.api.middleware import identity, metrics
from mogan_hil.context import RequestContext

LOG = log.getLogger(__name__)


class RequestLog:
    """See the module. Neither bodies nor query strings are logged: they may hold secrets."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = time.monotonic()
        # For the log of what comes before the caller is known; else it has the request that the thread had before.
        RequestContext(request_id=environ.get("openstack.request_id"))
        status = ["500"]

        def start(line: str, headers: Any, exc_info: Any = None) -> Any:
            status[0] = line.partition(" ")[0]
            return start_response(line, headers, exc_info) if exc_info else start_response(line, headers)

        try:
            answer: Iterable[bytes] = self._app(environ, start)
            return answer
        except Exception as error:
            status[0] = str(getattr(error, "status", 500))
            raise
        finally:
            seconds = time.monotonic() - began
            metrics.count(environ, status[0], seconds)
            LOG.info(
                "%(method)s %(path)r %(status)s %(milliseconds).1f ms %(remote)s "
                "user=%(user)s project=%(project)s %(id)s",
                {
                    "method": environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"].isalpha() else "?",
                    "path": environ.get("PATH_INFO", "")[:500],
                    "status": status[0],
                    "milliseconds": seconds * 1000,
                    "remote": environ.get("REMOTE_ADDR", "-"),
                    "user": _known(environ, "HTTP_X_USER_ID"),
                    "project": _known(environ, "HTTP_X_PROJECT_ID"),
                    "id": environ.get("openstack.request_id", "-"),
                },
            )


def _known(environ: dict[str, Any], name: str) -> str:
    """What was found out of the caller, never what a client says of itself."""
    return str(environ.get(name, "-")) if environ.get(identity.CHECKED) else "-"
