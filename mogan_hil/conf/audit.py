# SPDX-License-Identifier: Apache-2.0
"""[audit]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("audit", title="Events in the format of CADF for every request")

OPTS = [
    cfg.BoolOpt(
        "enabled",
        default=False,
        help="Send two CADF events for every request that reaches the application, with keystonemiddleware's audit "
        "filter. Where to is said in [audit_middleware_notifications], else in [oslo_messaging_notifications]; without "
        "a driver in either they are lines in the log.",
    ),
    cfg.StrOpt(
        "map_file",
        default="api_audit_map.conf",
        help="What the parts of a path are called in events. A name without a directory is looked for where the "
        "configuration is.",
    ),
    cfg.ListOpt(
        "ignore_methods",
        default=[],
        help="Requests with these methods are left out; GET, for example, if only changes count.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
