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
        default=300.0,
        help="Seconds for which a process of the API remembers that a password was right, so that bcrypt need not say "
        "it again (strategy local). A password, a role or a user that is changed counts at once.",
    ),
    cfg.IntOpt(
        "hash_cost",
        min=4,
        max=16,
        default=12,
        help="The cost of bcrypt, as a power of two (strategy local). One more doubles the time of a first request. "
        "What was hashed with another cost is hashed anew when its user logs in.",
    ),
    cfg.IntOpt(
        "lockout_failures",
        min=0,
        max=10000,
        default=10,
        help="After so many failed logins with one name from one address (strategy local) further ones are answered "
        "429, also with the right password. Each process of the API counts by itself. 0 switches the lockout off.",
    ),
    cfg.IntOpt(
        "lockout_address_failures",
        min=1,
        max=1000000,
        default=100,
        help="The same for failed logins from one address (of IPv6, one /64), whatever the name. Behind a proxy that "
        "speaks HTTP to the service all clients have the proxy's address.",
    ),
    cfg.FloatOpt(
        "lockout_time",
        min=1,
        max=86400,
        default=900.0,
        help="Seconds after the first failed login at which counting begins anew, and what was locked is not any more.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
