# SPDX-License-Identifier: Apache-2.0
"""Locks in etcd: of several conductors, and while etcd is away."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import ClassVar

import fixtures
import requests
import testtools
import tooz

from mogan_hil.conductor import tooz_locks
from tests import service
from tests.functional.proxy import Proxy
from tests.functional.racks import until
from tests.said import Said
from tests.servers import base


class Etcd(fixtures.Fixture):
    """A private etcd of one member."""

    def _setUp(self) -> None:
        program = base.find_program("etcd") or ""
        self.port, peers = base.free_port(), base.free_port()
        here = Path(self.useFixture(fixtures.TempDir()).path)
        near, far = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peers}"
        command = [program, "--name", "one", "--data-dir", str(here / "data"), "--initial-cluster", f"one={far}"]
        command += ["--listen-client-urls", near, "--advertise-client-urls", near]
        command += ["--listen-peer-urls", far, "--initial-advertise-peer-urls", far]
        with open(here / "log", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        until(self._well)  # it listens before it answers

    def _well(self) -> bool:
        try:
            answer = requests.get(f"http://127.0.0.1:{self.port}/health", timeout=5)
            return bool(answer.json()["health"] == "true")
        except (requests.RequestException, ValueError):
            return False


class TestEtcd(testtools.TestCase):
    """One etcd, behind a way that can be cut."""

    etcd: ClassVar[Etcd]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if base.find_program("etcd") is None:
            raise cls.skipException("etcd is not there")
        cls.etcd = Etcd()
        cls.etcd.setUp()
        cls.addClassCleanup(cls.etcd.cleanUp)

    def setUp(self) -> None:
        super().setUp()
        self.proxy = Proxy(("127.0.0.1", self.etcd.port))
        self.addCleanup(self.proxy.close)
        self.far = f"etcd3+http://127.0.0.1:{self.proxy.port}?lock_timeout=10&membership_timeout=10&timeout=5"
        self.near = f"etcd3+http://127.0.0.1:{self.etcd.port}"
        self.said = self.useFixture(Said())

    def locks(self, url: str, name: str) -> tooz_locks.ToozLocks:
        found = tooz_locks.ToozLocks(url, name)
        self.addCleanup(found.stop)
        return found

    def both(self) -> tuple[tooz_locks.ToozLocks, tooz_locks.ToozLocks]:
        """Those of two conductors; etcd can be cut off from the first."""
        one, two = self.locks(self.far, "one"), self.locks(self.near, "two")
        for each in (one, two):
            each.start()
        return one, two

    def lane(self) -> str:
        return f"switch:{self.id()}"

    def test_exclude(self) -> None:
        one, two = self.both()
        held = one.get(self.lane())
        self.assertTrue(held.acquire(blocking=False))
        self.assertTrue(held.acquired)
        for other in (one, two):
            self.assertFalse(other.get(self.lane()).acquire(blocking=False))
        self.assertTrue(held.release())
        self.assertFalse(held.acquired)
        self.assertTrue(two.get(self.lane()).acquire(blocking=False))

    def test_conductor_comes_before_etcd(self) -> None:
        """Its work waits; so little is said of it that what else is said can be found."""
        self.proxy.cut()
        site = self.useFixture(service.Embedded({("conductor", "lock_url"): self.far}, conductor=False))
        self.said = self.useFixture(Said())  # the service has set up its own
        site.start_conductor()
        site.admin.add_switch("rack1")
        port = site.admin.post("switches/rack1/ports", {"name": "p1"})
        until(lambda: "does not answer" in self.said.output, service.WAIT)
        time.sleep(1)
        self.assertEqual("pending", site.admin.get(f"operations/{port['operation']['uuid']}")["state"])
        self.assertEqual(1, len(self.said.output.splitlines()), self.said.output)
        self.proxy.mend()
        site.admin.wait(port["operation"])
        self.assertIn("answers again", self.said.output)

    def test_etcd_goes_away(self) -> None:
        """What was held then is another's in the end, and is not kept for ever by who could not give it back."""
        one, two = self.both()
        held = one.get(self.lane())
        self.assertTrue(held.acquire(blocking=False))
        self.proxy.cut()
        self.assertRaises(tooz.ToozError, held.release)
        self.assertFalse(one.get("another").acquire(blocking=False))
        self.proxy.mend()
        until(lambda: two.get(self.lane()).acquire(blocking=False), service.WAIT)
        self.assertLessEqual(len(self.said.output.splitlines()), 2, self.said.output)

    def test_given_back_late(self) -> None:
        """A moment without etcd does not leave a lock behind that its holder keeps alive."""
        one, two = self.both()
        held = one.get(self.lane())
        self.assertTrue(held.acquire(blocking=False))
        self.proxy.cut()
        self.assertRaises(tooz.ToozError, held.release)
        self.proxy.mend()
        until(lambda: not held.acquired, service.WAIT)
        self.assertTrue(two.get(self.lane()).acquire(blocking=False))

    def test_ends_without_etcd(self) -> None:
        one, _ = self.both()
        self.proxy.cut()
        until(lambda: "does not answer" in self.said.output, service.WAIT)
        ending = threading.Thread(target=one.stop, daemon=True)
        ending.start()
        ending.join(service.WAIT)
        self.assertFalse(ending.is_alive())
