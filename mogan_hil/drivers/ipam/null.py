# SPDX-License-Identifier: Apache-2.0
"""For sites whose machines get their addresses elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mogan_hil.drivers.ipam import base


class NullIpam(base.Ipam):
    """Gives no address by itself. One that is asked for by name is kept, and belongs to one NIC alone."""

    def propose(self, subnet: base.Subnet) -> Sequence[str]:
        """None."""
        return ()

    def choose(self, subnet: base.Subnet, used: Collection[str]) -> str | None:
        """None."""
        return None
