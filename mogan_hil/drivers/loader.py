# SPDX-License-Identifier: Apache-2.0
"""Finds drivers by stevedore, one namespace a kind."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any, cast

import jsonschema
import stevedore
from oslo_log import log

from mogan_hil.common import exception
from mogan_hil.drivers.allocator.base import Allocator
from mogan_hil.drivers.base import Driver
from mogan_hil.drivers.deploy.base import DeployDriver
from mogan_hil.drivers.headnode.base import HeadnodeDriver
from mogan_hil.drivers.ipam.base import Ipam
from mogan_hil.drivers.network.base import NetworkDriver
from mogan_hil.drivers.obm.base import ObmDriver
from mogan_hil.drivers.switch.base import SwitchDriver

LOG = log.getLogger(__name__)

KINDS: Mapping[str, type[Driver]] = {
    "switch": SwitchDriver,
    "obm": ObmDriver,
    "deploy": DeployDriver,
    "headnode": HeadnodeDriver,
    "allocator": Allocator,
    "ipam": Ipam,
    "network": NetworkDriver,
}


def _failed(_manager: object, entry_point: object, error: BaseException) -> None:
    # What an optional extra would have installed is not there: that is a choice, and no error.
    level = logging.INFO if isinstance(error, ModuleNotFoundError) else logging.ERROR
    LOG.log(
        level, "Driver %(entry)s cannot be loaded and is left out: %(error)s", {"entry": entry_point, "error": error}
    )


class Drivers:
    """The driver classes that are installed. A driver that cannot be imported is left out and logged."""

    def __init__(self) -> None:
        self._classes = {kind: self._load(kind, base) for kind, base in KINDS.items()}

    @staticmethod
    def _load(kind: str, base: type[Driver]) -> dict[str, type[Driver]]:
        manager: stevedore.ExtensionManager[Driver] = stevedore.ExtensionManager(
            f"mogan_hil.{kind}", on_load_failure_callback=_failed
        )
        found = {extension.name: extension.plugin for extension in manager}
        for name, plugin in found.items():
            if not (isinstance(plugin, type) and issubclass(plugin, base)):
                raise TypeError(f"{kind} driver {name} is not a {base.__name__}")
        return found

    def names(self, kind: str) -> list[str]:
        """The drivers of a kind, sorted."""
        return sorted(self._classes[kind])

    def get(self, kind: str, name: str) -> type[Driver]:
        """The class of a driver.

        :raises exception.BadField: it is not installed
        """
        try:
            return self._classes[kind][name]
        except KeyError:
            raise exception.BadField(
                field="driver", reason=f"there is no {kind} driver {name!r}; there are {', '.join(self.names(kind))}"
            ) from None

    def switch(self, name: str) -> type[SwitchDriver]:
        """The class of a switch driver; see :meth:`get`."""
        return cast("type[SwitchDriver]", self.get("switch", name))

    def obm(self, name: str) -> type[ObmDriver]:
        """The class of an OBM driver; see :meth:`get`."""
        return cast("type[ObmDriver]", self.get("obm", name))

    def deploy(self, name: str) -> type[DeployDriver]:
        """The class of a deploy driver; see :meth:`get`."""
        return cast("type[DeployDriver]", self.get("deploy", name))

    def headnode(self, name: str) -> type[HeadnodeDriver]:
        """The class of a headnode driver; see :meth:`get`."""
        return cast("type[HeadnodeDriver]", self.get("headnode", name))

    def allocator(self, name: str) -> type[Allocator]:
        """The class of an allocator; see :meth:`get`."""
        return cast("type[Allocator]", self.get("allocator", name))

    def ipam(self, name: str) -> type[Ipam]:
        """The class of an IPAM driver; see :meth:`get`."""
        return cast("type[Ipam]", self.get("ipam", name))

    def network(self, name: str) -> type[NetworkDriver]:
        """The class of a network driver; see :meth:`get`."""
        return cast("type[NetworkDriver]", self.get("network", name))


def _refused(error: jsonschema.ValidationError) -> str | None:
    """Why a value is refused, if the schema says that of it: such a value is no secret."""
    known = error.schema.get("refused", {}) if isinstance(error.schema, Mapping) else {}
    return known.get(error.instance) if isinstance(error.instance, str) else None


def check_options(
    driver: type[Driver], options: Mapping[str, Any], field: str = "options", kept: Collection[str] = ()
) -> None:
    """Check options against the driver's schema. No value is repeated in the error: it may be a secret.

    :param kept: secrets that were checked when they were written and cannot be read now; they count as given
    :raises exception.BadField: the first thing that is wrong
    """
    schema = dict(driver.options_schema)
    if kept:
        schema["properties"] = {**schema["properties"], **dict.fromkeys(kept, True)}
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors({**options, **dict.fromkeys(kept)}))
    if error is None:
        return
    where = ".".join([field, *(str(part) for part in error.absolute_path)])
    if error.validator in ("required", "additionalProperties", "dependentRequired"):
        reason = error.message
    elif why := _refused(error):
        reason = f"{error.instance} is refused: {why}"
    else:
        reason = f"does not fit {error.validator}: {error.validator_value!r}"
    raise exception.BadField(field=where, reason=reason)
