# SPDX-License-Identifier: Apache-2.0
"""The contract of a deploy driver, as tests."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from mogan_hil.drivers.base import Environment
from mogan_hil.drivers.deploy.base import OFFER, DeployDriver, DeployNic, DeploySpec
from mogan_hil.drivers.testing import base

FIRST = DeploySpec(
    instance="8d9a5d0c-6b1e-4c0e-9f3f-0a2b1c3d4e5f",
    name="web",
    project="red",
    nics=(DeployNic("eth0", "52:54:00:00:00:01", {"vlan/native": "0b1f8f6e-57b0-4b2e-8b8e-4f2d8c6f7a10"}),),
)
SECOND = DeploySpec(instance="1f0e9d8c-7b6a-4594-8372-61504f3e2d1c", name="db", project="green", nics=())


class DeployContract(base.DriverContract):
    """Inherit from this and from `unittest.TestCase`, and fill in what is below."""

    driver_class: ClassVar[type[DeployDriver]]

    def environment(self) -> Environment:
        """Where the driver runs: a fresh directory."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return base.environment(Path(directory.name))

    def make_driver(self) -> DeployDriver:
        """Another driver object for the node."""
        driver = self.driver_class(self.options(), self._environment)
        self.addCleanup(driver.close)
        return driver

    def setUp(self) -> None:
        super().setUp()
        self._environment = self.environment()
        self.driver = self.make_driver()

    def test_constructor_does_nothing(self) -> None:
        driver = self.driver_class(self.options(), self._environment)
        driver.close()
        driver.close()

    def test_nothing_at_first(self) -> None:
        self.assertIsNone(self.driver.read())
        self.driver.remove()
        self.assertIsNone(self.driver.read())

    def test_offer(self) -> None:
        """Each call twice: the second changes nothing. A driver that offers nothing accepts that it is told to."""
        for spec in (FIRST, FIRST, SECOND):
            self.driver.configure(spec)
            expected = spec.instance if OFFER in self.driver.capabilities else None
            self.assertEqual(expected, self.make_driver().read())
        for _ in range(2):
            self.driver.remove()
            self.assertIsNone(self.make_driver().read())
