# SPDX-License-Identifier: Apache-2.0
"""The isolation report: which ports can carry a network now, and whether they should."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import channels, exception
from mogan_hil.db import models
from mogan_hil.objects.network import Network
from mogan_hil.policies import network as rules
from mogan_hil.policies import nic as nic_rules
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.networks import visible_network

#: How many switches one report asks at a time.
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Carrier:
    """A port that carries a segment, or should.

    :param node: what it is cabled to; None also where the caller may not know that
    :param expected: whether an attachment wants it there
    :param carries: whether the switch has it there now; None where nobody can tell
    """

    port: models.Port
    switch: models.Switch
    node: models.Node | None
    expected: bool
    carries: bool | None


@dataclass(frozen=True, slots=True)
class Isolation:
    """The report.

    :param carriers: every registered port that carries the network's segment or should
    :param silent: the names of the switches that did not answer in time
    :param shows_cabling: whether the caller may know ports and switches
    """

    network: Network
    carriers: Sequence[Carrier]
    silent: Sequence[str]
    shows_cabling: bool

    @property
    def isolated(self) -> bool | None:
        """Whether no port carries it that should not; None where nobody can tell.

        One port that does is enough to know that it is not, whatever others are.
        """
        strangers = [item.carries for item in self.carriers if not item.expected]
        if any(strangers):
            return False
        return None if self.silent or strangers else True


def isolation(call: Call, ident: str) -> Isolation:
    """Ask the switches which ports can carry a network now: all of them at once, for as long as one may take.

    :raises exception.NotFound: there is no such network, or the caller's project may not use it
    :raises exception.DeviceUnavailable: too many requests wait for devices
    """
    with call.reader() as session:
        network = visible_network(session, call, ident)
        call.check(rules.GET_ISOLATION, network.project_id)
        switches = models.Switch
        query = sa.select(switches.uuid, switches.name).where(switches.physical_network == network.physical_network)
        asked = {row.uuid: row.name for row in session.execute(query)}
    with call.waiting():
        silent = _ask(call, asked)
    with call.reader() as session:
        carriers = _carriers(session, call, network, silent)
    return Isolation(network, carriers, silent, call.allows(nic_rules.GET_CABLING, network.project_id))


def _ask(call: Call, switches: Mapping[str, str]) -> list[str]:
    """Have switches read.

    :param switches: uuid to name
    :returns: the names of those that were not, in time
    """
    limit = call.services.conf.api.device_timeout
    end = time.monotonic() + limit

    def observe(uuid: str) -> bool:
        try:
            call.services.client.observe(uuid, min(limit, max(0.1, end - time.monotonic())))
        except exception.DeviceUnavailable:
            return False
        return True

    pool = futures.ThreadPoolExecutor(AT_ONCE, "isolation")
    try:
        asked = {pool.submit(observe, uuid): name for uuid, name in switches.items()}
        done, _ = futures.wait(asked, limit)
        return sorted(name for future, name in asked.items() if future not in done or not future.result())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _carriers(session: orm.Session, call: Call, network: Network, silent: Collection[str]) -> list[Carrier]:
    ports, attachments = models.Port, models.Attachment
    query = (
        sa.select(ports, models.Switch, models.Node, attachments.id)
        .join(models.Switch, models.Switch.id == ports.switch_id)
        .outerjoin(models.Nic, models.Nic.id == ports.nic_id)
        .outerjoin(models.Node, models.Node.id == models.Nic.node_id)
        .outerjoin(
            attachments,
            sa.and_(
                attachments.nic_id == ports.nic_id,
                attachments.network_id == network.id,
                attachments.status != "detaching",
            ),
        )
        .where(models.Switch.physical_network == network.physical_network)
        .order_by(models.Switch.name, ports.name)
    )
    found = []
    sees_all = call.sees_all
    for port, switch, node, attachment in session.execute(query):
        known = port.observed is not None and switch.name not in silent
        carries = _carries(port.observed or {}, network.segment_id) if known else None
        if attachment is not None or carries is not False:
            shown = attachment is not None or sees_all or (node is not None and node.project_id == call.project_id)
            found.append(Carrier(port, switch, node if shown else None, attachment is not None, carries))
    return found


def _carries(observed: Mapping[str, Any], segment: str) -> bool:
    return (
        bool(observed["enabled"])
        and segment.isdecimal()
        and (observed["native"] == int(segment) or int(segment) in channels.expand(observed["tagged"]))
    )
