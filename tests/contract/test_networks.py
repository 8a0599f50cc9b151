# SPDX-License-Identifier: Apache-2.0
"""The network drivers of this project, held to the contract."""

import unittest

from mogan_hil.drivers.network import fake, null
from mogan_hil.drivers.testing import network as contract


class TestNull(contract.NetworkContract, unittest.TestCase):
    driver_class = null.NullNetwork


class TestFake(contract.NetworkContract, unittest.TestCase):
    driver_class = fake.FakeNetwork

    def test_everything_is_taken(self):
        self.driver.configure(contract.FIRST)
        self.assertEqual(3, len(self.driver.leases(contract.FIRST.uuid)))
