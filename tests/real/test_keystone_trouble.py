# SPDX-License-Identifier: Apache-2.0
"""Auth `keystone`, with a Keystone: what it costs, what happens without it, and how clients find the service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import fixtures
import requests
from keystoneauth1 import adapter, discover

from mogan_hil.api import process
from mogan_hil.client import rest
from tests import keystone, service
from tests.real.test_keystone import KeystoneCase
from tests.servers import base

#: Seconds that a request may take while Keystone is away.
PATIENCE = 45.0


class TestCache(KeystoneCase):
    """Keystone is asked about a token once."""

    def setUp(self) -> None:
        super().setUp()
        self.relay = self.useFixture(keystone.Relay(self.directory.url))

    def test_one_validation_for_many_requests(self) -> None:
        served = self.serve(self.relay.url)
        for who in ("red-member", "blue-member"):
            for _ in range(20):
                self.assertEqual(200, self.status(served, self.directory.token(who)))
        self.assertEqual(2, self.relay.validations)

    def test_threads_share_what_is_known(self) -> None:
        served = self.serve(self.relay.url)
        token = self.directory.token("red-member")
        self.assertEqual(200, self.status(served, token))
        found: list[int] = []
        threads = [threading.Thread(target=lambda: found.append(self.status(served, token))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([200] * 8, found)
        self.assertEqual(1, self.relay.validations)

    def test_the_time_of_the_cache(self) -> None:
        served = self.serve(self.relay.url, token_cache_time=1)
        token = self.directory.token("red-member")
        for _ in range(2):
            self.assertEqual(200, self.status(served, token))
            time.sleep(1.1)
        self.assertEqual(2, self.relay.validations)

    def test_a_wrong_token_is_not_kept(self) -> None:
        served = self.serve(self.relay.url)
        for _ in range(2):
            self.assertEqual(401, self.status(served, "bogus"))
        self.assertEqual(2, self.relay.validations)

    def test_what_is_known_of_a_project_is_not_asked_again(self) -> None:
        served = self.serve(self.relay.url)
        admin, blue = self.api(served, "system-admin"), self.directory.new_project()
        for name in ("n1", "n2"):
            admin.post("nodes", {"name": name})
            admin.put(f"nodes/{name}/project", {"project_id": blue})
        self.assertEqual(1, self.relay.seen.count(("GET", f"/v3/projects/{blue}")))


class TestAway(KeystoneCase):
    """Keystone does not answer."""

    def setUp(self) -> None:
        super().setUp()
        self.relay = self.useFixture(keystone.Relay(self.directory.url))

    def assert_unavailable(self, answer: service.Answer) -> None:
        self.assertEqual(503, answer.status, answer.text)
        (error,) = answer.json["errors"]
        self.assertEqual("identity.unavailable", error["code"])
        self.assertIn("Keystone could not be asked", error["detail"])
        self.assertTrue(error["request_id"].startswith("req-"))

    def ask(self, served: service.Embedded, token: str) -> service.Answer:
        began = time.monotonic()
        answer: service.Answer = keystone.TokenApi(served._send, token).call("GET", "nodes")
        self.assertLess(time.monotonic() - began, PATIENCE)
        return answer

    def test_from_the_start(self) -> None:
        served = self.serve(f"http://127.0.0.1:{base.free_port()}/v3")
        self.assert_unavailable(self.ask(served, self.directory.token("red-member")))
        answer = self.api(served, None).call("GET", "nodes", status=401)
        self.assertIn("Keystone uri=", answer.headers["WWW-Authenticate"])
        self.api(served, None).call("GET", "/", status=200)

    def test_each_trouble_and_its_end(self) -> None:
        for trouble in (self.relay.refuse, self.relay.fail, self.relay.hang):
            for warm in (False, True):
                with self.subTest(trouble=trouble.__name__, warm=warm):
                    served = self.serve(self.relay.url)
                    known, new = self.directory.token("red-member"), self.directory.new_token("red-member")
                    if warm:
                        self.assertEqual(200, self.ask(served, known).status)
                    self.relay.trouble = trouble
                    self.assert_unavailable(self.ask(served, new))
                    self.assertEqual(200 if warm else 503, self.ask(served, known).status)
                    self.assertEqual(401, self.api(served, None).call("GET", "nodes").status)
                    self.relay.trouble = None
                    self.assertEqual(200, self.ask(served, new).status)

    def test_the_usual_patience(self) -> None:
        served = self.serve(self.relay.url)
        self.relay.trouble = self.relay.hang
        self.assert_unavailable(self.ask(served, self.directory.token("red-member")))

    def test_a_project_cannot_be_looked_up(self) -> None:
        served = self.serve(self.relay.url)
        admin, blue = self.api(served, "system-admin"), self.directory.projects["blue"]
        admin.post("nodes", {"name": "n1"})
        for trouble in (self.relay.refuse, self.relay.fail, self.relay.hang):
            self.relay.trouble = trouble
            began = time.monotonic()
            self.assert_unavailable(admin.call("PUT", "nodes/n1/project", {"project_id": blue}))
            self.assertLess(time.monotonic() - began, PATIENCE)
        self.relay.trouble = None
        self.assertIsNone(admin.get("nodes/n1")["project_id"])
        admin.put("nodes/n1/project", {"project_id": blue})

    def test_the_account_of_the_service_is_wrong(self) -> None:
        for wrong in ({"password": "wrong"}, {"username": None}, {"project_id": None}):
            with self.subTest(wrong=wrong):
                served = self.serve(**wrong)
                self.assert_unavailable(self.ask(served, self.directory.token("red-member")))


class TestConfiguration(KeystoneCase):
    """What is missing is said once, at the start."""

    def start(self, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
        path = Path(self.useFixture(fixtures.TempDir()).path)
        config = self.directory.config(path / "keystone.conf", **options)
        with config.open("a") as file:
            file.write(
                f"[DEFAULT]\nstate_path = {path}\n[database]\nconnection = sqlite:///{path}/x.db\n[api]\nport = 0\n"
            )
        program = Path(sys.executable).with_name(command[0])
        return subprocess.run(
            [str(program), *command[1:], "--config-file", str(config)],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def test_what_is_missing_is_named(self) -> None:
        for options, words in (
            ({"auth_type": None}, "auth_type = password"),
            ({"auth_type": "pasword"}, "'pasword', which is not installed"),
            ({"auth_url": None}, "auth_url"),
        ):
            with self.subTest(options=options):
                ended = self.start("mogan-hil-api", **options)
                self.assertNotEqual(0, ended.returncode)
                last = ended.stderr.strip().splitlines()[-1]
                self.assertTrue(last.startswith("[keystone_authtoken]"), ended.stderr)
                self.assertIn(words, last)
                self.assertNotIn("Traceback", ended.stderr)
                self.assertEqual("", ended.stdout)

    def test_all_in_one(self) -> None:
        state = self.useFixture(fixtures.TempDir()).path
        command = ("mogan-hil", "--auth", "keystone", "--port", "0", "--state-dir", state)
        ended = self.start(*command, auth_type=None)
        self.assertNotEqual(0, ended.returncode)
        self.assertIn("auth_type = password", ended.stderr.strip().splitlines()[-1])
        self.assertNotIn("Traceback", ended.stderr)


class TestClients(KeystoneCase):
    """A client knows Keystone and the type of the service, and finds the rest."""

    def listen(self) -> str:
        """A service that is reached over the network; returns its address."""
        served = self.serve()
        listening = process.Server(served.app.app, ("127.0.0.1", 0), 4, alone=True)
        thread = threading.Thread(target=listening.serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(listening.stop)
        return listening.url

    def client(self, **options: Any) -> adapter.Adapter:
        return adapter.Adapter(
            self.directory.session("red-member"),
            service_type=keystone.SERVICE_TYPE,
            region_name=self.directory.region,
            **options,
        )

    def test_documents_of_versions(self) -> None:
        url = self.listen()
        for address in (url, f"{url}/", f"{url}/v1"):
            (found,) = discover.Discover(self.directory.session("red-member"), address).version_data()
            self.assertEqual((1, 0), found["version"])
            self.assertEqual(f"{url}/v1", found["url"])
            self.assertEqual(((1, 0), (1, 0)), (found["min_microversion"], found["max_microversion"]))
            self.assertEqual("CURRENT", found["raw_status"])

    def test_the_catalog(self) -> None:
        url = self.listen()
        for address in (f"{url}/v1", url):
            with self.subTest(address=address):
                entry = self.directory.register(address)
                # A token has the catalog of the moment when it was made.
                self.directory.session("red-member").invalidate()
                client = self.client(min_version="1", max_version="1.latest", default_microversion="1.0")
                self.assertEqual(f"{url}/v1", client.get_endpoint())
                self.assertEqual((1, 0), client.get_api_major_version())
                self.assertEqual((1, 0), client.get_endpoint_data().max_microversion)
                answer = client.get("/nodes")
                self.assertEqual([], answer.json()["nodes"])
                self.assertEqual(f"{keystone.SERVICE_TYPE} 1.0", answer.headers["OpenStack-API-Version"])
                self.assertEqual([], self.client().get(f"{url}/v1/nodes").json()["nodes"])
                self.directory.unregister(entry)

    def test_below_a_path(self) -> None:
        served = self.serve()
        served.conf.set_override("public_endpoint", "https://cloud.example.org/isolation", group="api")
        document = self.api(served, None).get("/")
        self.assertEqual("https://cloud.example.org/isolation/v1", document["versions"][0]["links"][0]["href"])

    def test_clouds_yaml(self) -> None:
        """It names a region, and there are others."""
        self.addCleanup(self.directory.unregister, self.directory.register("http://127.0.0.1:9/v1", "RegionOne"))
        self.addCleanup(self.directory.unregister, self.directory.register(f"{self.listen()}/v1"))
        directory = self.useFixture(fixtures.TempDir()).path
        auth = {
            "auth_url": self.directory.url,
            "username": self.directory.name("red-member"),
            "password": keystone.PASSWORD,
            "user_domain_id": "default",
            "project_id": self.directory.projects["red"],
        }
        lines = [f"      {name}: {json.dumps(value)}" for name, value in auth.items()]
        text = "\n".join(["clouds:", "  here:", f"    region_name: {self.directory.region}", "    auth:", *lines, ""])
        Path(directory, "clouds.yaml").write_text(text)
        self.useFixture(fixtures.EnvironmentVariable("OS_CLIENT_CONFIG_FILE", os.path.join(directory, "clouds.yaml")))
        api = rest.by_cloud("here")
        self.assertEqual([], api.get("nodes")["nodes"])
        with self.assertRaisesRegex(rest.ApiError, "policy.forbidden"):
            api.get("switches")

    def test_the_largest_token_gets_through(self) -> None:
        answer = requests.get(f"{self.listen()}/v1/nodes", headers={"X-Auth-Token": "x" * 8000}, timeout=60)
        self.assertEqual(401, answer.status_code)
