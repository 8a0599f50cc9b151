# SPDX-License-Identifier: Apache-2.0
"""HIL's headnodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mogan_hil.api.hil_v0 import names
from mogan_hil.api.hil_v0.expose import Caller, everything, hil
from mogan_hil.api.hil_v0.waiting import finish
from mogan_hil.common import exception
from mogan_hil.objects.operation import Operation
from mogan_hil.verbs import headnodes, hnics, projects
from mogan_hil.verbs.base import Call


@hil("PUT", "/headnode/{headnode}", "POST /v1/headnodes", project=names.TEXT, base_img=names.TEXT)
def headnode_create(caller: Caller, headnode: str, project: str, base_img: str) -> None:
    """Create a headnode."""

    def act(call: Call) -> None:
        if not caller.hears_of(project):
            raise exception.Forbidden(rule="headnode:create")
        headnodes.create(call, names.new(headnode), base_img, project=names.project_id(call, project))

    caller.do(act)


@hil("DELETE", "/headnode/{headnode}", "DELETE /v1/headnodes/{headnode}")
def headnode_delete(caller: Caller, headnode: str) -> None:
    """Delete a headnode."""
    _finish(caller, lambda call: headnodes.delete(call, headnode))


@hil("POST", "/headnode/{headnode}/start", "PUT /v1/headnodes/{headnode}/power")
def headnode_start(caller: Caller, headnode: str) -> None:
    """Start a headnode."""
    _finish(caller, lambda call: headnodes.set_power(call, headnode, True))


@hil("POST", "/headnode/{headnode}/stop", "PUT /v1/headnodes/{headnode}/power")
def headnode_stop(caller: Caller, headnode: str) -> None:
    """Stop a headnode at once."""
    _finish(caller, lambda call: headnodes.set_power(call, headnode, False))


@hil("PUT", "/headnode/{headnode}/hnic/{hnic}", "POST /v1/headnodes/{headnode}/hnics")
def headnode_create_hnic(caller: Caller, headnode: str, hnic: str) -> None:
    """Give a headnode a NIC."""
    caller.do(lambda call: hnics.create(call, headnode, names.new(hnic)))


@hil("DELETE", "/headnode/{headnode}/hnic/{hnic}", "DELETE /v1/headnodes/{headnode}/hnics/{hnic}")
def headnode_delete_hnic(caller: Caller, headnode: str, hnic: str) -> None:
    """Take a NIC from a headnode."""
    caller.do(lambda call: hnics.delete(call, headnode, hnic))


@hil(
    "POST",
    "/headnode/{headnode}/hnic/{hnic}/connect_network",
    "PUT /v1/headnodes/{headnode}/hnics/{hnic}/network",
    network=names.TEXT,
)
def headnode_connect_network(caller: Caller, headnode: str, hnic: str, network: str) -> None:
    """Say which network a NIC of a headnode is to be on."""
    caller.do(lambda call: hnics.connect(call, headnode, hnic, network))


@hil("POST", "/headnode/{headnode}/hnic/{hnic}/detach_network", "DELETE /v1/headnodes/{headnode}/hnics/{hnic}/network")
def headnode_detach_network(caller: Caller, headnode: str, hnic: str) -> None:
    """Let a NIC of a headnode be on no network."""
    caller.do(lambda call: hnics.disconnect(call, headnode, hnic))


@hil("GET", "/headnode/{headnode}", "GET /v1/headnodes/{headnode}")
def show_headnode(caller: Caller, headnode: str) -> dict[str, Any]:
    """Show a headnode."""

    def act(call: Call) -> dict[str, Any]:
        found = headnodes.get(call, headnode)
        item = found.headnode
        return {
            "name": item.name,
            "project": names.project_names(call, [item.project_id]).get(item.project_id, item.project_id),
            "hnics": [view.hnic.name for view in found.hnics],
            "vncport": item.vnc_port,
            "uuid": item.uuid,
            "base_img": item.image,
        }

    return caller.do(act)


@hil("GET", "/headnode_images", "GET /v1/headnode_images")
def list_headnode_images(caller: Caller) -> list[str]:
    """List the images of headnodes."""
    return [image.name for image in headnodes.images(caller.first)]


@hil("GET", "/project/{project}/headnodes", "GET /v1/projects/{project}/headnodes")
def list_project_headnodes(caller: Caller, project: str) -> list[str]:
    """List a project's headnodes."""
    return caller.do(
        lambda call: [
            view.headnode.name
            for view in everything(
                call, lambda page: projects.headnodes(call, project, page), lambda view: view.headnode.uuid
            )
        ]
    )


def _finish(caller: Caller, begin: Callable[[Call], Operation]) -> None:
    """Do something and wait for it. See :func:`.waiting.finish`."""
    caller.do(lambda call: finish(call, lambda: begin(call), "HeadnodeError"))
