# SPDX-License-Identifier: Apache-2.0
"""The contract of an out-of-band management (OBM) driver: power, boot device and console of one node."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from enum import StrEnum

from mogan_hil.drivers.base import Driver, Environment, Options, Unsupported

#: Capabilities of an OBM driver.
BOOT_DEVICE = "boot_device"
CLEAR_BOOT_DEVICE = "clear_boot_device"  #: besides BOOT_DEVICE
CONSOLE = "console"
SOFT_OFF = "soft_off"


class Power(StrEnum):
    """What a power supply may be asked for. `ON` and `OFF` are also what it may be."""

    ON = "on"
    OFF = "off"
    SOFT_OFF = "soft_off"
    CYCLE = "cycle"
    RESET = "reset"


class Turning(StrEnum):
    """What a node may be besides on and off: on its way, and neither of both."""

    POWERING_ON = "powering_on"
    POWERING_OFF = "powering_off"


class Console(Iterator[bytes], abc.ABC):
    """The serial console of a node: what it writes, piece by piece, and what is typed; `next` waits for more.

    One thread reads and another writes, at the same time. `close` ends it, from any thread and as often as wanted; a
    `next` that waits then raises `StopIteration` within a second, and what is written is thrown away.
    """

    @abc.abstractmethod
    def write(self, data: bytes) -> None:
        """Type these bytes. May wait until the controller has taken them; a console that was lost takes none.

        :raises DriverError: never: a console that was lost says so to whoever reads it
        """

    @abc.abstractmethod
    def close(self) -> None:
        """End it."""


class ObmDriver(Driver, abc.ABC):
    """One node's controller. The constructor does no input or output."""

    def __init__(self, options: Options, environment: Environment) -> None:
        self.options = options
        self.environment = environment

    @abc.abstractmethod
    def set_power(self, target: Power) -> None:
        """Make it so. `ON` and `OFF` are fulfilled at once where the node is so already.

        `CYCLE` and `RESET` are sent once, however late the answer is: to send them again would be another one.

        :raises DriverError: the controller refused or could not be asked; `undone` where it certainly did nothing.
            Without that nobody tries `CYCLE` and `RESET` again.
        """

    @abc.abstractmethod
    def power(self) -> Power | Turning:
        """`Power.ON` or `Power.OFF`, asked from the controller; what it is on its way to where that is told.

        :raises DriverError: the controller could not be asked
        """

    def boot_devices(self) -> frozenset[str]:
        """The boot devices that this node can be set to."""
        raise Unsupported("The boot device of this node cannot be set.")

    def boot_device(self) -> tuple[str | None, bool]:
        """The boot device of the next boot, None if none is forced, and whether it stays after that boot."""
        raise Unsupported("The boot device of this node cannot be read.")

    def set_boot_device(self, device: str, persistent: bool) -> None:
        """Boot from this device next time, or every time.

        :param device: one of `boot_devices()`
        :raises DriverError: not one of them, or the controller refused
        """
        raise Unsupported("The boot device of this node cannot be set.")

    def clear_boot_device(self) -> None:
        """Force no boot device: boot from now on as the node's own setup says. The same again changes nothing.

        :raises DriverError: the controller refused
        """
        raise Unsupported("The boot device of this node cannot be cleared.")

    def console(self) -> Console:
        """The node's serial console, from now on.

        :raises DriverError: the controller could not be asked
        """
        raise Unsupported("This node has no console.")

    def close(self) -> None:
        """End the session, if there is one."""
