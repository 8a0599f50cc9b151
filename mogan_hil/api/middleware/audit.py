# SPDX-License-Identifier: Apache-2.0
"""CADF events, by keystonemiddleware's audit filter. Its options are in [audit_middleware_notifications].

The filter by itself would send while the request waits, which is for ever while a broker is down; it would take an
error that is on its way to the fault wrapper for a request without an outcome; and it would tell the query string and
parts of the token.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import webob
from keystonemiddleware import audit
from oslo_config import cfg
from oslo_log import log

from mogan_hil.api.middleware.faults import FaultWrapper
from mogan_hil.objects.changes import Event
from mogan_hil.rpc import notifier
from mogan_hil.verbs.base import Services

LOG = log.getLogger(__name__)

#: The service in catalogs, as the map has it.
SERVICE_TYPE = "baremetal-isolation"

GROUP = audit.AUDIT_MIDDLEWARE_GROUP


def wrap(app: Callable[..., Any], services: Services) -> Callable[..., Any]:
    """Put the filter around an application, behind the authentication.

    :raises SystemExit: the map is not there
    """
    filtered: Callable[..., Any] = _Audit(FaultWrapper(app), services.conf)
    return filtered


def map_file(conf: cfg.ConfigOpts) -> str:
    """Where the map is.

    :raises SystemExit: nowhere
    """
    name = conf.audit.map_file
    found = name if Path(name).is_absolute() else conf.find_file(name)
    if found is None or not Path(found).is_file():
        raise SystemExit(f"The map for audit events, {name}, is not there: see [audit] map_file.")
    return str(found)


class _Audit(audit.AuditMiddleware):
    def __init__(self, app: Callable[..., Any], conf: cfg.ConfigOpts) -> None:
        super().__init__(
            app,
            oslo_config_config=conf,
            audit_map_file=map_file(conf),
            ignore_req_list=",".join(conf.audit.ignore_methods),
        )
        self._notifier = _notifier(conf)
        # The target is this service, whether or not the caller's token lists it.
        ident = str(uuid.uuid5(uuid.NAMESPACE_DNS, str(conf.host)))
        address = {"id": ident, "publicURL": conf.api.public_endpoint or ""}
        entry = {"type": SERVICE_TYPE, "name": "mogan_hil", "endpoints": [address]}
        self._catalog = json.dumps([entry])

    def _create_event(self, req: webob.Request) -> Any:
        told = {name: value for name, value in req.environ.items() if name not in ("HTTP_X_AUTH_TOKEN", "QUERY_STRING")}
        told |= {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"}  # the body is the application's
        told["HTTP_X_SERVICE_CATALOG"] = self._catalog
        event = super()._create_event(webob.Request(told))
        req.environ["cadf_event"] = event
        return event


def _notifier(conf: cfg.ConfigOpts) -> Any:
    options = conf[GROUP]
    drivers = [options.driver] if options.driver else list(filter(None, conf[notifier.GROUP].driver))
    if not options.use_oslo_messaging or not drivers:
        return _Logged()
    topics = options.topics or conf[notifier.GROUP].topics
    return _Queued(notifier.Notifier(conf, topics, driver=options.driver, url=options.transport_url))


class _Queued:
    """Sends events from a queue, as other notifications are."""

    def __init__(self, sender: notifier.Notifier) -> None:
        self._sender = sender

    def notify(self, _context: object, name: str, payload: Mapping[str, Any]) -> None:
        self._sender.tell([Event(name, dict(payload), "info")])


class _Logged:
    """Writes events to the log."""

    def notify(self, _context: object, name: str, payload: Mapping[str, Any]) -> None:
        LOG.info("%(name)s %(payload)s", {"name": name, "payload": dict(payload)})
