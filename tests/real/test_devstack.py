# SPDX-License-Identifier: Apache-2.0
"""The plugin of DevStack, phase by phase, with functions of ours for DevStack's own."""

from __future__ import annotations

import getpass
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import fixtures
import testtools
import yaml
from oslo_config import cfg

from mogan_hil.api import process
from mogan_hil.db import migration
from mogan_hil.db.api import Database
from tests import keystone, openvswitch, service
from tests.functional.racks import until
from tests.real.test_keystone import KeystoneCase
from tests.servers import base
from tests.service import _Http

PLUGIN = Path(__file__).parents[2] / "devstack"
FUNCTIONS = Path(__file__).with_name("devstack_functions.sh")
STACK = ("pre-install", "install", "post-config", "extra", "test-config")


class Stack(fixtures.Fixture):
    """DevStack's variables and directories.

    :ivar variables: what local.conf and DevStack have set
    """

    def __init__(self, **variables: str) -> None:
        super().__init__()
        self._given = variables

    def _setUp(self) -> None:
        self.here = Path(self.useFixture(fixtures.TempDir()).path)
        self.data = self.here / "data"
        self.data.mkdir()
        self._calls = self.here / "calls"
        self.port = base.free_port()
        self.variables = {
            "PATH": os.environ["PATH"],
            "CALLS": str(self._calls),
            "PLUGIN": str(PLUGIN),
            "BIN": str(Path(sys.executable).parent),
            "DEST": str(PLUGIN.parents[1]),
            "DATA_DIR": str(self.data),
            "DISTRO": "ubuntu",
            "STACK_USER": getpass.getuser(),
            "DATABASE_TYPE": "mysql",
            "ENABLE_DEBUG_LOG_LEVEL": "True",
            "ENABLED_SERVICES": "key,mysql,rabbit,mogan-hil-api,mogan-hil-conductor,tempest",
            "KEYSTONE_SERVICE_URI": "http://127.0.0.1/identity",
            "REGION_NAME": "RegionOne",
            "SERVICE_HOST": "127.0.0.1",
            "SERVICE_LISTEN_ADDRESS": "127.0.0.1",
            "SERVICE_PASSWORD": "secret",
            "SERVICE_PROJECT_NAME": "service",
            "SERVICE_TIMEOUT": "120",
            "API_WORKERS": "1",
            "TEMPEST_CONFIG": str(self.here / "tempest.conf"),
            "TRANSPORT_URL": "",
            "OVSDB": "",
            "MOGAN_HIL_CONF_DIR": str(self.here / "etc"),
            "MOGAN_HIL_PORT": str(self.port),
            **self._given,
        }
        self.config = self.here / "etc/mogan_hil.conf"
        self.state = self.data / "mogan_hil"
        self.addCleanup(self.run, "unstack")  # ends the processes of a test that failed

    def run(self, *phase: str) -> list[list[str]]:
        """Run a phase; returns what it called, without what settings call each time."""
        self._calls.write_text("")
        done = subprocess.run(
            ["bash", str(FUNCTIONS), *phase],
            env=self.variables,
            cwd=self.here,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        logs = "".join(path.read_text() for path in self.data.glob("*.log")) if done.returncode else ""
        assert done.returncode == 0, f"{phase} ended with {done.returncode}: {done.stdout}\n{logs}"
        calls = [line.split("\t") for line in self._calls.read_text().splitlines()]
        return [call for call in calls if call[0] not in ("define_plugin", "plugin_requires", "enable_service")]

    def configured(self) -> cfg.ConfigOpts:
        """The configuration that was written, as the service reads it."""
        return process.configure(cfg.ConfigOpts(), [], [str(self.config)])


class TestPhases(testtools.TestCase):
    """What each phase does, without Keystone or a switch."""

    def test_pre_install(self) -> None:
        for distro, calls in (
            ("ubuntu", [["install_package", "openvswitch-switch"]]),
            ("fedora", [["install_package", "openvswitch"], ["start_service", "openvswitch"]]),
        ):
            self.assertEqual(calls, self.useFixture(Stack(DISTRO=distro)).run("stack", "pre-install"))
        self.assertEqual([], self.useFixture(Stack(MOGAN_HIL_LAB="False")).run("stack", "pre-install"))

    def test_install(self) -> None:
        stack = self.useFixture(Stack(MOGAN_HIL_DIR="/opt/stack/hil", MOGAN_HIL_EXTRAS="cli,generic"))
        calls = stack.run("stack", "install")
        self.assertIn(["setup_develop", "/opt/stack/hil", "cli,generic,mysql"], calls)

    def test_configure(self) -> None:
        """The service accepts what is written, and a second run finds its keys."""
        stack = self.useFixture(Stack(TRANSPORT_URL="rabbit://stackrabbit:p@127.0.0.1:5672/"))
        calls = stack.run("stack", "post-config")
        url = f"http://127.0.0.1:{stack.port}"
        accounts = [call for call in calls if call[0].startswith(("create_", "get_or_create_"))]
        self.assertEqual(
            [
                ["create_service_user", "mogan_hil"],
                ["get_or_create_service", "mogan_hil", keystone.SERVICE_TYPE, "Bare-metal isolation"],
                ["get_or_create_endpoint", keystone.SERVICE_TYPE, "RegionOne", *[f"{url}/v1"] * 3],
            ],
            accounts,
        )
        self.check_configuration(stack, url)
        self.assertEqual(0o600, stat.S_IMODE(stack.config.stat().st_mode))
        self.assertEqual(0o700, stat.S_IMODE(stack.state.stat().st_mode))
        database = Database(stack.configured())
        self.addCleanup(database.dispose)
        self.assertEqual(migration.head(), migration.version(database.engine))
        keys = (stack.state / "secrets.keys").read_bytes()
        stack.run("call", "init_mogan_hil")
        self.assertEqual(keys, (stack.state / "secrets.keys").read_bytes())

    def check_configuration(self, stack: Stack, url: str) -> None:
        """Every option of the file is one of the service, and says what it must."""
        conf = stack.configured()
        self.assertEqual(("127.0.0.1", stack.port, 1), (str(conf.api.host), conf.api.port, conf.api.workers))
        self.assertEqual(url, conf.api.public_endpoint)
        self.assertEqual("keystone", conf.auth.strategy)
        self.assertEqual(["default:100-999"], conf.network.segments)
        self.assertEqual(str(stack.state), conf.state_path)
        self.assertIn("transport_url = rabbit://stackrabbit:", stack.config.read_text())
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("oslo-config-validator")),
                f"--input-file={stack.config}",
                "--namespace=mogan_hil",
                "--namespace=oslo.db",
                "--namespace=oslo.log",
                "--namespace=oslo.messaging",
                "--namespace=keystonemiddleware.auth_token",
                # keystoneauth registers these when it has read auth_type.
                *(
                    f"--exclude-options={name}"
                    for name in (
                        "auth_url",
                        "username",
                        "password",
                        "user_domain_name",
                        "project_name",
                        "project_domain_name",
                    )
                ),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_lab(self) -> None:
        """Machines, cables and an opened database of Open vSwitch; the latter is left alone if it is a socket."""
        stack = self.useFixture(Stack(ENABLED_SERVICES="mogan-hil-conductor", MOGAN_HIL_LAB_NODES="2"))
        stack.variables["BIN"] = str(stack.here)
        for name in ("mogan-hil-conductor", "mogan-hil-inventory"):
            (stack.here / name).write_text('#!/bin/sh\necho "$0 $*" >> said\n')
            (stack.here / name).chmod(0o755)
        stack.state.mkdir()
        calls = stack.run("stack", "extra")
        self.assertIn(["sudo", "ovs-vsctl", "--may-exist", "add-port", "brhil", "hil2"], calls)
        self.assertIn('target="ptcp:6640:127.0.0.1"', [word for call in calls for word in call])
        wanted = yaml.safe_load((stack.state / "lab.yaml").read_text())
        self.assertEqual("tcp:127.0.0.1:6640", wanted["switches"]["lab"]["options"]["endpoint"])
        self.assertEqual("lab/hil2", wanted["nodes"]["node2"]["nics"]["eth0"]["port"])
        said = (stack.here / "said").read_text()
        self.assertIn(f"mogan-hil-inventory apply --cloud devstack-admin {stack.state}/lab.yaml", said)
        started = [call[1] for call in calls if call[0] in ("run_process", "wait_for_service")]
        self.assertEqual(["mogan-hil-conductor"], started)
        stack.variables["MOGAN_HIL_LAB_OVSDB"] = "unix:/run/openvswitch/db.sock"
        self.assertNotIn("Manager", [word for call in stack.run("stack", "extra") for word in call])

    def test_tempest(self) -> None:
        stack = self.useFixture(Stack(MOGAN_HIL_LAB_RESOURCE_CLASS="big"))
        stack.run("stack", "test-config")
        said = (stack.here / "tempest.conf").read_text()
        self.assertIn("[service_available]\nmogan_hil = True\n", said)
        self.assertIn("[mogan_hil]\nresource_class = big\n", said)
        stack.variables["ENABLED_SERVICES"] = "mogan-hil-api"
        self.assertEqual([], stack.run("stack", "test-config"))

    def test_off(self) -> None:
        stack = self.useFixture(Stack(ENABLED_SERVICES="key"))
        for phase in (*(("stack", name) for name in STACK), ("unstack",), ("clean",)):
            self.assertEqual([], stack.run(*phase))


