# SPDX-License-Identifier: Apache-2.0
"""HIL's switches and their ports."""

from __future__ import annotations

from typing import Any

from mogan_hil.api.hil_v0 import drivers, names
from mogan_hil.api.hil_v0.errors import HilError
from mogan_hil.api.hil_v0.expose import Caller, everything, hil
from mogan_hil.common import exception
from mogan_hil.drivers.switch.base import TAGGED_ONLY
from mogan_hil.verbs import drivers as driver_verbs
from mogan_hil.verbs import nodes, ports, switches
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.ports import PortView

#: What HIL calls a switch that carries tagged networks on a port without an untagged one.
NATIVELESS = "nativeless-trunk-mode"


@hil("GET", "/switches", "GET /v1/switches")
def list_switches(caller: Caller) -> list[str]:
    """List the switches."""
    call = caller.for_admin()
    return sorted(row.name for row in everything(call, lambda page: switches.list_(call, page), lambda row: row.uuid))


@hil("GET", "/switch/{switch}", "GET /v1/switches/{switch}", "GET /v1/switches/{switch}/ports")
def show_switch(caller: Caller, switch: str) -> dict[str, Any]:
    """Show a switch, with its ports."""
    call = caller.for_admin()
    found = switches.get(call, switch)
    views: list[PortView] = everything(call, lambda page: ports.list_(call, switch, page), lambda view: view.port.uuid)
    tagged_only = TAGGED_ONLY in call.services.drivers.switch(found.driver).capabilities_of(found.options)
    return {
        "name": found.name,
        "ports": [{"label": view.port.name} for view in views],
        "capabilities": [NATIVELESS] if tagged_only else [],
    }


@hil("PUT", "/switch/{switch}", "POST /v1/switches", more=True, type=names.TEXT)
def switch_register(caller: Caller, /, switch: str, **given: Any) -> None:
    """Register a switch."""
    call = caller.for_admin()
    driver, options = drivers.switch(call, given)
    switches.create(call, names.new(switch), driver, options, None, "")


@hil("DELETE", "/switch/{switch}", "DELETE /v1/switches/{switch}")
def switch_delete(caller: Caller, switch: str) -> None:
    """Remove a switch."""
    switches.delete(caller.for_admin(), switch)


@hil("PUT", "/switch/{switch}/port/{port:path}", "POST /v1/switches/{switch}/ports")
def switch_register_port(caller: Caller, switch: str, port: str) -> None:
    """Register a port of a switch."""
    ports.create(caller.for_admin(), switch, names.new(port, names.PORT))


@hil("DELETE", "/switch/{switch}/port/{port:path}", "DELETE /v1/switches/{switch}/ports/{port:path}")
def switch_delete_port(caller: Caller, switch: str, port: str) -> None:
    """Remove a port."""
    ports.delete(caller.for_admin(), switch, port)


@hil("GET", "/switch/{switch}/port/{port:path}", "GET /v1/switches/{switch}/ports/{port:path}")
def show_port(caller: Caller, switch: str, port: str) -> dict[str, Any]:
    """Show a port, and what is cabled to it."""
    found = ports.get(caller.for_admin(), switch, port)
    if found.nic is None or found.node is None:
        return {}
    networks = {item.channel: item.network_name for item in found.attachments or () if item.status != "attaching"}
    return {"node": found.node.name, "nic": found.nic.name, "networks": networks}


@hil(
    "POST",
    "/switch/{switch}/port/{port:path}/connect_nic",
    "PUT /v1/switches/{switch}/ports/{port:path}/nic",
    node=names.TEXT,
    nic=names.TEXT,
)
def port_connect_nic(caller: Caller, switch: str, port: str, node: str, nic: str) -> None:
    """Say that a NIC is plugged into a port."""
    call = caller.for_admin()
    if ports.get(call, switch, port).nic is not None:
        raise HilError("DuplicateError", f"Port {port!r} has a NIC already.")
    if any(view.nic.name == nic and view.port is not None for view in nodes.get(call, node).nics or ()):
        raise HilError("DuplicateError", f"NIC {nic!r} has a port already.")
    try:
        ports.cable(call, switch, port, node, nic)
    except exception.Conflict as error:  # somebody was quicker
        raise HilError("DuplicateError", error.detail) from None


@hil("POST", "/switch/{switch}/port/{port:path}/detach_nic", "DELETE /v1/switches/{switch}/ports/{port:path}/nic")
def port_detach_nic(caller: Caller, switch: str, port: str) -> None:
    """Say that nothing is plugged into a port."""
    ports.uncable(caller.for_admin(), switch, port)


@hil("POST", "/switch/{switch}/port/{port:path}/revert", "POST /v1/switches/{switch}/ports/{port:path}/revert")
def port_revert(caller: Caller, switch: str, port: str) -> dict[str, Any]:
    """Take a port off every network."""
    call = caller.for_admin()
    if ports.get(call, switch, port).nic is None:
        raise exception.NotFound(kind="NIC at port", name=port)
    return {"status_id": ports.revert(call, switch, port).uuid}


@hil("GET", "/active_extensions", "GET /v1/drivers")
def list_active_extensions(caller: Caller) -> list[str]:
    """List the drivers."""
    call: Call = caller.for_admin()
    return sorted(f"mogan_hil.{found['kind']}.{found['name']}" for found in driver_verbs.list_(call))
