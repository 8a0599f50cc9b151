# SPDX-License-Identifier: Apache-2.0
"""[network]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("network", title="Networks and their segments")

OPTS = [
    cfg.StrOpt("allocator", default="vlan_pool", help="The allocator driver that gives a network its segment."),
    cfg.StrOpt(
        "ipam_driver",
        default="pool",
        help="The IPAM driver that gives NICs addresses of their networks' subnets; `null` gives none that nobody asks "
        "for.",
    ),
    cfg.StrOpt(
        "manager_driver",
        default="null",
        help="The driver of the network manager, which tells machines their addresses; `null` tells them nothing.",
    ),
    cfg.DictOpt(
        "manager_options",
        default={},
        help="The options of that driver, as `name:value,name:value`; values that are JSON are taken as such.",
    ),
    cfg.MultiStrOpt(
        "segments",
        default=["default:100-3999"],
        help="The pool of segments of one physical network, for example `default:100-199,300`. May be given several "
        "times; the first physical network is the one of switches and networks that name none.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
