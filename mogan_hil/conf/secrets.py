# SPDX-License-Identifier: Apache-2.0
"""[secrets]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("secrets", title="Credentials of devices")

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "public_key_file",
        default="$state_path/secrets.pub",
        help="The key that credentials of devices are sealed with. Every process of the API needs it; it opens "
        "nothing. It is read again at each use.",
    ),
    cfg.StrOpt(
        "key_file",
        default="$state_path/secrets.keys",
        help="The private keys that open what was sealed, several while they are rotated. Conductors need it; it must "
        "be closed to others than its owner, and should not be where the API runs.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
