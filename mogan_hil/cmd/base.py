# SPDX-License-Identifier: Apache-2.0
"""What commands have in common."""

from __future__ import annotations

import contextlib

from oslo_config import cfg

from mogan_hil.api.middleware.auth_none import is_loopback


def announce(text: str) -> None:
    """Tell whoever started the command that it is ready. Nobody need be listening any more."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


def check_auth(conf: cfg.ConfigOpts, host: str) -> None:
    """Refuse to serve without authentication where others can reach it, or with one that cannot work.

    :raises SystemExit: with a message
    """
    if conf.auth.strategy == "none" and not is_loopback(host):
        raise SystemExit(
            f"Without authentication everyone who reaches {host} is an administrator: "
            "listen on 127.0.0.1, or choose auth local or keystone."
        )
    if conf.auth.strategy == "keystone":
        from mogan_hil.common import keystone  # it takes a while, which the other strategies need not wait for

        try:
            keystone.configure(conf)
        except keystone.ConfigurationError as error:
            raise SystemExit(str(error)) from None
