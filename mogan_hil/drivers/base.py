# SPDX-License-Identifier: Apache-2.0
"""What every kind of driver has in common.

A driver has two verbs: make it so, and tell what is. Both may be called again at any time with the same result. It
takes frozen data and returns values; it never sees a row, a request or a session. One driver object serves one device,
is made by the conductor, and is called by one thread at a time.

A third party adds a driver with one file and one entry-point line in the kind's namespace (`mogan_hil.switch`,
`mogan_hil.obm`, `mogan_hil.deploy`, `mogan_hil.headnode`, `mogan_hil.allocator`, `mogan_hil.ipam`,
`mogan_hil.network`), and proves it with the contract tests of :mod:`mogan_hil.drivers.testing`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mogan_hil.common.masking import MASK, masked

Options = Mapping[str, Any]


class DriverError(Exception):
    """A device refused, or could not be asked.

    :param user: one sentence for the tenant, without addresses, accounts or secrets
    :param operator: the details for the log and for administrators; the user's sentence if there are none
    :param transient: True where the same call may succeed later; the conductor then tries again, a bounded number of
        times and with back-off. Anything else ends the operation.
    :param undone: True where it is certain that nothing of the call was done: it ended before the device was told, or
        the device refused it. What makes a difference when it is done twice is tried again only then.
    """

    def __init__(
        self, user: str, operator: str | None = None, *, transient: bool = False, undone: bool = False
    ) -> None:
        super().__init__(operator or user)
        self.user = user
        self.operator = operator or user
        self.transient = transient
        self.undone = undone

    def mask(self, hidden: Collection[str]) -> None:
        """Take these secrets out of the texts, should a library have put them there."""
        self.user, self.operator = masked(self.user, hidden), masked(self.operator, hidden)
        self.args = (self.operator,)


class Unsupported(DriverError):
    """The driver cannot do this at all; its capabilities say so beforehand."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a driver object runs.

    :param uuid: the device's uuid
    :param name: the device's name, for messages
    :param state_dir: a directory of the conductor that outlives the process; only the fakes keep their device there
    :param timeout: seconds that one call may take; a driver passes it on to its transport
    """

    uuid: str
    name: str
    state_dir: Path
    timeout: float = 30.0


class Driver:
    """The base of each kind.

    `options_schema` is a JSON Schema (draft 2020-12) of an object with `additionalProperties: false`. Properties with
    `writeOnly: true` are secrets: they are kept apart and sealed, and masked in every answer, log and error. Beside an
    `enum`, `refused` may say of values that are not in it why, which is then told.
    Secrets are bound to the options beside them, so that nobody has them sent elsewhere: who changes another option has
    to give the secrets again, but for `harmless_options`, which have no part in where a secret goes and who may see it.
    `capabilities` tells beforehand what the driver can do, in the words of its kind: of the class what it can do at
    best, of an object what it can do with its device.
    """

    options_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}
    capabilities: frozenset[str] = frozenset()
    harmless_options: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def summary(cls) -> str:
        """The first line of the class's docstring, for lists of drivers."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]

    @classmethod
    def capabilities_of(cls, options: Options) -> frozenset[str]:
        """What the driver can do with a device of these options, without asking the device."""
        return cls.capabilities

    @classmethod
    def secret_options(cls) -> frozenset[str]:
        """The names of the options that are secret."""
        properties: Mapping[str, Mapping[str, Any]] = cls.options_schema.get("properties", {})
        return frozenset(name for name, schema in properties.items() if schema.get("writeOnly"))


__all__ = ["MASK", "Driver", "DriverError", "Environment", "Options", "Unsupported"]
