# SPDX-License-Identifier: Apache-2.0
"""The service on simulated switches, which do to a real Open vSwitch what they are told: from request to ping."""

import testtools

from tests import netconfswitch, openvswitch, service, sshserver, sshswitch

MISSING = openvswitch.missing()
NAMES = ("GigabitEthernet1/0/1", "GigabitEthernet1/0/2")


class TestService(testtools.TestCase):
    def setUp(self):
        super().setUp()
        if MISSING:
            self.skipTest(MISSING)
        self.ovs = self.useFixture(openvswitch.OpenVSwitch())
        self.hosts = [self.useFixture(openvswitch.Host(self.ovs, number)) for number in (1, 2)]
        self.admin = self.useFixture(service.Embedded(service.REAL_DEVICES)).admin

    def register(self, switch, driver, **options):
        for name, host in zip(NAMES, self.hosts, strict=True):
            switch.add_port(name, host.port)
        self.admin.add_switch("sw", NAMES, driver, **switch.options(**options))
        self.admin.add_project("red")
        self.red = self.admin.as_user("red-member")
        self.red.post("networks", {"name": "net"})
        for number, name in enumerate(NAMES, 1):
            self.admin.add_node(f"n{number}", "sw", name)
            self.red.put(f"nodes/n{number}/project", {})

    def prove(self, verified):
        one, two = self.hosts
        self.assertFalse(one.pings(two, 1))
        for node in ("n1", "n2"):
            self.assertIs(verified, self.red.attach(node, "net")["verified"])
        self.assertTrue(one.pings(two))
        self.assertIs(verified, self.red.detach("n2", "net")["verified"])
        self.assertFalse(one.pings(two, 1))

    def test_command_line(self):
        self.register(self.useFixture(sshswitch.SshSwitch(sshswitch.Ios(), self.ovs)), "generic")
        self.prove(True)
        self.assertTrue(self.admin.get("networks/net/isolation")["isolated"])

    def test_command_line_that_is_not_read(self):
        """What was not seen is not said to be so; a tagged network is refused before anything is tried."""
        switch = self.useFixture(sshswitch.SshSwitch(sshswitch.Ios(), self.ovs))
        self.register(switch, "generic", device_type="netmiko_cisco_nxos")
        self.prove(False)
        channel = next(name for name in self.red.get("networks/net")["channels"] if name != "vlan/native")
        answer = self.red.post("nodes/n1/nics/eth0/attachments", {"network": "net", "channel": channel}, 409)
        self.assertIn("tagged", str(answer))
        self.assertFalse(self.admin.get("networks/net/isolation")["isolated"])

    def test_netconf(self):
        self.useFixture(netconfswitch.NetconfSwitch.hurry())
        self.register(self.useFixture(netconfswitch.NetconfSwitch(self.ovs)), "netconf")
        self.prove(True)

    def test_secrets_stay_inside(self):
        self.register(self.useFixture(sshswitch.SshSwitch(sshswitch.Ios(), self.ovs)), "generic")
        self.assertNotIn(sshserver.PASSWORD, str(self.admin.get("switches/sw")))
