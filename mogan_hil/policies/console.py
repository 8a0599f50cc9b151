# SPDX-License-Identifier: Apache-2.0
"""Serial consoles of nodes, and of instances, which are those of their nodes."""

from __future__ import annotations

from mogan_hil.policies import base

GET = "console:get"
STREAM = "console:stream"
TYPE = "console:type"
START = "console:start"
STOP = "console:stop"

NODE = "/v1/nodes/{node}/console"
INSTANCE = "/v1/instances/{instance}/console"


def _both(method: str, rest: str = "") -> list[tuple[str, str]]:
    return [(method, NODE + rest), (method, INSTANCE + rest)]


RULES = [
    base.rule(GET, base.PROJECT_READER, "Read what a console has written.", *_both("GET")),
    base.rule(STREAM, base.PROJECT_READER, "Follow a console.", *_both("GET", "/stream")),
    base.rule(
        TYPE,
        base.PROJECT_MEMBER,
        "Type on a console that is followed; on a locked instance's, whoever may change that.",
        *_both("GET", "/stream"),
    ),
    base.rule(START, base.PROJECT_MEMBER, "Open a console.", *_both("PUT")),
    base.rule(STOP, base.PROJECT_MEMBER, "Close a console.", *_both("DELETE")),
]
