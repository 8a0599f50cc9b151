# SPDX-License-Identifier: Apache-2.0
"""The Open vSwitch driver over TCP and TLS, and with servers that stop, hang and come back."""

import dataclasses
import shutil
import threading
import time

import fixtures

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.switch.base import PARKED, PortConfig, PortState
from mogan_hil.drivers.testing.base import eventually
from tests import openvswitch
from tests.real.openvswitch_base import PATIENCE, OvsTestCase
from tests.servers import base


class TestTransports(OvsTestCase):
    """TCP and TLS beside the unix socket of all other tests."""

    def setUp(self):
        super().setUp()
        self.port = self.switch.add_dummy_port()

    def listen(self, method, *options):
        """Let the server listen elsewhere too, and return the address."""
        number = base.free_port()
        self.switch.remotes = [f"--remote=p{method}:{number}:127.0.0.1", *options]
        self.switch.stop("ovsdb-server")
        self.switch.start_server()
        return f"127.0.0.1:{number}"

    def make_identity(self, name):
        """A key and a certificate that vouches for itself; the paths of key, certificate and CA certificate."""
        if shutil.which("openssl") is None:
            self.skipTest("openssl is not installed")
        key, certificate = (str(self.switch.directory / f"{name}.{suffix}") for suffix in ("key", "pem"))
        openvswitch.run(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-keyout",
            key,
            "-out",
            certificate,
        )
        return key, certificate

    def assert_works(self, driver):
        self.addCleanup(driver.close)
        for vlan in (10, 11):
            driver.configure({self.port: PortConfig(vlan)})
            self.assertEqual(PortState(native=vlan), driver.read([self.port])[self.port])
        everything = PortConfig(1, frozenset(range(2, 4095)))  # more than one TLS record
        driver.configure({self.port: everything})
        self.assertTrue(driver.read([self.port])[self.port].matches(everything))

    def test_tcp(self):
        driver = self.make_driver(endpoint="tcp:" + self.listen("tcp"))
        self.assert_works(driver)

    def tls(self, timeout, address, client, authority):
        return self.make_driver(
            timeout=timeout, endpoint="ssl:" + address, private_key=client[0], certificate=client[1], ca_cert=authority
        )

    def test_tls(self):
        server, client, stranger = (self.make_identity(name) for name in ("server", "client", "stranger"))
        address = self.listen(
            "ssl", f"--private-key={server[0]}", f"--certificate={server[1]}", f"--ca-cert={client[1]}"
        )
        self.assert_works(self.tls(30.0, address, client, server[1]))
        # Neither a server nor a client that nobody vouches for gets anywhere, whatever other drivers use.
        for identity, authority in ((client, stranger[1]), (stranger, server[1])):
            driver = self.tls(0.5, address, identity, authority)
            self.assert_transient(driver, driver.read, [self.port])
        driver = self.tls(30.0, address, client, "/nonexistent.pem")
        self.assertFalse(self.assertRaises(DriverError, driver.read, [self.port]).transient)
        self.assert_works(self.tls(30.0, address, client, server[1]))

    def test_tls_server_hangs(self):
        """Before, in and after the handshake; and nobody spins meanwhile."""
        server, client = (self.make_identity(name) for name in ("server", "client"))
        address = self.listen(
            "ssl", f"--private-key={server[0]}", f"--certificate={server[1]}", f"--ca-cert={client[1]}"
        )
        old, new = (self.tls(30.0, address, client, server[1]) for _ in range(2))
        old.read([self.port])
        for driver in (old, new):
            driver.environment = dataclasses.replace(driver.environment, timeout=2.0)
        with self.switch.hung("ovsdb-server"):
            start = time.process_time()
            for driver in (old, new):
                self.assert_transient(driver, driver.read, [self.port])
            self.assertLess(time.process_time() - start, 2)
        new.environment = dataclasses.replace(new.environment, timeout=30.0)
        self.assertTrue(eventually(lambda: self.reads(new), PATIENCE))


