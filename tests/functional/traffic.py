# SPDX-License-Identifier: Apache-2.0
"""Tenants who attach and detach all the time, while a test breaks what is under them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import requests

from tests import service


class Traffic:
    """Clients, each with nodes of its own, who change the networks of one NIC after the other.

    :param api: gives the API as the owner of the nodes, by the number of the client
    :param nodes: all claimed, with the NIC `eth0`
    :param networks: what to attach
    :param count: stop after so many changes were accepted
    """

    def __init__(
        self,
        api: Callable[[int], service.Api],
        nodes: Sequence[str],
        networks: Sequence[Any],
        count: int,
        clients: int = 4,
    ) -> None:
        self._api = api
        self._networks = networks
        self._left = count
        self._lock = threading.Lock()
        self._end = threading.Event()
        #: The operations that were accepted.
        self.accepted: list[str] = []
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number, nodes[number::clients]), daemon=True)
            for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether changes are still being asked for."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self, timeout: float | None = None) -> None:
        """Ask for nothing more; without this, for what was to be asked for."""
        self._end.set()
        self.join(timeout)

    def join(self, timeout: float | None = None) -> None:
        """Wait until all was asked for."""
        for thread in self._threads:
            thread.join(timeout)

    def _run(self, number: int, nodes: Sequence[str]) -> None:
        random_ = random.Random(number)
        on: dict[str, set[str]] = {node: set() for node in nodes}
        while not self._end.is_set():
            node = random_.choice(nodes)
            network = random_.choice(self._networks)
            try:
                answer = self._change(self._api(number), node, network, on[node])
            except requests.RequestException:  # the process is being killed
                self._end.wait(0.05)
                continue
            with self._lock:
                self.answers[answer.status] += 1
                if answer.status == 202:
                    self.accepted.append(answer.json["uuid"])
                    self._left -= 1
                elif answer.status >= 500:
                    self.failures.append(answer.text)
                if self._left <= 0:
                    self._end.set()
            if answer.status == 409:
                self._end.wait(0.02)

    def _change(self, api: service.Api, node: str, network: Any, on: set[str]) -> service.Answer:
        path = f"nodes/{node}/nics/eth0/attachments"
        if network["name"] in on:
            answer = api.call("DELETE", f"{path}/{network['name']}")
            if answer.status in (202, 404):
                on.discard(network["name"])
            return answer
        channel = f"vlan/{network['segment_id']}" if network["name"].endswith("tagged") else "vlan/native"
        answer = api.call("POST", path, {"network": network["name"], "channel": channel})
        if answer.status == 202 or answer.json["errors"][0]["code"] == "attachment.channel_taken":
            on.add(network["name"])
        return answer
