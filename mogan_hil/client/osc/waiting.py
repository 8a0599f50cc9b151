# SPDX-License-Identifier: Apache-2.0
"""Waits for operations."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

from osc_lib import exceptions

from mogan_hil.client import rest
from mogan_hil.client.progress import Progress

#: Seconds between two questions: at first, and at the most; each time they are half as many more.
FIRST, LAST = 0.1, 5.0

#: How often in a row the service may not answer; with LAST it is about a minute, in which a restart is done.
PATIENCE = 12

ENDED = ("done", "error")


def add(parser: argparse.ArgumentParser, *, option: bool = True) -> None:
    """Add the options about waiting.

    :param option: whether it is up to the user
    """
    if option:
        parser.add_argument("--wait", action="store_true", help="Wait until the work is done")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        metavar="<seconds>",
        default=None,
        help="Wait no longer than this; the work goes on (default: as long as it takes)",
    )


def _seconds(text: str) -> float:
    found = float(text)
    if not 0 <= found < 1e9:
        raise ValueError
    return found


def wait(api: rest.Api, operations: Sequence[Mapping[str, Any]], timeout: float | None) -> list[Mapping[str, Any]]:
    """Wait until all have ended, done or in error.

    :param timeout: in seconds, None for ever
    :returns: the operations as they are then, in the same order; one that takes too long is as it was last seen
    :raises rest.ApiError: the service does not answer any more, or does not tell
    :raises exceptions.CommandError: the user has had enough
    """
    found = {operation["uuid"]: operation for operation in operations}
    progress = Progress()
    try:
        _poll(api, found, None if timeout is None else time.monotonic() + timeout, progress)
    except KeyboardInterrupt:
        uuids = " ".join(uuid for uuid, operation in found.items() if operation["state"] not in ENDED)
        raise exceptions.CommandError(f"The work goes on; see: openstack hil operation wait {uuids}") from None
    finally:
        progress.end()
    return [found[operation["uuid"]] for operation in operations]


def _poll(api: rest.Api, found: dict[str, Mapping[str, Any]], end: float | None, progress: Progress) -> None:
    pause, silent = FIRST, 0
    while True:
        open_ = [operation for operation in found.values() if operation["state"] not in ENDED]
        if not open_:
            return
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return
        progress(len(found) - len(open_), len(found), f"{open_[0]['verb']} is {open_[0]['state']}")
        time.sleep(pause if left is None else min(pause, left))
        pause = min(pause * 1.5, LAST)
        try:
            for operation in open_:
                found[operation["uuid"]] = api.get("operations", operation["uuid"])
            silent = 0
        except rest.ApiError as error:
            silent += 1
            if silent > PATIENCE or (error.status is not None and error.status < 500):
                raise


def outcome(operation: Mapping[str, Any], waited: bool) -> str:
    """What is wrong with an operation, for a column: empty if nothing is."""
    if operation["state"] == "error":
        return str(operation["error"] or "it failed")
    return "it takes longer" if waited and operation["state"] not in ENDED else ""
