# SPDX-License-Identifier: Apache-2.0
"""Consoles of conductors in processes of their own: they flood, and they die."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests
import testtools

from mogan_hil.drivers.obm import fake
from tests import service

SETTINGS = {("conductor", "sweep_interval"): 0.1, ("console", "check_interval"): 0.2, ("console", "record_size"): 65536}
FLOOD = 100 * 1000 * 1000
#: Bytes by which a conductor may grow over it: its buffers, and what Python keeps.
GROWTH = 40 * 1000 * 1000
GAP = re.compile(rb"\r\n\[\.\.\. (\d+) bytes left out: you read too slowly \.\.\.\]\r\n")


class Reader(threading.Thread):
    """Counts what it reads, and keeps the end of it."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.answer = requests.get(url, stream=True, timeout=120)
        self.answer.raise_for_status()
        self.seen = 0
        self.tail = b""
        self.start()

    def run(self) -> None:
        with contextlib.suppress(requests.RequestException):  # whoever streams may be killed
            for piece in self.answer.iter_content(1024 * 1024):
                gaps = list(GAP.finditer(piece))
                self.seen += len(piece) + sum(int(gap[1]) - len(gap[0]) for gap in gaps)
                self.tail = (self.tail + piece)[-100:]


class ProcessesCase(testtools.TestCase):
    """One API and one conductor."""

    #: Seconds without a word after which a conductor is taken for dead: also one that only had no time for one.
    lease = 60.0

    def setUp(self) -> None:
        super().setUp()
        settings = {**SETTINGS, ("console", "lease"): self.lease}
        self.site = self.useFixture(service.Processes(apis=1, conductors=1, settings=settings))
        self.admin = self.site.admin
        self.node = self.admin.add_node("n1", obm={"driver": "fake"})
        self.admin.wait(self.admin.put("nodes/n1/console", status=202))

    def until(self, condition: Callable[[], object], seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"it did not come about in time\n{self.site.logs()[-4000:]}")
            time.sleep(0.05)

    def url(self) -> str:
        return str(self.admin.get("nodes/n1/console/stream?redirect=false")["url"])

    def write(self, text: str) -> None:
        fake.write_console(self.site.state_dir, self.node["uuid"], text)

    def record(self) -> str:
        return str(self.admin.call("GET", "nodes/n1/console").text)

    def moved(self, before: str) -> bool:
        """Whether another conductor has the console."""
        answer = self.admin.call("GET", "nodes/n1/console/stream?redirect=false")
        return answer.status == 200 and answer.json["url"].partition("?")[0] != before.partition("?")[0]


class TestProcesses(ProcessesCase):
    """Nobody dies."""

    def peak(self) -> int:
        """Bytes that the conductor's processes had at most; VmHWM of proc(5)."""
        group = self.site.conductors[0].pid
        found = 0
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                if os.getpgid(int(status.parent.name)) == group:
                    found += int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) * 1024
            except (OSError, IndexError):  # it ended meanwhile
                continue
        return found

    def test_flood(self) -> None:
        """All of it reaches two readers, and little stays."""
        readers = [Reader(self.url()) for _ in range(2)]
        self.write("warm")
        self.until(lambda: all(reader.seen for reader in readers))
        before = self.peak()
        fake.set_faults(self.site.state_dir, self.node["uuid"], console_flood=FLOOD)
        self.until(lambda: all(reader.seen >= FLOOD for reader in readers))
        self.write("the end")
        self.until(lambda: all(reader.tail.endswith(b"the end\r\n") for reader in readers))
        self.assertEqual([FLOOD + len("warm\r\nthe end\r\n")] * 2, [reader.seen for reader in readers])
        self.assertLess(self.peak() - before, GROWTH)
        self.until(lambda: self.record().endswith("the end\r\n"))
        self.assertEqual(65536, len(self.record()))

    def test_a_conductor_hands_over(self) -> None:
        """It is told to stop while another is there."""
        self.site.start_conductor()
        before = self.url()
        self.site.conductors[0].terminate()
        self.until(lambda: self.moved(before))
        self.write("goes on")
        self.until(lambda: "goes on" in self.record())


class TestDeaths(ProcessesCase):
    """Others wait until it is certain."""

    lease = 5.0

    def test_a_conductor_dies(self) -> None:
        """kill -9: another opens its consoles again, goes on with the record, and tells where it streams."""
        self.write("one")
        self.until(lambda: "one" in self.record())
        before = self.url()
        reader = Reader(before)
        self.site.kill_conductor(self.site.conductors[0])
        reader.join(service.WAIT)
        self.assertFalse(reader.is_alive())
        self.site.start_conductor()
        self.until(lambda: self.moved(before))
        again = Reader(self.url())
        self.write("two")
        self.until(lambda: b"two" in again.tail)
        self.until(lambda: self.record() == "one\r\ntwo\r\n")
        (resumed,) = self.admin.get("operations?verb=console_resume")["operations"]
        self.admin.wait(resumed)

    def test_it_is_stopped_while_its_conductor_is_dead(self) -> None:
        self.site.kill_conductor(self.site.conductors[0])
        operation = self.admin.delete("nodes/n1/console", 202)
        self.site.start_conductor()
        self.admin.wait(operation)
        self.assertEqual("stopped", self.admin.call("GET", "nodes/n1/console").headers["Console-Status"])
