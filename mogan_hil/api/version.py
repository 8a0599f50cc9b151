# SPDX-License-Identifier: Apache-2.0
"""Microversions: https://specs.openstack.org/openstack/api-sig/guidelines/microversion_specification.html

History:

* 1.0 - the first
"""

from __future__ import annotations

import re

from mogan_hil.common import exception

SERVICE = "baremetal-isolation"
LOWEST = 0
HIGHEST = 0


def negotiate(header: str | None) -> str:
    """What to answer in the version header.

    :param header: what the request has; other services' versions in it are passed over
    :raises exception.NotAcceptable: the version is not one of ours
    """
    wanted = LOWEST
    for item in (header or "").split(","):
        service, _, version = item.strip().partition(" ")
        if service != SERVICE:
            continue
        found = re.fullmatch(r"1\.([0-9]{1,4})", version.strip())
        if version.strip() == "latest":
            wanted = HIGHEST
        elif found is None or not LOWEST <= int(found[1]) <= HIGHEST:
            raise exception.NotAcceptable(version=repr(version.strip())[:40], lowest=LOWEST, highest=HIGHEST)
        else:
            wanted = int(found[1])
    return f"{SERVICE} 1.{wanted}"
