# SPDX-License-Identifier: Apache-2.0
"""/v1/drivers"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mogan_hil.api.expose import Listing, route
from mogan_hil.verbs import drivers
from mogan_hil.verbs.base import Call


@route("GET", "/v1/drivers", listing=Listing("drivers"))
def list_(call: Call) -> Sequence[Mapping[str, Any]]:
    """List the installed drivers."""
    return drivers.list_(call)
