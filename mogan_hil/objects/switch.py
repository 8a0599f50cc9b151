# SPDX-License-Identifier: Apache-2.0
"""Switches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mogan_hil.db import models
from mogan_hil.objects import base


class Switch(base.Stored):
    MODEL = models.Switch
    KIND = "switch"

    name: str
    description: str
    driver: str
    options: dict[str, Any]
    secrets: dict[str, Any]
    physical_network: str
    identity: str | None
    unsettled_until: datetime | None
    generation: int
    created_at: datetime

    @property
    def unsettled(self) -> bool:
        """Whether a call that was given up may still change it."""
        return self.unsettled_until is not None and self.unsettled_until > models.now()

    @property
    def lane(self) -> str:
        """The lane of everything that is done on this switch."""
        return f"switch:{self.uuid}"
