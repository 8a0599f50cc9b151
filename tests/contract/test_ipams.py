# SPDX-License-Identifier: Apache-2.0
"""The IPAM drivers of this project, held to the contract."""

import unittest

from mogan_hil.drivers.ipam import null, pool
from mogan_hil.drivers.testing import ipam as contract


class TestPool(contract.IpamContract, unittest.TestCase):
    driver_class = pool.Pool

    def test_a_small_pool_is_proposed_whole(self):
        self.assertEqual(contract.SMALL_FREE, set(self.ipam.propose(contract.SMALL)))


class TestNull(contract.IpamContract, unittest.TestCase):
    driver_class = null.NullIpam
