# SPDX-License-Identifier: Apache-2.0
"""The contract of a headnode driver, as tests."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from mogan_hil.drivers.base import DriverError, Environment
from mogan_hil.drivers.headnode.base import HeadnodeDriver, VmNic, VmSpec
from mogan_hil.drivers.testing import base


class HeadnodeContract(base.DriverContract):
    """Inherit from this and from `unittest.TestCase`, and fill in what is below."""

    driver_class: ClassVar[type[HeadnodeDriver]]
    #: The path of a base image on the host.
    image = "/images/base.qcow2"
    #: NICs that the host can give a machine.
    nics: tuple[VmNic, ...] = (VmNic("fa:16:3e:00:00:01", "br0", "100"), VmNic("fa:16:3e:00:00:02", "br0", "200"))

    def environment(self) -> Environment:
        """Where the driver runs: a fresh directory."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return base.environment(Path(directory.name))

    def spec(self, nics: int = 2) -> VmSpec:
        """What the machine is to be."""
        uuid = self._environment.uuid
        return VmSpec(uuid, "head", self.image, memory=64, cpus=1, nics=self.nics[:nics])

    def make_driver(self) -> HeadnodeDriver:
        """Another driver object for the headnode."""
        driver = self.driver_class(self.options(), self._environment)
        self.addCleanup(driver.close)
        return driver

    def setUp(self) -> None:
        super().setUp()
        self._environment = self.environment()
        self.driver = self.make_driver()
        self.addCleanup(self.driver.remove)

    def assert_running(self, running: bool) -> None:
        """There is a machine, and it is on or off, as another driver object sees it."""
        seen = self.make_driver().read()
        assert seen is not None
        self.assertIs(running, seen.running)
        self.assertIs(running, seen.vnc_port is not None)
        self.assertIs(running, seen.vnc_address is not None)

    def test_constructor_does_nothing(self) -> None:
        driver = self.driver_class(self.options(), self._environment)
        driver.close()
        driver.close()

    def test_nothing_at_first(self) -> None:
        for _ in range(2):
            self.assertIsNone(self.driver.read())
            self.driver.remove()
        with self.assertRaises(DriverError) as caught:
            self.driver.set_power(True)
        self.assert_error_texts(caught.exception)
        self.assertIsNone(self.driver.read())

    def test_life(self) -> None:
        """Each call twice: the second changes nothing."""
        for _ in range(2):
            self.driver.configure(self.spec())
            self.assert_running(False)
            self.driver.close()
        for on in (True, False, True):
            for _ in range(2):
                self.driver.set_power(on)
                self.assert_running(on)
        for _ in range(2):
            self.driver.remove()
            self.assertIsNone(self.make_driver().read())

    def test_keep_off(self) -> None:
        """It switches nothing, and may be asked of a machine that is not there."""
        self.driver.keep_off()
        self.driver.configure(self.spec(nics=0))
        for on in (True, False):
            self.driver.set_power(on)
            for _ in range(2):
                self.driver.keep_off()
            self.assert_running(on)

    def test_made_anew(self) -> None:
        """What was left by another, with other NICs, is no hindrance."""
        self.driver.configure(self.spec(nics=1))
        self.make_driver().configure(self.spec(nics=2))
        self.make_driver().remove()
        self.driver.configure(self.spec(nics=0))
        self.driver.set_power(True)
        self.assert_running(True)
