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
    "Aggregate": "1.0-b7d593d5761b867594c883e489f95505",
    "AggregateMetadataPayload": "1.0-32a222e00006766350db9e6b5eaf8342",
    "AggregateNode": "1.0-6fb92381ca6e14c07cd9af786d620c0f",
    "AggregateNodePayload": "1.0-d380dfb1358e5503c97d6daa24f70006",
    "AggregatePayload": "1.0-a69613accfd411985aeaeeff68f6773a",
    "Address": "1.0-4665b5ee8e4be1b0eb02b8daec3896ea",
    "Attachment": "1.0-3e9b152272b22636b87845033a54e8fd",
    "AttachmentPayload": "1.0-857f65dc4c0553b560b1109b57f81fc5",
    "Console": "1.1-402b93b84ecb3f30f532426a6c6aaa06",
    "Flavor": "1.1-d68c51067fdfad377485b5d8620ceee8",
    "FlavorAccess": "1.0-4fc55af0e759f5bd4f610eb74c5882c9",
    "FlavorAccessPayload": "1.0-066c6002e215c0661ff211ef7287e195",
    "FlavorPayload": "1.1-60e4c988adfc4bb35cca8e4325ed1614",
    "Headnode": "1.0-8fd0d759f40fcf0faa8ec1c6e3a8e97e",
    "HeadnodePayload": "1.0-41cf20301c1a0bb370df6c71245a43b7",
    "Hnic": "1.0-d0574b5ae3284b8029681badd29b0917",
    "HnicPayload": "1.0-d4d61da1aaab70518b7204b11b84c727",
    "Image": "1.0-c724b6915fc81c2e2bd0df2a8c4eb94a",
    "ImagePayload": "1.0-6b821dd6d8ea97702ee409cca92945fb",
    "Instance": "1.2-5aadca6c81e4ce5e67520c74095d64ab",
    "InstanceConfig": "1.0-faa6e77ae8ff922d2dfc46365875f5e6",
    "InstancePayload": "1.2-b8d7a4fe7eee66f854c0228962406aa0",
    "Keypair": "1.0-c06ea3d6e0138184a437afe1325b6c26",
    "KeypairPayload": "1.0-1ef16482f465708c9616eaa715728fc0",
    "Metadata": "1.0-6e61b19588b8cb6f83b6015ad928a53b",
    "Network": "1.0-00974ffe55c7f2d4a41f68b93ed9472a",
    "NetworkAccessPayload": "1.0-a9884030b56eface1522c05b90009b83",
    "NetworkPayload": "1.0-b0a22f25a075de31aaf59e02594a25d8",
    "Nic": "1.0-c2c3368018475f47aee587c0185cd2ec",
    "NicPayload": "1.0-83a9026d385bea1aa333d99e7ef00a2c",
    "NodeMetadataPayload": "1.0-6bc24114db4ad281e13bf3009ecb9032",
    "NodePayload": "1.1-bf6ac6f6c7ca3aab53f166a8278f1ab1",
    "Node": "1.1-99b37ce91e67eb1f9dafe36540813ca9",
    "Operation": "1.0-ca457e50cbb31c757045a8869e3c08c4",
    "OperationPayload": "1.0-1fccfe133186fc0f784819fb2b44b837",
    "Port": "1.0-fcc08271f135710fb37a4d425a7c32f1",
    "PortPayload": "1.0-ffdaf2a177e3501d13cced0c7b5900a6",
    "Project": "1.0-dd772d153240a04987939a0e19ada5f6",
    "ProjectPayload": "1.0-8d7e726f4c73978e21b332e4d6750529",
    "Quota": "1.0-9cb3d6b02e2bb2fa23a26cb83dc93f9a",
    "QuotaPayload": "1.0-9ff33a82d9daf9381e6ee56b5f08ea2a",
    "RoleAssignment": "1.0-298b5b60c5e493b5ab0e3778aa927488",
    "RoleAssignmentPayload": "1.0-b589fe54c92b5ff0de4665bb850d2322",
    "Subnet": "1.0-d293aef07dd90ee7cf8644fda8c09f50",
    "SubnetPayload": "1.0-0088c7ef3def9e8b18fa53c3d1863b57",
    "ServerGroup": "1.0-45d5e2e1c2213ef15bf41fda8ce6eaba",
    "ServerGroupPayload": "1.0-d827907552985626a38ca0b24c14599c",
    "Switch": "1.0-424096bc6d9353ac1e297e7f32d3c413",
    "SwitchPayload": "1.0-86d3becb376196dc525c82c2861d7d01",
    "User": "1.0-77e56ec6a8f1a743e1208bd2ac141d96",
    "UserPayload": "1.0-8d7e726f4c73978e21b332e4d6750529",
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
