# SPDX-License-Identifier: Apache-2.0
"""[notifications]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("notifications", title="What is told of changes")

OPTS = [
    cfg.ListOpt(
        "topics",
        default=["versioned_notifications"],
        help="The topics that notifications are sent to. Whether and how they are sent is said in "
        "[oslo_messaging_notifications]: without a driver there, none are.",
    ),
    cfg.IntOpt(
        "queue_size",
        min=1,
        max=1000000,
        default=10000,
        help="Notifications that one process keeps while the broker does not take them. Further ones are dropped, "
        "which the log and the metrics tell.",
    ),
    cfg.FloatOpt(
        "stop_timeout",
        min=0,
        max=60,
        default=5.0,
        help="Seconds that a process which stops waits for the broker to take what is left.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
