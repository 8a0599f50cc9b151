# SPDX-License-Identifier: Apache-2.0
"""openstack hil node console ... and openstack hil instance console ..."""

from __future__ import annotations

import argparse
import re
import sys

from mogan_hil.client.osc import arguments, base
from mogan_hil.client.osc.arguments import number

NODE = "/v1/nodes/{node}/console"
INSTANCE = "/v1/instances/{instance}/console"

#: What could make a terminal do things: all control characters but tab and line feed.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Log(base.Base):
    """What a console has written, as it is; on a terminal without what that would obey."""

    arguments = (
        number("offset", "Begin at this byte (default: the oldest that is kept)"),
        number("length", "At most so many bytes"),
    )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        ((_, path),) = self.paths(parsed_args)
        text = self.api.text(*path, **base.query(arguments.given(parsed_args)))
        self.app.stdout.write(CONTROL.sub("", text) if sys.stdout.isatty() else text)


class NodeConsoleStart(base.Work):
    """Open the serial consoles of nodes."""

    route = f"PUT {NODE}"
    many = True


class NodeConsoleStop(base.Work):
    """Close the serial consoles of nodes."""

    route = f"DELETE {NODE}"
    many = True


class NodeConsoleLogShow(Log):
    """Show what the console of a node has written."""

    route = f"GET {NODE}"


class NodeConsoleUrlShow(base.Show):
    """Show where the live stream of a node's console is. Who has the address has the console."""

    route = f"GET {NODE}/stream"
    fixed = {"redirect": False}


class InstanceConsoleStart(base.Work):
    """Open the serial consoles of instances."""

    route = f"PUT {INSTANCE}"
    many = True


class InstanceConsoleStop(base.Work):
    """Close the serial consoles of instances."""

    route = f"DELETE {INSTANCE}"
    many = True


class InstanceConsoleLogShow(Log):
    """Show what the console of an instance has written."""

    route = f"GET {INSTANCE}"


class InstanceConsoleUrlShow(base.Show):
    """Show where the live stream of an instance's console is. Who has the address has the console."""

    route = f"GET {INSTANCE}/stream"
    fixed = {"redirect": False}
