# SPDX-License-Identifier: Apache-2.0
"""The lanes on which a URL is told of nodes that were given back."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Sequence

import requests
from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.conductor.devices import Guard
from mogan_hil.conductor.lanes import keep
from mogan_hil.db.api import Database
from mogan_hil.drivers.base import DriverError
from mogan_hil.objects.operation import Operation

LOG = log.getLogger(__name__)

#: Seconds after which the rest of a batch is left for the next.
PATIENCE = 30.0

SIGNATURE = "X-Mogan-Hil-Signature"


class NoticeLane:
    """Does node_notice. See :class:`.lanes.Handler`.

    It counts its tries itself: a server may be away for longer than a device.
    """

    def __init__(self, conf: cfg.ConfigOpts, database: Database) -> None:
        self._settings = conf.maintenance
        self._database = database

    def run(self, lane: str, operations: Sequence[Operation]) -> None:
        """See :meth:`.lanes.Handler.run`."""
        end, delay = time.monotonic() + PATIENCE, 0.0
        for operation in operations:
            if delay or time.monotonic() > end:
                # Whoever stops the conductor waits for this. A server that said nothing says nothing of the others.
                with self._database.writer() as session:
                    keep(operation.wait(session, delay))
                continue
            status, error = self._tell(operation)
            with self._database.writer() as session:
                if error is None:
                    keep(operation.finish(session, verified=True))
                else:
                    keep(self._failed(session, operation, error))
            delay = self._settings.retry_delay if status is None else 0.0

    def abandon(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.abandon`. Nothing waits for it."""

    def withdraw(self, session: orm.Session, operation: Operation) -> None:
        """See :meth:`.lanes.Handler.withdraw`. No lock stops it."""

    def recheck(self, lane: str) -> None:
        """See :meth:`.lanes.Handler.recheck`. Whoever is told twice sees the same operation."""

    def _failed(self, session: orm.Session, operation: Operation, error: str) -> bool:
        tries = (operation.result or {}).get("tries", 0) + 1
        told = {"uuid": operation.uuid, "tries": tries, "error": error}
        LOG.warning("Operation %(uuid)s, try %(tries)d: %(error)s", told)
        if tries >= self._settings.tries:
            return operation.fail(session, error, error)
        operation.update(session, result={"tries": tries})
        if not operation.note(session, error, error):
            return False
        delay = self._settings.retry_delay * 2 ** min(tries - 1, 30)
        return operation.wait(session, min(delay, self._settings.max_retry_delay))

    def _tell(self, operation: Operation) -> tuple[int | None, str | None]:
        """What it answered, None if it did not; and what went wrong, without the address: that may have a secret."""
        if not self._settings.url:
            return 0, "No URL is configured any more."
        body = json.dumps({**operation.payload, "operation": operation.uuid}).encode()
        try:
            # What requests calls a timeout is the time between two bytes.
            status = Guard("The URL of [maintenance]", self._settings.timeout).call(self._post, body)
        except DriverError as error:
            return None, error.user
        return status, None if 200 <= status < 300 else f"It answered {status}."

    def _post(self, body: bytes) -> int:
        settings = self._settings
        headers = {"Content-Type": "application/json", "User-Agent": "mogan_hil"}
        if settings.token:
            headers["Authorization"] = f"Bearer {settings.token}"
        if settings.signing_key:
            digest = hmac.new(settings.signing_key.encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"sha256={digest}"
        with requests.Session() as session:
            session.trust_env = False  # a .netrc would take the place of the token
            session.verify = settings.ca_file or True
            try:
                with session.post(
                    settings.url,
                    data=body,
                    headers=headers,
                    timeout=settings.timeout,
                    allow_redirects=False,  # the token is for one address
                    stream=True,  # nobody reads the body
                ) as answer:
                    return int(answer.status_code)
            except (requests.RequestException, OSError) as error:
                raise DriverError(f"It could not be told: {type(error).__name__}.") from None
