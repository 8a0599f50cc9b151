# SPDX-License-Identifier: Apache-2.0
"""A client that costs as little as one can, and figures."""

from __future__ import annotations

import base64
import http.client
import json
import statistics
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit


class Client:
    """One connection, kept; HTTP Basic."""

    def __init__(self, url: str, user: str = "", password: str = "") -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._connection.connect()
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}"} if user else {}

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """One request; its status and body."""
        data, headers = None, self._headers
        if body is not None:
            data, headers = json.dumps(body).encode(), {**headers, "Content-Type": "application/json"}
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON value of an answer.

        :raises RuntimeError: it was refused
        """
        status, data = self.call(method, path, body)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {data.decode(errors='replace')}")
        return json.loads(data) if data else None


def quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95th and 99th percentile."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return statistics.median(values), cuts[94], cuts[98]


def row(name: str, values: Sequence[float], floor: float | None = None) -> str:
    """One line of a table, in milliseconds."""
    median, p95, p99 = quantiles(values)
    ratio = f"{median / floor:8.1f}" if floor else " " * 8
    return f"{name:<44} {len(values):>5} {median:>8.2f} {p95:>8.2f} {p99:>8.2f} {ratio}"


HEADER = f"{'':<44} {'n':>5} {'median':>8} {'p95':>8} {'p99':>8} {'x floor':>8}"
