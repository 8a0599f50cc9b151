# SPDX-License-Identifier: Apache-2.0
"""openstack hil quota ..."""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import Argument, number, switch

ONE = "/v1/quotas/{project}"

#: What a project may have only so many of, and how that is called.
RESOURCES = {
    "headnode_cpus": "processors of headnodes",
    "headnode_memory": "MiB of memory of headnodes",
    "headnodes": "headnodes",
    "images": "images",
    "instances": "instances",
    "keypairs": "keypairs a user",
    "networks": "networks",
    "nodes": "nodes",
    "server_groups": "server groups",
}


def _limit(name: str, what: str) -> Argument:
    return number(name, f"How many {what} it may have; -1 for any number")


def _default(name: str, what: str) -> Argument:
    return switch(name, f"--{name.replace('_', '-')}", f"The default for {what} again", value=None)


class Own(base.Show):
    """Show the quotas of the own project, and what it uses of them."""

    route = "GET /v1/quotas"


class Default(base.Show):
    """Show the quotas of projects for which none were set."""

    route = "GET /v1/quotas/defaults"


class Show(base.Show):
    """Show the quotas of a project, and what it uses of them."""

    route = f"GET {ONE}"


class Set(base.Change):
    """Set quotas of projects; those that are not named stay as they are."""

    route = f"PUT {ONE}"
    many = True
    arguments = tuple(_limit(name, what) for name, what in RESOURCES.items())


class Unset(base.Change):
    """Give projects the defaults again for some quotas."""

    route = f"PUT {ONE}"
    many = True
    arguments = tuple(_default(name, what) for name, what in RESOURCES.items())


class Delete(base.Do):
    """Give projects the default quotas again, all of them."""

    route = f"DELETE {ONE}"
    many = True
