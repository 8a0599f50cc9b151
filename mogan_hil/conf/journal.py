# SPDX-License-Identifier: Apache-2.0
"""[journal]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("journal", title="The journal of operations")

OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "retention",
        min=0,
        max=36500,
        default=365,
        help="Days that operations are kept after they have ended; 0 keeps them for ever. The journal says who did "
        "what to which machine, and a year is what rules for such records commonly ask for: PCI DSS 4.0, 10.5.1, for "
        "one. A thousand operations a day come to some 350 MB in that time. Operations that are not finished, and "
        "those that something still refers to, are kept however old they are.",
    )
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
