# SPDX-License-Identifier: Apache-2.0
"""Addresses: given with an attachment, shown wherever it is, and gone with it."""

from __future__ import annotations

import ipaddress
from typing import Any

import sqlalchemy as sa
import testtools

from mogan_hil.common import addresses
from mogan_hil.db import models
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import fake as fake_switch
from tests import service

NETWORK = ipaddress.ip_network("10.0.0.0/24")


class AddressCase(testtools.TestCase):
    """A rack of four nodes, and `red` with a network that has a subnet of each IP version."""

    nodes = 4
    settings: dict[tuple[str, str], Any] = {}

    def setUp(self) -> None:
        super().setUp()
        self.service = self.useFixture(service.Embedded({("conductor", "power_timeout"): 1.0, **self.settings}))
        self.admin = self.service.admin
        for name in ("red", "blue"):
            self.admin.add_project(name)
        self.red = self.admin.as_user("red-member")
        self.blue = self.admin.as_user("blue-member")
        self.rack = self.admin.add_switch("rack1", [f"p{number}" for number in range(self.nodes)])
        self.node = {
            f"n{number}": self.admin.add_node(f"n{number}", "rack1", f"p{number}", obm={"driver": "fake"})
            for number in range(self.nodes)
        }
        self.admin.post("flavors", {"name": "metal", "resource_class": "baremetal"})
        self.network = self.red.post("networks", {"name": "net"})
        self.subnet = self.red.post("networks/net/subnets", {"cidr": str(NETWORK)})
        self.subnet6 = self.red.post("networks/net/subnets", {"cidr": "2001:db8::/64"})

    def claim(self, *names: str) -> None:
        for name in names:
            self.red.put(f"nodes/{name}/project", {})

    def refused(self, status: int, code: str, *request: Any, user: Any = None) -> None:
        answer = (user or self.red).call(*request, status=status)
        self.assertEqual(code, answer.json["errors"][0]["code"])

    def ips(self, user: Any = None, query: str = "") -> list[str]:
        return [item["ip"] for item in (user or self.red).get(f"addresses{query}")["addresses"]]

    def no_leak(self) -> None:
        self.assertEqual([], self.ips(self.admin))


