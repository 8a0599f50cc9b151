# SPDX-License-Identifier: Apache-2.0
"""What the API's reads are compared with: the least that a Python web server can do, on the same server.

`python -m benchmarks.floors wsgi|pecan DIRECTORY` serves `one.json` and `list.json` of the directory on a free port.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
import pecan
import webob
from pecan import rest

from mogan_hil.api import process


def wsgi(directory: Path) -> Callable[..., Any]:
    """Bytes that are ready, and nothing else: no routing, no authentication, no database."""
    one, many = ((directory / name).read_bytes() for name in ("one.json", "list.json"))

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = many if environ["PATH_INFO"] == "/v1/nodes" else one
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return app


def pecan_app(directory: Path) -> Callable[..., Any]:
    """Pecan finds the controller; values that are ready are written as JSON."""
    one, many = (orjson.loads((directory / name).read_bytes()) for name in ("one.json", "list.json"))

    def answer(value: Any) -> webob.Response:
        return webob.Response(body=orjson.dumps(value), content_type="application/json")

    class Nodes(rest.RestController):  # type: ignore[misc]
        @pecan.expose()  # type: ignore[untyped-decorator]
        def get_one(self, _node: str) -> webob.Response:
            return answer(one)

        @pecan.expose()  # type: ignore[untyped-decorator]
        def get_all(self, **_query: str) -> webob.Response:
            return answer(many)

    class V1:
        nodes = Nodes()

    class Root:
        v1 = V1()

    app: Callable[..., Any] = pecan.make_app(Root())
    return app


def main() -> None:
    """Run the command."""
    made = {"wsgi": wsgi, "pecan": pecan_app}[sys.argv[1]](Path(sys.argv[2]))
    server = process.Server(made, ("127.0.0.1", 0), 8, alone=True)
    print(f"listening on {server.url}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
