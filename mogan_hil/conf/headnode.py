# SPDX-License-Identifier: Apache-2.0
"""[headnode]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("headnode", title="Headnodes: the virtual machines of projects")

OPTS = [
    cfg.StrOpt(
        "driver",
        default="fake",
        help="The headnode driver: where headnodes are. `fake` only pretends that they are anywhere.",
    ),
    cfg.DictOpt(
        "driver_options",
        default={},
        help="The options of that driver, as `name:value,name:value`; values that are JSON are taken as such. For "
        "`libvirt` for example `uri:qemu:///system,pool:headnodes,domain_type:kvm`.",
    ),
    cfg.MultiStrOpt(
        "images",
        default=[],
        help="A base image, as `name:path:memory:cpus`: what it is called, where its qcow2 file is on the host of the "
        "headnodes, and the memory in MiB and the processors of a headnode that is made from it. May be given several "
        "times; without any there are no headnodes.",
    ),
    cfg.DictOpt(
        "bridges",
        default={},
        help="The bridge of the host that reaches a physical network, as `physical_network:bridge`. A `{segment_id}` "
        "in the name stands for the network's segment, where there is a bridge for each. Headnodes join no networks "
        "of other physical networks.",
    ),
    cfg.StrOpt(
        "mac_prefix",
        default="fa:16:3e",
        regex="^[0-9a-f][02468ace](:[0-9a-f]{2}){2}$",
        help="The first three octets of the MAC addresses that are made for the NICs of headnodes.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
