# SPDX-License-Identifier: Apache-2.0
"""Configuration, one file a group. There is no global object: whoever needs options takes a `ConfigOpts`."""

from __future__ import annotations

from oslo_config import cfg

from mogan_hil.conf import (
    api,
    audit,
    auth,
    conductor,
    console,
    default,
    headnode,
    journal,
    maintenance,
    metrics,
    network,
    notifications,
    quota,
    secrets,
)

GROUPS = (
    default,
    api,
    audit,
    auth,
    conductor,
    console,
    headnode,
    journal,
    maintenance,
    metrics,
    network,
    notifications,
    quota,
    secrets,
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register every option of the service."""
    for group in GROUPS:
        if shared := getattr(group, "GROUP", None):
            # oslo.config would share the group's overrides among all objects that the same OptGroup is registered with.
            conf.register_group(cfg.OptGroup(shared.name, shared.title))
        group.register_opts(conf)
