# SPDX-License-Identifier: Apache-2.0
"""What becomes of nodes that are given back: the project for maintenance, and the URL that is told."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fixtures
import sqlalchemy as sa
import testtools
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mogan_hil.db import models
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import fake as fake_switch
from tests import service
from tests.functional.racks import rack, until


class Listener(fixtures.Fixture):
    """A server that is told, and answers as it is told to.

    :param answers: the status of each answer; the last stays. 0 says nothing until `go_on`, -1 says a byte at a time
    :param certificate: a PEM file with the key, for TLS
    """

    def __init__(self, answers: Sequence[int] = (204,), certificate: Path | None = None) -> None:
        super().__init__()
        self._answers: Iterator[int] = iter(answers)
        self._last = answers[-1]
        self._certificate = certificate
        self.told: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.go_on = threading.Event()

    def _setUp(self) -> None:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener._answer(self)

            def log_message(self, *_arguments: object) -> None:
                """It is no news."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/told?key=hidden"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)
        self.addCleanup(self.go_on.set)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.headers.append(handler.headers)
        self.bodies.append(body)
        self.paths.append(handler.path)
        self.told.append(json.loads(body or b"null"))
        status = next(self._answers, self._last)
        if status == 0:
            self.go_on.wait(60)
            status = 204
        if status < 0:
            for byte in b"HTTP/1.0 200 OK\r\n" + b"x: y\r\n" * 1000:
                if self.go_on.wait(0.05):
                    return
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
            return
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("Location", "/elsewhere")
        handler.end_headers()


class Case(testtools.TestCase):
    """A service with a tenant `red`, and a project `repair`."""

    def make(self, listener: Listener | None = None, project: str | None = None, **options: Any) -> None:
        """Start it, with these options of [maintenance]."""
        settings: dict[tuple[str, str], Any] = {
            ("maintenance", "retry_delay"): 0.05,
            ("maintenance", "max_retry_delay"): 0.1,
            ("maintenance", "tries"): 3,
            ("maintenance", "timeout"): 10.0,
        }
        options |= {"url": listener.url} if listener else {}
        options |= {"project": project} if project else {}
        settings |= {("maintenance", name): value for name, value in options.items()}
        self.site = self.useFixture(service.Embedded(settings))
        self.admin = self.site.admin
        self.red = self.admin.as_user("red-member")
        self.project = self.admin.add_project("red")
        self.blue = self.admin.as_user("blue-member")
        self.admin.add_project("blue")
        self.repair = self.admin.as_user("repair-member")
        self.pool = self.admin.add_project("repair")

    def node(self, name: str = "n1") -> Any:
        """A node that red has."""
        found = self.admin.post("nodes", {"name": name})
        self.red.put(f"nodes/{name}/project", {})
        return found

    def release(self, name: str = "n1") -> None:
        self.red.delete(f"nodes/{name}/project")

    def owner(self, name: str = "n1") -> str | None:
        found: str | None = self.admin.get(f"nodes/{name}")["project_id"]
        return found

    def notices(self) -> Any:
        return self.admin.get("operations?verb=node_notice")["operations"]

    def end(self, state: str) -> Any:
        """The one notice, when it has ended."""
        (notice,) = self.notices()
        return self.admin.wait(notice, state)