class TestTrouble(OvsTestCase):
    """Servers that stop, hang and come back."""

    def setUp(self):
        super().setUp()
        self.port = self.switch.add_dummy_port()

    def hurry(self, *drivers, seconds=0.6):
        """From now on wait for the server no longer than this."""
        for driver in drivers:
            driver.environment = dataclasses.replace(driver.environment, timeout=seconds)

    def watched(self, driver=None):
        """The names that a watch reports, from now on."""
        seen = []
        watch = (driver or self.driver).watch(lambda ports: seen.extend(ports))
        self.addCleanup(watch.close)
        self.assertIn(self.port, seen)
        seen.clear()
        return seen, watch

    def test_no_server(self):
        driver = self.make_driver(timeout=0.5, endpoint=f"unix:{self.switch.directory}/nope")
        self.assert_transient(driver, driver.read, [self.port])
        self.assert_transient(driver, driver.configure, {self.port: PARKED})
        self.assert_transient(driver, driver.watch, lambda ports: None)

    def test_server_restarts(self):
        self.driver.configure({self.port: PortConfig(10)})
        seen, watch = self.watched()
        self.switch.stop("ovsdb-server")
        self.switch.start_server()
        self.switch.vsctl("--no-wait", "set", "port", self.port, "tag=11")
        self.assertEqual(PortState(native=11), self.driver.read([self.port])[self.port])
        self.driver.configure({self.port: PortConfig(12)})
        self.assertEqual("12", self.switch.get_port(self.port)["tag"])
        self.assertTrue(watch.alive)
        self.assertTrue(eventually(lambda: self.port in seen, PATIENCE))

    def test_watch_reports_what_changed_while_the_server_was_away(self):
        gone = self.switch.add_dummy_port()
        seen, watch = self.watched()
        self.switch.stop("ovsdb-server")
        time.sleep(0.3)
        self.switch.start_server()
        self.switch.vsctl("--no-wait", "del-port", gone, "--", "set", "port", self.port, "tag=11")
        self.assertTrue(eventually(lambda: {gone, self.port} <= set(seen), PATIENCE), seen)
        self.assertTrue(watch.alive)

    def test_server_down(self):
        driver = self.make_driver()
        driver.read([self.port])
        self.hurry(driver)
        self.switch.stop("ovsdb-server")
        self.assert_transient(driver, driver.read, [self.port])
        self.assert_transient(driver, driver.configure, {self.port: PARKED})
        self.switch.start_server()
        self.assertTrue(eventually(lambda: self.reads(driver), PATIENCE))

    def test_server_hangs(self):
        driver, fresh = self.make_driver(), self.make_driver()
        driver.configure({self.port: PortConfig(10)})
        self.hurry(driver, fresh)
        with self.switch.hung("ovsdb-server"):
            for each in (driver, fresh):
                self.assert_transient(each, each.read, [self.port])
                self.assert_transient(each, each.configure, {self.port: PARKED})
            start = time.monotonic()
            fresh.close()
            self.assertLess(time.monotonic() - start, PATIENCE)
        self.hurry(driver, seconds=30)
        driver.configure({self.port: PortConfig(11)})
        self.assertEqual(PortState(native=11), driver.read([self.port])[self.port])

    def test_vswitchd_hangs(self):
        """What it has not applied is not reported as done."""
        driver = self.make_driver()
        driver.configure({self.port: PortConfig(10)})
        self.hurry(driver, seconds=2)  # enough for the server to answer
        with self.switch.hung("ovs-vswitchd"):
            error = self.assert_transient(driver, driver.configure, {self.port: PARKED})
            self.assertIn("ovs-vswitchd", error.operator)
            # The same once more has nothing to write, and is still not done.
            self.assert_transient(driver, driver.configure, {self.port: PARKED})
            self.hurry(driver, seconds=30)
            self.assertFalse(driver.read([self.port])[self.port].enabled)
        driver.configure({self.port: PARKED})

    def test_watch_reports_each_change(self):
        seen, _watch = self.watched()
        for settings in (["tag=10"], ["tag=11"], ["trunks=3"], ["protected=true"], []):
            self.switch.set_port(self.port, *settings)
            self.assertTrue(eventually(lambda: self.port in seen, PATIENCE), settings)
            seen.clear()

    def test_port_is_deleted_and_made_again(self):
        seen, _watch = self.watched()
        self.switch.vsctl("del-port", self.port)
        self.assertTrue(eventually(lambda: self.port in seen, PATIENCE))
        self.assertEqual({self.port: None}, self.driver.read([self.port]))
        self.assertRaises(DriverError, self.driver.configure, {self.port: PARKED})
        seen.clear()
        self.switch.vsctl("add-port", self.switch.bridge, self.port)
        self.assertTrue(eventually(lambda: self.port in seen, PATIENCE))
        # It is new, and so carries everything again: this is what the report is for.
        self.assertTrue(self.driver.read([self.port])[self.port].carries(10))

    def test_port_is_moved_to_another_bridge(self):
        other = openvswitch.unique("br")
        self.switch.vsctl("add-br", other, "--", "set", "bridge", other, "datapath_type=netdev")
        seen, _watch = self.watched()
        self.switch.vsctl("del-port", self.port, "--", "add-port", other, self.port)
        self.assertTrue(eventually(lambda: self.port in seen, PATIENCE))
        seen.clear()
        self.switch.vsctl("set", "port", self.port, "tag=10")  # no business of this bridge's watch
        self.switch.vsctl("set", "port", self.switch.bridge, "tag=10")
        self.assertTrue(eventually(lambda: self.switch.bridge in seen, PATIENCE))
        self.assertNotIn(self.port, seen)

    def test_a_watch_that_fails_harms_nobody(self):
        def broken(ports):
            raise RuntimeError("broken")

        logger = self.useFixture(fixtures.FakeLogger())
        self.driver.watch(broken)
        seen, _watch = self.watched()
        self.driver.configure({self.port: PortConfig(10)})
        self.assertTrue(eventually(lambda: self.port in seen, PATIENCE))
        self.assertIn("broken", logger.output)

    def test_close_ends_the_thread(self):
        before = set(threading.enumerate())
        self.driver.read([self.port])
        (thread,) = {thread for thread in threading.enumerate() if thread.name == "ovsdb"} - before
        self.driver.close()
        self.assertFalse(thread.is_alive())
        self.driver.close()
