# SPDX-License-Identifier: Apache-2.0
"""For sites whose networks are wires and no more."""

from __future__ import annotations

from collections.abc import Sequence

from mogan_hil.drivers.network import base


class NullNetwork(base.NetworkDriver):
    """Serves nothing: machines have their addresses from elsewhere, or are told nothing of them."""

    def configure(self, spec: base.NetworkSpec) -> None:
        """Nothing."""

    def read(self, network: str) -> base.NetworkSpec | None:
        """None: nothing is served."""
        return None

    def leases(self, network: str) -> Sequence[base.Lease]:
        """None."""
        return ()
