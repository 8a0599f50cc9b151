# SPDX-License-Identifier: Apache-2.0
"""HIL's calls as HIL's clients make them: each with success, each of its errors, and each kind of caller."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any
from urllib.parse import quote

import fixtures
import testtools

from mogan_hil.api.hil_v0.app import all_calls
from mogan_hil.api.hil_v0.expose import HilRoute
from mogan_hil.api.routing import Router
from mogan_hil.drivers.headnode import fake as fake_headnode
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import fake as fake_switch
from mogan_hil.drivers.switch.base import TAGGED_ONLY
from mogan_hil.drivers.switch.fake import FakeSwitch
from tests import service
from tests.functional import hil_errors
from tests.functional.base import HEADNODES

SCHEMA = "http://schema.massopencloud.org/haas/v0"
ROUTER = Router(all_calls())

#: The errors that each call has beside those that all have: HIL's, see `hil_errors`, and those that only are so here.
ERRORS: dict[str, set[str]] = {
    "list_projects": {"AuthorizationError"},
    "project_create": {"AuthorizationError", "DuplicateError"},
    "project_delete": {"AuthorizationError", "NotFoundError", "BlockedError"},
    "project_connect_node": {"AuthorizationError", "NotFoundError", "BlockedError"},
    "project_detach_node": {"NotFoundError", "BlockedError"},
    "list_project_nodes": {"NotFoundError"},
    "list_project_networks": {"NotFoundError"},
    "node_register": {"AuthorizationError", "DuplicateError", "BadArgumentError", "ValidationError"},
    "node_delete": {"AuthorizationError", "NotFoundError", "BlockedError"},
    "node_register_nic": {"AuthorizationError", "NotFoundError", "DuplicateError", "BadArgumentError"},
    "node_delete_nic": {"AuthorizationError", "NotFoundError", "BlockedError"},
    "list_nodes": set(),
    "list_free_nodes": set(),
    "show_node": {"NotFoundError"},
    "node_set_metadata": {"AuthorizationError", "NotFoundError", "ValidationError"},
    "node_delete_metadata": {"AuthorizationError", "NotFoundError"},
    "node_enable_disable_obm": {"NotFoundError", "ValidationError"},
    "node_power_cycle": {"NotFoundError", "BlockedError", "OBMError", "AuthorizationError"},
    "node_power_on": {"NotFoundError", "BlockedError"},
    "node_power_off": {"NotFoundError", "BlockedError"},
    "node_power_status": {"NotFoundError", "BlockedError"},
    "node_set_bootdev": {"NotFoundError", "BlockedError", "BadArgumentError", "OBMError"},
    "start_console": {"NotFoundError", "BlockedError", "AuthorizationError"},
    "stop_console": {"NotFoundError"},
    "show_console": {"NotFoundError"},
    "node_connect_network": {"NotFoundError", "ProjectMismatchError", "BlockedError", "BadArgumentError"},
    "node_detach_network": {"NotFoundError", "ProjectMismatchError", "BlockedError", "BadArgumentError"},
    "show_networking_action": {"NotFoundError"},
    "list_networks": set(),
    "list_network_attachments": {"AuthorizationError", "NotFoundError"},
    "network_create": {"AuthorizationError", "DuplicateError", "BadArgumentError", "BlockedError", "AllocationError"},
    "network_delete": {"AuthorizationError", "NotFoundError", "BlockedError"},
    "show_network": {"NotFoundError"},
    "network_grant_project_access": {"AuthorizationError", "NotFoundError", "DuplicateError", "BlockedError"},
    "network_revoke_project_access": {"NotFoundError", "BlockedError"},
    "headnode_create": {"AuthorizationError", "NotFoundError", "DuplicateError", "BadArgumentError", "AllocationError"},
    "headnode_delete": {"NotFoundError", "HeadnodeError"},
    "headnode_start": {"NotFoundError", "HeadnodeError"},
    "headnode_stop": {"NotFoundError", "IllegalStateError", "HeadnodeError"},
    "headnode_create_hnic": {"NotFoundError", "DuplicateError", "IllegalStateError", "BadArgumentError"},
    "headnode_delete_hnic": {"NotFoundError", "IllegalStateError"},
    "headnode_connect_network": {
        "NotFoundError",
        "ProjectMismatchError",
        "BadArgumentError",
        "IllegalStateError",
        "ValidationError",
    },
    "headnode_detach_network": {"NotFoundError", "IllegalStateError"},
    "show_headnode": {"NotFoundError"},
    "list_headnode_images": set(),
    "list_project_headnodes": {"NotFoundError"},
    "list_switches": {"AuthorizationError"},
    "show_switch": {"AuthorizationError", "NotFoundError"},
    "switch_register": {"AuthorizationError", "DuplicateError", "BadArgumentError"},
    "switch_delete": {"AuthorizationError", "NotFoundError", "BlockedError"},
    "switch_register_port": {"AuthorizationError", "NotFoundError", "DuplicateError", "BadArgumentError"},
    "switch_delete_port": {"AuthorizationError", "NotFoundError", "BlockedError"},
    "show_port": {"AuthorizationError", "NotFoundError"},
    "port_connect_nic": {"AuthorizationError", "NotFoundError", "DuplicateError"},
    "port_detach_nic": {"AuthorizationError", "NotFoundError", "BlockedError"},
    "port_revert": {"AuthorizationError", "NotFoundError", "BlockedError"},
    "list_active_extensions": {"AuthorizationError"},
    "list_users": {"AuthorizationError"},
    "user_create": {"AuthorizationError", "DuplicateError"},
    "user_delete": {"AuthorizationError", "NotFoundError"},
    "user_set_admin": {"AuthorizationError", "NotFoundError", "IllegalStateError"},
    "user_add_project": {"AuthorizationError", "NotFoundError", "DuplicateError"},
    "user_remove_project": {"AuthorizationError", "NotFoundError"},
}

CODES = {
    "ValidationError": 400,
    "BadArgumentError": 400,
    "AuthorizationError": 401,
    "NotFoundError": 404,
    "OBMError": 503,
    "HeadnodeError": 503,
}

PASSWORD = service.PASSWORD

#: HIL's calls wait for what they begin; those that were waited for in vain would go on with their story too early.
PATIENT: dict[tuple[str, str], Any] = {("api", "device_timeout"): 60.0, ("conductor", "driver_timeout"): 60.0}


class HilCase(testtools.TestCase):
    """The service, and requests as HIL's client sends them: JSON in a text, without saying so."""

    settings: dict[tuple[str, str], Any] = {
        **HEADNODES,
        **PATIENT,
        ("network", "segments"): ["default:100-103"],
        ("quota", "headnodes"): 2,
    }

    def setUp(self) -> None:
        super().setUp()
        self.service = self.useFixture(service.Embedded(self.settings))
        self.seen: dict[str, set[str]] = {}

    def send(self, user: str | None, method: str, path: str, body: Any = None) -> service.Answer:
        headers = {"Content-Type": ""}
        if user is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        data = None if body is None else json.dumps(body).encode()
        answer: service.Answer = self.service._send(method, f"/v0{path}", data, headers)
        return answer

    def ok(self, user: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """What is answered; None for an empty body."""
        answer = self.send(user, method, path, body)
        self.assertEqual(status, answer.status, f"{user} {method} {path} {body}: {answer.text}")
        self.assertNotIn("html", answer.headers["Content-Type"])
        self._note(method, path, "ok")
        return answer.json

    def no(self, kind: str, user: str | None, method: str, path: str, body: Any = None) -> None:
        """An error of this class."""
        answer = self.send(user, method, path, body)
        said = f"{user} {method} {path} {body}: {answer.status} {answer.text}"
        self.assertEqual((CODES.get(kind, 409), kind), (answer.status, answer.json["type"]), said)
        self.assertTrue(answer.json["msg"])
        self._note(method, path, kind)

    def alike(self, user: str, method: str, path: str, body: Any = None) -> None:
        """Whether project blue exists is not told: the same is said of one that does not.

        :param path: `{}` stands for the project's name, here and in the body
        """
        said = set()
        for name in ("blue", "nowhere"):
            sent = None if body is None else {key: value.format(name) for key, value in body.items()}
            answer = self.send(user, method, path.format(name), sent)
            said.add((answer.status, answer.text.replace(name, "-")))
        self.assertEqual(1, len(said), said)

    def _note(self, method: str, path: str, what: str) -> None:
        route, _ = ROUTER.match(method, "/v0" + path.partition("?")[0].replace("%2F", "/"))
        assert isinstance(route, HilRoute)
        self.seen.setdefault(route.call, set()).add(what)

    def done(self, user: str, begun: Any, status: str = "DONE") -> Any:
        """Wait as HIL's users do."""
        end = time.monotonic() + service.WAIT
        while True:
            found = self.ok(user, "GET", f"/networking_action/{begun['status_id']}")
            if found["status"] != "PENDING":
                self.assertEqual(status, found["status"])
                return found
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def settle(self) -> None:
        """Wait until all that was begun is done; what closes ports has no number in HIL."""
        for operation in self.service.admin.get("operations")["operations"]:
            self.service.admin.wait(operation)

    def world(self) -> None:
        """Two projects with a member each, one who is of both, a switch and three nodes: all by HIL's own calls."""
        for project in ("red", "green"):
            self.ok("admin", "PUT", f"/project/{project}")
        for user, projects in (("alice", ["red"]), ("bob", ["green"]), ("carol", ["red", "green"]), ("dave", [])):
            self.ok("admin", "PUT", f"/auth/basic/user/{user}", {"password": PASSWORD})
            for project in projects:
                self.ok("admin", "POST", f"/auth/basic/user/{user}/add_project", {"project": project})
        mock = {"type": f"{SCHEMA}/switches/mock", "hostname": "sw", "username": "root", "password": "x"}
        self.ok("admin", "PUT", "/switch/sw", mock)
        for number in range(1, 4):
            node, port = f"n{number}", f"gi1/0/{number}"
            driver = {"type": f"{SCHEMA}/obm/mock", "host": "bmc", "user": "root", "password": "x"}
            self.ok("admin", "PUT", f"/node/{node}", {"obm": driver, "metadata": {"rack": number}})
            self.ok("admin", "PUT", f"/node/{node}/nic/eth0", {"macaddr": f"52:54:00:00:00:0{number}"})
            self.ok("admin", "PUT", f"/switch/sw/port/{port}")
            self.ok("admin", "POST", f"/switch/sw/port/{port}/connect_nic", {"node": node, "nic": "eth0"})
        self.settle()


class TestLocked(HilCase):
    """HIL knows no instances: what is beneath one that is locked is refused as what is in use."""

    def test_a_member_changes_nothing_beneath_a_locked_instance(self) -> None:
        self.world()
        admin = self.service.admin
        self.ok("alice", "POST", "/project/red/connect_node", {"node": "n1"})
        for name in ("net", "other"):
            network = {"owner": "red", "access": "red", "net_id": ""}
            self.ok("alice", "PUT", f"/network/{name}", network)
        wired = self.ok("alice", "POST", "/node/n1/nic/eth0/connect_network", {"network": "net"}, 202)
        self.done("alice", wired)
        admin.post("instances/adopt", {"name": "i1", "node": "n1"})
        admin.as_user("alice").put("instances/i1/lock", {"target": True}, 202)
        before = admin.get("nodes/n1"), len(admin.get("operations")["operations"])
        tagged = {"network": "other", "channel": "vlan/100"}
        calls: list[tuple[str, str, Any]] = [
            ("POST", "/project/red/detach_node", {"node": "n1"}),
            ("POST", "/node/n1/nic/eth0/connect_network", tagged),
            ("POST", "/node/n1/nic/eth0/detach_network", {"network": "net"}),
            ("PUT", "/node/n1/obm", {"enabled": True}),
            ("POST", "/node/n1/power_cycle", {"force": True}),
            ("POST", "/node/n1/power_on", None),
            ("POST", "/node/n1/power_off", None),
            ("PUT", "/node/n1/boot_device", {"bootdev": "pxe"}),
            ("PUT", "/node/n1/console", None),
        ]
        for method, path, body in calls:
            with self.subTest(path):
                self.no("BlockedError", "alice", method, path, body)
        for method, path, body in (
            ("POST", "/switch/sw/port/gi1%2F0%2F1/revert", None),
            ("PUT", "/node/n1/metadata/rack", {"value": 9}),
            ("PUT", "/node/n1/nic/eth1", {"macaddr": "52:54:00:00:00:09"}),
        ):
            with self.subTest(path):
                self.no("AuthorizationError", "alice", method, path, body)
        self.assertEqual(before, (admin.get("nodes/n1"), len(admin.get("operations")["operations"])))
        self.ok("admin", "PUT", "/node/n1/nic/eth1", {"macaddr": "52:54:00:00:00:09"})


class TestCalls(HilCase):
    """See the module. One test, so that its end can tell what was not tried."""

    def test_every_call(self) -> None:
        self.world()
        self.projects()
        self.users()
        self.switches()
        self.nodes()
        self.networks()
        self.attachments()
        self.unfinished()
        self.native_first()
        self.power()
        self.headnodes()
        expected = {call: {"ok", *kinds} for call, kinds in ERRORS.items()}
        missing = {call: kinds - self.seen.get(call, set()) for call, kinds in expected.items()}
        self.assertEqual({}, {call: kinds for call, kinds in missing.items() if kinds})

    def test_what_is_tried(self) -> None:
        """Every call, and every error of HIL's."""
        told = hil_errors.told()
        self.assertEqual({route.call for route in all_calls()}, told.keys())
        self.assertEqual(told.keys(), ERRORS.keys())
        missing = {call: kinds - ERRORS[call] for call, kinds in told.items()}
        self.assertEqual({}, {call: kinds for call, kinds in missing.items() if kinds})

    def projects(self) -> None:
        self.assertEqual(["admin", "green", "red"], self.ok("admin", "GET", "/projects"))
        self.no("AuthorizationError", "alice", "GET", "/projects")
        self.no("AuthorizationError", None, "GET", "/projects")
        self.no("AuthorizationError", "alice", "PUT", "/project/mine")
        self.no("DuplicateError", "admin", "PUT", "/project/red")
        self.no("BadArgumentError", "admin", "PUT", "/project/" + quote("a b;c"))
        self.no("NotFoundError", "admin", "DELETE", "/project/nowhere")
        self.no("AuthorizationError", "alice", "DELETE", "/project/red")
        self.ok("admin", "PUT", "/project/blue")
        self.ok("admin", "POST", "/project/blue/connect_node", {"node": "n3"})
        self.no("BlockedError", "admin", "DELETE", "/project/blue")
        self.no("AuthorizationError", "alice", "POST", "/project/blue/connect_node", {"node": "n1"})
        for what in ("connect_node", "detach_node"):
            self.alike("alice", "POST", f"/project/{{}}/{what}", {"node": "n1"})
        for what in ("nodes", "networks", "headnodes"):
            self.alike("alice", "GET", f"/project/{{}}/{what}")
        self.alike("alice", "PUT", "/headnode/mine", {"project": "{}", "base_img": "base"})
        self.alike("alice", "PUT", "/network/mine", {"owner": "{}", "access": "{}", "net_id": ""})
        self.no("NotFoundError", "alice", "POST", "/project/red/connect_node", {"node": "nothing"})
        self.no("NotFoundError", "admin", "POST", "/project/nowhere/connect_node", {"node": "n1"})
        self.no("BlockedError", "alice", "POST", "/project/red/connect_node", {"node": "n3"})
        self.ok("admin", "POST", "/project/blue/detach_node", {"node": "n3"})
        self.no("NotFoundError", "admin", "POST", "/project/blue/detach_node", {"node": "n3"})
        self.ok("admin", "DELETE", "/project/blue")
        self.ok("alice", "POST", "/project/red/connect_node", {"node": "n1"})
        self.no("BlockedError", "alice", "POST", "/project/red/connect_node", {"node": "n1"})
        self.ok("carol", "POST", "/project/green/connect_node", {"node": "n2"})
        self.no("NotFoundError", "bob", "POST", "/project/red/detach_node", {"node": "n1"})
        for user, project, names in (("alice", "red", ["n1"]), ("carol", "green", ["n2"]), ("admin", "red", ["n1"])):
            self.assertEqual(names, self.ok(user, "GET", f"/project/{project}/nodes"))
        self.no("NotFoundError", "bob", "GET", "/project/red/nodes")
        self.no("NotFoundError", "admin", "GET", "/project/nowhere/nodes")

    def users(self) -> None:
        found = self.ok("admin", "GET", "/auth/basic/users")
        self.assertEqual({"is_admin": False, "projects": ["green", "red"]}, found["carol"])
        self.assertEqual({"is_admin": True, "projects": []}, found["admin"])
        self.no("AuthorizationError", "alice", "GET", "/auth/basic/users")
        self.no("DuplicateError", "admin", "PUT", "/auth/basic/user/bob", {"password": "x"})
        self.no("AuthorizationError", "bob", "PUT", "/auth/basic/user/eve", {"password": "x"})
        self.no("ValidationError", "admin", "PUT", "/auth/basic/user/eve", {})
        self.no("ValidationError", "admin", "PUT", "/auth/basic/user/eve", {"password": 7})
        self.ok("admin", "PUT", "/auth/basic/user/eve", {"password": PASSWORD, "is_admin": True})
        self.ok("eve", "GET", "/projects")
        self.ok("admin", "PATCH", "/auth/basic/user/eve", {"is_admin": False})
        self.no("AuthorizationError", "eve", "GET", "/projects")
        self.ok("admin", "PATCH", "/auth/basic/user/eve", {"is_admin": True})
        self.no("IllegalStateError", "eve", "PATCH", "/auth/basic/user/eve", {"is_admin": False})
        self.no("AuthorizationError", "bob", "PATCH", "/auth/basic/user/bob", {"is_admin": True})
        self.no("NotFoundError", "admin", "PATCH", "/auth/basic/user/nobody", {"is_admin": True})
        self.no("DuplicateError", "admin", "POST", "/auth/basic/user/bob/add_project", {"project": "green"})
        self.no("NotFoundError", "admin", "POST", "/auth/basic/user/bob/add_project", {"project": "nowhere"})
        self.no("AuthorizationError", "bob", "POST", "/auth/basic/user/bob/add_project", {"project": "red"})
        self.no("NotFoundError", "admin", "POST", "/auth/basic/user/bob/remove_project", {"project": "red"})
        self.no("AuthorizationError", "bob", "POST", "/auth/basic/user/bob/remove_project", {"project": "green"})
        self.ok("admin", "POST", "/auth/basic/user/dave/add_project", {"project": "red"})
        self.ok("admin", "POST", "/auth/basic/user/dave/remove_project", {"project": "red"})
        self.no("AuthorizationError", "bob", "DELETE", "/auth/basic/user/dave")
        self.ok("admin", "DELETE", "/auth/basic/user/eve")
        self.no("NotFoundError", "admin", "DELETE", "/auth/basic/user/eve")

    def switches(self) -> None:
        self.assertEqual(["sw"], self.ok("admin", "GET", "/switches"))
        found = self.ok("admin", "GET", "/switch/sw")
        self.assertEqual({"label": "gi1/0/1"}, found["ports"][0])
        self.assertEqual(["nativeless-trunk-mode"], found["capabilities"])
        mock = {"type": f"{SCHEMA}/switches/mock"}
        self.no("DuplicateError", "admin", "PUT", "/switch/sw", mock)
        self.no("BadArgumentError", "admin", "PUT", "/switch/s2", {"type": f"{SCHEMA}/switches/abacus"})
        self.no("BadArgumentError", "admin", "PUT", "/switch/s2", {**mock, "colour": "red"})
        self.ok("admin", "PUT", "/switch/s2", {"type": "fake", "delay": 0})
        self.ok("admin", "DELETE", "/switch/s2")
        nexus = {"hostname": "192.0.2.7", "username": "root", "password": "x", "host_keys": ["SHA256:" + "a" * 43]}
        self.ok("admin", "PUT", "/switch/s2", {"type": f"{SCHEMA}/switches/nexus", "dummy_vlan": "99", **nexus})
        self.assertEqual([], self.ok("admin", "GET", "/switch/s2")["capabilities"])
        self.ok("admin", "DELETE", "/switch/s2")
        self.no("BlockedError", "admin", "DELETE", "/switch/sw")
        self.no("NotFoundError", "admin", "DELETE", "/switch/s2")
        self.no("NotFoundError", "admin", "GET", "/switch/s2")
        port = "/switch/sw/port/gi1/0/9"
        self.ok("admin", "PUT", port)
        self.no("DuplicateError", "admin", "PUT", port)
        self.no("BadArgumentError", "admin", "PUT", "/switch/sw/port/" + quote("gi1 0"))
        self.no("NotFoundError", "admin", "PUT", "/switch/s2/port/1")
        self.assertEqual({}, self.ok("admin", "GET", port))
        self.assertEqual(
            {"node": "n1", "nic": "eth0", "networks": {}}, self.ok("admin", "GET", "/switch/sw/port/gi1%2F0%2F1")
        )
        self.no("NotFoundError", "admin", "GET", "/switch/sw/port/gi1/0/77")
        self.no("DuplicateError", "admin", "POST", f"{port}/connect_nic", {"node": "n1", "nic": "eth0"})
        self.no("DuplicateError", "admin", "POST", "/switch/sw/port/gi1/0/1/connect_nic", {"node": "n2", "nic": "eth0"})
        self.no("NotFoundError", "admin", "POST", f"{port}/connect_nic", {"node": "n1", "nic": "eth7"})
        self.no("NotFoundError", "admin", "POST", f"{port}/detach_nic")
        self.no("NotFoundError", "admin", "POST", f"{port}/revert")
        self.no("BlockedError", "admin", "POST", "/switch/sw/port/gi1/0/1/detach_nic")
        self.no("BlockedError", "admin", "DELETE", "/switch/sw/port/gi1/0/1")
        self.done("admin", self.ok("admin", "POST", "/switch/sw/port/gi1/0/3/revert"))
        self.ok("admin", "POST", "/switch/sw/port/gi1/0/3/detach_nic")
        self.ok("admin", "POST", "/switch/sw/port/gi1/0/3/connect_nic", {"node": "n3", "nic": "eth0"})
        self.settle()
        self.ok("admin", "DELETE", port)
        self.no("NotFoundError", "admin", "DELETE", port)
        self.assertIn("mogan_hil.switch.fake", self.ok("admin", "GET", "/active_extensions"))
        for method, path, body in (
            ("GET", "/switches", None),
            ("GET", "/switch/sw", None),
            ("PUT", "/switch/s3", mock),
            ("DELETE", "/switch/sw", None),
            ("PUT", port, None),
            ("DELETE", port, None),
            ("GET", port, None),
            ("POST", f"{port}/connect_nic", {"node": "n1", "nic": "eth0"}),
            ("POST", f"{port}/detach_nic", None),
            ("POST", f"{port}/revert", None),
            ("GET", "/active_extensions", None),
        ):
            self.no("AuthorizationError", "alice", method, path, body)

    def nodes(self) -> None:
        self.assertEqual(["n1", "n2", "n3"], self.ok("admin", "GET", "/nodes/all"))
        self.assertEqual(["n3"], self.ok("alice", "GET", "/nodes/free"))
        self.assertEqual(["n3"], self.ok("alice", "GET", "/free_nodes"))
        self.assertEqual(["n1", "n3"], self.ok("alice", "GET", "/nodes/all"))
        self.assertEqual(["n1", "n2", "n3"], self.ok("carol", "GET", "/nodes/all"))
        shown = self.ok("alice", "GET", "/node/n1")
        nic = {"label": "eth0", "macaddr": "52:54:00:00:00:01", "networks": {}}
        self.assertEqual({"name": "n1", "project": "red", "nics": [nic], "metadata": {"rack": "1"}}, shown)
        cabled = self.ok("admin", "GET", "/node/n1")["nics"][0]
        self.assertEqual(("gi1/0/1", "sw"), (cabled["port"], cabled["switch"]))
        # Who has none yet chooses by these.
        free = {"label": "eth0", "macaddr": "52:54:00:00:00:03", "networks": {}}
        for user in ("bob", "carol"):
            shown = self.ok(user, "GET", "/node/n3")
            self.assertEqual({"name": "n3", "project": None, "nics": [free], "metadata": {"rack": "3"}}, shown)
        self.no("NotFoundError", "bob", "GET", "/node/n1")
        self.no("NotFoundError", "bob", "GET", "/node/nothing")
        obmd = {"uri": "http://obmd/node/1", "admin_token": "0" * 32}
        self.no("DuplicateError", "admin", "PUT", "/node/n1", {"obmd": obmd})
        for body in (None, {}, {"metadata": {"rack": 1}}):
            self.no("ValidationError", "admin", "PUT", "/node/n9", body)
        self.no("BadArgumentError", "admin", "PUT", "/node/n9", {"obm": {"type": f"{SCHEMA}/obm/abacus"}})
        self.no("BadArgumentError", "admin", "PUT", "/node/n9", {"obm": {"type": f"{SCHEMA}/obm/mock", "x": 1}})
        self.no("ValidationError", "admin", "PUT", "/node/n9", {"obmd": {"uri": "x"}})
        self.no("ValidationError", "admin", "PUT", "/node/n9", {"obm": {}, "obmd": obmd})
        self.no("ValidationError", "admin", "PUT", "/node/n9", {"obm": "x"})
        self.no("ValidationError", "admin", "PUT", "/node/n9", {"node": "n9"})
        self.no("ValidationError", "admin", "PUT", "/node/n9", {"colour": "red"})
        self.no("AuthorizationError", "alice", "PUT", "/node/n9", {})
        ipmi = {"type": f"{SCHEMA}/obm/ipmi", "host": "192.0.2.1", "user": "root", "password": "secret"}
        self.ok("admin", "PUT", "/node/n9", {"obm": ipmi})
        self.assertEqual("ipmi", self.service.admin.get("nodes/n9")["obm"]["driver"])
        nic9 = "/node/n9/nic/eth0"
        self.ok("admin", "PUT", nic9, {"macaddr": "52:54:00:00:00:09"})
        self.no("DuplicateError", "admin", "PUT", nic9, {"macaddr": "52:54:00:00:00:19"})
        self.no("BadArgumentError", "admin", "PUT", "/node/n9/nic/eth1", {"macaddr": "no mac"})
        self.no("NotFoundError", "admin", "PUT", "/node/n8/nic/eth1", {"macaddr": "52:54:00:00:00:19"})
        self.no("AuthorizationError", "alice", "PUT", nic9, {"macaddr": "52:54:00:00:00:19"})
        self.no("BlockedError", "admin", "DELETE", "/node/n9")
        self.no("AuthorizationError", "alice", "DELETE", nic9)
        self.no("BlockedError", "admin", "DELETE", "/node/n1/nic/eth0")  # it is a project's
        port9 = "/switch/sw/port/gi1/0/9"
        self.ok("admin", "PUT", port9)
        self.ok("admin", "POST", f"{port9}/connect_nic", {"node": "n9", "nic": "eth0"})
        self.ok("admin", "DELETE", nic9)
        self.assertEqual({}, self.ok("admin", "GET", port9))
        self.settle()
        self.ok("admin", "DELETE", port9)
        self.no("NotFoundError", "admin", "DELETE", nic9)
        label = "/node/n9/metadata/shelf"
        self.ok("admin", "PUT", label, {"value": {"row": [1]}})
        self.ok("admin", "PUT", label, {"value": None})
        self.assertEqual({"shelf": "null"}, self.ok("admin", "GET", "/node/n9")["metadata"])
        self.no("ValidationError", "admin", "PUT", label, {})
        self.no("NotFoundError", "admin", "PUT", "/node/n8/metadata/shelf", {"value": 1})
        self.no("AuthorizationError", "alice", "PUT", label, {"value": 1})
        self.no("AuthorizationError", "alice", "DELETE", label)
        self.ok("admin", "DELETE", label)
        self.no("NotFoundError", "admin", "DELETE", label)
        self.no("AuthorizationError", "alice", "DELETE", "/node/n9")
        self.ok("admin", "DELETE", "/node/n9")
        self.no("NotFoundError", "admin", "DELETE", "/node/n9")
        self.ok("admin", "PUT", "/node/n9", {"obmd": obmd})
        self.assertEqual("obmd", self.service.admin.get("nodes/n9")["obm"]["driver"])
        self.ok("admin", "DELETE", "/node/n9")

    def networks(self) -> None:
        own = {"owner": "red", "access": "red", "net_id": ""}
        self.ok("alice", "PUT", "/network/red-net", own)
        self.no("DuplicateError", "alice", "PUT", "/network/red-net", own)
        self.no("BadArgumentError", "alice", "PUT", "/network/x", {**own, "access": ""})
        self.no("BadArgumentError", "alice", "PUT", "/network/x", {**own, "net_id": "101"})
        self.no("AuthorizationError", "alice", "PUT", "/network/x", {"owner": "admin", "access": "", "net_id": ""})
        self.no("AuthorizationError", "bob", "PUT", "/network/x", own)
        self.no("BadArgumentError", "admin", "PUT", "/network/x", {"owner": "admin", "access": "", "net_id": "4096"})
        self.ok("admin", "PUT", "/network/public", {"owner": "admin", "access": "", "net_id": "2000"})
        self.no("BlockedError", "admin", "PUT", "/network/x", {"owner": "admin", "access": "", "net_id": "2000"})
        self.ok("admin", "PUT", "/network/prov", {"owner": "admin", "access": "red", "net_id": ""})
        for number in (1, 2):
            self.ok("bob", "PUT", f"/network/g{number}", {"owner": "green", "access": "green", "net_id": ""})
        self.no("AllocationError", "alice", "PUT", "/network/x", own)
        self.assertEqual({"public": {"network_id": "2000", "projects": None}}, self.ok("alice", "GET", "/networks"))
        self.assertEqual(["red"], self.ok("admin", "GET", "/networks")["red-net"]["projects"])
        shown = self.ok("alice", "GET", "/network/red-net")
        vlan = self.ok("admin", "GET", "/networks")["red-net"]["network_id"]
        self.assertEqual(
            {
                "name": "red-net",
                "channels": ["vlan/native", f"vlan/{vlan}"],
                "owner": "red",
                "access": ["red"],
                "connected-nodes": {},
            },
            shown,
        )
        self.assertEqual(
            ("admin", None), tuple(self.ok("bob", "GET", "/network/public")[key] for key in ("owner", "access"))
        )
        self.no("NotFoundError", "bob", "GET", "/network/red-net")
        self.no("NotFoundError", "bob", "GET", "/network/nothing")
        self.assertEqual({"prov", "red-net"}, set(self.ok("alice", "GET", "/project/red/networks")))
        self.no("NotFoundError", "bob", "GET", "/project/red/networks")
        access = "/network/red-net/access/green"
        self.no("NotFoundError", "bob", "PUT", access)
        self.no("AuthorizationError", "alice", "PUT", "/network/prov/access/green")
        self.ok("alice", "PUT", access)
        self.no("DuplicateError", "alice", "PUT", access)
        self.no("DuplicateError", "alice", "PUT", "/network/red-net/access/red")
        self.ok("bob", "DELETE", access)  # it may drop its own
        self.no("NotFoundError", "alice", "DELETE", access)
        self.ok("admin", "PUT", "/project/blue")
        self.alike("alice", "DELETE", "/network/red-net/access/{}")
        self.alike("alice", "GET", "/network/red-net/attachments?project={}")
        self.no("NotFoundError", "admin", "GET", "/network/red-net/attachments?project=nowhere")
        self.ok("admin", "DELETE", "/project/blue")
        self.no("BlockedError", "alice", "DELETE", "/network/red-net/access/red")
        # The last access of a network of the site goes: HIL made it public then.
        self.ok("alice", "DELETE", "/network/prov/access/red")
        self.no("NotFoundError", "bob", "GET", "/network/prov")
        self.no("NotFoundError", "alice", "GET", "/network/prov")
        self.assertEqual([], self.ok("admin", "GET", "/networks")["prov"]["projects"])
        # Access to a public network makes it theirs alone who have access, as in HIL.
        self.ok("admin", "PUT", "/network/lent", {"owner": "admin", "access": "", "net_id": "2001"})
        self.assertIsNone(self.ok("bob", "GET", "/network/lent")["access"])
        self.no("AuthorizationError", "alice", "PUT", "/network/lent/access/red")
        self.no("NotFoundError", "admin", "PUT", "/network/lent/access/nowhere")
        self.ok("admin", "PUT", "/network/lent/access/red")
        self.no("DuplicateError", "admin", "PUT", "/network/lent/access/red")
        self.no("NotFoundError", "bob", "GET", "/network/lent")
        self.assertEqual(["red"], self.ok("alice", "GET", "/network/lent")["access"])
        self.assertEqual(["public"], list(self.ok("bob", "GET", "/networks")))
        self.ok("admin", "DELETE", "/network/lent")
        self.no("AuthorizationError", "alice", "DELETE", "/network/public")
        self.no("NotFoundError", "bob", "DELETE", "/network/red-net")
        self.ok("bob", "DELETE", "/network/g2")

    def attachments(self) -> None:
        nic = "/node/n1/nic/eth0"
        vlan = self.ok("admin", "GET", "/networks")["red-net"]["network_id"]
        net = {"network": "red-net"}
        for user in ("admin", "alice"):
            self.no("ProjectMismatchError", user, "POST", "/node/n3/nic/eth0/connect_network", net)
        self.no("ProjectMismatchError", "admin", "POST", f"{nic}/connect_network", {"network": "g1"})
        self.no("NotFoundError", "bob", "POST", f"{nic}/connect_network", net)
        self.no("NotFoundError", "alice", "POST", "/node/n1/nic/eth7/connect_network", net)
        self.no("BadArgumentError", "alice", "POST", f"{nic}/connect_network", {**net, "channel": "vlan/7"})
        self.no("BadArgumentError", "alice", "POST", f"{nic}/detach_network", net)
        begun = self.ok("alice", "POST", f"{nic}/connect_network", net, 202)
        self.assertEqual(
            {
                "status": "DONE",
                "node": "n1",
                "nic": "eth0",
                "type": "modify_port",
                "channel": "vlan/native",
                "new_network": "red-net",
            },
            self.done("alice", begun),
        )
        self.no("NotFoundError", "bob", "GET", f"/networking_action/{begun['status_id']}")
        self.no("BlockedError", "alice", "POST", f"{nic}/connect_network", net)
        self.assertEqual({"vlan/native": "red-net"}, self.ok("alice", "GET", "/node/n1")["nics"][0]["networks"])
        self.assertEqual({"n1": ["eth0"]}, self.ok("alice", "GET", "/network/red-net")["connected-nodes"])
        shown = self.ok("admin", "GET", "/switch/sw/port/gi1/0/1")
        self.assertEqual({"node": "n1", "nic": "eth0", "networks": {"vlan/native": "red-net"}}, shown)
        self.ok("alice", "PUT", "/network/red-net/access/green")
        member = {"nic": "eth0", "channel": "vlan/native", "project": "red"}
        attached = "/network/red-net/attachments"
        self.assertEqual({"n1": member}, self.ok("alice", "GET", attached))
        self.no("AuthorizationError", "bob", "GET", attached)
        self.assertEqual({}, self.ok("bob", "GET", f"{attached}?project=green"))
        self.no("AuthorizationError", "bob", "GET", f"{attached}?project=red")
        self.no("ValidationError", "alice", "GET", f"{attached}?project=")
        self.no("NotFoundError", "bob", "GET", "/network/nothing/attachments")
        tagged = {"network": "red-net", "channel": f"vlan/{vlan}"}
        self.ok("bob", "POST", "/project/green/detach_node", {"node": "n2"})
        self.ok("bob", "POST", "/project/green/connect_node", {"node": "n2"})
        self.done("bob", self.ok("bob", "POST", "/node/n2/nic/eth0/connect_network", tagged, 202))
        self.no("BlockedError", "alice", "DELETE", "/network/red-net/access/green")
        self.no("BlockedError", "alice", "DELETE", "/network/red-net")
        self.no("BlockedError", "bob", "POST", "/project/green/detach_node", {"node": "n2"})
        gone = self.done("bob", self.ok("bob", "POST", "/node/n2/nic/eth0/detach_network", net, 202))
        self.assertEqual((None, "modify_port"), (gone["new_network"], gone["type"]))
        self.no("NotFoundError", "alice", "POST", f"{nic}/detach_network", {"network": "nothing"})
        for user in ("admin", "alice"):
            self.no("ProjectMismatchError", user, "POST", "/node/n3/nic/eth0/detach_network", net)
        wanted = {"network": "public", "channel": "vlan/2000"}
        self.done("bob", self.ok("bob", "POST", "/node/n2/nic/eth0/connect_network", wanted, 202))
        self.no("BlockedError", "admin", "PUT", "/network/public/access/red")
        self.assertIsNone(self.ok("alice", "GET", "/network/public")["access"])
        self.done("bob", self.ok("bob", "POST", "/node/n2/nic/eth0/detach_network", {"network": "public"}, 202))
        reverted = self.done("admin", self.ok("admin", "POST", "/switch/sw/port/gi1/0/1/revert"))
        self.assertEqual(("n1", "eth0", "revert_port"), (reverted["node"], reverted["nic"], reverted["type"]))
        self.assertEqual({}, self.ok("alice", "GET", attached))

    def unfinished(self) -> None:
        """What a NIC or a port cannot be while something is done on it."""
        switch, net = self.service.admin.get("switches/sw")["uuid"], {"network": "red-net"}
        fake_switch.set_faults(self.service.state_dir, switch, hold=["configure", "park"])
        begun = self.ok("alice", "POST", "/node/n1/nic/eth0/connect_network", net, 202)
        reverted = self.ok("admin", "POST", "/switch/sw/port/gi1/0/3/revert")
        for what in ("connect_network", "detach_network"):
            self.no("BlockedError", "alice", "POST", f"/node/n1/nic/eth0/{what}", net)
        self.no("BlockedError", "alice", "POST", "/project/red/detach_node", {"node": "n1"})
        self.no("BlockedError", "alice", "DELETE", "/network/red-net")
        for number in (1, 3):
            self.no("BlockedError", "admin", "POST", f"/switch/sw/port/gi1/0/{number}/revert")
            self.no("BlockedError", "admin", "POST", f"/switch/sw/port/gi1/0/{number}/detach_nic")
            self.no("BlockedError", "admin", "DELETE", f"/node/n{number}/nic/eth0")
        fake_switch.set_faults(self.service.state_dir, switch)
        self.done("alice", begun)
        self.done("admin", reverted)

    def native_first(self) -> None:
        """As HIL's switches without nativeless-trunk-mode wanted it. The first network is attached already."""
        nic, tagged = "/node/n1/nic/eth0", {"network": "public", "channel": "vlan/2000"}
        able = FakeSwitch.capabilities - {TAGGED_ONLY}
        with fixtures.MonkeyPatch("mogan_hil.drivers.switch.fake.FakeSwitch.capabilities", able):
            self.assertEqual([], self.ok("admin", "GET", "/switch/sw")["capabilities"])
            self.done("alice", self.ok("alice", "POST", f"{nic}/connect_network", tagged, 202))
            self.no("BlockedError", "alice", "POST", f"{nic}/detach_network", {"network": "red-net"})
            for network in ("public", "red-net"):
                self.done("alice", self.ok("alice", "POST", f"{nic}/detach_network", {"network": network}, 202))
            self.no("BlockedError", "alice", "POST", f"{nic}/connect_network", tagged)

    def power(self) -> None:
        uuid = self.service.admin.get("nodes/n1")["uuid"]
        for action, status in (("power_on", "on"), ("power_off", "off"), ("power_cycle", "on")):
            self.ok("alice", "POST", f"/node/n1/{action}")
            self.assertEqual({"power_status": status}, self.ok("alice", "GET", "/node/n1/power_status"))
            self.no("NotFoundError", "bob", "POST", f"/node/n1/{action}")
        # A script goes on at once.
        self.ok("alice", "PUT", "/node/n1/boot_device", {"bootdev": "pxe"})
        self.ok("alice", "POST", "/node/n1/power_cycle", {"force": True})
        self.assertEqual("pxe", self.service.admin.get("nodes/n1/boot_device")["device"])
        for _ in range(2):
            self.ok("alice", "PUT", "/node/n1/boot_device", {"bootdev": "none"})
            self.assertIsNone(self.service.admin.get("nodes/n1/boot_device")["device"])
        console = "/node/n1/console"
        self.no("NotFoundError", "alice", "GET", console)
        self.ok("alice", "PUT", console)
        fake_obm.write_console(self.service.state_dir, uuid, "login:")
        end = time.monotonic() + service.WAIT
        while b"login:" not in (said := self.send("alice", "GET", console).text.encode()):
            self.assertLess(time.monotonic(), end, said)
            time.sleep(0.05)
        self._note("GET", console, "ok")
        for method in ("GET", "PUT", "DELETE"):
            self.no("NotFoundError", "bob", method, console)
        self.no("AuthorizationError", "alice", "PUT", "/node/n3/console")
        self.ok("alice", "DELETE", console)
        self.no("NotFoundError", "alice", "GET", console)
        self.no("NotFoundError", "bob", "GET", "/node/n1/power_status")
        self.no("NotFoundError", "bob", "PUT", "/node/n1/boot_device", {"bootdev": "pxe"})
        self.no("BadArgumentError", "alice", "PUT", "/node/n1/boot_device", {"bootdev": "floppy"})
        self.no("AuthorizationError", "alice", "POST", "/node/n3/power_cycle")
        self.no("NotFoundError", "bob", "PUT", "/node/n1/obm", {"enabled": False})
        self.no("ValidationError", "alice", "PUT", "/node/n1/obm", {"enabled": "no"})
        self.ok("alice", "PUT", "/node/n1/obm", {"enabled": False})
        self.no("BlockedError", "alice", "PUT", console)
        self.no("BlockedError", "alice", "GET", "/node/n1/power_status")
        self.no("BlockedError", "alice", "PUT", "/node/n1/boot_device", {"bootdev": "pxe"})
        for action in ("power_on", "power_off", "power_cycle"):
            self.no("BlockedError", "alice", "POST", f"/node/n1/{action}")
        self.ok("alice", "PUT", "/node/n1/obm", {"enabled": True})
        fake_obm.set_faults(self.service.state_dir, uuid, fail=True)
        self.no("OBMError", "alice", "POST", "/node/n1/power_cycle")
        for device in ("disk", "none"):
            self.no("OBMError", "alice", "PUT", "/node/n1/boot_device", {"bootdev": device})

    def headnodes(self) -> None:
        self.assertEqual(["base", "large"], self.ok("alice", "GET", "/headnode_images/"))
        head, hnic = "/headnode/head", "/headnode/head/hnic/eth0"
        base = {"project": "red", "base_img": "base"}
        self.no("BadArgumentError", "alice", "PUT", head, {**base, "base_img": "nothing"})
        self.no("AuthorizationError", "bob", "PUT", head, base)
        self.no("NotFoundError", "admin", "PUT", head, {**base, "project": "nowhere"})
        self.ok("alice", "PUT", head, base)
        self.no("DuplicateError", "alice", "PUT", head, base)
        self.ok("carol", "PUT", "/headnode/second", base)
        self.no("AllocationError", "alice", "PUT", "/headnode/third", base)
        self.assertEqual(["head", "second"], self.ok("alice", "GET", "/project/red/headnodes"))
        self.no("NotFoundError", "bob", "GET", "/project/red/headnodes")
        self.ok("alice", "PUT", hnic)
        self.no("DuplicateError", "alice", "PUT", hnic)
        self.no("BadArgumentError", "alice", "PUT", f"{head}/hnic/" + quote("a b;c"))
        self.ok("alice", "PUT", f"{head}/hnic/eth1")
        self.no("NotFoundError", "alice", "POST", f"{head}/hnic/eth7/connect_network", {"network": "red-net"})
        self.no("NotFoundError", "alice", "POST", f"{hnic}/connect_network", {"network": "nothing"})
        self.no("BadArgumentError", "alice", "POST", f"{hnic}/connect_network", {"network": "public"})
        self.no("ProjectMismatchError", "admin", "POST", f"{hnic}/connect_network", {"network": "g1"})
        self.no("ValidationError", "alice", "POST", f"{hnic}/connect_network", {})
        self.ok("alice", "POST", f"{hnic}/connect_network", {"network": "red-net"})
        self.ok("alice", "POST", f"{hnic}/detach_network")
        self.ok("alice", "POST", f"{hnic}/connect_network", {"network": "red-net"})
        self.ok("alice", "DELETE", f"{head}/hnic/eth1")
        self.no("NotFoundError", "alice", "DELETE", f"{head}/hnic/eth1")
        self.no("NotFoundError", "alice", "POST", f"{head}/hnic/eth1/detach_network")
        self.no("IllegalStateError", "alice", "POST", f"{head}/stop")
        shown = self.ok("alice", "GET", head)
        faults = (self.service.state_dir, shown["uuid"])
        del shown["uuid"]
        expected = {"name": "head", "project": "red", "hnics": ["eth0"], "vncport": None, "base_img": "base"}
        self.assertEqual(expected, shown)
        for action in ("start", "stop"):
            fake_headnode.set_faults(*faults, fail=["set_power"])
            self.no("HeadnodeError", "alice", "POST", f"{head}/{action}")
            fake_headnode.set_faults(*faults)
            self.ok("alice", "POST", f"{head}/{action}")
            self.no("NotFoundError", "bob", "POST", f"{head}/{action}")
        self.ok("alice", "POST", f"{head}/start")
        self.assertEqual(5900, self.ok("alice", "GET", head)["vncport"])
        for method, path, body in (
            ("PUT", f"{head}/hnic/eth1", None),
            ("DELETE", hnic, None),
            ("POST", f"{hnic}/connect_network", {"network": "red-net"}),
            ("POST", f"{hnic}/detach_network", None),
        ):
            self.no("IllegalStateError", "alice", method, path, body)
            self.no("NotFoundError", "bob", method, path, body)
        self.no("NotFoundError", "bob", "GET", head)
        self.no("NotFoundError", "bob", "DELETE", head)
        self.no("BlockedError", "alice", "DELETE", "/network/red-net")
        fake_headnode.set_faults(*faults, fail=["remove"])
        self.no("HeadnodeError", "alice", "DELETE", head)
        fake_headnode.set_faults(*faults)
        self.no("BlockedError", "admin", "DELETE", "/project/red")
        self.ok("alice", "DELETE", head)
        self.no("NotFoundError", "alice", "DELETE", head)


class TestRequests(HilCase):
    """What HIL said of requests as such."""

    def test_strange_requests(self) -> None:
        self.ok("admin", "PUT", "/project/red")
        for path in ("/nothing", "/project", "/project/red/nothing", "/node/a/b/c/d"):
            self.assertEqual(404, self.send("admin", "GET", path).status)
        self.assertEqual(405, self.send("admin", "PATCH", "/projects").status)
        self.assertEqual("ValidationError", self.send("admin", "GET", "/projects", {"a": 1}).json["type"])
        for data in (b"[]", b"7", b'"x"', b"{", b"\xff", b'{"a": 1, "a": 2}', b"[" * 5000):
            headers = {"Content-Type": "", **self.service.admin.credentials()}
            answer = self.service._send("PUT", "/v0/project/x", data, headers)
            self.assertEqual((400, "ValidationError"), (answer.status, answer.json["type"]), data)
        for name in ("%00", "%0a", "%ff", "a" * 5000, "..", "a%20b", "%24(id)", "'--", "\u0661"):
            self.assertEqual(400, self.send("admin", "PUT", f"/project/{quote(name, safe='%')}").status, name)
        self.assertEqual(["admin", "red"], self.ok("admin", "GET", "/projects"))

    def test_arguments(self) -> None:
        """Of every call: one that it does not know, one too few, and nobody who asks."""
        for route in all_calls():
            path = re.sub(r"{.*?}", "x", route.path.removeprefix("/v0"))
            wrong: list[tuple[str, Any]] = [] if route.more else [(path, {"nonsense": 1})]
            if route.arguments.keys() - route.optional:
                wrong.append((path, {}))
            if route.method == "GET":
                wrong = [(f"{path}?nonsense=1", None), (f"{path}?nonsense=", None), (path, {"nonsense": 1})]
            for sent, body in wrong:
                self.no("ValidationError", "admin", route.method, sent, body)
            self.no("AuthorizationError", None, route.method, path, None if route.method == "GET" else {})

    def test_foreign_site(self) -> None:
        """A form of another site, sent by the browser of an administrator."""
        headers = {"Origin": "http://evil.example", "Content-Type": "text/plain", **self.service.admin.credentials()}
        answer = self.service._send("POST", "/v0/project/red/connect_node", b'{"node": "n1"}', headers)
        self.assertEqual(400, answer.status)

    def test_who_is_asking(self) -> None:
        for user in (None, "nobody"):
            answer = self.send(user, "GET", "/nodes/free")
            self.assertEqual((401, "AuthorizationError"), (answer.status, answer.json["type"]))
            self.assertIn("Basic", answer.headers["WWW-Authenticate"])
