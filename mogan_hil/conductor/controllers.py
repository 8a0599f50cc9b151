# SPDX-License-Identifier: Apache-2.0
"""The out-of-band controllers of nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from oslo_config import cfg
from oslo_log import log

from mogan_hil.common import exception, masking
from mogan_hil.common.sealing import Opener, Purpose, SealingError
from mogan_hil.conductor.devices import Devices, Trouble
from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.loader import Drivers, check_options
from mogan_hil.drivers.obm.base import ObmDriver, Power, Turning
from mogan_hil.objects.node import Node

LOG = log.getLogger(__name__)

#: What a node on its way is said to be: what it was, as it is not yet where it goes.
_NOT_YET: Mapping[Power | Turning, Power] = {Turning.POWERING_ON: Power.OFF, Turning.POWERING_OFF: Power.ON}


def _unmanageable(node: Node, detail: str) -> DriverError:
    LOG.error("No driver for the controller of node %(node)s: %(detail)s", {"node": node.name, "detail": detail})
    return DriverError(f"Node {node.name} cannot be managed by this conductor.", detail)


class Controllers(Devices[Node, ObmDriver]):
    """The controllers of nodes."""

    CALLED = "The controller of node {name}"

    def __init__(
        self, conf: cfg.ConfigOpts, drivers: Drivers, timeout: float, trouble: Callable[[Node], Trouble] | None = None
    ) -> None:
        super().__init__(conf, timeout, trouble)
        self._drivers = drivers
        self._opener = Opener(conf.secrets.key_file)
        #: By node, what was opened: sealed, and the options as the driver is given them.
        self._opened: dict[str, tuple[object, dict[str, Any]]] = {}

    def forget_all_but(self, uuids: Collection[str]) -> None:
        """Close those that are not there any more."""
        for uuid in self._opened.keys() - set(uuids):
            self._opened.pop(uuid, None)
        super().forget_all_but(uuids)

    def _source(self, thing: Node) -> object:
        return (thing.obm_driver, self._options(thing))

    def _options(self, node: Node) -> dict[str, Any]:
        """What the driver is given. It is the same when its secrets were only sealed anew."""
        sealed = (node.obm_driver, node.obm_options, node.obm_secrets)
        known = self._opened.get(node.uuid)
        if known is None or known[0] != sealed:
            name = node.obm_driver or ""
            try:
                purpose = Purpose(node.uuid, name, node.obm_options)
                secrets = self._opener.open(node.obm_secrets, purpose, self._drivers.obm(name).harmless_options)
            except (SealingError, exception.BadField) as error:
                raise _unmanageable(node, str(error)) from None
            known = self._opened[node.uuid] = (sealed, {**node.obm_options, **secrets})
        return known[1]

    def _open(self, thing: Node, environment: Environment) -> tuple[ObmDriver, Collection[str]]:
        options = self._options(thing)
        hidden = masking.remember(thing.uuid, {name: options[name] for name in thing.obm_secrets})
        try:
            made = self._drivers.obm(thing.obm_driver or "")
            check_options(made, options)
            return made(options, environment), hidden
        except Exception as error:
            raise _unmanageable(thing, masking.masked(repr(error), hidden)) from None

    def power(self, node: Node) -> Power | Turning:
        """Whether a node is on, off or on its way.

        :raises DriverError: it could not be asked
        """
        device = self.get(node)
        return device.guard.call(device.driver.power)

    def ask(self, node: Node, question: str) -> Mapping[str, Any]:
        """What a node is now.

        :param question: `power` or `boot_device`
        :raises DriverError: it could not be asked
        """
        if question == "power":
            seen = self.power(node)
            return {"power": str(_NOT_YET.get(seen, seen))}
        device = self.get(node)
        boot_device, persistent = device.guard.call(device.driver.boot_device)
        supported = device.guard.call(device.driver.boot_devices)
        return {"device": boot_device, "persistent": persistent, "supported": sorted(supported)}
