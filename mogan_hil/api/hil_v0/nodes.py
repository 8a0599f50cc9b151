# SPDX-License-Identifier: Apache-2.0
"""HIL's nodes, their NICs, and what is switched through their controllers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from mogan_hil.api.hil_v0 import drivers, names
from mogan_hil.api.hil_v0.errors import HilError
from mogan_hil.api.hil_v0.expose import Anything, Caller, everything, hil
from mogan_hil.api.hil_v0.waiting import finish
from mogan_hil.api.types import Flag, Object
from mogan_hil.common import exception, states
from mogan_hil.drivers.obm.base import Power
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.verbs import consoles, nics, nodes, obm, operations
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.nics import NicView
from mogan_hil.verbs.nodes import NodeView


@hil("GET", "/nodes/{which}", "GET /v1/nodes")
def list_nodes(caller: Caller, which: str) -> list[str]:
    """List the nodes: the free ones, or all that the caller may see."""
    free = True if which == "free" else None
    return sorted({name for call in caller.calls for name in _names(call, free)})


@hil("GET", "/free_nodes", "GET /v1/nodes")
def list_free_nodes(caller: Caller) -> list[str]:
    """List the free nodes, as clients of 2016 ask."""
    return list_nodes(caller, "free")


def _names(call: Call, free: bool | None) -> list[str]:
    rows = everything(call, lambda page: nodes.list_(call, page, free=free), lambda row: row.uuid)
    return [row.name for row in rows]


@hil(
    "PUT",
    "/node/{node}",
    "POST /v1/nodes",
    obm=Object(),
    obmd=Object(),
    metadata=Object(),
    optional=["obm", "obmd", "metadata"],
)
def node_register(
    caller: Caller,
    node: str,
    obm: Mapping[str, Any] | None = None,
    obmd: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Register a node. The first HIL had it with `obm`, the last one with `obmd`; one was always needed."""
    call = caller.for_admin()
    if obm is not None and obmd is None:
        wanted = drivers.obm(call, obm)
    elif obmd is not None and obm is None:
        wanted = drivers.obmd(call, obmd)
    else:
        raise HilError("ValidationError", "Give either obm or obmd.")
    labels = {names.new(label): value for label, value in (metadata or {}).items()}
    nodes.create(call, names.new(node), wanted, labels)


@hil("DELETE", "/node/{node}", "DELETE /v1/nodes/{node}")
def node_delete(caller: Caller, node: str) -> None:
    """Remove a node."""
    nodes.delete(caller.for_admin(), node)


@hil("GET", "/node/{node}", "GET /v1/nodes/{node}")
def show_node(caller: Caller, node: str) -> dict[str, Any]:
    """Show a node."""

    def act(call: Call) -> dict[str, Any]:
        found = nodes.get(call, node)
        owner = found.node.project_id
        return {
            "name": found.node.name,
            "project": None if owner is None else names.project_names(call, [owner]).get(owner, owner),
            "nics": [_nic(view, found) for view in found.nics or ()],
            # HIL kept the values as JSON in a text, and showed the text.
            "metadata": {label: json.dumps(value) for label, value in (found.metadata or {}).items()},
        }

    return caller.do(act)


def _nic(view: NicView, node: NodeView) -> dict[str, Any]:
    shown: dict[str, Any] = {"label": view.nic.name, "macaddr": view.nic.mac, "networks": _networks(view)}
    if node.shows_cabling:
        # Scripts ask for both of every NIC, and look whether they are null.
        shown |= {"port": view.port and view.port.name, "switch": view.switch and view.switch.name}
    return shown


def _networks(view: NicView) -> dict[str, str]:
    """What was done; HIL did not show what was only asked for."""
    return {item.channel: item.network_name for item in view.attachments if item.status != states.Attachment.ATTACHING}


@hil("PUT", "/node/{node}/nic/{nic}", "POST /v1/nodes/{node}/nics", macaddr=names.TEXT)
def node_register_nic(caller: Caller, node: str, nic: str, macaddr: str) -> None:
    """Register a NIC of a node."""
    nics.create(caller.for_admin(), node, names.new(nic), names.mac(macaddr))


@hil(
    "DELETE",
    "/node/{node}/nic/{nic}",
    "DELETE /v1/switches/{switch}/ports/{port:path}/nic",
    "DELETE /v1/nodes/{node}/nics/{nic}",
)
def node_delete_nic(caller: Caller, node: str, nic: str) -> None:
    """Remove a NIC of a free node, with its cable."""
    nics.remove(caller.for_admin(), node, nic)


