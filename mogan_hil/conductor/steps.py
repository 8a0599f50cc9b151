# SPDX-License-Identifier: Apache-2.0
"""What an operation on an instance is made of: the steps on its node, in their order.

Each becomes an operation of its own. The networks of the instance are not among them: they are attached before the
first step and taken off after the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mogan_hil.drivers.deploy.base import OFFER, DeployDriver
from mogan_hil.objects.network import Network
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation

#: What a change of power is made of.
POWER: Mapping[str, Sequence[str]] = {
    "on": ["on"],
    "off": ["off"],
    "soft_off": ["soft_off"],
    "reboot": ["cycle"],
    "soft_reboot": ["soft_off", "on"],
}


@dataclass(frozen=True, slots=True)
class Step:
    """One operation that is to be begun.

    :param key: what it holds while it is open
    """

    verb: str
    lane: str
    key: str
    payload: Mapping[str, Any] = field(default_factory=dict)


#: The verbs of steps, to tell them from what attaches and detaches.
VERBS = frozenset({"power", "boot_device", "deploy", "undeploy", "network_configure"})


class Steps:
    """The steps of a node.

    :param deploy: how machines get their system here
    :param serves: whether there is a network manager that has to know them first
    """

    def __init__(self, deploy: type[DeployDriver], serves: bool) -> None:
        self._serves = serves
        self._offers = OFFER in deploy.capabilities
        self._boots_from = deploy.boot_device

    def power(self, node: Node, target: str) -> list[Step]:
        """To switch it."""
        return [self._power(node, each) for each in POWER[target]]

    def serve(self, operation: Operation, networks: Sequence[Network]) -> list[Step]:
        """To have the node known on its networks.

        :param operation: what it is done for
        """
        return [
            Step(
                "network_configure",
                network.lane,
                f"serve:{operation.id}:{network.id}",
                {"network": network.name, "network_uuid": network.uuid},
            )
            for network in (networks if self._serves else ())
        ]

    def boot(self, node: Node, device: str | None) -> list[Step]:
        """To boot it anew, although it may be on already with what somebody else left on it.

        :param device: what it boots from, this time; None is what the deploy driver needs, if it needs any
        """
        steps = self.offer(node)
        if node.obm_driver is None:
            return steps
        device = device or self._boots_from
        if device is not None:
            payload = {"device": device, "persistent": False}
            steps.append(Step("boot_device", node.lane, node.obm_key, payload))
        return [*steps, self._power(node, "off"), self._power(node, "on")]

    def offer(self, node: Node) -> list[Step]:
        """To have it offered its system, where systems are offered."""
        return [Step("deploy", node.deploy_lane, node.deploy_lane)] if self._offers else []

    def end(self, node: Node, begun: frozenset[str]) -> list[Step]:
        """To leave it off and without an offer.

        :param begun: the verbs of what was begun, also if it failed: what hung may come about later
        """
        steps = [self._power(node, "off")] if "power" in begun and node.obm_driver is not None else []
        if "deploy" in begun and self._offers:
            steps.append(Step("undeploy", node.deploy_lane, node.deploy_lane))
        return steps

    @staticmethod
    def _power(node: Node, target: str) -> Step:
        return Step("power", node.lane, node.obm_key, {"target": target})
