# SPDX-License-Identifier: Apache-2.0
"""Who guesses passwords is locked out, and nobody else."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import testtools
import webtest

from mogan_hil.api.middleware import lockout
from tests import service


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class LockoutCase(testtools.TestCase):
    """A service that locks after three failures of a name, and eight of an address."""

    SETTINGS: dict[tuple[str, str], Any] = {}

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        defaults = mock.patch.object(lockout.Failures.__init__, "__defaults__", (self.clock,))
        defaults.start()
        self.addCleanup(defaults.stop)
        limits = {("auth", "lockout_failures"): 3, ("auth", "lockout_address_failures"): 8}
        self.service = self.useFixture(service.Embedded({**limits, **self.SETTINGS}, conductor=False))

    def get(self, name: str, password: str, address: str = "192.0.2.1", header: str | None = None) -> Any:
        """The answer to a login."""
        if header is None:
            header = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        environ = {"REMOTE_ADDR": address, "HTTP_AUTHORIZATION": header}
        request = webtest.TestRequest.blank("/v1/drivers", environ)
        return request.get_response(self.service.app.app)

    def status(self, *login: str, **more: Any) -> int:
        return int(self.get(*login, **more).status_int)

    def fail(self, name: str, times: int = 3, **more: Any) -> None:  # type: ignore[override]
        """Guess."""
        for number in range(times):
            self.assertEqual(401, self.status(name, f"wrong{number}", **more))


class TestPairs(LockoutCase):
    """A name and an address."""

    def test_locked(self) -> None:
        self.fail("admin")
        for password in ("wrong", service.PASSWORD):
            answer = self.get("admin", password)
            self.assertEqual((429, "auth.locked"), (answer.status_int, answer.json["errors"][0]["code"]))
            self.assertEqual("901", answer.headers["Retry-After"])
            self.assertNotIn("WWW-Authenticate", answer.headers)
            self.assertEqual("application/json", answer.content_type)

    def test_until_its_time(self) -> None:
        self.fail("admin")
        self.clock.now += 899
        self.assertEqual(429, self.status("admin", service.PASSWORD))
        self.assertEqual("2", self.get("admin", service.PASSWORD).headers["Retry-After"])
        self.clock.now += 1
        self.assertEqual(200, self.status("admin", service.PASSWORD))
        self.fail("admin")
        self.assertEqual(429, self.status("admin", service.PASSWORD))

    def test_not_from_elsewhere(self) -> None:
        self.fail("admin")
        self.assertEqual(200, self.status("admin", service.PASSWORD, address="192.0.2.2"))

    def test_not_others(self) -> None:
        self.fail("admin")
        self.assertEqual(401, self.status("Admin", "wrong"))

    def test_unknown_users_look_alike(self) -> None:
        self.fail("nobody")
        known, unknown = self.get("admin", "x", "192.0.2.9"), self.get("nobody", "x")
        self.assertEqual((401, 429), (known.status_int, unknown.status_int))
        self.fail("admin")
        texts = [self.get(name, "x").json["errors"][0]["detail"] for name in ("admin", "nobody")]
        self.assertEqual(texts[0], texts[1])

    def test_a_success_clears(self) -> None:
        for _ in range(3):
            self.fail("admin", 2)
            self.assertEqual(200, self.status("admin", service.PASSWORD))

    def test_a_locked_login_costs_no_hash(self) -> None:
        self.fail("admin")
        with mock.patch("mogan_hil.common.passwords.matches", autospec=True) as matches:
            self.status("admin", service.PASSWORD)
        matches.assert_not_called()

    def test_without_credentials(self) -> None:
        for _ in range(20):
            request = webtest.TestRequest.blank("/v1/drivers", {"REMOTE_ADDR": "192.0.2.1"})
            self.assertEqual(401, request.get_response(self.service.app.app).status_int)

    def test_what_the_user_may_not_do_is_no_failed_login(self) -> None:
        self.service.admin.add_project("red")
        header = "Basic " + base64.b64encode(f"red-reader:{service.PASSWORD}".encode()).decode()
        for path, status in (("/v1/users", 403), ("/v1/nodes/none", 404), ("/v1/nothing", 404)):
            for _ in range(5):
                environ = {"REMOTE_ADDR": "192.0.2.1", "HTTP_AUTHORIZATION": header}
                answer = webtest.TestRequest.blank(path, environ).get_response(self.service.app.app)
                self.assertEqual(status, answer.status_int)


class TestAddresses(LockoutCase):
    """Many names from one address."""

    def test_spraying(self) -> None:
        for number in range(8):
            self.assertEqual(401, self.status(f"user{number}", "Summer2026"))
        self.assertEqual(429, self.status("user9", "Summer2026"))
        self.assertEqual(429, self.status("admin", service.PASSWORD))
        self.assertEqual(200, self.status("admin", service.PASSWORD, address="192.0.2.2"))

    def test_a_success_does_not_clear_an_address(self) -> None:
        for number in range(8):
            self.assertEqual(401, self.status(f"user{number}", "x"))
            self.assertEqual(429 if number == 7 else 200, self.status("admin", service.PASSWORD))

    def test_broken_headers_count(self) -> None:
        for header in ("Basic", "Basic !", "Bearer x", "", "Basic " + "A" * 5000, "Basic OjA=", "\xff", "Basic AAAA"):
            self.assertIn(self.status("", "", header=header), (401, 429), header)
        self.assertEqual(429, self.status("", "", header="Basic !"))

    def test_a_network_of_ipv6_is_one(self) -> None:
        self.fail("admin", address="2001:db8::1")
        self.assertEqual(429, self.status("admin", service.PASSWORD, address="2001:db8::2"))
        self.assertEqual(200, self.status("admin", service.PASSWORD, address="2001:db8:0:1::1"))

    def test_odd_addresses(self) -> None:
        for address, expected in (
            ("", ""),
            ("unix:", "unix:"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("fe80::1%eth0", "fe80::/64"),
            ("x" * 1000, "x" * 255),
        ):
            self.assertEqual(expected, lockout._network(address))


class TestBounds(testtools.TestCase):
    """Memory, and many at once."""

    def test_memory_is_bounded(self) -> None:
        failures = lockout.Failures(3, 900)
        with mock.patch.object(lockout, "MAX_COUNTED", 10):
            for number in range(100):
                failures.count(number)
        self.assertEqual(10, len(failures._counts))

    def test_no_failure_is_lost(self) -> None:
        failures = lockout.Failures(5000, 900)
        with ThreadPoolExecutor(8) as pool:
            locks = sum(pool.map(failures.count, ["one"] * 6000))
        self.assertEqual((1, 6000), (locks, failures._counts["one"][0]))

    def test_off(self) -> None:
        fixture = self.useFixture(service.Embedded({("auth", "lockout_failures"): 0}, conductor=False))
        sent = {"Authorization": "Basic " + base64.b64encode(b"admin:wrong").decode()}
        for _ in range(30):
            self.assertEqual(401, fixture._send("GET", "/v1/nodes", None, sent).status)


class TestProcesses(testtools.TestCase):
    """Each process counts by itself, as is documented."""

    def test_each(self) -> None:
        site = self.useFixture(service.Processes(apis=2, conductors=0, settings={("auth", "lockout_failures"): 2}))
        wrong = {"Authorization": "Basic " + base64.b64encode(b"admin:wrong").decode()}
        for api in site.apis:
            found = [api.call("GET", "nodes", headers=wrong).status for _ in range(3)]
            self.assertEqual([401, 401, 429], found)
