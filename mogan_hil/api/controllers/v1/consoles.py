# SPDX-License-Identifier: Apache-2.0
"""/v1/nodes/{node}/console and /v1/instances/{instance}/console"""

from __future__ import annotations

from mogan_hil.api.expose import Answer, accepted, route
from mogan_hil.api.types import Flag, Number
from mogan_hil.policies.console import INSTANCE, NODE
from mogan_hil.verbs import consoles
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.consoles import Record, Stream

PART = {"offset": Number(0, 2**63 - 1), "length": Number(0, 2**31 - 1)}
REDIRECT = {"redirect": Flag()}


def _recorded(found: Record) -> Answer:
    """Without a text it is 204, which says the same."""
    told = {"Console-Status": found.status, "Console-Start": str(found.start), "Console-End": str(found.end)}
    return Answer(200, found.text.encode(), headers=told) if found.text else Answer(204, None, headers=told)


def _led(found: Stream, redirect: bool) -> Answer:
    never = {"Cache-Control": "no-store"}  # who has the address has the console
    if redirect:
        return Answer(307, None, found.url, headers=never)
    shown = {
        "url": found.url,
        "websocket_url": found.websocket_url,
        "mode": "read-write" if found.types else "read-only",
        "expires_at": found.expires_at,
    }
    return Answer(200, shown, headers=never)


@route("PUT", NODE)
def start(call: Call, node: str) -> Answer:
    """Open the serial console of a node."""
    return accepted(call, consoles.start(call, node))


@route("DELETE", NODE)
def stop(call: Call, node: str) -> Answer:
    """Close the serial console of a node."""
    return accepted(call, consoles.stop(call, node))


@route("GET", NODE, query=PART)
def get(call: Call, node: str, offset: int = 0, length: int | None = None) -> Answer:
    """Read what the console of a node has written, as text."""
    return _recorded(consoles.record(call, node=node, offset=offset, length=length))


@route("GET", f"{NODE}/stream", query=REDIRECT)
def stream(call: Call, node: str, redirect: bool = True) -> Answer:
    """Be led to the live stream of a node's console."""
    return _led(consoles.stream(call, node=node), redirect)


@route("PUT", INSTANCE)
def start_instance(call: Call, instance: str) -> Answer:
    """Open the serial console of an instance."""
    return accepted(call, consoles.start_instance(call, instance))


@route("DELETE", INSTANCE)
def stop_instance(call: Call, instance: str) -> Answer:
    """Close the serial console of an instance."""
    return accepted(call, consoles.stop_instance(call, instance))


@route("GET", INSTANCE, query=PART)
def get_instance(call: Call, instance: str, offset: int = 0, length: int | None = None) -> Answer:
    """Read what the console of an instance has written, as text."""
    return _recorded(consoles.record(call, instance=instance, offset=offset, length=length))


@route("GET", f"{INSTANCE}/stream", query=REDIRECT)
def stream_instance(call: Call, instance: str, redirect: bool = True) -> Answer:
    """Be led to the live stream of an instance's console."""
    return _led(consoles.stream(call, instance=instance), redirect)
