# SPDX-License-Identifier: Apache-2.0
"""`openstack hil`, as administrators, members and readers use it, with auth `local`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import fixtures
import testtools
import yaml

from mogan_hil.client import rest
from mogan_hil.client.osc import waiting
from tests import openstack, service


class CliCase(testtools.TestCase):
    """A service with two projects, and everybody's command."""

    conductor = True

    def setUp(self) -> None:
        super().setUp()
        settings = {("conductor", "power_timeout"): 1.0}
        self.service = self.useFixture(service.Embedded(settings, conductor=self.conductor))
        self.api = self.service.admin
        self.url = self.useFixture(openstack.Listening(self.service)).url
        for project in ("red", "blue"):
            self.api.add_project(project)
        names = ("admin", "red-member", "red-reader", "blue-member")
        clouds = {name: openstack.basic(self.url, name) for name in names}
        clouds["nobody"] = openstack.basic(self.url, "admin", "wrong")
        self.client = self.useFixture(openstack.Client(clouds))

    def run_cli(self, line: str, cloud: str = "admin", status: int = 0, typed: str = "") -> openstack.Outcome:
        """Run a command that must end so."""
        found = self.client(line, cloud, typed)
        self.assertEqual(status, found.status, f"{line}: {found.text}{found.errors}")
        self.assertNotIn("Traceback", found.errors)
        return found

    def json(self, line: str, cloud: str = "admin", status: int = 0) -> Any:
        """What a command shows."""
        return self.run_cli(f"{line} -f json", cloud, status).json

    def rack(self, nodes: int) -> None:
        """Nodes with a NIC each, cabled to a switch."""
        self.api.add_switch("rack1", [f"gi1/0/{number}" for number in range(nodes)])
        for number in range(nodes):
            self.api.add_node(f"n{number}", "rack1", f"gi1/0/{number}", obm={"driver": "fake"})


