# SPDX-License-Identifier: Apache-2.0
"""The driver of obmd, against a server that answers as obmd's source says."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.obm.base import Power, Unsupported
from mogan_hil.drivers.obm.obmd import Obmd
from mogan_hil.drivers.testing import base, obm

ADMIN = "44d5ebcb1aae23bfefc8dca8314797eb"


class Daemon(ThreadingHTTPServer):
    """An obmd with one node, `n1`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token: str | None = None
        self.on = False
        self.says = "{}"
        self.status = 200
        self.delay = 0.0
        self.cycles: list[threading.Event] = []  # each is answered when it is set
        self.late = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """A client that waits no more is no error."""


class Handler(BaseHTTPRequestHandler):
    server: Daemon

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, body: Any = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _handle(self) -> None:
        daemon, path = self.server, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(daemon.delay)
        if path.path == "/node/n1/token":
            known = "Basic " + base64.b64encode(f"admin:{ADMIN}".encode()).decode()
            if self.headers.get("Authorization") != known:
                return self._answer(404)
            daemon.token = secrets.token_hex(16)
            return self._answer(200, {"token": daemon.token})
        if not path.path.startswith("/node/n1/"):
            return self._answer(404)
        if daemon.token is None or parse_qs(path.query).get("token") != [daemon.token]:
            return self._answer(401)
        if daemon.status != 200:
            return self._answer(daemon.status)
        call = path.path.rpartition("/")[2]
        if call == "power_status":
            return self._answer(200, {"power_status": daemon.says.format("on" if daemon.on else "off")})
        if call == "power_cycle" and "force" not in json.loads(body):
            return self._answer(400)
        daemon.on = call != "power_off"
        if call == "power_cycle":
            daemon.cycles.append(threading.Event())
            if daemon.late:
                daemon.cycles[-1].wait()
        return self._answer(200)

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()


class TestObmd(obm.ObmContract, unittest.TestCase):
    driver_class = Obmd
    bad_options: ClassVar[tuple[dict[str, Any], ...]] = (
        {"uri": "ftp://x/node/1", "admin_token": "x"},
        {"uri": "http://x/node/1\n", "admin_token": "x"},
        {"uri": "http://x/node/1?token=1", "admin_token": "x"},
        {"uri": "http://user:pw@x/node/1", "admin_token": "x"},
        {"uri": "http://x/node/1"},
    )

    #: What it does not claim; that it is not there is a test of its own.
    test_boot_device = test_unknown_boot_device_is_an_error = test_soft_off = None
    test_console = test_console_ends = test_console_is_typed_on = test_console_is_typed_on_after_its_end = None

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.server_close)
        cls.addClassCleanup(cls.daemon.shutdown)

    def setUp(self) -> None:
        super().setUp()
        self.daemon.says, self.daemon.status, self.daemon.delay = "{}", 200, 0.0

    def options(self) -> dict[str, Any]:
        return {"uri": f"http://127.0.0.1:{self.daemon.server_port}/node/n1", "admin_token": ADMIN}

    def unreachable(self) -> dict[str, Any]:
        return {**self.options(), "uri": "http://127.0.0.1:1/node/n1"}

    def _fails(self, *, transient: bool) -> None:
        for call in (self.driver.power, lambda: self.driver.set_power(Power.ON)):
            with self.assertRaises(DriverError) as caught:
                call()
            self.assertEqual(transient, caught.exception.transient)
            self.assert_error_texts(caught.exception, self.daemon.token or ADMIN)
            self.assertNotIn(self.daemon.token or ADMIN, caught.exception.operator)

    def test_another_took_the_token(self) -> None:
        self.driver.set_power(Power.ON)
        self.daemon.token = secrets.token_hex(16)
        self.driver.set_power(Power.OFF)
        self.assert_power(Power.OFF)

    def test_what_the_controller_says(self) -> None:
        self.driver.set_power(Power.ON)
        for says in ("Chassis Power is {}\n", "{}"):
            self.daemon.says = says
            self.assertEqual(Power.ON, self.driver.power())
        self.daemon.says = "perhaps"
        with self.assertRaises(DriverError):
            self.driver.power()

    def test_wrong_token(self) -> None:
        self.driver = Obmd({**self.options(), "admin_token": "wrong"}, self._environment)
        self.addCleanup(self.driver.close)
        self._fails(transient=False)

    def test_controller_is_broken(self) -> None:
        self.daemon.status = 500
        self._fails(transient=True)

    def test_slow(self) -> None:
        self.daemon.delay = 1.0
        self._environment = base.environment(self._environment.state_dir, timeout=0.2)
        self.driver = self.make_driver()
        self._fails(transient=True)

    def test_a_cycle_is_sent_once(self) -> None:
        before = len(self.daemon.cycles)
        self.daemon.late = True
        self.addCleanup(lambda: [event.set() for event in self.daemon.cycles])
        self.addCleanup(setattr, self.daemon, "late", False)
        driver = Obmd(self.options(), base.environment(self._environment.state_dir, timeout=2.0))
        self.addCleanup(driver.close)
        driver.power()
        with self.assertRaises(DriverError) as caught:
            driver.set_power(Power.CYCLE)
        self.assertEqual((True, False), (caught.exception.transient, caught.exception.undone))
        self.assertEqual(1, len(self.daemon.cycles) - before)

    def test_unreachable(self) -> None:
        self.driver = Obmd({**self.options(), "uri": "http://127.0.0.1:1/node/n1"}, self._environment)
        self.addCleanup(self.driver.close)
        self._fails(transient=True)

    def test_no_soft_off(self) -> None:
        with self.assertRaises(Unsupported):
            self.driver.set_power(Power.SOFT_OFF)
