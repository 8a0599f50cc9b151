# SPDX-License-Identifier: Apache-2.0
"""Auth `keystone`: tokens, checked by keystonemiddleware. Its options are in [keystone_authtoken]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keystonemiddleware import auth_token

from mogan_hil.verbs.base import Services


def keystone(app: Callable[..., Any], services: Services) -> Callable[..., Any]:
    """Put auth_token around an application. It leaves the decision to the router, which knows what is public."""
    protocol = auth_token.AuthProtocol(app, {"oslo_config_config": services.conf, "delay_auth_decision": True})
    wrapped: Callable[..., Any] = protocol
    return wrapped
