# SPDX-License-Identifier: Apache-2.0
"""[console]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("console", title="Serial consoles of nodes")

OPTS = [
    cfg.IntOpt(
        "record_size",
        min=1024,
        max=16 * 1024 * 1024,
        default=1024 * 1024,
        help="Bytes of a console's output that are kept. What is older is forgotten.",
    ),
    cfg.HostAddressOpt(
        "host",
        default="127.0.0.1",
        help="The address that a conductor streams consoles on. mogan-hil takes the one that it serves the API on.",
    ),
    cfg.PortOpt(
        "port",
        default=0,
        min=0,
        help="The port that a conductor streams consoles on. 0 picks a free one. Set it where a firewall has to know "
        "it; conductors on one machine need one each.",
    ),
    cfg.URIOpt(
        "public_url",
        schemes=["http", "https"],
        help="Where clients reach this conductor's streams, for example https://hil.example.org/consoles/rack1, if "
        "that is not http://<host>:<port>: behind a proxy that ends TLS, for one.",
    ),
    cfg.IntOpt(
        "token_ttl",
        min=1,
        max=3600,
        default=60,
        help="Seconds within which a stream must be begun once the API has allowed it.",
    ),
    cfg.FloatOpt(
        "stream_time",
        min=1,
        max=7 * 86400,
        default=8 * 3600.0,
        help="Seconds after which a stream ends and the API has to be asked again. Somebody who loses a role follows a "
        "stream no longer than this.",
    ),
    cfg.IntOpt("max_readers", min=1, max=1000, default=16, help="Streams of one console at a time."),
    cfg.IntOpt(
        "max_streams",
        min=1,
        max=65536,
        default=256,
        help="Streams of one conductor at a time, of all its consoles. Each has a connection, and may take "
        "reader_buffer bytes of memory. Connections are refused beyond half as many more.",
    ),
    cfg.IntOpt(
        "reader_buffer",
        min=4096,
        max=64 * 1024 * 1024,
        default=1024 * 1024,
        help="Bytes that are kept for a reader who is slow. What comes beyond is left out of that reader's stream, "
        "which says so.",
    ),
    cfg.FloatOpt(
        "check_interval",
        min=0.05,
        max=60,
        default=1.0,
        help="Seconds within which a stream that may not go on ends, if there is no output. Output is never shown, and "
        "nothing is typed, without having asked whether it still may.",
    ),
    cfg.FloatOpt(
        "lease",
        min=0.5,
        max=3600,
        default=15.0,
        help="Seconds after which a conductor that says nothing is taken for dead, and others open its consoles again.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
