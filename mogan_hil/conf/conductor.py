# SPDX-License-Identifier: Apache-2.0
"""[conductor]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("conductor", title="The conductor")

OPTS = [
    cfg.IntOpt(
        "workers",
        min=1,
        max=1024,
        default=24,
        help="Devices of a kind that one conductor works on at a time: so many switches, and so many nodes. One that "
        "does not answer takes one of them until driver_timeout is over.",
    ),
    cfg.StrOpt(
        "lock_url",
        secret=True,
        help="Where conductors agree who has a lane: the address of a MySQL, MariaDB or PostgreSQL, which need one "
        "connection a conductor for it, or a tooz URL. If it is not set it follows the database; with SQLite it is "
        "files under state_path (one machine only).",
    ),
    cfg.FloatOpt(
        "driver_timeout",
        min=0.1,
        max=3600,
        default=30.0,
        help="Seconds that one call of a driver may take. A call that takes longer ends its operation in error.",
    ),
    cfg.FloatOpt(
        "hang_limit",
        min=1,
        max=86400,
        default=600.0,
        help="Seconds after which nobody waits any more for a driver's call that did not come back. Until then nothing "
        "is proven of its device: attachments are not forgotten and nodes are not given away.",
    ),
    cfg.StrOpt(
        "deploy_driver",
        default="none",
        help="The deploy driver: how the machine of an instance gets its system. With `none` the tenant boots it.",
    ),
    cfg.FloatOpt(
        "power_timeout",
        min=1,
        max=3600,
        default=120.0,
        help="Seconds after which a node must be as it was switched. A soft power-off waits for the system on it.",
    ),
    cfg.IntOpt(
        "max_attempts",
        min=1,
        max=100,
        default=5,
        help="How often an operation is tried when a driver says that its error may pass, or a conductor died over it.",
    ),
    cfg.FloatOpt(
        "retry_delay",
        min=0,
        max=600,
        default=1.0,
        help="Seconds before the second try; each further one waits twice as long as the one before.",
    ),
    cfg.FloatOpt(
        "max_retry_delay", min=0, max=3600, default=30.0, help="The longest wait between two tries, in seconds."
    ),
    cfg.FloatOpt(
        "sweep_interval",
        min=0.05,
        max=3600,
        default=5.0,
        help="Seconds between two looks for work that nobody was told of, or that a conductor left behind.",
    ),
    cfg.FloatOpt(
        "poll_interval",
        min=0.1,
        max=86400,
        default=60.0,
        help="Seconds between two looks at a switch that does not push its changes.",
    ),
    cfg.FloatOpt(
        "power_sync_interval",
        min=0,
        max=86400,
        default=300.0,
        help="Seconds between two looks whether instances and headnodes are on or off as they are said to be; 0 never "
        "looks.",
    ),
    cfg.FloatOpt(
        "network_sync_interval",
        min=0,
        max=86400,
        default=60.0,
        help="Seconds between two looks whether the network manager serves every network as the database says. What it "
        "refused or has lost it is told again; what fails again is tried at growing intervals, at the longest each "
        "hour. 0 never looks: then the next change of a network puts it right.",
    ),
    cfg.IntOpt(
        "batch_size", min=1, max=10000, default=256, help="Operations that one session with a device may serve."
    ),
    cfg.StrOpt(
        "on_drift",
        default="report",
        choices=[
            ("report", "Show it, log it and count it"),
            ("heal", "Also make the port as the database says, again"),
        ],
        help="What to do about a port in use that was changed behind the service's back. One that is not in use is "
        "always closed again.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
