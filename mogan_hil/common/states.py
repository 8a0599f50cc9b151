# SPDX-License-Identifier: Apache-2.0
"""The states of each noun, and which may follow which. The database constraints and the documentation follow these."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

from automaton import machines


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


class GroupPolicy(StrEnum):
    """What a server group wants of the failure domains of its instances: one for all, or another for each."""

    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"


class Headnode(StrEnum):
    """A headnode. Those that end in -ing are left by the operation that entered them, however that ends."""

    NEW = "new"
    STARTING = "starting"
    ACTIVE = "active"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DELETING = "deleting"
    ERROR = "error"


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


#: Where an instance stays until somebody asks for something.
INSTANCE_STABLE = frozenset({Instance.ACTIVE, Instance.STOPPED, Instance.ERROR})


class Event(StrEnum):
    """What happens to an instance. It is found on or off when somebody else switched its node."""

    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    REBUILD = "rebuild"
    DELETE = "delete"
    DONE = "done"
    FAIL = "fail"
    ABANDON = "abandon"
    FOUND_ON = "found-on"
    FOUND_OFF = "found-off"


#: From a state, by an event, to a state. What is not here is refused. Deleting ends with the row. To abandon is to end
#: an operation that nobody can say anything about, such as one that killed every conductor.
_INSTANCE_TABLE = (
    (Instance.BUILDING, Event.DONE, Instance.ACTIVE),
    (Instance.BUILDING, Event.FAIL, Instance.ERROR),
    (Instance.BUILDING, Event.DELETE, Instance.DELETING),
    (Instance.ACTIVE, Event.START, Instance.POWERING_ON),
    (Instance.ACTIVE, Event.STOP, Instance.POWERING_OFF),
    (Instance.ACTIVE, Event.REBOOT, Instance.REBOOTING),
    (Instance.ACTIVE, Event.REBUILD, Instance.REBUILDING),
    (Instance.ACTIVE, Event.DELETE, Instance.DELETING),
    (Instance.ACTIVE, Event.FOUND_OFF, Instance.STOPPED),
    (Instance.STOPPED, Event.START, Instance.POWERING_ON),
    (Instance.STOPPED, Event.STOP, Instance.POWERING_OFF),
    (Instance.STOPPED, Event.REBUILD, Instance.REBUILDING),
    (Instance.STOPPED, Event.DELETE, Instance.DELETING),
    (Instance.STOPPED, Event.FOUND_ON, Instance.ACTIVE),
    (Instance.ERROR, Event.DELETE, Instance.DELETING),
    (Instance.POWERING_ON, Event.DONE, Instance.ACTIVE),
    (Instance.POWERING_OFF, Event.DONE, Instance.STOPPED),
    (Instance.REBOOTING, Event.DONE, Instance.ACTIVE),
    (Instance.REBUILDING, Event.DONE, Instance.ACTIVE),
    (Instance.REBUILDING, Event.FAIL, Instance.ERROR),
    (Instance.DELETING, Event.FAIL, Instance.ERROR),
    *((state, Event.ABANDON, Instance.ERROR) for state in Instance if state not in INSTANCE_STABLE),
)


def _machine() -> machines.FiniteMachine:
    machine = machines.FiniteMachine()
    for state in Instance:
        machine.add_state(str(state))
    for before, event, after in _INSTANCE_TABLE:
        machine.add_transition(str(before), str(after), str(event))
    machine.default_start_state = str(Instance.BUILDING)
    machine.freeze()
    return machine


#: The table as a machine, which refuses what is said twice and can be drawn.
INSTANCE_MACHINE = _machine()

INSTANCE_NEXT = MappingProxyType(
    {(Instance(before), Event(event)): Instance(after) for before, event, after in INSTANCE_MACHINE}
)

#: Which states an instance may come back to that was left as it was: a change of power failed, or was withdrawn.
INSTANCE_BACK = MappingProxyType(
    {
        Instance.POWERING_ON: frozenset({Instance.ACTIVE, Instance.STOPPED}),
        Instance.POWERING_OFF: frozenset({Instance.ACTIVE, Instance.STOPPED}),
        Instance.REBOOTING: frozenset({Instance.ACTIVE}),
        Instance.REBUILDING: frozenset({Instance.ACTIVE, Instance.STOPPED}),
        Instance.DELETING: frozenset({Instance.BUILDING, Instance.ACTIVE, Instance.STOPPED, Instance.ERROR}),
    }
)

#: While it is made or unmade nobody else may change what is beneath it.
INSTANCE_UNSETTLED = frozenset({Instance.BUILDING, Instance.DELETING})


class Console(StrEnum):
    """A node's console. `starting` is left by the operation that entered it, however that ends. `lost`: the line or the
    conductor that held it is gone, and it is being opened again; one that cannot be is stopped.
    """

    STARTING = "starting"
    ACTIVE = "active"
    LOST = "lost"
    STOPPED = "stopped"


class Port(StrEnum):
    """A switch port as last seen: `new` was never configured; `error` is parked or could not be reached."""

    NEW = "new"
    OK = "ok"
    ERROR = "error"
