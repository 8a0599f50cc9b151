# SPDX-License-Identifier: Apache-2.0
"""The schema of the API, made from its routes: https://spec.openapis.org/oas/v3.1.0"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mogan_hil.api import bodies
from mogan_hil.api.expose import Route
from mogan_hil.api.query import PAGING

_ERROR = {
    "type": "object",
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["status", "code", "title", "detail", "request_id"],
                "properties": {
                    "status": {"type": "integer"},
                    "code": {"type": "string"},
                    "title": {"type": "string"},
                    "detail": {"type": "string"},
                    "request_id": {"type": "string"},
                },
            },
        }
    },
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = route.path.replace(":path}", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bare-metal isolation", "version": "1.0", "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


def _operation(route: Route, path: str) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    query = {name: dict(field.schema) for name, field in route.query.items()}
    if route.listing is not None:
        query |= {name: {"type": "string"} for name in (*(PAGING if route.listing.sort_keys else ()), "fields")}
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]
    found: dict[str, Any] = {
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            "2XX": {"description": "Done, or accepted"},
            "4XX": {
                "description": "Refused; nothing was changed",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.body is not None:
        found["requestBody"] = {"content": {"application/json": {"schema": bodies.schema(route.body)}}}
    return found