class TestHil(CliCase):
    """What users of HIL did."""

    def test_a_rack(self) -> None:
        self.run_cli("hil switch create rack1 --driver fake")
        made = self.json("hil port create rack1 gi1/0/1 gi1/0/2 --wait")
        self.assertEqual([("gi1/0/1", "done"), ("gi1/0/2", "done")], [(row["Name"], row["State"]) for row in made])
        self.run_cli("hil node create n1 --trait FAST --trait BIG --resource-class metal --obm-driver fake")
        self.run_cli("hil nic create n1 eth0 52:54:00:00:00:01")
        self.run_cli("hil port connect nic rack1 gi1/0/1 n1 eth0")
        self.run_cli("hil node metadata set n1 shelf 7")
        self.assertEqual(7, self.json("hil node metadata show n1 shelf")["value"])
        self.run_cli("hil network create net", "red-member")
        self.run_cli("hil node claim n1", "red-member")
        (done,) = self.json("hil nic attach n1 eth0 net --wait", "red-member")
        self.assertEqual("done", done["State"])
        shown = self.json("hil network isolation show net", "red-member")
        self.assertEqual((True, ["n1"]), (shown["isolated"], [port["node"] for port in shown["ports"]]))
        self.run_cli("hil node release n1", "red-member", 1)
        self.run_cli("hil nic detach n1 eth0 net --wait", "red-member")
        self.run_cli("hil node release n1", "red-member")
        self.assertEqual(["n1"], [node["Name"] for node in self.json("hil node list --free --trait FAST")])
        self.run_cli("hil port detach nic rack1 gi1/0/1")
        self.run_cli("hil nic delete n1 eth0")
        self.run_cli("hil node delete n1")
        self.run_cli("hil port delete rack1 gi1/0/1 gi1/0/2")
        self.run_cli("hil switch delete rack1")

    def test_claim(self) -> None:
        self.rack(3)
        self.run_cli("hil network create net", "red-member")
        done = self.json("hil claim create --count 2 --network net,nic=eth0 --wait", "red-member")
        self.assertEqual(("done", True), (done["state"], done["verified"]))
        self.assertEqual(2, len(self.json("hil network attachment list net", "red-member")))
        self.assertEqual(
            ["n2"], [node["name"] for node in self.json("hil claim create --node n2", "red-member")["nodes"]]
        )
        refused = self.run_cli("hil claim create --count 2", "blue-member", 1)
        self.assertRegex(refused.errors, r"nothing was claimed\. \(409, claim.not_enough_nodes, req-[0-9a-f-]{36}\)")

    def test_users(self) -> None:
        self.run_cli("hil project create green")
        self.run_cli("hil user create eve", typed="a long secret\n")
        self.run_cli("hil user project add eve green --role reader")
        self.assertEqual("reader", self.json("hil user show eve")["projects"][0]["role"])
        eve = self.useFixture(openstack.Client({"eve": openstack.basic(self.url, "eve", "a long secret")}))
        self.assertEqual([], eve("hil node list -f json").json)
        self.run_cli("hil user project add eve red")
        self.assertIn("X-Project-Id", eve("hil node list").errors)
        named = eve("--os-baremetal-isolation-project red hil network create of-red -f json")
        self.assertEqual(0, named.status, named.errors)
        self.assertEqual("of-red", self.json("hil project network list red")[0]["Name"])
        secret = Path(self.useFixture(fixtures.TempDir()).path) / "secret"
        secret.write_text("another one\nignored\n")
        self.run_cli(f"hil user password set eve --password-file {secret}")
        self.assertIn("401", eve("hil node list").errors)
        self.run_cli("hil user delete eve")

    def test_options_from_a_file(self) -> None:
        """Where secrets belong: neither on the command line nor in what --debug shows."""
        file = Path(self.useFixture(fixtures.TempDir()).path) / "options.yaml"
        file.write_text("password: 0-secret-0\ndelay: 0\n")
        found = self.run_cli(f"--debug hil switch create sw --driver fake --options-file {file} --option delay=0.5")
        self.assertNotIn("0-secret-0", found.text + found.errors)
        self.assertEqual({"delay": 0.5, "password": "******"}, self.json("hil switch show sw")["options"])
        for content in ("- a list", "{", "\x00"):
            file.write_text(content)
            self.run_cli(f"hil switch set sw --options-file {file}", status=2)
        self.run_cli("hil switch set sw --options-file /nowhere", status=2)
        self.run_cli("hil switch set sw --option delay", status=2)
        self.run_cli("hil switch set sw --option delay=fast", status=1)


