# SPDX-License-Identifier: Apache-2.0
"""Drivers: which are installed, and what they need and can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mogan_hil.drivers import loader
from mogan_hil.policies import driver as rules
from mogan_hil.verbs.base import Call


def list_(call: Call) -> Sequence[Mapping[str, Any]]:
    """Every driver of every kind."""
    call.check(rules.LIST)
    drivers = call.services.drivers
    found = []
    for kind in loader.KINDS:
        for name in drivers.names(kind):
            driver = drivers.get(kind, name)
            found.append(
                {
                    "kind": kind,
                    "name": name,
                    "summary": driver.summary(),
                    "options_schema": driver.options_schema,
                    "capabilities": sorted(driver.capabilities),
                }
            )
    return found
