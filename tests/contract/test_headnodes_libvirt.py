# SPDX-License-Identifier: Apache-2.0
"""The libvirt headnode driver, held to the contract by a private libvirt on an Open vSwitch."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.headnode.base import VmNic
from mogan_hil.drivers.testing import headnode as contract
from tests import libvirtd, openvswitch

try:
    from mogan_hil.drivers import libvirt_session
    from mogan_hil.drivers.headnode import libvirt
except ImportError:
    libvirt = libvirt_session = None


class TestLibvirtHeadnode(contract.HeadnodeContract, unittest.TestCase):
    bad_options = tuple(
        {"pool": "disks", **wrong}
        for wrong in (
            {"uri": "qemu+ext:///system?command=/bin/true"},
            {"domain_type": "xen"},
            {"virtual_port": "vepa"},
            {"vnc_listen": "'/><x"},
            {"pool": ""},
        )
    )

    @classmethod
    def setUpClass(cls):
        if reason := libvirtd.missing() or openvswitch.missing():
            raise unittest.SkipTest(reason)
        cls.driver_class = libvirt.LibvirtHeadnode
        cls.switch = openvswitch.OpenVSwitch()
        cls.addClassCleanup(cls.switch.cleanUp)
        cls.switch.setUp()
        cls.daemon = libvirtd.Libvirtd(cls.switch)
        cls.addClassCleanup(cls.daemon.cleanUp)
        cls.daemon.setUp()
        cls.image = str(cls.daemon.add_pool("disks"))
        cls.nics = tuple(VmNic(f"fa:16:3e:00:00:0{tag}", cls.switch.bridge, f"{tag}00") for tag in (1, 2))

    def options(self):
        return {"uri": self.daemon.uri, "pool": "disks"}

    def ports(self):
        """The ports of the machine, with their tags."""
        found = [name for name in self.switch.vsctl("list-ports", self.switch.bridge).split() if name.startswith("hn")]
        return {name: self.switch.get_port(name)["tag"] for name in found}

    def disks(self):
        return [path.name for path in (self.daemon.directory / "disks").iterdir() if path.name != "base.qcow2"]

    def test_wires_and_storage(self):
        self.driver.configure(self.spec())
        disk = f"headnode-{self._environment.uuid}.qcow2"
        self.assertEqual([disk], self.disks())
        self.assertEqual({}, self.ports())
        self.driver.set_power(True)
        self.assertEqual({"hnfa163e000001": "100", "hnfa163e000002": "200"}, self.ports())
        seen = self.driver.read()
        command = ["nsenter", f"--net=/var/run/netns/{self.switch.namespace}", "sh", "-c"]
        greeting = f"exec 3<>/dev/tcp/{seen.vnc_address}/{seen.vnc_port}; head -c 12 <&3"
        shown = subprocess.run([*command[:2], "bash", "-c", greeting], capture_output=True, check=True, timeout=120)
        self.assertEqual(b"RFB 003.008\n", shown.stdout)
        self.driver.set_power(False)
        self.assertEqual({}, self.ports())
        self.assertEqual([disk], self.disks())
        self.driver.set_power(True)
        self.driver.remove()
        self.assertEqual(({}, []), (self.ports(), self.disks()))

    def test_a_bridge_a_vlan(self):
        bridge = openvswitch.unique("b")
        openvswitch.run("ip", "-n", self.switch.namespace, "link", "add", bridge, "type", "bridge")
        self.driver = self.driver_class({**self.options(), "virtual_port": "none"}, self._environment)
        self.addCleanup(self.driver.close)
        self.nics = (VmNic("fa:16:3e:00:00:03", bridge, "300"),)
        self.driver.configure(self.spec())
        self.driver.set_power(True)
        on_it = openvswitch.run("ip", "-n", self.switch.namespace, "-br", "link", "show", "master", bridge)
        self.assertIn("hnfa163e000003", on_it)
        self.assertEqual({}, self.ports())

    def test_hostile_names(self):
        """Names come from tenants: none of them is XML, or a path."""
        spec = self.spec()
        for name in ("</title><x/>", "a&b", "../../etc/passwd"):
            self.driver.configure(contract.VmSpec(spec.uuid, name, spec.image, 64, 1))
        self.assertEqual([f"headnode-{spec.uuid}.qcow2"], self.disks())

    def test_what_is_left_by_a_failure(self):
        """No base image: nothing is left. No bridge: what is left is taken away."""
        spec = self.spec()
        with self.assertRaises(DriverError) as caught:
            self.driver.configure(contract.VmSpec(spec.uuid, "head", "/no/such/image", 64, 1))
        self.assert_error_texts(caught.exception, "/no/such/image")
        self.assertEqual([], self.disks())
        self.nics = (VmNic("fa:16:3e:00:00:04", "no-such-bridge", "400"),)
        self.driver.configure(self.spec())
        with self.assertRaises(DriverError) as caught:
            self.driver.set_power(True)
        self.assert_error_texts(caught.exception, "no-such-bridge")
        self.driver.remove()
        self.assertIsNone(self.driver.read())
        self.assertEqual(({}, []), (self.ports(), self.disks()))

    def test_daemon_dies(self):
        """With its machines, as in a power cut. What it had comes back by a start, and goes by a removal."""
        self.driver.configure(self.spec())
        self.driver.set_power(True)
        self.daemon.crash()
        with self.assertRaises(DriverError) as caught:
            self.driver.read()
        self.assertTrue(caught.exception.transient, caught.exception.operator)
        self.assert_error_texts(caught.exception)
        self.daemon.start()
        self.driver.set_power(True)
        self.assert_running(True)
        self.assertEqual({"hnfa163e000001": "100", "hnfa163e000002": "200"}, self.ports())
        self.driver.remove()
        self.assertEqual(({}, []), (self.ports(), self.disks()))

    def test_daemon_alone_dies(self):
        """Its machine lives on, and is switched and taken away by the next one."""
        self.driver.configure(self.spec())
        self.driver.set_power(True)
        ports = self.ports()
        self.daemon.kill()
        with self.assertRaises(DriverError) as caught:
            self.driver.read()
        self.assertTrue(caught.exception.transient, caught.exception.operator)
        self.assertEqual((ports, 1), (self.ports(), self.daemon.machines()))
        self.daemon.restart()
        self.assert_running(True)
        self.daemon.kill()
        self.daemon.restart()
        self.driver.set_power(False)
        self.assertEqual(({}, 0), (self.ports(), self.daemon.machines()))
        self.driver.remove()

    def test_a_start_that_was_cut_off(self):
        """It has left a port that libvirt knows nothing of; a start would replace it."""
        for end in (lambda: self.driver.set_power(False), self.driver.remove):
            self.driver.configure(self.spec(nics=1))
            with contextlib.closing(libvirtd.libvirt.open(self.daemon.uri)) as connection:
                connection.lookupByUUIDString(self._environment.uuid).setAutostart(True)
            self.switch.vsctl("add-port", self.switch.bridge, "hnfa163e000001", "tag=100")
            end()
            self.assertEqual(({}, 0), (self.ports(), self.daemon.machines()))
        self.assertEqual([], self.disks())

    def test_a_start_that_was_cut_off_before_its_process(self):
        """libvirt says for ever that it starts. Nobody takes that for a machine that runs, or waits for it."""
        environment = dataclasses.replace(self._environment, timeout=4.0)
        self.driver = self.driver_class(self.options(), environment)
        self.driver.configure(self.spec())
        self.driver.set_power(True)
        machine = f"headnode-{environment.uuid}"
        self.daemon.cut_off(machine)
        again = self.driver_class(self.options(), environment)
        self.addCleanup(again.close)
        for call in (again.read, lambda: again.set_power(True), lambda: again.set_power(False), again.remove):
            with self.assertRaises(DriverError) as caught:
                call()
            self.assertEqual((libvirt_session.CUT_OFF, True), (caught.exception.user, caught.exception.transient))
            self.assertIn(f"{machine}.xml", caught.exception.operator)
        again.keep_off()
        self.daemon.clean_up(machine)
        again.set_power(True)
        self.assert_running(True)
        again.remove()
        self.assertEqual(({}, [], 0), (self.ports(), self.disks(), self.daemon.machines()))

    def test_somebody_else_starts_it(self):
        """An earlier conductor, or the host. Whoever asks what it is hears it when it is started."""
        self.driver.configure(self.spec())
        machine = f"headnode-{self._environment.uuid}"
        for ask in (self.driver.read, lambda: (self.driver.set_power(True), self.driver.read())[1]):
            with self.daemon.starting(machine) as go_on, ThreadPoolExecutor() as pool:
                asked = pool.submit(ask)
                with self.assertRaises(TimeoutError):
                    asked.result(0.3)
                go_on()
                self.assertTrue(asked.result().running)
            self.driver.set_power(False)

    def test_one_that_went_off_by_itself(self):
        """It does not come back when its host is started; one that is on does."""
        self.driver.keep_off()
        self.driver.configure(self.spec(nics=0))
        self.driver.set_power(True)
        with contextlib.closing(libvirtd.libvirt.open(self.daemon.uri)) as connection:
            domain = connection.lookupByUUIDString(self._environment.uuid)
            self.driver.keep_off()
            self.assertTrue(domain.autostart())
            domain.destroy()
            self.driver.keep_off()
            self.assertFalse(domain.autostart())
            self.driver.set_power(True)
            self.assertTrue(domain.autostart())

    def test_no_pool(self):
        driver = self.driver_class({**self.options(), "pool": "no-such-pool"}, self._environment)
        self.addCleanup(driver.close)
        with self.assertRaises(DriverError) as caught:
            driver.configure(self.spec())
        self.assertFalse(caught.exception.transient, caught.exception.operator)
        self.assert_error_texts(caught.exception, "no-such-pool")

    def test_others_are_made_meanwhile(self):
        """libvirt looks at no pool while it makes a disk there."""
        environments = [dataclasses.replace(self._environment, uuid=str(uuid.uuid4())) for _ in range(8)]

        def live(environment):
            driver = self.driver_class(self.options(), environment)
            for _ in range(3):
                driver.configure(contract.VmSpec(environment.uuid, "head", self.image, 64, 1))
                driver.remove()
                self.assertIsNone(driver.read())
            driver.close()

        with ThreadPoolExecutor(len(environments)) as pool:
            list(pool.map(live, environments))
        self.assertEqual([], self.disks())

    def test_daemon_falls_silent(self):
        driver = self.driver_class(self.options(), contract.base.environment(self._environment.state_dir, 4.0))
        self.addCleanup(driver.close)
        driver.read()
        os.killpg(self.daemon.process.pid, signal.SIGSTOP)
        self.addCleanup(os.killpg, self.daemon.process.pid, signal.SIGCONT)
        with self.assertRaises(DriverError) as caught:
            driver.read()
        self.assertTrue(caught.exception.transient, caught.exception.operator)
