# SPDX-License-Identifier: Apache-2.0
"""The saga of a new instance. What fails is undone in reverse and tried on another node."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from mogan_hil.common import exception, states
from mogan_hil.conductor.lanes import keep
from mogan_hil.conductor.sagas import Saga
from mogan_hil.conductor.steps import Step
from mogan_hil.db import models
from mogan_hil.objects.address import Address, Subnet, networks_of
from mogan_hil.objects.base import column
from mogan_hil.objects.network import Attachment, Network, usable_by
from mogan_hil.objects.node import Criteria, Nic, Node, obedient, wirable
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.server_group import ServerGroup

#: Nodes on which a build is tried, and those that are passed over as they cannot be wired after all.
TRIES = 3
UNFIT = 20

#: What one node lacks and another may have.
UNFITTING = (exception.NodeClaimed, exception.NotCabled, exception.NoObm, exception.Busy)

NO_NODE = "The instance lost its node while it was being built."
DELETED = "The instance was deleted while it was being built."


class Build(Saga):
    """Its networks are being attached already; then its node is given its system and booted."""

    def _go_on(self) -> None:
        failed = self._failed()
        deleted = self._instance.status == states.Instance.DELETING
        if (failed is not None or deleted) and not self._progress["undo"]:
            self._progress["undo"] = True
            error, detail = (failed.error, failed.error_detail) if failed else (DELETED, DELETED)
            self._note(error or "", detail or "")
        if self._progress["undo"]:
            self._undo()
        elif self._node is None:  # nothing takes it away from a build; if something does, this must not pass for done
            self._fail(NO_NODE, NO_NODE)
        elif not self._next(self._wanted(self._node)):
            self._done()

    def _wanted(self, node: Node) -> list[Step]:
        known = self._steps.serve(self._operation, networks_of(self._session, node.id))
        return [*known, *self._steps.boot(node, self._operation.payload.get("boot_device"))]

    def _note(self, error: str, detail: str) -> None:
        """What went wrong, while it is undone. The operation's result is for the tenant, details are not."""
        keep(self._operation.note(self._session, error, detail))

    def _undo(self) -> None:
        begun = frozenset(child.verb for child in self._children if self._phase(child) == "do")
        if self._node is not None and self._next(self._steps.end(self._node, begun), "undo"):
            return
        if self._take_off():
            self._wait()
            return
        if self._attached():
            self._end(" Its networks could not be taken off again.")
            return
        self._give_back()
        if self._instance.status == states.Instance.DELETING or not self._elsewhere():
            self._end()

    def _end(self, more: str = "") -> None:
        error, detail = self._operation.error or "", self._operation.error_detail or ""
        if self._instance.status == states.Instance.DELETING:  # what is left is the deletion's to put right
            keep(self._operation.fail(self._session, f"{error}{more}", detail))
        else:
            self._fail(f"{error}{more}", detail)

    def _elsewhere(self) -> bool:
        """Begin anew on a node that was not tried. False if there is none, or it was tried often enough."""
        payload = self._operation.payload
        tries = len({self._round(child) for child in self._all_children})
        if payload["resource_class"] is None or tries >= TRIES:
            return False
        fitting = self._fitting()
        while len(self._progress["tried"]) < tries + UNFIT:
            tried = column(Node.find(self._session, models.Node.uuid.in_(self._progress["tried"])), "id")
            groups = ServerGroup.find(
                self._session, models.ServerGroup.id == self._instance.server_group_id, lock="update"
            )
            among = [condition for group in groups for condition in group.fits(self._session)]
            nodes = Node.choose(self._session, 1, Criteria.of(payload), tried, *fitting, *among, least=1)
            if not nodes:
                return False
            try:
                with self._session.begin_nested():
                    self._move(nodes[0])
            except UNFITTING as error:
                self._node = None
                self._progress["tried"] = [*self._progress["tried"], nodes[0].uuid]
                self._note(error.detail, error.detail)
                continue
            except exception.Conflict as error:  # another node would not help
                self._node = None
                self._note(error.detail, error.detail)
                return False
            self._progress["undo"] = False
            self._instance.update(self._session, node_id=nodes[0].id)
            self._operation.update(self._session, node=nodes[0].uuid)
            self._wait()
            return True
        return False

    def _move(self, node: Node) -> None:
        """Take a node, and begin to wire it."""
        if not node.claim(self._session, self._instance.project_id):
            raise exception.NodeClaimed(name=node.name)
        self._node, self._children = node, []
        self._progress["round"] += 1
        self._wire(node)

    def _first_wires(self) -> list[Operation]:
        return [child for child in self._all_children if self._round(child) == 0 and child.verb == "attach"]

    def _fitting(self) -> list[sa.ColumnElement[bool]]:
        """The conditions for nodes that have what is known to be needed."""
        uuids = [child.payload["network_uuid"] for child in self._first_wires()]
        networks = Network.find(self._session, models.Network.uuid.in_(uuids))
        places = {network.uuid: network.physical_network for network in networks}
        wishes = zip(uuids, self._operation.payload["networks"], strict=False)
        wires = [(places[uuid], wish["nic"]) for uuid, wish in wishes if uuid in places]
        return [*wirable(wires), *(obedient() if self._operation.payload["boot_device"] is not None else [])]

    def _wire(self, node: Node) -> None:
        """Attach to this node what was attached to the first."""
        if self._operation.payload["boot_device"] is not None and node.obm_driver is None:
            raise exception.NoObm(name=node.name, what="no controller")
        taken: set[int] = set()
        for before, wish in zip(self._first_wires(), self._operation.payload["networks"], strict=False):
            networks = Network.find(
                self._session,
                models.Network.uuid == before.payload["network_uuid"],
                usable_by(self._instance.project_id),
                lock="share",
            )
            if not networks:
                raise exception.ProjectMismatch(node=node.name, network=before.payload["network"])
            nic, port, switch = self._nic(node, wish["nic"], networks[0], taken)
            taken.add(nic.id)
            self._attach(node, nic, port, switch, networks[0], before, wish.get("addresses", []))

    def _attach(
        self,
        node: Node,
        nic: Nic,
        port: models.Port,
        switch: models.Switch,
        network: Network,
        before: Operation,
        addresses: Sequence[str],
    ) -> None:
        channel = before.payload["channel"]
        payload = {
            "port_uuid": port.uuid,
            "node": node.name,
            "nic": nic.name,
            "network": network.name,
            "network_uuid": network.uuid,
            "channel": channel,
        }
        self._begin("attach", f"switch:{switch.uuid}", f"nic:{nic.id}", "do", payload)
        attachment = Attachment.create(
            self._session,
            exception.ChannelTaken(nic=nic.name, channel=channel),
            nic_id=nic.id,
            network_id=network.id,
            channel=channel,
            status=states.Attachment.ATTACHING,
        )
        subnets = Subnet.find(self._session, models.Subnet.network_id == network.id)
        try:
            Address.give(self._session, self._ipam, subnets, attachment.id, addresses)
        except exception.BadRequest as error:  # the subnets are others than when they were asked for
            raise exception.Conflict(reason=error.detail) from None

    def _nic(
        self, node: Node, name: str | None, network: Network, taken: set[int]
    ) -> tuple[Nic, models.Port, models.Switch]:
        query = (
            sa.select(models.Nic, models.Port, models.Switch)
            .join(models.Port, models.Port.nic_id == models.Nic.id)
            .join(models.Switch, models.Switch.id == models.Port.switch_id)
            .where(models.Nic.node_id == node.id, models.Switch.physical_network == network.physical_network)
            .order_by(models.Nic.name)
        )
        for nic, port, switch in self._session.execute(query):
            if nic.id not in taken and name in (None, nic.name, nic.uuid):
                return Nic.from_row(nic), port, switch
        raise exception.NotCabled(f"Node {node.name!r} has no free cabled NIC for network {network.name!r}.")
