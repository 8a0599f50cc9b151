# SPDX-License-Identifier: Apache-2.0
"""openstack hil switch ..."""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import options, plain, switch, text

OPTIONS = options(
    "options", "--option", "An option of the driver (may be repeated); see openstack hil driver list --long"
)
DESCRIPTION = text("description", "What people should know of it")


class Create(base.Show):
    """Register a switch."""

    route = "POST /v1/switches"
    arguments = (
        plain("name", "Name of the switch"),
        text("driver", "The driver for its make; see openstack hil driver list", required=True),
        OPTIONS,
        text("physical_network", "The physical network that it is part of, if there are several"),
        DESCRIPTION,
    )


class List(base.List):
    """List switches."""

    route = "GET /v1/switches"
    arguments = (text("driver", "Only those with this driver"),)
    columns = ("uuid", "name", "driver", "physical_network")
    long = ("description", "options", "created_at")
    sort_keys = ("name", "created_at", "driver", "physical_network")


class Show(base.Show):
    """Show a switch; secret options are masked."""

    route = "GET /v1/switches/{switch}"


class Set(base.Change):
    """Change a switch. Options are replaced as a whole."""

    route = "PATCH /v1/switches/{switch}"
    arguments = (text("name", "Its new name"), DESCRIPTION, OPTIONS)


class Unset(base.Change):
    """Empty fields of a switch."""

    route = "PATCH /v1/switches/{switch}"
    arguments = (switch("description", "--description", "Empty the description", value=""),)


class Delete(base.Do):
    """Remove switches. They must have no ports."""

    route = "DELETE /v1/switches/{switch}"
    many = True


class Drift(base.List):
    """Ask a switch which of its ports are not as they should be."""

    route = "GET /v1/switches/{switch}/drift"
    columns = ("name", "status", "status_reason", "in_sync")
    long = ("uuid", "observed", "observed_at")

    @classmethod
    def key(cls) -> str:
        return "ports"


class Heal(base.Work):
    """Make every port of switches as it should be."""

    route = "POST /v1/switches/{switch}/heal"
    many = True
