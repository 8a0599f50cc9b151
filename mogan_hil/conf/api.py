# SPDX-License-Identifier: Apache-2.0
"""[api]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("api", title="The REST API")

OPTS = [
    cfg.HostAddressOpt("host", default="127.0.0.1", help="The address that mogan-hil-api listens on."),
    cfg.PortOpt("port", default=6385, help="The port that mogan-hil-api listens on. 0 picks a free one."),
    cfg.IntOpt(
        "workers",
        min=1,
        max=64,
        default=1,
        help="Processes of mogan-hil-api, all on one port. Behind another WSGI server its own setting counts.",
    ),
    cfg.IntOpt(
        "threads",
        min=1,
        max=128,
        default=8,
        help="Requests that one process works on at a time. Few threads and several processes are faster than one "
        "process with many threads.",
    ),
    cfg.IntOpt("max_limit", min=1, max=10000, default=1000, help="The longest page of a list."),
    cfg.IntOpt(
        "max_body_size",
        min=1024,
        max=16 * 1024 * 1024,
        default=256 * 1024,
        help="The longest request body, in bytes. A longer one is refused before it is read.",
    ),
    cfg.URIOpt(
        "public_endpoint",
        schemes=["http", "https"],
        help="What links in answers begin with, where it is not what the request came for; "
        "for example https://hil.example.org.",
    ),
    cfg.FloatOpt(
        "device_timeout",
        min=0.1,
        max=60,
        default=5.0,
        help="Seconds that an answer may wait for the live state of a device. Half as many requests as [api] threads, "
        "at least one, may wait so at a time; others are told after half a second to try again.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
