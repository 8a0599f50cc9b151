# SPDX-License-Identifier: Apache-2.0
"""The API for tests: one user's calls."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from tempest.lib import exceptions
from tempest.lib.common import rest_client


class Client(rest_client.RestClient):
    """Calls the API; what is not answered with success raises what tempest has for the status."""

    api_version = "v1"

    def call(self, method: str, *path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """Send a request.

        :param path: its parts below `/v1`, as they are
        :returns: the JSON of the answer, None for an empty one
        """
        url = "/".join(quote(part, safe="") for part in path)
        if query:
            url += "?" + urlencode(query)
        response, text = self.request(method, url, body=None if body is None else json.dumps(body))
        self.expected_success([200, 201, 202, 204], response.status)
        return json.loads(text) if text else None

    def show(self, *path: str, **query: Any) -> Any:
        """GET."""
        return self.call("GET", *path, query=query)

    def create(self, *path: str, **body: Any) -> Any:
        """POST."""
        return self.call("POST", *path, body=body or None)

    def set(self, *path: str, **body: Any) -> Any:
        """PUT."""
        return self.call("PUT", *path, body=body or None)

    def update(self, *path: str, **body: Any) -> Any:
        """PATCH."""
        return self.call("PATCH", *path, body=body or None)

    def remove(self, *path: str) -> Any:
        """DELETE."""
        return self.call("DELETE", *path)

    def wait(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Wait until an operation is done, and return it.

        :raises exceptions.TempestException: it ended in error
        :raises exceptions.TimeoutException: it did not end in time
        """
        end = time.monotonic() + self.build_timeout
        while True:
            found: dict[str, Any] = self.show("operations", operation["uuid"])
            if found["state"] == "done":
                return found
            if found["state"] == "error":
                raise exceptions.TempestException(f"The operation failed: {found}")
            if time.monotonic() > end:
                raise exceptions.TimeoutException(f"The operation does not end: {found}")
            time.sleep(self.build_interval)
