# SPDX-License-Identifier: Apache-2.0
"""HIL's paths as its clients send them: below `/v0` since April 2018, with nothing before them until then.

The older ones cannot all be sent below `/v0` by their endpoint: some begin with a slash, which takes the place of
whatever path the endpoint has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mogan_hil.api.hil_v0.app import all_calls
from mogan_hil.verbs.base import Services

#: How HIL's paths begin; nothing else of this service does.
FIRST = frozenset(route.path.split("/")[2] for route in all_calls())

#: The path as it was sent is needed, too: only there is a slash of a port's name told from another.
SENT = ("RAW_URI", "REQUEST_URI")


class HilPaths:
    """Puts a path of HIL's below `/v0` where it is not. A slash too many after that goes."""

    def __init__(self, app: Callable[..., Any], _services: Services) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        given = environ.get("PATH_INFO", "")
        path = re.sub("^/(v0/+)?", "/v0/", given, count=1)
        if path != given and path.split("/")[2] in FIRST:
            environ["PATH_INFO"] = path
            begin = f"^((?:https?://[^/]*)?{re.escape(environ.get('SCRIPT_NAME', ''))})/(?:v0/+)?"
            for name in SENT:
                if name in environ:
                    environ[name] = re.sub(begin, r"\1/v0/", environ[name], count=1)
        return self._app(environ, start_response)
