# SPDX-License-Identifier: Apache-2.0
"""How the switches and controllers of a HIL are reached from here."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from mogan_hil.api import bodies
from mogan_hil.api.controllers.v1.ports import PORT_NAME
from mogan_hil.api.types import Mac, Name
from mogan_hil.common import exception, hil_types
from mogan_hil.drivers.loader import Drivers, check_options
from mogan_hil.imports.site import Nic, Node, Switch


class Translate:
    """From HIL's descriptions to drivers and options.

    :param given: what a file says instead: `switches` and `nodes`, each by name, with `driver` and `options`;
        `headnode_images`, HIL's names with those of images here; and `macs`, of NICs by the names of nodes and NICs
    :param images: the images of headnodes that there are here
    """

    def __init__(self, drivers: Drivers, given: Mapping[str, Any], images: Collection[str] = ()) -> None:
        self._drivers = drivers
        self._given = given
        self._images = images

    def _instead(self, kind: str, name: str) -> tuple[str, dict[str, Any]] | None:
        found = (self._given.get(kind) or {}).get(name)
        return None if found is None else (found["driver"], dict(found.get("options") or {}))

    def switch(self, switch: Switch) -> tuple[str, dict[str, Any]]:
        """The driver of a switch, and its options.

        :raises ValueError: they are not known
        :raises exception.BadField: they do not fit the driver
        """
        found = self._instead("switches", switch.name)
        if found is None:
            if switch.arguments is None:
                raise ValueError("how it is reached is not told; say so with --drivers")
            found = hil_types.switch(switch.arguments, self._drivers.names("switch"))
        check_options(self._drivers.switch(found[0]), found[1])
        return found

    def obm(self, node: Node) -> dict[str, Any] | None:
        """The controller of a node; None if it has none.

        :raises ValueError: it is not known
        :raises exception.BadField: the options do not fit the driver
        """
        found = self._instead("nodes", node.name)
        known = self._drivers.names("obm")
        if found is None and node.obm is not None:
            found = hil_types.obm(node.obm, known)
        elif found is None and node.obmd is not None:
            found = hil_types.obmd(node.obmd, known)
        if found is None:
            return None
        check_options(self._drivers.obm(found[0]), found[1])
        return {"driver": found[0], "options": found[1]}

    def image(self, name: str) -> str | None:
        """The image of headnodes that stands for one of HIL's; None if there is none here."""
        found = str((self._given.get("headnode_images") or {}).get(name, name))
        return found if found in self._images else None

    @staticmethod
    def label(name: str, value: Any) -> Any:
        """The value of a label, as it may be here.

        :raises ValueError: it cannot be called so, or not every database can keep the value
        """
        Name().validate(name)
        try:
            return bodies.load(json.dumps({"value": value}).encode())
        except exception.BadRequest:
            raise ValueError("a number of its value is out of range, a text has a NUL, or it is too deep") from None

    @staticmethod
    def port(text: str) -> str:
        """A name that a port may have; the driver of its switch is stricter.

        :raises ValueError: it is none
        """
        return str(Name(PORT_NAME, 63).validate(text))

    @staticmethod
    def name(text: str) -> str:
        """A name that a thing may have here.

        :raises ValueError: it is none
        """
        return str(Name().validate(text))

    def mac(self, node: str, nic: Nic) -> str:
        """The MAC address of a NIC as it is written here. HIL took any text for one.

        :raises ValueError: it is none
        """
        return str(Mac().validate((self._given.get("macs") or {}).get(node, {}).get(nic.name, nic.mac)))
