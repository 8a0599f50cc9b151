# SPDX-License-Identifier: Apache-2.0
"""What tempest.conf says of the service."""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("mogan_hil", title="Bare-metal isolation")

AVAILABLE = cfg.BoolOpt("mogan_hil", default=True, help="Whether the service is there; its tests are skipped if not.")

OPTIONS = [
    cfg.StrOpt("catalog_type", default="baremetal-isolation", help="The type of the service in the catalog."),
    cfg.StrOpt("region", default="", help="The region of its endpoint. Empty: the one of [identity]."),
    cfg.StrOpt(
        "endpoint_type",
        default="public",
        choices=["public", "admin", "internal"],
        help="Which of its endpoints is called.",
    ),
    cfg.StrOpt(
        "resource_class",
        default="baremetal",
        help="Nodes of this resource class are claimed, switched off and on, and given back. "
        "Those that are free have to have a controller, and a NIC that is cabled.",
    ),
    cfg.IntOpt(
        "build_timeout",
        default=300,
        min=1,
        help="Seconds that an operation may take, and that a test waits for a free node.",
    ),
    cfg.FloatOpt("build_interval", default=1.0, min=0.01, help="Seconds between two looks at what is waited for."),
]
