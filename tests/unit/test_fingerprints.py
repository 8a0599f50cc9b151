# SPDX-License-Identifier: Apache-2.0
"""What other versions of this service rely on. Who changes one of these changes its version, too."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import testtools
from oslo_versionedobjects import fixture

from mogan_hil import objects
from mogan_hil.conductor.manager import Manager
from mogan_hil.objects.base import Registry

OBJECTS = {
    "Access": "1.0-1309a3dea7ba0687a4a485ea999625a9",
    "Attachment": "1.0-3e9b152272b22636b87845033a54e8fd",
    "Flavor": "1.0-71745590fee25260f6bc3ec95a3d16e7",
    "FlavorAccess": "1.0-4fc55af0e759f5bd4f610eb74c5882c9",
    "Instance": "1.0-ace573a7cc73c8008e99d0d084e11738",
    "Metadata": "1.0-6e61b19588b8cb6f83b6015ad928a53b",
    "Network": "1.0-00974ffe55c7f2d4a41f68b93ed9472a",
    "Nic": "1.0-c2c3368018475f47aee587c0185cd2ec",
    "Node": "1.0-c1aa00dc29f90802a46add04872a4cf4",
    "Operation": "1.0-ca457e50cbb31c757045a8869e3c08c4",
    "Port": "1.0-fcc08271f135710fb37a4d425a7c32f1",
    "Project": "1.0-dd772d153240a04987939a0e19ada5f6",
    "RoleAssignment": "1.0-298b5b60c5e493b5ab0e3778aa927488",
    "Switch": "1.0-424096bc6d9353ac1e297e7f32d3c413",
    "User": "1.0-77e56ec6a8f1a743e1208bd2ac141d96",
}

RPC = (
    "1.1",
    {
        "ask": "(_context, node, question, timeout)",
        "observe": "(_context, switch, timeout)",
        "wake": "(_context, lane)",
    },
)


class TestFingerprints(testtools.TestCase):
    """See the module."""

    def test_objects(self) -> None:
        for module in pkgutil.iter_modules(objects.__path__):
            importlib.import_module(f"{objects.__name__}.{module.name}")
        self.assertEqual(OBJECTS, fixture.ObjectVersionChecker(Registry.obj_classes()).get_hashes())

    def test_rpc(self) -> None:
        methods = {}
        for name, method in inspect.getmembers(Manager, inspect.isfunction):
            if not name.startswith("_"):
                methods[name] = "({})".format(", ".join(list(inspect.signature(method).parameters)[1:]))
        self.assertEqual(RPC, (Manager.target.version, methods))