class TestSubnets(AddressCase):
    """Subnets: what there may be."""

    def test_what_a_locked_instance_is_told(self) -> None:
        """Gateway, DNS servers and DHCP are beneath an instance with an address of the subnet; the pools are not."""
        body = {"name": "web", "flavor": "metal", "networks": [{"network": "net"}]}
        self.red.wait(self.red.post("instances", body, 202)["instances"][0]["operation"])
        path = f"subnets/{self.subnet['uuid']}"
        for user in (self.red, self.admin):
            user.put("instances/web/lock", {"target": True}, 202)
            before = self.red.get(path)
            for change in ({"gateway": None}, {"dns_servers": ["192.0.2.1"]}, {"dhcp": False}):
                self.refused(409, "instance.locked", "PATCH", path, change)
            self.assertEqual(before, self.red.get(path))
            self.red.patch(path, {"pools": []})
            self.admin.patch(path, {"pools": before["pools"], "dhcp": True})
        self.admin.put("instances/web/lock", {"target": False}, 202)
        self.admin.put("instances/web/lock", {"target": False}, 202)
        self.red.patch(path, {"dhcp": False})

    def test_defaults(self) -> None:
        self.assertEqual("10.0.0.1", self.subnet["gateway"])
        self.assertEqual([{"start": "10.0.0.2", "end": "10.0.0.254"}], self.subnet["pools"])
        self.assertEqual(([], True, 4), tuple(self.subnet[name] for name in ("dns_servers", "dhcp", "ip_version")))
        self.assertEqual("2001:db8::1", self.subnet6["gateway"])
        self.assertEqual([{"start": "2001:db8::2", "end": "2001:db8::ffff:ffff:ffff:ffff"}], self.subnet6["pools"])

    def test_pools_without_the_gateway(self) -> None:
        for number, (gateway, pools) in enumerate(
            (
                ("10.9.{}.6", [("10.9.{}.1", "10.9.{}.5")]),
                ("10.9.{}.3", [("10.9.{}.1", "10.9.{}.2"), ("10.9.{}.4", "10.9.{}.6")]),
                (None, [("10.9.{}.1", "10.9.{}.6")]),
            )
        ):
            body = {"cidr": f"10.9.{number}.0/29", "gateway": gateway and gateway.format(number)}
            found = self.red.post("networks/net/subnets", body)
            self.assertEqual(body["gateway"], found["gateway"])
            self.assertEqual(
                [(start.format(number), end.format(number)) for start, end in pools],
                [(pool["start"], pool["end"]) for pool in found["pools"]],
            )

    def test_what_is_none(self) -> None:
        for cidr in (
            *("0.0.0.0/0", "10.0.0.0/7", "10.1.0.0/31", "10.1.0.0/32", "10.1.0.1/24", "10.1.0.0", "10.1.0.0/33"),
            *("10.1.0.0/255.255.255.0", "10.1.0.0/0.0.0.255", "10.1.0.0/-1", "10.1.0.0/", "/24", "010.1.0.0/24"),
            *(
                "127.0.0.0/24",
                "169.254.0.0/16",
                "224.0.0.0/8",
                "255.255.255.0/24",
                "0.0.0.0/8",
                "10.1/16",
                " 10.1.0.0/24",
            ),
            *(
                "::/0",
                "8000::/1",
                "2001:db8::/31",
                "2001:db8::/127",
                "2001:db8::1/64",
                "fe80::/64",
                "ff00::/64",
                "::/64",
            ),
            *("::ffff:10.1.0.0/120", "fe80::%eth0/64", "2001:db8:::/64", "2001:db8::/129", "\u0661.1.1.0/24", "x", ""),
            *(7, None, [], {}, True, "10.1.0.0/24\n", "1" * 5000),
        ):
            self.refused(400, "request.field_invalid", "POST", "networks/net/subnets", {"cidr": cidr})
        for field, value in (
            *(("gateway", "10.2.0.1"), ("gateway", "10.1.0.0"), ("gateway", "10.1.0.255"), ("gateway", "2001:db8::1")),
            *(("gateway", "x"), ("gateway", 1), ("dns_servers", ["x"]), ("dns_servers", ["2001:db8::1"])),
            *(("dns_servers", ["10.0.0.1"] * 2), ("dns_servers", [f"10.0.0.{i}" for i in range(9)]), ("dhcp", 1)),
            *(
                ("pools", [{"start": start, "end": end}])
                for start, end in (("10.1.0.9", "10.1.0.8"), ("10.2.0.1", "10.2.0.9"))
            ),
            *(
                ("pools", [{"start": start, "end": end}])
                for start, end in (("10.1.0.0", "10.1.0.8"), ("10.1.0.1", "10.1.0.255"))
            ),
            ("pools", [{"start": "10.1.0.1", "end": "10.1.0.9"}, {"start": "10.1.0.9", "end": "10.1.0.10"}]),
            *(
                ("pools", [{"start": "10.1.0.1"}]),
                ("pools", {}),
                ("pools", [{"start": "2001:db8::1", "end": "2001:db8::2"}]),
            ),
            ("pools", [{"start": "10.1.0.1", "end": "10.1.0.1"}] * 65),
        ):
            body = {"cidr": "10.1.0.0/24", field: value}
            self.refused(400, "request.field_invalid", "POST", "networks/net/subnets", body)
        self.assertEqual(2, len(self.red.get("networks/net/subnets")["subnets"]))

    def test_overlap(self) -> None:
        for cidr in ("10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/16", "2001:db8::/96", "2001:db8::/48"):
            self.refused(409, "subnet.overlap", "POST", "networks/net/subnets", {"cidr": cidr})
        self.red.post("networks/net/subnets", {"cidr": "10.0.1.0/24"})
        self.red.post("networks", {"name": "other"})
        self.red.post("networks/other/subnets", {"cidr": str(NETWORK)})

    def test_not_without_end(self) -> None:
        for number in range(2, 64):
            self.red.post("networks/net/subnets", {"cidr": f"10.1.{number}.0/24"})
        self.refused(409, "conflict", "POST", "networks/net/subnets", {"cidr": "10.2.0.0/24"})

    def test_change(self) -> None:
        path = f"subnets/{self.subnet['uuid']}"
        changes = {
            "gateway": "10.0.0.254",
            "pools": [{"start": "10.0.0.100", "end": "10.0.0.110"}, {"start": "10.0.0.10", "end": "10.0.0.20"}],
            "dns_servers": ["10.0.0.53"],
            "dhcp": False,
        }
        self.assertEqual({**self.subnet, **changes}, self.red.patch(path, changes))
        self.assertIsNone(self.red.patch(path, {"gateway": None})["gateway"])
        self.assertEqual({**self.subnet, **changes, "gateway": None}, self.red.get(path))
        for body in ({"cidr": "10.3.0.0/24"}, {"gateway": "10.3.0.1"}, {"pools": None}, {"dhcp": None}):
            self.refused(400, "request.field_invalid", "PATCH", path, body)

    def test_whose(self) -> None:
        path = f"subnets/{self.subnet['uuid']}"
        for request in (("GET", path), ("PATCH", path, {}), ("DELETE", path), ("GET", "networks/net/subnets")):
            self.refused(404, "not_found", *request, user=self.blue)
        self.red.put("networks/net/access/blue", status=204)
        self.assertEqual(self.subnet, self.blue.get(path))
        self.assertEqual(2, len(self.blue.get("networks/net/subnets")["subnets"]))
        reader = self.admin.as_user("red-reader")
        for user in (self.blue, reader):
            for request in (
                ("PATCH", path, {}),
                ("DELETE", path),
                ("POST", "networks/net/subnets", {"cidr": "10.5.0.0/24"}),
            ):
                self.refused(403, "policy.forbidden", *request, user=user)
        self.red.delete(path)
        self.red.delete(path, 404)

    def test_gone_with_the_network(self) -> None:
        self.red.delete("networks/net")
        self.red.get(f"subnets/{self.subnet['uuid']}", 404)


