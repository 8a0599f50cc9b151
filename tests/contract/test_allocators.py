# SPDX-License-Identifier: Apache-2.0
"""The allocators of this project, held to the contract."""

import unittest

from mogan_hil.drivers.allocator import null, vlan_pool
from mogan_hil.drivers.testing import allocator as contract


class TestVlanPool(contract.AllocatorContract, unittest.TestCase):
    driver_class = vlan_pool.VlanPool
    ranges = ("default:100-199", "physnet2:100-110,300", "default:4094")
    bad_ranges = (
        (),
        ("100-200",),
        (":100-200",),
        ("default:",),
        ("default:0-10",),
        ("default:1-4095",),
        ("default:20-10",),
        ("default:1,1",),
        ("default:1-10,5",),
        ("default:1-10", "default:10"),
        ("default:a-b",),
        ("default:1-",),
        ("default:\u0661",),
        ("default:+1",),
        ("default:-1",),
        ("default:1--2",),
        ("a b:1",),
        ("default:1,,2",),
    )
    bad_ids = (
        "",
        " ",
        "0",
        "4095",
        "01",
        "+1",
        "-1",
        " 1",
        "1 ",
        "1\n",
        "1.0",
        "1e2",
        "0x1",
        "\u0661",
        "\u00b2",
        "99999999999",
        "vlan",
        "1_0",
    )

    def test_pools(self):
        self.assertEqual(("default", "physnet2"), tuple(self.allocator.physical_networks()))
        used = set()
        while (chosen := self.allocator.choose("physnet2", used)) is not None:
            used.add(chosen)
        self.assertEqual({*map(str, range(100, 111)), "300"}, used)
        self.assertTrue(self.allocator.pooled("default", "4094"))

    def test_named_outside_of_the_pool(self):
        self.allocator.check("default", "4000")
        self.assertFalse(self.allocator.pooled("default", "4000"))

    def test_vlan_channels(self):
        self.assertEqual(["vlan/native", "vlan/100"], list(self.allocator.channels("100")))


class TestNullAllocator(contract.AllocatorContract, unittest.TestCase):
    driver_class = null.NullAllocator
    ranges = ()
    bad_ranges = ((":1-2",),)
    bad_ids = ("", "1", "g" * 32, "0" * 32, "A" * 32, "0" * 33)

    def test_names(self):
        named = null.NullAllocator(["a:1-2", "b", "a:5"])
        self.assertEqual(("a", "b"), tuple(named.physical_networks()))

    def test_channel(self):
        self.assertEqual(["null"], list(self.allocator.channels("0" * 32)))
