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


class Instance(StrEnum):
    """An instance. Those that end in -ing are left by the operation that entered them, however that ends."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    POWERING_ON = "powering-on"
    POWERING_OFF = "powering-off"
    REBOOTING = "rebooting"
    REBUILDING = "rebuilding"
    DELETING = "deleting"
    ERROR = "error"


class Event(StrEnum):
    """What happens to an instance."""

    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    REBUILD = "rebuild"
    DELETE = "delete"
    DONE = "done"
    FAIL = "fail"
    ABANDON = "abandon"


#: From a state, by an event, to a state. What is not here is refused. Deleting ends with the row. To abandon is to end
#: an operation that nobody can say anything about, such as one that killed every conductor.
INSTANCE_NEXT = MappingProxyType(
    {
        (Instance.BUILDING, Event.DONE): Instance.ACTIVE,
        (Instance.BUILDING, Event.FAIL): Instance.ERROR,
        (Instance.ACTIVE, Event.START): Instance.POWERING_ON,
        (Instance.ACTIVE, Event.STOP): Instance.POWERING_OFF,
        (Instance.ACTIVE, Event.REBOOT): Instance.REBOOTING,
        (Instance.ACTIVE, Event.REBUILD): Instance.REBUILDING,
        (Instance.ACTIVE, Event.DELETE): Instance.DELETING,
        (Instance.STOPPED, Event.START): Instance.POWERING_ON,
        (Instance.STOPPED, Event.STOP): Instance.POWERING_OFF,
        (Instance.STOPPED, Event.REBUILD): Instance.REBUILDING,
        (Instance.STOPPED, Event.DELETE): Instance.DELETING,
        (Instance.ERROR, Event.DELETE): Instance.DELETING,
        (Instance.POWERING_ON, Event.DONE): Instance.ACTIVE,
        (Instance.POWERING_OFF, Event.DONE): Instance.STOPPED,
        (Instance.REBOOTING, Event.DONE): Instance.ACTIVE,
        (Instance.REBUILDING, Event.DONE): Instance.ACTIVE,
        (Instance.REBUILDING, Event.FAIL): Instance.ERROR,
        (Instance.DELETING, Event.FAIL): Instance.ERROR,
        **{
            (state, Event.ABANDON): Instance.ERROR
            for state in (
                Instance.BUILDING,
                Instance.POWERING_ON,
                Instance.POWERING_OFF,
                Instance.REBOOTING,
                Instance.REBUILDING,
                Instance.DELETING,
            )
        },
    }
)

#: Which states an instance may come back to that was left as it was: a change of power failed, or was withdrawn.
INSTANCE_BACK = MappingProxyType(
    {
        Instance.POWERING_ON: frozenset({Instance.ACTIVE, Instance.STOPPED}),
        Instance.POWERING_OFF: frozenset({Instance.ACTIVE, Instance.STOPPED}),
        Instance.REBOOTING: frozenset({Instance.ACTIVE}),
        Instance.REBUILDING: frozenset({Instance.ACTIVE, Instance.STOPPED}),
        Instance.DELETING: frozenset({Instance.ACTIVE, Instance.STOPPED, Instance.ERROR}),
    }
)

#: While it is made or unmade nobody else may change what is beneath it.
INSTANCE_UNSETTLED = frozenset({Instance.BUILDING, Instance.DELETING})


class Port(StrEnum):
    """A switch port as last seen: `new` was never configured; `error` is parked or could not be reached."""

    NEW = "new"
    OK = "ok"
    ERROR = "error"
