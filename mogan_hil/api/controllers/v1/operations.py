# SPDX-License-Identifier: Apache-2.0
"""/v1/operations"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.expose import Listing, Page, operation_view, operation_views, route
from mogan_hil.api.types import Choice, Ref
from mogan_hil.common import states
from mogan_hil.verbs import operations
from mogan_hil.verbs.base import Call

FILTERS = {**dict.fromkeys(operations.FILTERS, Ref()), "state": Choice(*states.Operation), "parent": Ref()}


@route("GET", "/v1/operations", query=FILTERS, listing=Listing("operations", operations.SORT_KEYS))
def list_(call: Call, page: Page, parent: str | None = None, **filters: str) -> list[dict[str, Any]]:
    """List operations."""
    return operation_views(call, operations.list_(call, page, filters, parent))


@route("GET", "/v1/operations/{operation}")
def get(call: Call, operation: str) -> dict[str, Any]:
    """Show an operation."""
    return operation_view(call, operations.get(call, operation))