class TestInstances(CliCase):
    """What users of Mogan did, and the lock."""

    def setUp(self) -> None:
        super().setUp()
        self.rack(3)
        self.api.post("flavors", {"name": "metal", "resource_class": "baremetal"})
        self.run_cli("hil network create net", "red-member")

    def test_life(self) -> None:
        line = "hil instance create web --flavor metal --network net --min 2 --max 2 --wait"
        made = self.json(line, "red-member")
        self.assertEqual(
            [("web-1", "active", ""), ("web-2", "active", "")],
            [(row["Name"], row["Status"], row["Error"]) for row in made],
        )
        self.run_cli("hil instance stop web-1 web-2 --wait", "red-member")
        self.assertEqual(["stopped"] * 2, [row["Status"] for row in self.json("hil instance list", "red-member")])
        self.run_cli("hil instance start web-1 --wait", "red-member")
        self.run_cli("hil instance reboot web-1 --wait", "red-member")
        self.run_cli("hil instance rebuild web-1 --boot-device pxe --wait", "red-member")
        self.run_cli("hil instance set web-1 --name www --description hello", "red-member")
        self.assertEqual("hello", self.json("hil instance show www", "red-member")["description"])
        self.run_cli("hil instance unset www --description", "red-member")
        (interface,) = self.json("hil instance interface list www", "red-member")
        self.run_cli(f"hil instance interface detach www {interface['UUID']} --wait", "red-member")
        self.run_cli("hil instance interface attach www net eth0 --wait", "red-member")
        self.run_cli("hil instance delete www web-2 --wait", "red-member")
        self.assertEqual(3, len(self.json("hil node list --free")))

    def test_properties(self) -> None:
        """One is set or dropped, and the others stay."""
        self.run_cli("hil instance create web --flavor metal --property a=1 --property b=2 --wait", "red-member")
        for line, left in (
            ("set web --property b=3 --property c=4", {"a": "1", "b": "3", "c": "4"}),
            ("unset web --property a --property c", {"b": "3"}),
            ("set web --no-property --property d=5", {"d": "5"}),
            ("set web --description hello", {"d": "5"}),
            ("set web --no-property", {}),
            ("set web --property e=6", {"e": "6"}),
            ("unset web --properties", {}),
        ):
            self.run_cli(f"hil instance {line}", "red-member")
            self.assertEqual(left, self.api.get("instances/web")["metadata"], line)
        refused = self.run_cli("hil instance unset web --property nothing", "red-member", 1)
        self.assertIn("web has no property nothing", refused.errors)
        self.run_cli("hil aggregate create east --property availability_zone=east")
        self.run_cli("hil aggregate set east --property power=a")
        self.assertEqual({"availability_zone": "east", "power": "a"}, self.api.get("aggregates/east")["metadata"])
        self.run_cli("hil aggregate unset east --property availability_zone")
        self.assertEqual({"power": "a"}, self.api.get("aggregates/east")["metadata"])

    def test_one_that_is_wrong_does_not_stop_the_others(self) -> None:
        self.run_cli("hil instance create a --flavor metal --wait", "red-member")
        self.run_cli("hil instance create b --flavor metal --wait", "red-member")
        found = self.run_cli("hil instance stop a nowhere b --wait -f json", "red-member", 1)
        self.assertEqual(["a", "b"], [row["Name"] for row in found.json])
        self.assertRegex(found.errors, r"nowhere: There is no instance 'nowhere'\. \(404, not_found, req-")
        self.assertIn("1 of 3 failed.", found.errors)
        found = self.run_cli("hil instance lock a nowhere b", "red-member", 1)
        self.assertEqual([True, True], [self.api.get(f"instances/{name}")["locked"] for name in "ab"])

    def test_the_lock(self) -> None:
        """Who is denied is told so, and the command fails."""
        self.run_cli("hil instance create a --flavor metal --wait", "red-member")
        self.run_cli("hil instance create b --flavor metal --wait", "red-member")
        self.run_cli("hil instance lock a b --reason 'a demo at noon'", "red-member")
        listed = self.json("hil instance list --locked --long", "red-reader")
        self.assertEqual([("owner", "a demo at noon")] * 2, [(row["Locked By"], row["Lock Reason"]) for row in listed])
        for line in ("stop a", "delete a b", "set a --name c", "rebuild a", "delete b --wait"):
            denied = self.run_cli(f"hil instance {line}", "red-member", 1)
            self.assertIn("409, instance.locked", denied.errors)
        node = self.api.get("instances/a")["node"]["name"]
        self.assertIn("instance.locked", self.run_cli(f"hil node power off {node}", "red-member", 1).errors)
        self.assertIn("policy.forbidden", self.run_cli("hil instance unlock a", "red-reader", 1).errors)
        self.assertIn("not_found", self.run_cli("hil instance unlock a", "blue-member", 1).errors)
        self.run_cli("hil instance lock a")
        self.assertIn("policy.forbidden", self.run_cli("hil instance unlock a", "red-member", 1).errors)
        self.run_cli("hil instance unlock a b")
        self.run_cli("hil instance unlock a", "red-member")
        self.run_cli("hil instance delete a b --wait", "red-member")
        self.assertEqual([], self.json("hil instance list", "red-member"))

    def test_a_build_that_fails(self) -> None:
        for number in range(3):
            self.api.patch(f"nodes/n{number}", {"obm": {"driver": "fake", "options": {"fail": True}}})
        found = self.run_cli("hil instance create a --flavor metal --wait -f json", "red-member", 1)
        (row,) = found.json
        self.assertEqual("error", row["Status"])
        self.assertTrue(row["Error"])
        self.assertIn("1 of 1 failed.", found.errors)
        operation = row["Operation"]
        found = self.run_cli(f"hil operation wait {operation} -f json", "red-member", 1)
        self.assertEqual(["error"], [row["State"] for row in found.json])