@hil("PUT", "/node/{node}/metadata/{label}", "PUT /v1/nodes/{node}/metadata/{label}", value=Anything())
def node_set_metadata(caller: Caller, node: str, label: str, value: Any) -> None:
    """Set a label of a node."""
    nodes.set_metadata(caller.for_admin(), node, names.new(label), value)


@hil("DELETE", "/node/{node}/metadata/{label}", "DELETE /v1/nodes/{node}/metadata/{label}")
def node_delete_metadata(caller: Caller, node: str, label: str) -> None:
    """Remove a label of a node."""
    nodes.delete_metadata(caller.for_admin(), node, label)


@hil("PUT", "/node/{node}/obm", "PUT /v1/nodes/{node}/obm", enabled=Flag())
def node_enable_disable_obm(caller: Caller, node: str, enabled: bool) -> None:
    """Allow or forbid that a node is managed out of band."""
    caller.do(lambda call: obm.enable(call, node, enabled))


@hil("POST", "/node/{node}/power_cycle", "PUT /v1/nodes/{node}/power", force=Flag(), optional=["force"])
def node_power_cycle(caller: Caller, node: str, force: bool = False) -> None:
    """Switch a node off and on, or reset it."""
    _switch(caller, node, Power.RESET if force else Power.CYCLE)


@hil("POST", "/node/{node}/power_on", "PUT /v1/nodes/{node}/power")
def node_power_on(caller: Caller, node: str) -> None:
    """Switch a node on."""
    _switch(caller, node, Power.ON)


@hil("POST", "/node/{node}/power_off", "PUT /v1/nodes/{node}/power")
def node_power_off(caller: Caller, node: str) -> None:
    """Switch a node off."""
    _switch(caller, node, Power.OFF)


@hil("GET", "/node/{node}/power_status", "GET /v1/nodes/{node}/power")
def node_power_status(caller: Caller, node: str) -> dict[str, Any]:
    """Tell whether a node is on."""

    def act(call: Call) -> dict[str, Any]:
        _check_claimed(call, node)
        return {"power_status": obm.power(call, node)["power"]}

    return caller.do(act)


@hil("PUT", "/node/{node}/boot_device", "PUT /v1/nodes/{node}/boot_device", bootdev=names.TEXT)
def node_set_bootdev(caller: Caller, node: str, bootdev: str) -> None:
    """Set what a node boots from; `none` is what its own setup says."""
    device = None if bootdev == "none" else names.new(bootdev)
    try:
        _finish(caller, node, lambda call: obm.set_boot_device(call, node, device, True))
    except HilError as error:
        with contextlib.suppress(exception.DeviceUnavailable):
            if device and device not in caller.do(lambda call: obm.boot_device(call, node))["supported"]:
                raise HilError("BadArgumentError", error.detail) from None
        raise


@hil("PUT", "/node/{node}/console", "PUT /v1/nodes/{node}/console")
def start_console(caller: Caller, node: str) -> None:
    """Record what a node writes to its console."""
    _finish(caller, node, lambda call: consoles.start(call, node), lambda found: found.console_key)


@hil("DELETE", "/node/{node}/console", "DELETE /v1/nodes/{node}/console")
def stop_console(caller: Caller, node: str) -> None:
    """Record it no more."""
    _finish(caller, node, lambda call: consoles.stop(call, node), lambda found: found.console_stop_key)


@hil("GET", "/node/{node}/console", "GET /v1/nodes/{node}/console")
def show_console(caller: Caller, node: str) -> bytes:
    """Show what was recorded of a node's console."""

    def act(call: Call) -> bytes:
        _check_claimed(call, node)
        found = consoles.record(call, node=node)
        if found.status == states.Console.STOPPED and not found.reason:
            raise exception.NotFound(kind="console log of node", name=node)  # HIL forgot it when it was told to stop
        return found.text.encode()

    return caller.do(act)


def _switch(caller: Caller, node: str, target: Power) -> None:
    _finish(caller, node, lambda call: obm.set_power(call, node, target))


def _check_claimed(call: Call, node: str) -> None:
    """A free node is an administrator's to switch; HIL said so before it said anything else."""
    if names.node_project(call, node) is None:
        call.check("admin")


def _obm_key(node: Node) -> str:
    return node.obm_key


def _finish(
    caller: Caller, node: str, begin: Callable[[Call], Operation], key: Callable[[Node], str] = _obm_key
) -> None:
    """Do something and wait for it, and for the like that is being done on the node. See :func:`.waiting.finish`.

    :param key: of the node, what it holds while it is done
    """

    def act(call: Call) -> None:
        _check_claimed(call, node)
        finish(call, lambda: begin(call), "OBMError", lambda: operations.is_open(call, node, key))

    caller.do(act)
