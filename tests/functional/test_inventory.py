# SPDX-License-Identifier: Apache-2.0
"""`mogan-hil-inventory`: what a file says comes to be, once, and is told again as it was said."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import fixtures
import testtools
import yaml

from mogan_hil.client import document
from mogan_hil.cmd import inventory
from tests import openstack, service

SITE = """
projects: [red, blue]
switches:
  sw: {driver: fake, options: {password: hush}, ports: [spare]}
nodes:
  n1:
    resource_class: metal
    traits: [FAST]
    metadata: {shelf: 7}
    obm: {driver: fake}
    nics: {eth0: {mac: "02:00:00:00:00:01", port: sw/gi1/0/1}}
  n2:
networks:
- {name: net, project: blue}
- name: net
  project: red
  access: [blue]
  subnets:
  - {cidr: 10.0.0.0/24, gateway: 10.0.0.254, dns_servers: [10.0.0.53]}
  - {cidr: "2001:DB8:0::/64", gateway: null, dhcp: false, pools: [{start: "2001:DB8::1", end: "2001:db8::ff"}]}
- {name: site, project: null, public: true}
aggregates:
  east: {metadata: {availability_zone: east, power: a}, nodes: [n1]}
  bare:
quotas:
  red: {instances: 5, nodes: -1}
"""


class TestInventory(testtools.TestCase):
    """Against a service that listens."""

    def setUp(self) -> None:
        super().setUp()
        self.service = self.useFixture(service.Embedded())
        self.admin = self.service.admin
        url = self.useFixture(openstack.Listening(self.service)).url
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        password = self.directory / "password"
        password.write_text(f"{service.PASSWORD}\n")
        self.where = ["--url", url, "--password-file", str(password)]

    def run_it(self, *words: str, status: int | str = 0) -> tuple[str, str]:
        """Run the command; returns what it says on both channels."""
        out, errors = io.StringIO(), io.StringIO()
        line = ["mogan-hil-inventory", words[0], *self.where, *words[1:]]
        with mock.patch.object(sys, "argv", line), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                ended: Any = inventory.main()
            except SystemExit as end:
                ended = end.code
        if isinstance(status, str):
            self.assertIn(status, str(ended))
        else:
            self.assertEqual(status, ended, out.getvalue() + errors.getvalue())
        return out.getvalue(), errors.getvalue()

    def apply(self, text: str, *options: str, status: int | str = 0) -> tuple[str, str]:
        file = self.directory / "site.yaml"
        file.write_text(text)
        return self.run_it("apply", *options, str(file), status=status)

    def changed(self, **kinds: Any) -> str:
        """The site with something else in it."""
        return yaml.safe_dump({**yaml.safe_load(SITE), **kinds})

    def test_once(self) -> None:
        dry, _ = self.apply(SITE, "--dry-run")
        self.assertIn("+ subnet 10.0.0.0/24 of network net", dry)
        self.assertEqual([], self.admin.get("switches")["switches"])
        self.apply(SITE)
        self.assertEqual("nothing to do\n", self.apply(SITE)[0])
        owner = self.admin.get("projects/red")["uuid"]
        (mine,) = (item for item in self.admin.get("networks?name=net")["networks"] if item["project_id"] == owner)
        first, second = self.admin.get(f"networks/{mine['uuid']}/subnets")["subnets"]
        self.assertEqual(("10.0.0.254", ["10.0.0.53"], True), (first["gateway"], first["dns_servers"], first["dhcp"]))
        pools = [{"start": "2001:db8::1", "end": "2001:db8::ff"}]
        self.assertEqual((None, False, pools), (second["gateway"], second["dhcp"], second["pools"]))
        self.assertEqual("east", self.admin.get("nodes/n1")["availability_zone"])
        limits = self.admin.get("quotas/red")["quotas"]
        self.assertEqual((5, -1), (limits["instances"]["limit"], limits["nodes"]["limit"]))

    def test_told_as_it_was_said(self) -> None:
        self.apply(SITE)
        told = self.run_it("export")[0]
        self.assertNotIn("hush", told)
        self.assertEqual("nothing to do\n", self.apply(told)[0])
        said = yaml.safe_load(told)
        self.assertEqual({"red": {"instances": 5}}, said["quotas"])
        self.assertEqual(["n1"], said["aggregates"]["east"]["nodes"])
        document.load(told)

    def test_changes(self) -> None:
        self.apply(SITE)
        site = yaml.safe_load(SITE)
        site["networks"][1]["subnets"][0].update(gateway="10.0.0.1", dns_servers=[])
        site["aggregates"]["east"] = {"metadata": {"availability_zone": "west"}, "nodes": ["n2"]}
        site["quotas"] = {"red": {"instances": 6}, "blue": {"networks": 0}}
        said, _ = self.apply(yaml.safe_dump(site))
        for line in (
            "~ subnet 10.0.0.0/24 of network net: gateway, dns_servers",
            "~ aggregate east: metadata",
            "+ node n2 in aggregate east",
            "~ quotas of red: instances",
            "~ quotas of blue: networks",
        ):
            self.assertIn(line, said)
        self.assertEqual("nothing to do\n", self.apply(yaml.safe_dump(site))[0])
        members = {node["name"] for node in self.admin.get("aggregates/east/nodes")["nodes"]}
        self.assertEqual({"n1", "n2"}, members)

    def test_what_cannot_change(self) -> None:
        self.apply(SITE)
        wrong = self.changed(switches={"sw": {"driver": "openvswitch"}}, quotas={"red": {"nodes": 1}})
        _, errors = self.apply(wrong, status=1)
        self.assertIn("! switch sw: its driver is fake", errors)
        self.assertEqual(-1, self.admin.get("quotas/red")["quotas"]["nodes"]["limit"])

    def test_refused(self) -> None:
        """What was made stays, and a further run goes on from there."""
        overlapping = self.changed()
        site = yaml.safe_load(overlapping)
        site["networks"][1]["subnets"].append({"cidr": "10.0.0.0/25"})
        self.apply(yaml.safe_dump(site), status="changes were made; run it again to go on.")
        self.apply(SITE)
        self.assertEqual("nothing to do\n", self.apply(SITE)[0])

    def test_files_that_are_none(self) -> None:
        for text, said in (
            ("quotas: {red: {nodes: many}}", "quotas.red.nodes: it must be a whole number"),
            ("quotas: {red: {nodes: -2}}", "quotas.red.nodes"),
            ("aggregates: {a: {node: [n1]}}", "aggregates.a: there is no node; there are description"),
            ("networks: [{name: n, project: red, subnets: [{gateway: null}]}]", "cidr is missing"),
            ("networks: [{name: n, project: red, subnets: [{cidr: a}, {cidr: a}]}]", "a is there twice"),
            ("nodes: [n1]", "nodes: it must be names with a value each"),
        ):
            self.assertIn(said, str(self.assertRaises(document.DocumentError, document.load, text)), text)
