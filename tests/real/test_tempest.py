# SPDX-License-Identifier: Apache-2.0
"""The tests of the Tempest plugin, run by Tempest, against the service and a Keystone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import fixtures

from tests import openstack
from tests.real.test_keystone import KeystoneCase

TEMPEST = Path(sys.executable).with_name("tempest")

CONFIG = """\
[DEFAULT]
log_file = {here}/tempest.log
[oslo_concurrency]
lock_path = {here}
[auth]
admin_username = admin
admin_password = {password}
admin_project_name = admin
admin_domain_name = Default
create_isolated_networks = false
[identity]
uri_v3 = {keystone}
region = RegionOne
[service_available]
cinder = false
glance = false
neutron = false
nova = false
swift = false
[mogan_hil]
region = {region}
build_timeout = 300
build_interval = 0.05
"""


#: networking-generic-switch names a plugin of Tempest that its releases do not have; Tempest then loads none at all.
MISSING = """\
from tempest.test_discover import plugins


class NGSTempestPlugin(plugins.TempestPlugin):
    def load_tests(self):
        return "{here}/none", "{here}/none"

    def register_opts(self, conf):
        pass

    def get_opt_lists(self):
        return []
"""


class TestTempest(KeystoneCase):
    """Tempest makes its users, in projects of their own, and works with the nodes of a rack."""

    def test_all(self) -> None:
        served = self.serve(conductor=True)
        self.directory.register(f"{self.useFixture(openstack.Listening(served)).url}/v1")
        admin = self.api(served, "system-admin")
        admin.add_switch("rack1", ["p1", "p2"])
        for number in (1, 2):
            admin.add_node(f"n{number}", "rack1", f"p{number}", obm={"driver": "fake"})
        here = Path(self.useFixture(fixtures.TempDir()).path)
        config = here / "tempest.conf"
        config.write_text(
            CONFIG.format(
                here=here,
                password=os.environ["MOGAN_HIL_TEST_KEYSTONE_PASSWORD"],
                keystone=self.directory.url,
                region=self.directory.region,
            )
        )
        for name in ("none", "tempest_plugin"):
            (here / name).mkdir()
        (here / "tempest_plugin" / "plugin.py").write_text(MISSING.format(here=here))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "TEMPEST_"))}
        done = subprocess.run(
            [str(TEMPEST), "run", "--config-file", str(config), "--serial", "--regex", "^mogan_hil_tempest_plugin"],
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            cwd=here,
            env={**environment, "PYTHONPATH": str(here)},
        )
        said = done.stdout + done.stderr
        self.assertEqual(0, done.returncode, said)
        totals = {kind: int(count) for kind, count in re.findall(r" - (\w+): (\d+)", said)}
        self.assertEqual((0, 0), (totals["Failed"], totals["Skipped"]), said)
        self.assertGreater(totals["Passed"], 15, said)
        self.assertEqual(2, len(admin.get("nodes?free=true")["nodes"]))
        self.assertEqual([], admin.get("networks")["networks"])
        self.assertEqual([], admin.get("flavors")["flavors"])
