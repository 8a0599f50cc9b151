# SPDX-License-Identifier: Apache-2.0
"""The pretend headnode driver, held to the contract."""

import unittest

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.headnode import fake
from mogan_hil.drivers.testing import headnode as contract


class TestFakeHeadnode(contract.HeadnodeContract, unittest.TestCase):
    driver_class = fake.FakeHeadnode

    def test_faults(self):
        where = (self._environment.state_dir, self._environment.uuid)
        fake.set_faults(*where, fail_transient=1)
        with self.assertRaises(DriverError) as caught:
            self.driver.configure(self.spec())
        self.assertTrue(caught.exception.transient)
        self.driver.configure(self.spec())
        fake.set_faults(*where, keep=True)
        self.driver.remove()
        self.assertEqual("head", fake.machine(*where)["spec"]["name"])
        fake.set_faults(*where, fail=["*"], unreadable=True)
        for call in (
            lambda: self.driver.configure(self.spec()),
            lambda: self.driver.set_power(True),
            self.driver.remove,
            self.driver.read,
        ):
            with self.assertRaises(DriverError) as caught:
                call()
            self.assert_error_texts(caught.exception, self._environment.name)
        fake.set_faults(*where)
