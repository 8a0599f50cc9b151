# SPDX-License-Identifier: Apache-2.0
"""openstack hil claim ..."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from osc_lib import exceptions

from mogan_hil.client.osc import arguments, base, waiting
from mogan_hil.client.osc.arguments import many, number, text


class Create(base.Show):
    """Claim several nodes and attach networks to them: all, or none."""

    route = "POST /v1/claims"
    arguments = (
        number("count", "How many nodes"),
        many("nodes", "--node", "This node, in place of a number"),
        text("resource_class", "Only nodes of this kind"),
        many("traits", "--trait", "Only nodes that have it"),
        text("availability_zone", "Only nodes of this zone"),
        text("project_id", "Name or UUID of the project that gets them (default: one's own)", flag="--project"),
        arguments.wires(),
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        waiting.add(parser)
        return parser

    def call(self, name: str, path: Sequence[str], parsed: argparse.Namespace) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = super().call(name, path, parsed)
        if "nodes" in answer:  # nothing is to be wired: it is done
            return {"nodes": answer["nodes"]}
        if parsed.wait:
            (answer,) = waiting.wait(self.api, [answer], parsed.timeout)
            error = waiting.outcome(answer, True)
            if error:
                raise exceptions.CommandError(f"Operation {answer['uuid']}: {error}")
        return answer
