# SPDX-License-Identifier: Apache-2.0
"""[auth]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("auth", title="Who is asking")

OPTS = [
    cfg.StrOpt(
        "strategy",
        default="keystone",
        choices=[
            ("keystone", "Tokens, checked by keystonemiddleware; see [keystone_authtoken]"),
            ("local", "Users and projects in the database, HTTP Basic"),
            ("none", "Everyone is an administrator; only on a loopback address"),
        ],
        help="How callers are told apart.",
    ),
    cfg.FloatOpt(
        "proof_ttl",
        min=0,
        max=3600,
        default=30.0,
        help="Seconds for which a password that was verified, and the roles that came with it, are taken as known "
        "(strategy local). A password or a role that is changed through another process counts after this time.",
    ),
    cfg.IntOpt(
        "hash_cost",
        min=4,
        max=16,
        default=12,
        help="The cost of bcrypt, as a power of two (strategy local). One more doubles the time of a first request.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
