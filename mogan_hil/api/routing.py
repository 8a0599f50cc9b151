# SPDX-License-Identifier: Apache-2.0
"""From a path to a route.

A port's name may hold slashes. Clients send them as %2F, which WSGI undoes before an application sees the path.
Servers that keep the path as it was sent (cheroot, gunicorn, uWSGI, waitress, mod_wsgi) are asked for it; with the
others, what a `{name:path}` part can match decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from mogan_hil.api.expose import Route
from mogan_hil.common import exception

_PART = re.compile(r"\{(\w+)(:path)?\}")

#: Stands for a slash within a part, where the path as it was sent tells the two apart.
_INNER = "\x00"


class Router:
    """Every route of an application. Of those that a path fits, the most literal one that takes the method answers."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: Sequence[Route] = tuple(routes)
        by_path: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            methods = by_path.setdefault(route.path, {})
            if route.method in methods:
                raise ValueError(f"{route.method} {route.path} is routed twice")
            methods[route.method] = route
        # More literal text first: /ports/{port:path}/nic before /ports/{port:path}.
        ordered = sorted(by_path.items(), key=lambda item: -len(_PART.sub("", item[0])))
        self._patterns = [(_pattern(path), methods) for path, methods in ordered]

    def match(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """The route of a request, and the parts of its path.

        :param path: see :func:`sent_path`
        :raises exception.RouteNotFound: there is nothing
        :raises exception.MethodNotAllowed: there is, but nothing with this method
        """
        path = path.rstrip("/") or "/"
        allowed: set[str] = set()
        for pattern, methods in self._patterns:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            parts = found.groupdict()
            if allowed and any("/" in value for value in parts.values()):
                continue  # a wrong method for the word at the end, and no port whose name ends with it
            route = methods.get("GET" if method == "HEAD" else method)
            if route is None:  # of another pattern perhaps: something may be named like the last word of this one
                allowed |= set(methods)
                continue
            return route, {name: value.replace(_INNER, "/") for name, value in parts.items()}
        if allowed:
            raise exception.MethodNotAllowed(method=method, allowed=tuple(sorted(allowed)))
        raise exception.RouteNotFound()


def _pattern(path: str) -> re.Pattern[str]:
    regex, last = "", 0
    for part in _PART.finditer(path):
        regex += re.escape(path[last : part.start()])
        regex += f"(?P<{part[1]}>.+?)" if part[2] else f"(?P<{part[1]}>[^/]+)"
        last = part.end()
    return re.compile(regex + re.escape(path[last:]))


def sent_path(environ: Mapping[str, str]) -> str:
    """The path of a request below the application, decoded, with slashes that were sent as %2F told apart.

    :raises exception.BadRequest: it is not UTF-8, or has a NUL
    """
    try:
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise exception.BadRequest(reason="the path is not UTF-8") from None
    if _INNER in path or "\n" in path:
        raise exception.BadRequest(reason="the path has a NUL or a line break")
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if "%2f" not in raw.lower():
        return path
    try:
        sent = urlsplit(raw).path
    except ValueError:  # it is no address: `//[`
        return path
    parts = [unquote(part, errors="replace").replace("/", _INNER) for part in sent.split("/")]
    prefix = environ.get("SCRIPT_NAME", "").count("/")
    kept = "/".join(["", *parts[1 + prefix :]])
    # Where a proxy rewrites paths the two differ: then only the decoded one counts. cheroot leaves %2F as it is.
    return kept if kept.replace(_INNER, "/") == path.replace("%2F", "/").replace("%2f", "/") else path
