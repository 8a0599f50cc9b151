# SPDX-License-Identifier: Apache-2.0
"""[maintenance]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("maintenance", title="What becomes of nodes that are given back")

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "project",
        help="The project, by id or with local users also by name, that a node goes to when another project gives it "
        "back, so that nobody can claim it before it was seen to. Released from there it is free. If it is not set, "
        "nodes are free at once.",
    ),
    cfg.URIOpt(
        "url",
        schemes=["http", "https"],
        secret=True,
        help="Where a conductor POSTs {node, uuid, project, operation} in JSON when a node was given back. It may be "
        "set without a project.",
    ),
    cfg.FloatOpt("timeout", min=0.1, max=600, default=10.0, help="Seconds that one try may take in all."),
    cfg.IntOpt("tries", min=1, max=1000, default=10, help="How often it is tried until an answer is 2xx."),
    cfg.FloatOpt(
        "retry_delay",
        min=0,
        max=3600,
        default=5.0,
        help="Seconds before the second try; each further one waits twice as long as the one before.",
    ),
    cfg.FloatOpt(
        "max_retry_delay", min=0, max=86400, default=600.0, help="The longest wait between two tries, in seconds."
    ),
    cfg.StrOpt("token", secret=True, help="Sent as `Authorization: Bearer`."),
    cfg.StrOpt(
        "signing_key",
        secret=True,
        help="With it the body is signed: `X-Mogan-Hil-Signature: sha256=` and its HMAC in hexadecimal.",
    ),
    cfg.StrOpt("ca_file", help="The authorities that the server's certificate is checked against; certifi's if unset."),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
