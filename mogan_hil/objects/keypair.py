# SPDX-License-Identifier: Apache-2.0
"""Public keys of users. The database refuses a user two of one name; private keys are nowhere."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.db import models
from mogan_hil.objects import base


class Keypair(base.Stored):
    MODEL = models.Keypair
    KIND = "keypair"

    name: str
    user_id: str
    type: str
    fingerprint: str
    public_key: str
    created_at: datetime

    @staticmethod
    def forget(session: orm.Session, user_id: str) -> None:
        """Delete a user's."""
        for rows in (models.KeyOwner, models.Keypair):
            session.execute(sa.delete(rows).where(rows.user_id == user_id))
