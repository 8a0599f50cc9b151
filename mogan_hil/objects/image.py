# SPDX-License-Identifier: Apache-2.0
"""Images: what an instance boots, and where that is fetched."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mogan_hil.db import models
from mogan_hil.objects import base


class Image(base.Stored):
    """`kernel`, `initrd` and `disk` are each an address and a SHA-256: `{"url", "sha256"}`."""

    MODEL = models.Image
    KIND = "image"

    name: str
    description: str
    project_id: str | None
    kernel: dict[str, Any]
    initrd: dict[str, Any]
    disk: dict[str, Any] | None
    arguments: str
    disabled: bool
    created_at: datetime


def images_of(project_id: str | None) -> sa.ColumnElement[bool]:
    """The condition for images that a project may use, or look at if they are disabled: its own and the public ones."""
    owner = models.Image.project_id
    return sa.or_(owner.is_(None), owner == (project_id or ""))
