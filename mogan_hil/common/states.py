# SPDX-License-Identifier: Apache-2.0
"""The states of each noun, and which may follow which. The database constraints and the documentation follow these."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType


class Operation(StrEnum):
    """An operation of the journal. `running` may go back to `pending`: a transient error, or a conductor that died."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"


OPERATION_NEXT = MappingProxyType(
    {
        Operation.PENDING: frozenset({Operation.RUNNING, Operation.ERROR}),
        Operation.RUNNING: frozenset({Operation.PENDING, Operation.RUNNING, Operation.DONE, Operation.ERROR}),
        Operation.DONE: frozenset(),
        Operation.ERROR: frozenset(),
    }
)

OPERATION_OPEN = (Operation.PENDING, Operation.RUNNING)


class Attachment(StrEnum):
    """An attachment is written when it is asked for and deleted when its port was seen without it."""

    ATTACHING = "attaching"
    ACTIVE = "active"
    DETACHING = "detaching"


#: An attachment that could not be made is detached, until its port was seen without it.
ATTACHMENT_NEXT = MappingProxyType(
    {
        Attachment.ATTACHING: frozenset({Attachment.ACTIVE, Attachment.DETACHING}),
        Attachment.ACTIVE: frozenset({Attachment.DETACHING}),
        Attachment.DETACHING: frozenset({Attachment.ACTIVE}),
    }
)


class Port(StrEnum):
    """A switch port as last seen: `new` was never configured; `error` is parked or could not be reached."""

    NEW = "new"
    OK = "ok"
    ERROR = "error"
