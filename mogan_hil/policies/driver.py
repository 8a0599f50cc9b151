# SPDX-License-Identifier: Apache-2.0
"""Drivers."""

from __future__ import annotations

from mogan_hil.policies import base

LIST = "driver:list"

RULES = [
    base.rule(
        LIST, base.SITE_READER, "List the installed drivers, their options and capabilities.", ("GET", "/v1/drivers")
    )
]
