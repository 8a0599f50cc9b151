# SPDX-License-Identifier: Apache-2.0
"""Versions, and the schema of the API."""

from __future__ import annotations

from typing import Any

from mogan_hil.api import version
from mogan_hil.api.expose import route
from mogan_hil.verbs.base import Call


def _v1(base: str) -> dict[str, Any]:
    # Links are whole addresses, as clients of OpenStack want them, also where the service is below some path.
    return {
        "id": "v1",
        "status": "CURRENT",
        "min_version": f"1.{version.LOWEST}",
        "version": f"1.{version.HIGHEST}",
        "links": [
            {"rel": "self", "href": f"{base}/v1"},
            {"rel": "describedby", "href": f"{base}/v1/openapi.json", "type": "application/json"},
        ],
    }


@route("GET", "/", public=True, linked=True)
def versions(_call: Call, base: str) -> dict[str, Any]:
    """List the versions of the API."""
    return {"versions": [_v1(base)]}


@route("GET", "/v1", public=True, linked=True)
def v1(_call: Call, base: str) -> dict[str, Any]:
    """Show version 1 of the API."""
    return {"version": _v1(base)}


@route("GET", "/v1/openapi.json", public=True)
def openapi(_call: Call) -> dict[str, Any]:
    """Show the schema of the API."""
    raise NotImplementedError("the application answers this one itself: it is what knows every route")
