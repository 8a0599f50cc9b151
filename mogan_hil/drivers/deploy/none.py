# SPDX-License-Identifier: Apache-2.0
"""No deployment: the tenant boots the machine, from its disk or from a server on the tenant's own network."""

from __future__ import annotations

from mogan_hil.drivers.deploy import base


class NoDeploy(base.DeployDriver):
    """Offers nothing: the tenant boots the machine."""

    def configure(self, spec: base.DeploySpec) -> None:
        pass

    def remove(self) -> None:
        pass

    def read(self) -> str | None:
        return None
