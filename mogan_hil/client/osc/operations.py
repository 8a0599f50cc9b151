# SPDX-License-Identifier: Apache-2.0
"""openstack hil operation ..."""

from __future__ import annotations

import argparse

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import text


class List(base.List):
    """List operations, the newest first."""

    route = "GET /v1/operations"
    arguments = (
        text("state", "Only those that are pending, running, done or error"),
        text("verb", "Only those that do this, for example attach", flag="--action"),
        text("node", "Only those on this node (its UUID)"),
        text("lane", "Only those of this lane (operators)"),
        text("project_id", "Only those of this project (name or UUID)", flag="--project"),
        text("user_id", "Only those that this user began", flag="--user"),
        text("request_id", "Only what this request began", flag="--request"),
        text("parent", "Only the steps of this operation"),
    )
    columns = ("uuid", "verb", "state", "node", "created_at", "finished_at")
    long = ("verified", "attempts", "error", "project_id", "user_id", "request_id", "lane")
    sort_keys = ("created_at",)
    sort = "created_at:desc"
    limit = 100


class Show(base.Show):
    """Show an operation."""

    route = "GET /v1/operations/{operation}"


class Wait(base.Work):
    """Wait until operations have ended; fails if one ends in error."""

    route = "GET /v1/operations/{operation}"
    many = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.set_defaults(wait=True)
        return parser