class TestProject(Case):
    """Nodes go to a project, and nobody is told."""

    def test_nobody_else_can_claim_it(self) -> None:
        self.make(project="repair")
        self.node()
        self.release()
        self.assertEqual(self.pool, self.owner())
        for caller in (self.red, self.blue):
            caller.get("nodes/n1", 404)
            caller.put("nodes/n1/project", {}, 404)
            caller.post("claims", {"nodes": ["n1"]}, 404)
            caller.post("claims", {"count": 1}, 409)
        self.admin.put("nodes/n1/project", {"project_id": "blue"}, 409)
        self.assertEqual([], self.notices())

    def test_released_from_there_it_is_free(self) -> None:
        self.make(project="repair")
        self.node()
        self.release()
        self.repair.delete("nodes/n1/project")
        self.assertIsNone(self.owner())
        self.blue.put("nodes/n1/project", {})

    def test_by_id(self) -> None:
        self.make(project="repair")
        self.site.conf.set_override("project", self.pool, group="maintenance")
        self.node()
        self.release()
        self.assertEqual(self.pool, self.owner())

    def test_without_it_they_are_free(self) -> None:
        self.make()
        self.node()
        self.release()
        self.assertIsNone(self.owner())

    def test_a_project_that_is_not_there(self) -> None:
        """The release succeeds, and nobody gets what nobody has seen to."""
        self.make(project="gone")
        self.node()
        self.release()
        shown = self.admin.get("nodes/n1")
        self.assertEqual((None, True), (shown["project_id"], shown["maintenance"]))
        self.assertIn("[maintenance] project", shown["maintenance_reason"])
        self.blue.put("nodes/n1/project", {}, 409)
        self.admin.patch("nodes/n1", {"maintenance": False})
        self.blue.put("nodes/n1/project", {})

    def test_it_is_not_deleted_with_nodes_in_it(self) -> None:
        self.make(project="repair")
        self.node()
        self.release()
        self.admin.delete("projects/repair", 409)

    def test_a_project_of_keystones(self) -> None:
        for project, expected in (("f" * 32, "f" * 32), ("f" * 65, None)):
            settings = {("auth", "strategy"): "none", ("maintenance", "project"): project}
            site = self.useFixture(service.Embedded(settings))
            site.admin.post("nodes", {"name": "n1"})
            site.admin.put("nodes/n1/project", {"project_id": "red"})
            site.admin.delete("nodes/n1/project")
            shown = site.admin.get("nodes/n1")
            self.assertEqual((expected, expected is None), (shown["project_id"], shown["maintenance"]))

    def test_two_releases_at_once(self) -> None:
        listener = self.useFixture(Listener())
        self.make(listener, "repair")
        for number in range(8):
            name = f"m{number}"
            self.node(name)
            found: list[int] = []
            start = threading.Barrier(2)

            def release(name: str, found: list[int], start: threading.Barrier) -> None:
                start.wait()
                found.append(self.red.call("DELETE", f"nodes/{name}/project").status)

            threads = [threading.Thread(target=release, args=(name, found, start)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual([204, 404], sorted(found))
            self.assertEqual(self.pool, self.owner(name))
        self.assertEqual(8, len(self.notices()))


class TestWays(Case):
    """However a node is given back."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.claims.PATIENCE", 0.3))
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.sagas.PATIENCE", 0.3))
        self.listener = self.useFixture(Listener())
        self.make(self.listener, "repair")

    def told(self, *names: str) -> None:
        """The URL was told of these, and they are in the project."""
        until(lambda: {*names} <= {it["node"] for it in self.listener.told})  # one may be told twice before another
        told = {(it["node"], it["project"]) for it in self.listener.told}
        self.assertEqual({(name, self.project) for name in names}, told)
        for name in names:
            self.assertEqual(self.pool, self.owner(name))

    def instance(self, caller: service.Api, body: dict[str, str], status: str) -> None:
        """Make one, and wait for how it ends."""
        caller.post("instances", {"name": "i1", **body}, 202)
        until(lambda: caller.get("instances/i1")["status"] == status)

    def test_released(self) -> None:
        self.node()
        self.release()
        self.told("n1")

    def test_instance_deleted(self) -> None:
        self.admin.post("nodes", {"name": "n1"})
        self.instance(self.red, {"node": "n1"}, "active")
        self.red.delete("instances/i1", 202)
        self.told("n1")

    def test_claim_undone(self) -> None:
        switch, names = rack(self.site, 2)
        fake_switch.set_faults(self.site.state_dir, switch, fail=["p1"])
        self.red.post("networks", {"name": "mine"})
        claim = self.red.post("claims", {"nodes": names, "networks": [{"network": "mine"}]}, 202)
        self.red.wait(claim, "error")
        self.told(*names)

    def test_build_failed(self) -> None:
        for name in ("n1", "n2"):
            node = self.admin.post("nodes", {"name": name, "obm": {"driver": "fake"}})
            fake_obm.set_faults(self.site.state_dir, node["uuid"], fail=True)
        self.admin.post("flavors", {"name": "any", "resource_class": "baremetal"})
        self.instance(self.red, {"flavor": "any"}, "error")
        self.told("n1", "n2")

    def test_by_the_project_itself(self) -> None:
        self.admin.post("nodes", {"name": "n1"})
        self.instance(self.repair, {"node": "n1"}, "active")
        self.repair.delete("instances/i1", 202)
        until(lambda: self.repair.call("GET", "instances/i1").status == 404)
        self.assertIsNone(self.owner())
        self.assertEqual([], self.notices())


class TestUrl(Case):
    """What is told, and how often."""

    def test_without_a_project(self) -> None:
        listener = self.useFixture(Listener())
        self.make(listener)
        node = self.node()
        self.release()
        self.assertIsNone(self.owner())
        notice = self.end("done")
        expected = {"node": "n1", "uuid": node["uuid"], "project": self.project, "operation": notice["uuid"]}
        self.assertEqual([expected], listener.told)
        self.assertEqual("application/json", listener.headers[0]["Content-Type"])
        for name in ("Authorization", "X-Mogan-Hil-Signature"):
            self.assertNotIn(name, listener.headers[0])

    def test_token_and_signature(self) -> None:
        listener = self.useFixture(Listener())
        self.make(listener, token="a-token", signing_key="a-key")
        self.useFixture(fixtures.EnvironmentVariable("NETRC", self._netrc()))
        self.node()
        self.release()
        self.end("done")
        (headers,) = listener.headers
        self.assertEqual("Bearer a-token", headers["Authorization"])
        digest = hmac.new(b"a-key", listener.bodies[0], hashlib.sha256).hexdigest()
        self.assertEqual(f"sha256={digest}", headers["X-Mogan-Hil-Signature"])

    def _netrc(self) -> str:
        path = Path(self.useFixture(fixtures.TempDir()).path) / "netrc"
        path.write_text("machine 127.0.0.1 login somebody password else\n")
        return str(path)

    def test_the_release_waits_for_nobody(self) -> None:
        listener = self.useFixture(Listener([0]))
        self.make(listener, "repair", timeout=60.0)
        self.node()
        self.release()
        until(lambda: listener.told)
        self.assertEqual(self.pool, self.owner())
        self.assertIn(self.notices()[0]["state"], ("pending", "running"))
        self.repair.delete("nodes/n1/project")
        self.blue.put("nodes/n1/project", {})  # nor does it keep anybody from the node
        listener.go_on.set()
        self.end("done")

    def test_tenants_do_not_see_it(self) -> None:
        listener = self.useFixture(Listener())
        self.make(listener, "repair")
        self.node()
        self.release()
        notice = self.end("done")
        for caller in (self.red, self.repair):
            caller.get(f"operations/{notice['uuid']}", 404)
            self.assertEqual([], caller.get("operations")["operations"])

    def test_it_is_tried_again(self) -> None:
        listener = self.useFixture(Listener([500, 404, 201]))
        self.make(listener)
        self.node()
        self.release()
        notice = self.end("done")
        self.assertEqual([notice["uuid"]] * 3, [told["operation"] for told in listener.told])

    def test_it_is_given_up(self) -> None:
        listener = self.useFixture(Listener([503]))
        self.make(listener, "repair", tries=2)
        self.node()
        self.release()
        notice = self.end("error")
        self.assertEqual("It answered 503.", notice["error"])
        self.assertEqual((2, self.pool), (len(listener.told), self.owner()))

    def test_more_often_than_a_device(self) -> None:
        listener = self.useFixture(Listener([500] * 11 + [200]))
        self.make(listener, tries=12, max_retry_delay=0.05)
        self.site.conf.set_override("max_attempts", 1, group="conductor")
        self.node()
        self.release()
        self.end("done")
        self.assertEqual(12, len(listener.told))

    def test_redirects_are_not_followed(self) -> None:
        listener = self.useFixture(Listener([307]))
        self.make(listener, tries=1, token="a-token")
        self.node()
        self.release()
        self.assertEqual("It answered 307.", self.end("error")["error"])
        self.assertEqual(["/told?key=hidden"], listener.paths)

    def test_nobody_listens(self) -> None:
        listener = self.useFixture(Listener())
        self.make(listener, tries=1)
        self.site.conf.set_override("url", "http://127.0.0.1:9/told?key=hidden", group="maintenance")
        self.node()
        self.release()
        notice = self.end("error")
        self.assertIn("could not be told", notice["error"])
        self.assertNotIn("hidden", str(notice))

    def test_silence(self) -> None:
        for answer in (0, -1):
            listener = self.useFixture(Listener([answer]))
            self.make(listener, tries=1, timeout=0.5)
            self.node()
            self.release()
            self.end("error")

    def test_many_while_nobody_answers(self) -> None:
        """Each is told in the end, none more often than is allowed, and the conductor can be stopped meanwhile."""
        listener = self.useFixture(Listener([0, 0, 204]))
        self.make(listener, "repair", timeout=0.5, tries=10)
        names = [f"m{number}" for number in range(6)]
        for name in names:
            self.node(name)
        for name in names:
            self.release(name)
        for notice in self.notices():
            self.admin.wait(notice)
        self.assertEqual(set(names), {told["node"] for told in listener.told})

    def test_the_url_is_gone(self) -> None:
        listener = self.useFixture(Listener([500]))
        self.make(listener, tries=1000)
        self.node()
        self.release()
        until(lambda: listener.told)
        self.site.conf.clear_override("url", group="maintenance")
        until(lambda: "No URL" in (self.notices()[0]["error"] or ""))  # a try that was on its way ends as it would have
        self.site.conf.set_override("tries", 1, group="maintenance")
        self.assertIn("No URL", self.end("error")["error"])


class TestTls(Case):
    """The server's certificate is checked."""

    def setUp(self) -> None:
        super().setUp()
        self.certificate = Path(self.useFixture(fixtures.TempDir()).path) / "server.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - datetime.timedelta(hours=1))
        made = made.not_valid_after(now + datetime.timedelta(hours=1))
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        form = serialization.PrivateFormat.PKCS8
        self.certificate.write_bytes(
            pem + key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        )

    def tell(self, state: str, **options: Any) -> tuple[Listener, Any]:
        listener = self.useFixture(Listener(certificate=self.certificate))
        self.make(listener, tries=1, **options)
        self.node()
        self.release()
        return listener, self.end(state)

    def test_known(self) -> None:
        listener, _ = self.tell("done", ca_file=str(self.certificate))
        self.assertEqual(1, len(listener.told))

    def test_unknown(self) -> None:
        listener, notice = self.tell("error", token="a-token")
        self.assertEqual([], listener.told)
        self.assertIn("SSLError", notice["error"])

    def test_no_such_file(self) -> None:
        listener, notice = self.tell("error", ca_file="/nonexistent")
        self.assertEqual([], listener.told)
        self.assertIn("could not be told", notice["error"])


class TestConductors(testtools.TestCase):
    """Conductors of their own, which die."""

    def test_told_again_by_another(self) -> None:
        listener = self.useFixture(Listener([0, 204]))
        settings = {("maintenance", "url"): listener.url, ("maintenance", "project"): "repair"}
        site = self.useFixture(service.Processes(apis=1, conductors=1, settings=settings))
        for name in ("red", "repair"):
            site.admin.call("PUT", f"projects/{name}", status=201)
        site.admin.post("nodes", {"name": "n1"})
        site.admin.put("nodes/n1/project", {"project_id": "red"})
        site.admin.delete("nodes/n1/project")
        until(lambda: listener.told)
        site.kill_conductor(site.conductors[0])
        site.start_conductor()
        (notice,) = site.admin.get("operations?verb=node_notice")["operations"]
        site.admin.wait(notice)
        self.assertEqual([notice["uuid"]] * 2, [told["operation"] for told in listener.told])


class TestDatabases(testtools.TestCase):
    """On each database."""

    def _test(self, kind: str) -> None:
        if dict(service.databases())[kind] is None:
            self.skipTest(f"{kind} is not there")
        listener = self.useFixture(Listener([500, 200]))
        settings = {
            ("maintenance", "url"): listener.url,
            ("maintenance", "project"): "repair",
            ("maintenance", "retry_delay"): 0.05,
        }
        site = self.useFixture(service.Embedded(settings, database=kind))
        for name in ("red", "repair"):
            site.admin.call("PUT", f"projects/{name}", status=201)
        site.admin.post("nodes", {"name": "n1"})
        site.admin.put("nodes/n1/project", {"project_id": "red"})
        site.admin.delete("nodes/n1/project")
        (notice,) = site.admin.get("operations?verb=node_notice")["operations"]
        site.admin.wait(notice)
        with site.database.reader() as session:
            self.assertEqual(1, len(session.scalars(sa.select(models.Node).where(models.Node.project_id != "")).all()))

    def test_mysql(self) -> None:
        self._test("mysql")

    def test_postgresql(self) -> None:
        self._test("postgresql")