class TestAddresses(AddressCase):
    """Addresses: given, asked for, shown, freed."""

    def test_life(self) -> None:
        self.claim("n0")
        self.red.attach("n0", "net")
        (attachment,) = self.red.get("nodes/n0/nics/eth0/attachments")["attachments"]
        given = attachment["addresses"]
        self.assertEqual([self.subnet["uuid"], self.subnet6["uuid"]], [item["subnet"] for item in given])
        self.assertIn(ipaddress.ip_address(given[0]["ip"]), NETWORK)
        self.assertNotIn(given[0]["ip"], ("10.0.0.0", "10.0.0.1", "10.0.0.255"))
        self.assertEqual(given, self.red.get("networks/net/attachments")["attachments"][0]["addresses"])
        found = self.red.get(f"addresses?ip={given[0]['ip']}")["addresses"]
        self.assertEqual(["n0", "eth0", "net"], [found[0][kind]["name"] for kind in ("node", "nic", "network")])
        self.assertEqual(str(NETWORK), found[0]["subnet"]["cidr"])
        self.assertEqual([item["ip"] for item in given], self.ips())
        self.refused(409, "conflict.in_use", "DELETE", f"subnets/{self.subnet['uuid']}")
        self.red.detach("n0", "net")
        self.no_leak()
        self.red.delete(f"subnets/{self.subnet['uuid']}")

    def test_asked_for(self) -> None:
        self.claim("n0", "n1")
        path = "nodes/{}/nics/eth0/attachments"
        wanted = ["10.0.0.77", "2001:db8::77"]
        self.red.attach("n0", "net", addresses=["2001:DB8:0::0077", "10.0.0.77"])
        self.assertEqual(wanted, self.ips())
        for ip in wanted:
            body = {"network": "net", "addresses": [ip]}
            self.refused(409, "address.taken", "POST", path.format("n1"), body)
        for asked in (
            *(["10.0.1.5"], ["10.0.0.0"], ["10.0.0.255"], ["10.0.0.1"], ["2001:db8::"], ["2001:db8::1"], ["::1"]),
            *(["10.0.0.5", "10.0.0.6"], ["10.0.0.5", "10.0.0.5"], ["10.0.0.5", "10.1.0.5"], ["::ffff:10.0.0.5"]),
            *(["fe80::1%eth0"], ["x"], [""], [5], "10.0.0.5", {"ip": "10.0.0.5"}, None, [["10.0.0.5"]]),
        ):
            body = {"network": "net", "addresses": asked}
            self.refused(400, "request.field_invalid", "POST", path.format("n1"), body)
        self.red.post("networks", {"name": "dry"})
        body = {"network": "dry", "addresses": ["10.0.0.5"]}
        self.refused(400, "request.field_invalid", "POST", path.format("n1"), body)
        self.assertEqual(wanted, self.ips())

    def test_outside_of_the_pools(self) -> None:
        """The owner's to take, and nobody's who only has access."""
        pools = [{"start": "10.0.0.10", "end": "10.0.0.20"}]
        self.red.patch(f"subnets/{self.subnet['uuid']}", {"pools": pools})
        self.red.put("networks/net/access/blue", status=204)
        self.claim("n0")
        self.blue.put("nodes/n1/project", {})
        body = {"network": "net", "addresses": ["10.0.0.50"]}
        self.refused(403, "policy.forbidden", "POST", "nodes/n1/nics/eth0/attachments", body, user=self.blue)
        self.blue.attach("n1", "net", addresses=["10.0.0.15"])
        self.red.attach("n0", "net", addresses=["10.0.0.50"])
        self.assertEqual("10.0.0.15", self.ips(self.blue)[0])
        self.assertEqual("10.0.0.50", self.ips(self.red)[0])
        self.assertEqual(4, len(self.ips(self.admin)))

    def test_the_gateway_is_nobodys(self) -> None:
        self.claim("n0")
        self.red.attach("n0", "net", addresses=["10.0.0.77"])
        self.refused(409, "address.taken", "PATCH", f"subnets/{self.subnet['uuid']}", {"gateway": "10.0.0.77"})
        self.red.patch(f"subnets/{self.subnet['uuid']}", {"gateway": "10.0.0.78"})

    def test_none_left(self) -> None:
        pools = [{"start": "10.0.0.1", "end": "10.0.0.2"}]
        self.red.patch(f"subnets/{self.subnet['uuid']}", {"pools": pools})
        self.claim("n0", "n1")
        self.red.attach("n0", "net")
        body = {"network": "net"}
        self.refused(409, "address.none_free", "POST", "nodes/n1/nics/eth0/attachments", body)
        self.red.post("networks/net/subnets", {"cidr": "10.0.4.0/24"})
        self.red.attach("n1", "net")
        self.assertEqual(1, len(self.ips(query="?ip=10.0.4.0/24")))

    def test_nearly_full(self) -> None:
        """The last one of a /16 is found, and found with few statements."""
        self.claim("n0", "n1", "n2")
        large = self.red.post("networks", {"name": "large"})
        self.red.post("networks/large/subnets", {"cidr": "10.8.0.0/16"})
        self.red.attach("n0", "large", addresses=["10.8.0.2"])
        left = ["10.8.77.77", "10.8.200.1"]
        with self.service.database.writer() as session:
            one = session.query(models.Address).one()
            first = int(ipaddress.ip_address("10.8.0.0"))
            every = (ipaddress.ip_address(first + number) for number in range(3, 2**16 - 1))
            same = {"network_id": one.network_id, "subnet_id": one.subnet_id, "attachment_id": one.attachment_id}
            rows = [
                {"uuid": f"{ip}", "ip": str(ip), "number": addresses.number(ip), "created_at": models.now(), **same}
                for ip in every
                if str(ip) not in left
            ]
            session.execute(sa.insert(models.Address), rows)
        for name in ("n1", "n2"):
            with self.service.statements() as statements:
                self.red.post(f"nodes/{name}/nics/eth0/attachments", {"network": large["uuid"]}, 202)
            self.assertLess(len(statements), 40)
        found = [self.ips(query=f"?node={name}") for name in ("n1", "n2")]
        self.assertEqual([[ip] for ip in sorted(left)], sorted(found))

    def test_failed_attach(self) -> None:
        self.claim("n0")
        fake_switch.set_faults(self.service.state_dir, self.rack["uuid"], fail=["p0"])
        self.red.attach("n0", "net", state="error", addresses=["10.0.0.9"])
        fake_switch.set_faults(self.service.state_dir, self.rack["uuid"])
        self.admin.wait(self.admin.call("POST", "switches/rack1/ports/p0/revert", status=202).json)
        self.no_leak()

    def test_filters(self) -> None:
        self.claim("n0", "n1")
        self.red.attach("n0", "net", addresses=["10.0.0.9"])
        self.red.attach("n1", "net", addresses=["10.0.0.100"])
        for query, found in (
            *(("ip=10.0.0.9", ["10.0.0.9"]), ("ip=10.0.0.0/25&node=n1", ["10.0.0.100"]), ("ip=10.0.0.10", [])),
            *((f"subnet={self.subnet['uuid']}", ["10.0.0.9", "10.0.0.100"]), ("network=none", []), ("project=x", [])),
            ("network=net&ip=10.0.0.96/27", ["10.0.0.100"]),
        ):
            self.assertEqual(found, self.ips(query=f"?{query}"), query)
        self.assertEqual(2, len(self.ips(query="?ip=2001:DB8::/32")))
        for query in ("ip=x", "ip=10.0.0.1/24", "ip=", "ip=10.0.0.9/33", "ip=%", "ip=fe80::1%25eth0"):
            self.red.get(f"addresses?{query}", 400)
            self.red.get(f"instances?{query}", 400)
        self.assertEqual([], self.ips(self.blue))

    def test_claims(self) -> None:
        wire = {"network": "net", "addresses": ["10.0.0.9"]}
        self.refused(400, "request.field_invalid", "POST", "claims", {"count": 2, "networks": [wire]})
        self.red.wait(self.red.post("claims", {"count": 1, "networks": [wire]}, 202))
        self.assertEqual("10.0.0.9", self.ips()[0])
        self.refused(409, "address.taken", "POST", "claims", {"count": 1, "networks": [wire]})
        self.red.wait(self.red.post("claims", {"count": 3, "networks": [{"network": "net"}]}, 202))
        self.assertEqual(8, len(set(self.ips())))


