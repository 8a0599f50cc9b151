# SPDX-License-Identifier: Apache-2.0
"""[DEFAULT]"""

from __future__ import annotations

import socket

from oslo_config import cfg

OPTS = [
    cfg.HostAddressOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<this host's name>",
        help="The name of this process's host, in the journal and in RPC. Unique among the conductors of a site.",
    ),
    cfg.StrOpt(
        "state_path",
        default="/var/lib/mogan-hil",
        help="A directory that outlives the process: file locks and, in the embedded shape, the database and the keys.",
    ),
    cfg.StrOpt(
        "default_availability_zone",
        help="The availability zone of instances that name neither one nor a node. Without it they take any node.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_opts(OPTS)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {None: OPTS}
