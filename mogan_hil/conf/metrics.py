# SPDX-License-Identifier: Apache-2.0
"""[metrics]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("metrics", title="What Prometheus is told")

OPTS = [
    cfg.StrOpt(
        "serve",
        default="loopback",
        choices=[
            ("loopback", "To this machine alone, not through a proxy"),
            ("everyone", "To whoever reaches the API, without authentication"),
            ("nobody", "GET /metrics is not there"),
        ],
        help="Whom the API answers `GET /metrics`. It tells no names of tenants or of their things, but how busy the "
        "service is and how its switches fare.",
    ),
    cfg.HostAddressOpt(
        "conductor_host", default="127.0.0.1", help="The address at which a conductor shows what it counts."
    ),
    cfg.PortOpt(
        "conductor_port",
        default=0,
        help="The port at which mogan-hil-conductor shows what it counts, over HTTP and without authentication. "
        "0 is for none.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
