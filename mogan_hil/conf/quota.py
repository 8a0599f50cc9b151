# SPDX-License-Identifier: Apache-2.0
"""[quota]"""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("quota", title="Quotas of projects for which no administrator set others")

OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "instances",
        default=-1,
        min=-1,
        help="How many instances a project may have; -1 is as many as it likes. The free nodes limit them anyway.",
    ),
    cfg.IntOpt("nodes", default=-1, min=-1, help="How many nodes a project may have; -1 is as many as there are."),
    cfg.IntOpt(
        "networks",
        default=-1,
        min=-1,
        help="How many networks a project may own; -1 is as many as the pools of segments have.",
    ),
    cfg.IntOpt("headnodes", default=10, min=-1, help="How many headnodes a project may have; -1 is no limit."),
    cfg.IntOpt(
        "headnode_cpus",
        default=-1,
        min=-1,
        help="How many processors a project's headnodes may have together, whether they run or not; -1 is no limit.",
    ),
    cfg.IntOpt(
        "headnode_memory",
        default=-1,
        min=-1,
        help="How many MiB of memory a project's headnodes may have together, whether they run or not; -1 is no limit.",
    ),
    cfg.IntOpt("images", default=100, min=-1, help="How many images a project may own; -1 is no limit."),
    cfg.IntOpt("server_groups", default=100, min=-1, help="How many server groups a project may have; -1 is no limit."),
    cfg.IntOpt(
        "keypairs",
        default=100,
        min=-1,
        help="How many keypairs each user may have who acts for a project; -1 is as many as they like.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group's options."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> dict[str | None, list[cfg.Opt]]:
    """The group's options for the sample generator."""
    return {GROUP.name: OPTS}