class TestPatience(CliCase):
    """Waiting for work that nobody does."""

    conductor = False

    def test_it(self) -> None:
        self.run_cli("hil switch create rack1 --driver fake")
        found = self.run_cli("hil port create rack1 p1 p2 --wait --timeout 0.2 -f json", status=1)
        self.assertEqual([("pending", "it takes longer")] * 2, [(row["State"], row["Error"]) for row in found.json])
        self.assertIn("2 of 2 failed.", found.errors)
        operation = found.json[0]["Operation"]
        impatient = mock.Mock(sleep=mock.Mock(side_effect=KeyboardInterrupt))
        with mock.patch.object(waiting, "time", impatient):
            found = self.run_cli(f"hil operation wait {operation}", status=1)
        self.assertIn(f"The work goes on; see: openstack hil operation wait {operation}", found.errors)
        for wrong in ("-1", "x", "nan", "inf"):
            self.run_cli(f"hil operation wait {operation} --timeout {wrong}", status=2)


class TestLists(CliCase):
    """Pages, filters and formats."""

    def setUp(self) -> None:
        super().setUp()
        for number in range(7):
            self.api.post("nodes", {"name": f"n{number}", "resource_class": f"class{number % 2}"})

    def names(self, line: str) -> str:
        return "".join(row["Name"][1] for row in self.json(f"hil node list {line}"))

    def test_pages(self) -> None:
        with mock.patch.object(rest, "PAGE", 3):
            self.assertEqual("0123456", self.names(""))
            self.assertEqual("0123", self.names("--limit 4"))
            self.assertEqual("6543", self.names("--limit 4 --sort name:desc"))
            self.assertEqual("0246135", self.names("--sort resource_class"))
        self.assertEqual("0123456", self.names("--limit 0"))
        marker = self.api.get("nodes/n4")["uuid"]
        self.assertEqual("56", self.names(f"--marker {marker}"))
        self.assertEqual("135", self.names("--resource-class class1"))
        for wrong in ("--limit -1", "--limit x", "--sort id", "--sort name:up", "--free --claimed", "--bogus", "x"):
            self.run_cli(f"hil node list {wrong}", status=2)
        self.run_cli("hil node list --marker nowhere", status=1)

    def test_formats(self) -> None:
        self.assertEqual("n0\n", self.run_cli("hil node list --limit 1 -f value -c Name").text)
        self.assertEqual('"Name"\n"n0"\n', self.run_cli("hil node list --limit 1 -f csv -c name").text)
        (shown,) = yaml.safe_load(self.run_cli("hil node list --limit 1 -f yaml --long").text)
        self.assertEqual(([], None, False), (shown["Traits"], shown["Project ID"], shown["Maintenance"]))
        self.assertRegex(self.run_cli("hil node show n0").text, r"\| resource_class +\| class0 +\|")

    def test_operations_are_the_newest(self) -> None:
        self.api.add_switch("rack1", ["p1", "p2", "p3"])
        found = self.json("hil operation list --limit 2 --action port_park")
        self.assertEqual(2, len(found))
        self.assertGreater(found[0]["Created At"], found[1]["Created At"])


