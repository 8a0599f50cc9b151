# SPDX-License-Identifier: Apache-2.0
"""openstack hil show"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from osc_lib.command import command

from mogan_hil.client import rest
from mogan_hil.client.osc import base, cells

#: The lists, and for each what is beneath the things in it.
KINDS = {
    "projects": (),
    "users": (),
    "drivers": (),
    "switches": ("ports",),
    "nodes": ("nics",),
    "networks": ("attachments",),
    "flavors": (),
    "instances": ("interfaces",),
}


class Show(base.Base, command.ShowOne):
    """Show everything that the user may see, in JSON or YAML: for other programs, and to keep."""

    @property
    def formatter_default(self) -> str:
        return "json"

    def take_action(self, _parsed: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        return cells.one({kind: found for kind in KINDS if (found := self._list(kind)) is not None})

    def _list(self, kind: str) -> list[Any] | None:
        """Everything of a kind; None if the user may not see such things, or there are none in this service."""
        found = self._pages(kind, kind)
        for item in found or ():
            for inner in KINDS[kind]:
                item[inner] = self._pages(inner, kind, item["uuid"], inner)
        return found

    def _pages(self, key: str, *path: str) -> list[dict[str, Any]] | None:
        unpaged = key in ("drivers", "nics", "interfaces")
        try:
            return list(self.api.get(*path)[key] if unpaged else self.api.pages(key, *path))
        except rest.ApiError as error:
            if error.status in (403, 404, 409):  # 404 also where it was deleted meanwhile
                return None
            raise
