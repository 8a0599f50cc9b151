# SPDX-License-Identifier: Apache-2.0
"""The deploy drivers of this project, held to the contract."""

import unittest

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.deploy import fake, none
from mogan_hil.drivers.testing import deploy as contract


class TestNoDeploy(contract.DeployContract, unittest.TestCase):
    driver_class = none.NoDeploy


class TestFakeDeploy(contract.DeployContract, unittest.TestCase):
    driver_class = fake.FakeDeploy

    def test_faults(self):
        where = (self._environment.state_dir, self._environment.uuid)
        fake.set_faults(*where, fail_transient=1)
        with self.assertRaises(DriverError) as caught:
            self.driver.configure(contract.FIRST)
        self.assertTrue(caught.exception.transient)
        self.driver.configure(contract.FIRST)
        fake.set_faults(*where, keep=True)
        self.driver.remove()
        self.assertEqual("web", fake.offered(*where)["name"])
        fake.set_faults(*where, fail=True, unreadable=True)
        for call in (lambda: self.driver.configure(contract.SECOND), self.driver.read):
            with self.assertRaises(DriverError) as caught:
                call()
            self.assert_error_texts(caught.exception, self._environment.name)
