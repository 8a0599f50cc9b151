# SPDX-License-Identifier: Apache-2.0
"""Options for oslo-config-generator."""

from __future__ import annotations

from collections import defaultdict

from oslo_config import cfg

from mogan_hil import conf


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    """Every option of the service, by group."""
    found: dict[str | None, list[cfg.Opt]] = defaultdict(list)
    for group in conf.GROUPS:
        for name, options in group.list_opts().items():
            found[name].extend(options)
    return list(found.items())