class TestStack(KeystoneCase):
    """All of it, with a Keystone and an Open vSwitch: the service that it starts has a lab that works."""

    def setUp(self) -> None:
        super().setUp()
        if why := openvswitch.missing():
            self.skipTest(why)
        self.switch = self.useFixture(openvswitch.OpenVSwitch())
        prefix = openvswitch.unique("x")
        directory = self.directory
        clouds = Path(self.useFixture(fixtures.TempDir()).path) / "clouds.yaml"
        clouds.write_text(yaml.safe_dump({"clouds": {"devstack-admin": self.cloud("red-admin")}}))
        self.stack = self.useFixture(
            Stack(
                KEYSTONE_SERVICE_URI=directory.url,
                REGION_NAME=directory.region,
                SERVICE_PROJECT_NAME=directory.name("service"),
                SERVICE_PASSWORD=keystone.PASSWORD,
                TRANSPORT_URL=service.broker() or "",
                OVSDB=self.switch.endpoint,
                OVS_NAMESPACE=self.switch.namespace,
                OS_CLIENT_CONFIG_FILE=str(clouds),
                MOGAN_HIL_LAB_NODES="2",
                MOGAN_HIL_LAB_BRIDGE=self.switch.bridge,
                MOGAN_HIL_LAB_PREFIX=prefix,
                MOGAN_HIL_LAB_OVSDB=self.switch.endpoint,
            )
        )
        self.prefix = prefix

    def cloud(self, who: str) -> dict[str, Any]:
        """An entry of clouds.yaml."""
        auth = {
            "auth_url": self.directory.url,
            "username": self.directory.name(who),
            "password": keystone.PASSWORD,
            "user_domain_id": "default",
            **self.directory._scope_of(who),
        }
        return {"auth": auth, "region_name": self.directory.region}

    def up(self) -> None:
        """stack.sh"""
        self.directory.be_in_region()
        for phase in STACK:
            calls = {call[0]: call[1:] for call in self.stack.run("stack", phase)}
            if phase == "post-config":
                self.directory.service_user(*calls["create_service_user"])
                kind, region, url, *others = calls["get_or_create_endpoint"]
                self.assertEqual((keystone.SERVICE_TYPE, self.directory.region), (kind, region))
                self.assertEqual([url, url], others)
                self.directory.register(url)

    def found(self, who: str) -> keystone.TokenApi:
        """The service that was started, called by somebody who found it in the catalog."""
        session = self.directory.session(who)
        url = session.get_endpoint(service_type=keystone.SERVICE_TYPE, region_name=self.directory.region)
        return keystone.TokenApi(_Http(str(url).removesuffix("/v1")), self.directory.token(who))

    def test_up_and_down(self) -> None:
        self.up()
        red, port = self.found("red-member"), f"{self.prefix}1"
        self.assertEqual(["node1", "node2"], [node["name"] for node in red.get("nodes?sort_key=name")["nodes"]])
        red.put("nodes/node1/project", {})
        network = red.post("networks", {"name": "net"})["uuid"]
        red.attach("node1", "net")
        until(lambda: red.get("networks/net/isolation")["isolated"])  # nobody knows while the conductor is too busy
        segment = self.found("red-admin").get(f"networks/{network}")["segment_id"]
        self.assertEqual(str(segment), self.switch.get_port(port)["tag"])
        red.wait(red.put("nodes/node1/power", {"target": "on"}, 202))
        self.stack.run("call", "create_mogan_hil_lab")
        self.stack.run("call", "register_mogan_hil_lab")
        self.assertEqual(str(segment), self.switch.get_port(port)["tag"])
        self.stack.run("unstack")
        self.assertNotIn(self.prefix, openvswitch.run("ip", "netns", "list"))
        self.assertNotIn(self.switch.bridge, self.switch.vsctl("list-br"))
        self.stack.run("clean")
        self.assertFalse(self.stack.state.exists() or self.stack.config.exists())