class TestInstances(AddressCase):
    """Instances: wired with addresses, found by them."""

    def create(self, name: str = "web", state: str | None = "done", **fields: Any) -> dict[str, Any]:
        body = {"name": name, "flavor": "metal", "networks": [{"network": "net"}], **fields}
        for begun in self.red.post("instances", body, 202)["instances"]:
            self.red.wait(begun["operation"], state)
        return dict(self.red.get(f"instances/{name}"))

    def test_life(self) -> None:
        made = self.create(networks=[{"network": "net", "addresses": ["10.0.0.9"]}])
        self.create("other")
        self.assertEqual("10.0.0.9", made["addresses"][0]["ip"])
        self.assertEqual("net", made["addresses"][0]["network"]["name"])
        interface = self.red.get("instances/web/interfaces")["interfaces"][0]
        self.assertEqual([item["ip"] for item in made["addresses"]], [item["ip"] for item in interface["addresses"]])
        self.assertEqual(interface["nic"]["mac"], made["addresses"][0]["mac"])
        found = self.red.get("instances?ip=10.0.0.9")["instances"]
        self.assertEqual([made], found)
        self.assertEqual(2, len(self.red.get("instances?ip=10.0.0.0/24")["instances"]))
        self.assertEqual([], self.red.get("instances?ip=10.0.1.0/24")["instances"])
        self.assertEqual([], self.blue.get("instances?ip=10.0.0.9")["instances"])
        for name in ("web", "other"):
            self.red.wait(self.red.delete(f"instances/{name}", 202))
        self.no_leak()

    def test_elsewhere(self) -> None:
        """The first node cannot be switched on: the second one has the address that was asked for."""
        fake_obm.set_faults(self.service.state_dir, self.node["n0"]["uuid"], fail=True)
        made = self.create(networks=[{"network": "net", "addresses": ["10.0.0.9"]}])
        self.assertEqual(("n1", "10.0.0.9"), (made["node"]["name"], made["addresses"][0]["ip"]))
        self.assertEqual(2, len(self.ips()))

    def test_nowhere(self) -> None:
        for node in self.node.values():
            fake_obm.set_faults(self.service.state_dir, node["uuid"], fail=True)
        self.create(state="error")
        self.no_leak()
        self.red.wait(self.red.delete("instances/web", 202))

    def test_more_than_there_are(self) -> None:
        wire = {"network": "net", "addresses": ["10.0.0.9"]}
        body = {"name": "web", "flavor": "metal", "networks": [wire], "max_count": 2}
        self.refused(400, "request.field_invalid", "POST", "instances", body)
        pools = [{"start": "10.0.0.1", "end": "10.0.0.2"}]
        self.red.patch(f"subnets/{self.subnet['uuid']}", {"pools": pools})
        body = {"name": "web", "flavor": "metal", "networks": [{"network": "net"}], "max_count": 2}
        self.refused(409, "address.none_free", "POST", "instances", body)
        self.no_leak()
        self.assertEqual(4, len(self.admin.get("nodes?free=true")["nodes"]))

    def test_interfaces(self) -> None:
        self.red.post("networks", {"name": "other"})
        self.red.post("networks/other/subnets", {"cidr": "10.7.0.0/24"})
        self.create()
        channel = self.red.get("networks/other")["channels"][1]
        body = {"network": "other", "nic": "eth0", "channel": channel, "addresses": ["10.7.0.7"]}
        self.red.wait(self.red.post("instances/web/interfaces", body, 202))
        self.assertEqual("10.7.0.7", self.red.get("instances/web")["addresses"][2]["ip"])


class TestNull(AddressCase):
    """Without IPAM: only who asks has an address."""

    settings = {("network", "ipam_driver"): "null"}

    def test_null(self) -> None:
        self.claim("n0", "n1")
        self.red.attach("n0", "net")
        self.no_leak()
        self.red.attach("n1", "net", addresses=["10.0.0.9"])
        self.assertEqual(["10.0.0.9"], self.ips())
