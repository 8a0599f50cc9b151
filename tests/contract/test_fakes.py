# SPDX-License-Identifier: Apache-2.0
"""What the pretend devices do beyond the contract: they outlive processes, and fail on request."""

import concurrent.futures
import multiprocessing
import tempfile
import threading
import time
import unittest
from pathlib import Path

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.obm import fake as obm_fake
from mogan_hil.drivers.obm.base import Power
from mogan_hil.drivers.switch import fake
from mogan_hil.drivers.switch.base import PARKED, PortConfig, PortState
from mogan_hil.drivers.testing.base import environment


def configure_many(state_dir, first):
    """What one of several processes does in test_processes_and_threads."""
    driver = fake.FakeSwitch({}, environment(Path(state_dir)))
    for number in range(first, first + 20):
        driver.configure({f"p{number}": PortConfig(number + 1)})


class FakeTestCase(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.environment = environment(Path(directory.name))
        self.where = (self.environment.state_dir, self.environment.uuid)


class TestFakeSwitch(FakeTestCase):
    def make(self, **options):
        return fake.FakeSwitch(options, self.environment)

    def test_new_port_carries_everything(self):
        self.assertTrue(self.make().read(["p"])["p"].carries(4095))
        self.assertEqual(PortState(native=0, tagged=frozenset(range(4096))), fake.by_hand(*self.where, "p"))

    def test_processes_and_threads(self):
        """None undoes what another did."""
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, context) as processes:
            with concurrent.futures.ThreadPoolExecutor(4) as threads:
                work = [processes.submit(configure_many, str(self.where[0]), first) for first in (0, 20)]
                work += [threads.submit(configure_many, self.where[0], first) for first in (40, 60, 80, 100)]
                for each in work:
                    each.result(180)
        read = self.make().read([f"p{number}" for number in range(120)])
        self.assertEqual(list(range(1, 121)), [state.native for state in read.values()])

    def test_fail(self):
        driver = self.make(fail=["p1"])
        with self.assertRaises(DriverError) as caught:
            driver.configure({"p0": PortConfig(10), "p1": PortConfig(10)})
        self.assertFalse(caught.exception.transient)
        self.assertEqual(fake.OPEN, driver.read(["p0"])["p0"])
        driver.configure({"p0": PortConfig(10)})

    def test_fail_transient(self):
        """The count is the device's: a new object, or a new process, does not start anew."""
        for _ in range(2):
            with self.assertRaises(DriverError) as caught:
                self.make(fail_transient=2).configure({"p": PARKED})
            self.assertTrue(caught.exception.transient)
        self.make(fail_transient=2).configure({"p": PARKED})

    def test_lie(self):
        driver = self.make(lie=["p1"])
        driver.configure({"p0": PortConfig(10), "p1": PortConfig(10)})
        self.assertEqual([10, 0], [state.native for state in driver.read(["p0", "p1"]).values()])

    def test_hang_delay_crash_unreadable(self):
        start = time.monotonic()
        self.make(hang=["*"], hang_seconds=0.2).configure({"p": PARKED})
        self.make(delay=0.2).read(["p"])
        self.assertGreater(time.monotonic() - start, 0.39)
        with self.assertRaises(RuntimeError):
            self.make(crash=["*"]).configure({"p": PARKED})
        with self.assertRaises(DriverError):
            self.make(unreadable=True).read(["p"])

    def test_hold(self):
        """A call goes on when it is not held any more, and only then; others are not held."""
        fake.set_faults(*self.where, hold=["configure"])
        driver = self.make()
        driver.configure({"p0": PARKED, "p1": PARKED})
        held = threading.Thread(target=driver.configure, args=({"p0": PARKED, "p1": PortConfig(10)},))
        held.start()
        held.join(0.1)
        self.assertEqual([None, None], [state.native for state in driver.read(["p0", "p1"]).values()])
        self.assertTrue(held.is_alive())
        fake.set_faults(*self.where, hold=["park"])
        held.join(180)
        self.assertEqual(10, driver.read(["p1"])["p1"].native)

    def test_faults_from_outside(self):
        driver = self.make()
        driver.configure({"p": PARKED})
        fake.set_faults(*self.where, fail=["*"])
        self.assertRaises(DriverError, driver.configure, {"p": PARKED})
        fake.set_faults(*self.where, fail_transient=1)
        self.assertRaises(DriverError, driver.read, ["p"])
        driver.read(["p"])
        fake.set_faults(*self.where)
        driver.configure({"p": PARKED})


class TestFakeObm(FakeTestCase):
    def make(self, **options):
        return obm_fake.FakeObm(options, self.environment)

    def test_outlives_its_object(self):
        self.make().set_power(Power.ON)
        self.make().set_boot_device("pxe", True)
        self.assertEqual((Power.ON, ("pxe", True)), (self.make().power(), self.make().boot_device()))
        obm_fake.set_by_hand(*self.where, power=Power.OFF, boot=("disk", False))
        self.assertEqual((Power.OFF, ("disk", False)), (self.make().power(), self.make().boot_device()))

    def test_one_boot_uses_up_its_device(self):
        driver = self.make()
        driver.set_boot_device("pxe", False)
        driver.set_power(Power.ON)
        self.assertEqual((None, False), driver.boot_device())
        driver.set_boot_device("pxe", True)
        driver.set_power(Power.CYCLE)
        self.assertEqual(("pxe", True), driver.boot_device())

    def test_faults(self):
        with self.assertRaises(DriverError):
            self.make(fail=True).set_power(Power.ON)
        with self.assertRaises(DriverError):
            self.make(unreadable=True).power()
        with self.assertRaises(RuntimeError):
            self.make(crash=True).set_boot_device("pxe", False)
        self.make(lie=True).set_power(Power.ON)
        self.assertEqual(Power.OFF, self.make().power())
        obm_fake.set_faults(*self.where, fail_transient=1, hang=True, hang_seconds=0.2)
        with self.assertRaises(DriverError) as caught:
            self.make().set_power(Power.ON)
        self.assertTrue(caught.exception.transient)
        start = time.monotonic()
        self.make().set_power(Power.ON)
        self.assertGreater(time.monotonic() - start, 0.19)

    def test_hold(self):
        """What is held is told from what is not."""
        obm_fake.set_faults(*self.where, hold=["on", "boot_device"])
        driver = self.make()
        driver.set_power(Power.CYCLE)
        changes = [(driver.set_power, Power.ON), (driver.set_boot_device, "pxe", True)]
        held = [threading.Thread(target=change, args=arguments) for change, *arguments in changes]
        for each in held:
            each.start()
        driver.set_power(Power.OFF)
        self.assertEqual((Power.OFF, (None, False)), (driver.power(), driver.boot_device()))
        obm_fake.set_faults(*self.where)
        for each in held:
            each.join(180)
        self.assertEqual((Power.ON, ("pxe", True)), (driver.power(), driver.boot_device()))

    def test_console_of_two(self):
        """Each reader gets every line from when it came, and power changes are seen there."""
        early = self.make().console()
        self.make().set_power(Power.ON)
        late = self.make().console()
        threading.Timer(0.1, obm_fake.write_console, (*self.where, "login:")).start()
        self.assertEqual(b"login:\r\n", next(late))
        self.assertEqual(b"under-test: power on\r\nlogin:\r\n", b"".join(next(early) for _ in range(1)))
        early.close()
        self.assertEqual([], list(early))
