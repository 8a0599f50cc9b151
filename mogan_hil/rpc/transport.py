# SPDX-License-Identifier: Apache-2.0
"""The message bus, and who is at its ends."""

from __future__ import annotations

import oslo_messaging
from oslo_config import cfg

from mogan_hil.rpc.client import TOPIC, Client, NoClient, RemoteClient

EXCHANGE = "mogan_hil"


#: oslo.messaging's default, which stands for no choice at all.
UNSET = "rabbit://"


def _transport(conf: cfg.ConfigOpts) -> oslo_messaging.RPCTransport | None:
    oslo_messaging.set_transport_defaults(EXCHANGE)
    transport = oslo_messaging.get_rpc_transport(conf)
    return None if conf.transport_url in (None, "", UNSET) else transport


def client(conf: cfg.ConfigOpts) -> Client:
    """The conductors, as `transport_url` says; a client that reaches nobody where it is not set."""
    transport = _transport(conf)
    return NoClient() if transport is None else RemoteClient(transport)


def server(conf: cfg.ConfigOpts, endpoint: object) -> oslo_messaging.MessageHandlingServer | None:
    """A server for one conductor, None where no `transport_url` is set.

    Whichever conductor is free takes a message: they all listen to one topic.
    """
    transport = _transport(conf)
    if transport is None:
        return None
    target = oslo_messaging.Target(topic=TOPIC, server=conf.host)
    return oslo_messaging.get_rpc_server(transport, target, [endpoint], executor="threading")