class TestTrouble(CliCase):
    """What goes wrong is one sentence on standard error, and a status."""

    def test_who_is_asking(self) -> None:
        self.assertIn("(401, auth.required, req-", self.run_cli("hil node list", "nobody", 1).errors)
        many = self.run_cli("hil node delete a b c", "nobody", 1).errors
        self.assertEqual(1, many.count("auth.required"))
        self.assertIn("policy.forbidden", self.run_cli("hil switch list", "red-member", 1).errors)

    def test_no_service(self) -> None:
        nowhere = "--os-baremetal-isolation-endpoint-override http://127.0.0.1:1"
        found = self.run_cli(f"{nowhere} hil node delete a b", status=1)
        self.assertEqual(1, found.errors.count("The service cannot be reached"))
        self.run_cli(f"--os-baremetal-isolation-endpoint-override {self.url} hil node list")

    def test_versions(self) -> None:
        option = "--os-baremetal-isolation-api-version"
        for version in ("1", "1.0", "latest"):
            self.run_cli(f"{option} {version} hil node list")
        self.assertIn("request.version_unsupported", self.run_cli(f"{option} 1.999 hil node list", status=1).errors)
        self.run_cli(f"{option} 2 hil node list", status=2)

    def test_hostile_names(self) -> None:
        self.api.post("nodes", {"name": "n1"})
        strange = ("../users", "a/b", "%2e%2e", "?limit=1", "#", "a b", "é", "\u202e", "'; drop", "-", " ", "x" * 300)
        for name in strange:
            with self.subTest(name=name):
                found = self.run_cli(f"hil node show -- {shlex.quote(name)}", status=1)
                self.assertRegex(found.errors, r"\((404|400), [a-z_.]+, req-")
        for name in (".", "..", "''"):
            with self.subTest(name=name):
                for line in (f"node show {name}", f"nic delete n1 {name}", f"node delete {name}", f"nic list {name}"):
                    self.assertIn("There is nothing called", self.run_cli(f"hil {line}", status=1).errors)
        self.assertEqual(["n1"], [node["name"] for node in self.api.get("nodes")["nodes"]])
        self.assertEqual(2, self.client("hil node set").status)
        self.assertIn("Nothing to change", self.run_cli("hil node set n1", status=1).errors)

    def test_a_service_that_restarts_while_one_waits(self) -> None:
        """A few questions without an answer do not end the waiting; many do."""
        self.rack(1)
        self.api.put("nodes/n0/project", {"project_id": "red"})
        operation = self.api.put("nodes/n0/power", {"target": "on"}, 202)
        answered = threading.Event()
        asked = []

        def get(_api: Any, *path: str, **_query: str) -> Any:
            asked.append(path)
            if len(asked) < 4 or not answered.is_set():
                raise rest.ApiError("The service cannot be reached", None)
            return {**operation, "state": "done"}

        with mock.patch.object(waiting, "LAST", 0.01), mock.patch.object(rest.Api, "get", get):
            self.assertRaises(rest.ApiError, waiting.wait, rest.Api(mock.Mock()), [operation], None)
            self.assertEqual(waiting.PATIENCE + 1, len(asked))
            asked.clear()
            answered.set()
            (ended,) = waiting.wait(rest.Api(mock.Mock()), [operation], None)
        self.assertEqual("done", ended["state"])


class TestProgram(CliCase):
    """The program itself."""

    def run_program(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).parent / "openstack")
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.client.path)}
        return subprocess.run(
            [program, *words], capture_output=True, text=True, check=False, timeout=120, env=environment
        )

    def test_it(self) -> None:
        done = self.run_program("--os-cloud", "admin", "hil", "project", "list", "-f", "value", "-c", "Name")
        self.assertEqual((0, "admin\nred\nblue\n", ""), (done.returncode, done.stdout, done.stderr))
        done = self.run_program("--os-cloud", "admin", "hil", "node", "show", "nowhere")
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertRegex(done.stderr, r"\AThere is no node 'nowhere'\. \(404, not_found, req-[0-9a-f-]+\)\n\Z")

    def test_completion(self) -> None:
        done = self.run_program("complete")
        self.assertIn("cmds_hil_instance='", done.stdout)
        self.assertRegex(done.stdout, r"cmds_hil_instance_stop='.*--soft")
