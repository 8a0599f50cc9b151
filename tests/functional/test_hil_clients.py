# SPDX-License-Identifier: Apache-2.0
"""The requests that HIL's own clients send, and what these read of the answers.

Where a client builds an address it is built here in the same way: the library joins the parts with slashes and quotes
none of them, and the command line's headnodes quote each one wholly. Bodies are JSON in a text, whose type is not said.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin

import fixtures
import requests
import testtools

from mogan_hil.api import process
from mogan_hil.api.hil_v0.app import all_calls
from mogan_hil.api.hil_v0.expose import HilRoute
from mogan_hil.api.routing import Router
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.drivers.switch import fake as fake_switch
from mogan_hil.objects.operation import Operation
from mogan_hil.verbs import attachments
from mogan_hil.verbs.base import Call
from tests import service
from tests.functional.base import HEADNODES
from tests.functional.test_hil_v0 import PATIENT

SCHEMA = "http://schema.massopencloud.org/haas/v0"
ROUTER = Router(all_calls())


class _Text:
    """Any text."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(other)

    def __repr__(self) -> str:
        return "a text"


TEXT: Any = _Text()
#: What a client is answered that has begun something on a switch; the story goes on when it is done.
BEGUN = {"status_id": TEXT}
#: Where a client finds nothing in an answer, the answer is empty.
NOTHING = None


class Refused(NamedTuple):
    """An error: the client raises it with this type and with a text."""

    status: int
    kind: str


DENIED = Refused(401, "AuthorizationError")
MISSING = Refused(404, "NotFoundError")
DUPLICATE = Refused(409, "DuplicateError")
BLOCKED = Refused(409, "BlockedError")
BAD = Refused(400, "BadArgumentError")


class Sent(NamedTuple):
    """One request.

    :param method: of the client library; `cli` for the commands that go past it
    :param path: as the library joins it
    :param reads: what the client finds in the answer
    """

    method: str
    user: str
    verb: str
    path: str
    body: Any = None
    reads: Any = NOTHING


NIC = "node/n1/nic/eth0"
PORT = "switch/sw/port/gi1/0/1"
MOCK = {"type": f"{SCHEMA}/switches/mock", "hostname": "sw", "username": "root", "password": "x"}
OBM = {"type": f"{SCHEMA}/obm/mock", "host": "bmc", "user": "root", "password": "x"}
OBMD = {"uri": "http://obmd.example:8080/node/n2", "admin_token": "0123456789abcdef0123456789abcdef"}
MAC = "52:54:00:00:00:01"


def shown(networks: dict[str, str], *, admin: bool = False, project: str | None = "red") -> dict[str, Any]:
    """A node as it is shown. Scripts look at port and switch of every NIC."""
    eth0: dict[str, Any] = {"label": "eth0", "macaddr": MAC, "networks": networks}
    eth1: dict[str, Any] = {"label": "eth1", "macaddr": "52:54:00:00:00:02", "networks": {}}
    if admin:
        eth0 |= {"port": "gi1/0/1", "switch": "sw"}
        eth1 |= {"port": None, "switch": None}
    return {"name": "n1", "project": project, "nics": [eth0, eth1], "metadata": {"rack": '"r1"'}}


def action(channel: str | None, network: str | None, kind: str = "modify_port") -> dict[str, Any]:
    return {"status": "DONE", "node": "n1", "nic": "eth0", "type": kind, "channel": channel, "new_network": network}


USERS = [
    Sent("project.create", "admin", "PUT", "project/red"),
    Sent("project.create", "admin", "PUT", "project/red", None, DUPLICATE),
    Sent("user.create", "admin", "PUT", "/auth/basic/user/alice", {"password": "secret", "is_admin": False}),
    Sent("user.create", "admin", "PUT", "/auth/basic/user/alice", {"password": "x", "is_admin": False}, DUPLICATE),
    Sent("user.add", "admin", "POST", "/auth/basic/user/alice/add_project", {"project": "red"}),
    Sent("user.add", "admin", "POST", "/auth/basic/user/alice/add_project", {"project": "red"}, DUPLICATE),
    Sent(
        "user.list",
        "admin",
        "GET",
        "/auth/basic/users",
        None,
        {"admin": {"is_admin": True, "projects": []}, "alice": {"is_admin": False, "projects": ["red"]}},
    ),
    Sent("user.list", "alice", "GET", "/auth/basic/users", None, DENIED),
    Sent("user.set_admin", "admin", "PATCH", "/auth/basic/user/alice", {"is_admin": True}),
    Sent("user.set_admin", "admin", "PATCH", "/auth/basic/user/alice", {"is_admin": False}),
    Sent("user.set_admin", "admin", "PATCH", "/auth/basic/user/nobody", {"is_admin": True}, MISSING),
    Sent("project.list", "admin", "GET", "/projects", None, ["admin", "red"]),
    Sent("project.list", "alice", "GET", "/projects", None, DENIED),
    Sent("extensions.list_active", "alice", "GET", "active_extensions", None, DENIED),
]

RACK = [
    Sent("switch.register", "admin", "PUT", "switch/sw", MOCK),
    Sent("switch.register", "admin", "PUT", "switch/sw", MOCK, DUPLICATE),
    Sent("switch.list", "admin", "GET", "/switches", None, ["sw"]),
    Sent("port.register", "admin", "PUT", PORT),
    Sent("port.register", "admin", "PUT", PORT, None, DUPLICATE),
    Sent("port.register", "alice", "PUT", "switch/sw/port/gi1/0/2", None, DENIED),
    Sent(
        "switch.show",
        "admin",
        "GET",
        "switch/sw",
        None,
        {"name": "sw", "ports": [{"label": "gi1/0/1"}], "capabilities": ["nativeless-trunk-mode"]},
    ),
    Sent("switch.show", "admin", "GET", "switch/nothing", None, MISSING),
    Sent("switch.list", "alice", "GET", "/switches", None, DENIED),
    Sent("node.register", "admin", "PUT", "node/n2", {"obmd": OBMD}),
    Sent("node.register", "admin", "PUT", "node/n2", {"obmd": OBMD}, DUPLICATE),
    Sent("node.register", "admin", "PUT", "node/n1", {"obm": OBM}),  # as until 2018
    Sent("node.list", "admin", "GET", "nodes/all", None, ["n1", "n2"]),
    Sent("node.list", "alice", "GET", "nodes/free", None, ["n1", "n2"]),
    Sent("node.list", "alice", "GET", "free_nodes", None, ["n1", "n2"]),  # as of 2016
    Sent("node.delete", "admin", "DELETE", "node/n2"),
    Sent("node.delete", "admin", "DELETE", "node/n2", None, MISSING),
    Sent("node.add_nic", "admin", "PUT", NIC, {"macaddr": MAC}),
    Sent("node.add_nic", "admin", "PUT", "node/n1/nic/eth1", {"macaddr": "52:54:00:00:00:02"}),
    Sent("node.add_nic", "admin", "PUT", NIC, {"macaddr": MAC}, DUPLICATE),
    Sent("node.metadata_set", "admin", "PUT", "node/n1/metadata/rack", {"value": "r1"}),
    Sent("node.metadata_set", "alice", "PUT", "node/n1/metadata/rack", {"value": "r2"}, DENIED),
    Sent("node.metadata_set", "admin", "PUT", "node/n1/metadata/old", {"value": "x"}),
    Sent("node.metadata_delete", "admin", "DELETE", "node/n1/metadata/old"),
    Sent("node.metadata_delete", "admin", "DELETE", "node/n1/metadata/old", None, MISSING),
    Sent("port.show", "admin", "GET", PORT, None, {}),
    Sent("port.connect_nic", "admin", "POST", f"{PORT}/connect_nic", {"node": "n1", "nic": "eth0"}),
    Sent("port.connect_nic", "admin", "POST", f"{PORT}/connect_nic", {"node": "n1", "nic": "eth1"}, DUPLICATE),
    Sent("port.show", "admin", "GET", PORT, None, {"node": "n1", "nic": "eth0", "networks": {}}),
    Sent("port.show", "alice", "GET", PORT, None, DENIED),
]

PROJECT = [
    Sent("project.connect", "alice", "POST", "project/red/connect_node", {"node": "n1"}),
    Sent("project.connect", "alice", "POST", "project/red/connect_node", {"node": "n1"}, BLOCKED),
    Sent("project.nodes_in", "alice", "GET", "project/red/nodes", None, ["n1"]),
    Sent("project.nodes_in", "alice", "GET", "project/nothing/nodes", None, MISSING),
    Sent("node.list", "alice", "GET", "nodes/free", None, []),
    Sent("node.show", "alice", "GET", "node/n1", None, shown({})),
    Sent("node.show", "admin", "GET", "node/n1", None, shown({}, admin=True)),
    Sent("node.show", "alice", "GET", "node/nothing", None, MISSING),
    Sent("node.enable_obm", "alice", "PUT", "node/n1/obm", {"enabled": True}),
    Sent("node.power_on", "alice", "POST", "node/n1/power_on"),
    Sent("node.power_status", "alice", "GET", "node/n1/power_status", None, {"power_status": "on"}),
    Sent("node.power_cycle", "alice", "POST", "node/n1/power_cycle", {"force": False}),
    Sent("node.power_cycle", "alice", "POST", "node/n1/power_cycle", {"force": True}),
    Sent("node.set_bootdev", "alice", "PUT", "node/n1/boot_device", {"bootdev": "pxe"}),
    Sent("node.start_console", "alice", "PUT", "node/n1/console"),
    Sent("node.show_console", "alice", "GET", "node/n1/console", None, "login:"),
    Sent("node.stop_console", "alice", "DELETE", "node/n1/console"),
    Sent("node.show_console", "alice", "GET", "node/n1/console", None, MISSING),
    Sent("node.power_off", "alice", "POST", "node/n1/power_off"),
    Sent("node.disable_obm", "alice", "PUT", "node/n1/obm", {"enabled": False}),
    Sent("node.power_off", "alice", "POST", "node/n1/power_off", None, BLOCKED),
    Sent("node.power_status", "alice", "GET", "node/n1/power_status", None, BLOCKED),
]

OWN = {"owner": "red", "access": "red", "net_id": ""}
SITE = {"owner": "admin", "access": "", "net_id": "200"}
RED_NET = {
    "name": "red-net",
    "owner": "red",
    "channels": ["vlan/native", "vlan/100"],
    "access": ["red"],
    "connected-nodes": {},
}

NETWORKS = [
    Sent("network.create", "alice", "PUT", "network/red-net", OWN),
    Sent("network.create", "alice", "PUT", "network/red-net", OWN, DUPLICATE),
    Sent("network.create", "alice", "PUT", "network/site", SITE, DENIED),
    Sent("network.create", "admin", "PUT", "network/site", SITE),
    Sent("network.list", "alice", "GET", "networks", None, {"site": {"network_id": "200", "projects": None}}),
    Sent(
        "network.list",
        "admin",
        "GET",
        "networks",
        None,
        {"red-net": {"network_id": "100", "projects": ["red"]}, "site": {"network_id": "200", "projects": None}},
    ),
    Sent("network.show", "alice", "GET", "network/red-net", None, RED_NET),
    Sent(
        "network.show",
        "alice",
        "GET",
        "network/site",
        None,
        {**RED_NET, "name": "site", "owner": "admin", "channels": ["vlan/native", "vlan/200"], "access": None},
    ),
    Sent("network.show", "alice", "GET", "network/nothing", None, MISSING),
    Sent("project.networks_in", "alice", "GET", "project/red/networks", None, ["red-net"]),
    Sent("project.create", "admin", "PUT", "project/green"),
    Sent("network.grant_access", "alice", "PUT", "network/red-net/access/green"),
    Sent("network.grant_access", "alice", "PUT", "network/red-net/access/green", None, DUPLICATE),
    Sent("network.revoke_access", "alice", "DELETE", "network/red-net/access/green"),
    Sent("network.revoke_access", "alice", "DELETE", "network/red-net/access/green", None, MISSING),
    Sent("project.delete", "admin", "DELETE", "project/green"),
    Sent("project.delete", "admin", "DELETE", "project/green", None, MISSING),
    # The command line sends an empty channel where none was given.
    Sent(
        "node.connect_network", "alice", "POST", f"{NIC}/connect_network", {"network": "red-net", "channel": ""}, BEGUN
    ),
    Sent("node.show_networking_action", "alice", "GET", "networking_action/", None, action("vlan/native", "red-net")),
    Sent("node.show_networking_action", "alice", "GET", "networking_action/nothing", None, MISSING),
    Sent(
        "node.connect_network",
        "alice",
        "POST",
        f"{NIC}/connect_network",
        {"network": "site", "channel": "vlan/native"},
        BLOCKED,
    ),
    Sent(
        "node.connect_network", "alice", "POST", f"{NIC}/connect_network", {"network": "site", "channel": "vlan/7"}, BAD
    ),
    Sent(
        "node.connect_network",
        "alice",
        "POST",
        f"{NIC}/connect_network",
        {"network": "site", "channel": "vlan/200"},
        BEGUN,
    ),
    Sent("node.show", "alice", "GET", "node/n1", None, shown({"vlan/native": "red-net", "vlan/200": "site"})),
    Sent(
        "port.show",
        "admin",
        "GET",
        PORT,
        None,
        {"node": "n1", "nic": "eth0", "networks": {"vlan/native": "red-net", "vlan/200": "site"}},
    ),
    Sent("network.show", "alice", "GET", "network/red-net", None, {**RED_NET, "connected-nodes": {"n1": ["eth0"]}}),
    Sent(
        "network.list_network_attachments",
        "alice",
        "GET",
        "network/red-net/attachments",
        None,
        {"n1": {"nic": "eth0", "channel": "vlan/native", "project": "red"}},
    ),
    Sent(
        "network.list_network_attachments",
        "alice",
        "GET",
        "network/site/attachments?project=red",
        None,
        {"n1": {"nic": "eth0", "channel": "vlan/200", "project": "red"}},
    ),
    Sent("network.list_network_attachments", "alice", "GET", "network/site/attachments", None, DENIED),
    Sent("node.detach_network", "alice", "POST", f"{NIC}/detach_network", {"network": "site"}, BEGUN),
    Sent("node.show_networking_action", "alice", "GET", "networking_action/", None, action("vlan/200", None)),
    Sent("node.detach_network", "alice", "POST", f"{NIC}/detach_network", {"network": "site"}, BAD),
    Sent("network.delete", "alice", "DELETE", "network/red-net", None, BLOCKED),
    Sent("project.detach", "alice", "POST", "project/red/detach_node", {"node": "n1"}, BLOCKED),
    Sent("port.detach_nic", "admin", "POST", f"{PORT}/detach_nic", None, BLOCKED),
    Sent("port.port_revert", "alice", "POST", f"{PORT}/revert", None, DENIED),
    Sent("port.port_revert", "admin", "POST", f"{PORT}/revert", None, BEGUN),
    Sent("node.show_networking_action", "admin", "GET", "networking_action/", None, action(None, None, "revert_port")),
]

#: The commands for headnodes go past the library. They send `{}` where there is nothing to say.
HEAD = [
    Sent("cli", "alice", "GET", "headnode_images", None, ["base", "large"]),
    Sent("cli", "alice", "PUT", "headnode/head", {"project": "red", "base_img": "base"}),
    Sent("cli", "alice", "PUT", "headnode/head", {"project": "red", "base_img": "none"}, BAD),
    Sent("cli", "alice", "PUT", "headnode/head/hnic/eth0", {}),
    Sent("cli", "alice", "PUT", "headnode/head/hnic/eth1", {}),
    Sent("cli", "alice", "DELETE", "headnode/head/hnic/eth1"),
    Sent("cli", "alice", "POST", "headnode/head/hnic/eth0/connect_network", {"network": "red-net"}),
    Sent("cli", "alice", "POST", "headnode/head/hnic/eth0/detach_network", {}),
    Sent("cli", "alice", "GET", "project/red/headnodes", None, ["head"]),
    Sent(
        "cli",
        "alice",
        "GET",
        "headnode/head",
        None,
        {"name": "head", "project": "red", "hnics": ["eth0"], "vncport": None, "uuid": TEXT, "base_img": "base"},
    ),
    Sent("cli", "alice", "POST", "headnode/head/start", {}),
    Sent("cli", "alice", "POST", "headnode/head/stop", {}),
    Sent("cli", "alice", "PUT", "headnode/head/hnic/eth2", {}, Refused(409, "IllegalStateError")),
    Sent("cli", "alice", "DELETE", "headnode/head"),
    Sent("cli", "alice", "DELETE", "headnode/head", None, MISSING),
]

END = [
    Sent("network.delete", "alice", "DELETE", "network/red-net"),
    Sent("network.delete", "alice", "DELETE", "network/site", None, DENIED),
    Sent("network.delete", "admin", "DELETE", "network/site"),
    Sent("project.detach", "alice", "POST", "project/red/detach_node", {"node": "n1"}),
    Sent("project.detach", "alice", "POST", "project/red/detach_node", {"node": "n1"}, MISSING),
    Sent("port.detach_nic", "admin", "POST", f"{PORT}/detach_nic"),
    Sent("port.detach_nic", "admin", "POST", f"{PORT}/detach_nic", None, MISSING),
    Sent("port.delete", "alice", "DELETE", PORT, None, DENIED),
    Sent("port.delete", "admin", "DELETE", PORT),
    Sent("port.delete", "admin", "DELETE", PORT, None, MISSING),
    Sent("switch.delete", "alice", "DELETE", "switch/sw", None, DENIED),
    Sent("switch.delete", "admin", "DELETE", "switch/sw"),
    Sent("node.delete", "admin", "DELETE", "node/n1", None, BLOCKED),
    Sent("node.remove_nic", "admin", "DELETE", NIC),
    Sent("node.remove_nic", "admin", "DELETE", NIC, None, MISSING),
    Sent("node.remove_nic", "admin", "DELETE", "node/n1/nic/eth1"),
    Sent("node.delete", "admin", "DELETE", "node/n1"),
    Sent("user.remove", "admin", "POST", "/auth/basic/user/alice/remove_project", {"project": "red"}),
    Sent("user.remove", "admin", "POST", "/auth/basic/user/alice/remove_project", {"project": "red"}, MISSING),
    Sent("user.delete", "alice", "DELETE", "/auth/basic/user/alice", None, DENIED),
    Sent("user.delete", "admin", "DELETE", "/auth/basic/user/alice"),
    Sent("user.delete", "admin", "DELETE", "/auth/basic/user/alice", None, MISSING),
    Sent("project.delete", "admin", "DELETE", "project/red"),
]

STORY: Sequence[Sent] = (*USERS, *RACK, *PROJECT, *NETWORKS, *HEAD, *END)


class ClientCase(testtools.TestCase):
    """The service behind its own HTTP server."""

    def setUp(self) -> None:
        super().setUp()
        settings = {**HEADNODES, **PATIENT, ("network", "segments"): ["default:100-100"]}
        self.service = self.useFixture(service.Embedded(settings))
        server = process.Server(self.service.app.app, ("127.0.0.1", 0), 4, alone=True)
        thread = threading.Thread(target=server.serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.stop)
        self.url = server.url
        self.sessions: dict[str, requests.Session] = {}

    def session(self, user: str) -> requests.Session:
        """As the library has it: HTTP Basic and nothing else."""
        if user not in self.sessions:
            self.sessions[user] = session = requests.Session()
            session.auth = (user, service.PASSWORD)
            self.addCleanup(session.close)
        return self.sessions[user]

    def send(self, user: str, verb: str, url: str, body: Any = None) -> requests.Response:
        return self.session(user).request(
            verb, url, data=None if body is None else json.dumps(body), timeout=service.WAIT
        )

    def settle(self) -> None:
        """Wait until nothing is being done on switches; what closes ports has no number in HIL."""
        for operation in self.service.admin.get("operations")["operations"]:
            self.service.admin.wait(operation, state=None)

    def done(self, base: str, user: str, status_id: str) -> Any:
        """Ask as often as the command line does, until it is no longer pending."""
        end = time.monotonic() + service.WAIT
        while True:
            found = self.send(user, "GET", f"{base}/networking_action/{status_id}").json()
            if found["status"] != "PENDING":
                return found
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)


class TestStory(ClientCase):
    """All of it, in the order of a day's work."""

    def test_every_call_is_in_it(self) -> None:
        told = set()
        for sent in STORY:
            path = sent.path.lstrip("/").partition("?")[0]
            route, _ = ROUTER.match(sent.verb, "/v0/" + path + ("id" if path.endswith("/") else ""))
            assert isinstance(route, HilRoute)
            told.add(route.call)
        self.assertEqual({route.call for route in all_calls()}, told)

    def test_since_2018(self) -> None:
        """The library puts /v0 before each path. The endpoint has no path."""
        self._tell(self.url, "/v0/")

    def test_before(self) -> None:
        """It puts nothing before them, and some of its paths begin with a slash."""
        self._tell(self.url + "/", "")

    def _tell(self, endpoint: str, prefix: str) -> None:
        begun = ""
        for sent in STORY:
            path = sent.path
            if path == "networking_action/":
                path += begun
            if sent.method == "cli":
                url = endpoint.rstrip("/") + prefix.rstrip("/")
                url += "".join("/" + quote(part, "") for part in path.split("/"))
            else:
                url = urljoin(endpoint, prefix + path.lstrip("/") if prefix else path)
            if sent.path == "node/n1/console" and sent.reads == "login:":
                self._write_console(url)
            answer = self.send(sent.user, sent.verb, url, sent.body)
            self._check(sent, answer)
            if sent.reads is BEGUN:
                begun = answer.json()["status_id"]
                self.done(f"{self.url}/v0", sent.user, begun)
            elif sent.path.startswith(("switch/", "node/n1/power")):
                self.settle()

    def _check(self, sent: Sent, answer: requests.Response) -> None:
        said = f"{sent}: {answer.status_code} {answer.text}"
        if isinstance(sent.reads, Refused):
            # The client takes an error that is no JSON for a result.
            found = Refused(answer.status_code, answer.json()["type"])
            self.assertEqual(sent.reads, found, said)
            self.assertTrue(answer.json()["msg"], said)
            return
        begins = sent.reads is BEGUN and sent.method != "port.port_revert"
        self.assertEqual(202 if begins else 200, answer.status_code, said)
        if sent.reads == "login:":
            self.assertIn("login:", answer.text)
        else:
            self.assertEqual(sent.reads, answer.json() if answer.content else NOTHING, said)

    def _write_console(self, url: str) -> None:
        uuid = self.service.admin.get("nodes/n1")["uuid"]
        fake_obm.write_console(self.service.state_dir, uuid, "login:")
        end = time.monotonic() + service.WAIT
        while not self.send("alice", "GET", url).content:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)


class TestEndpoints(ClientCase):
    """What HIL_ENDPOINT may be."""

    def test_every_form(self) -> None:
        for path in ("/projects", "nodes/all", "/auth/basic/users"):
            for end in ("", "/"):
                self._answers(urljoin(self.url + end, "/v0/" + path.lstrip("/")))
                self._answers(urljoin(self.url + end, "v0/" + path))  # with two slashes where the path has one
            for end in ("", "/", "/v0", "/v0/"):
                self._answers(urljoin(self.url + end, path))
            for end in ("", "/v0"):  # the command line before it had a library
                self._answers(f"{self.url}{end}/{path.lstrip('/')}")

    def _answers(self, url: str) -> None:
        answer = self.send("admin", "GET", url)
        self.assertEqual((200, "application/json"), (answer.status_code, answer.headers["Content-Type"]), url)

    def test_what_is_not_hils(self) -> None:
        """Its errors are this service's own, and nothing of it is moved."""
        self.assertEqual(200, self.send("admin", "GET", f"{self.url}/v1/nodes").status_code)
        for path in ("/nothing", "/v1/nothing", "/v2/nodes/all", "/v0nodes"):
            answer = self.send("admin", "GET", self.url + path)
            self.assertEqual((404, ["errors"]), (answer.status_code, list(answer.json())), path)
        for path in ("/node", "/node/a/b/c/d", "/v0/nothing"):
            answer = self.send("admin", "GET", self.url + path)
            self.assertEqual((404, "NotFoundError"), (answer.status_code, answer.json()["type"]), path)

    def test_another_method(self) -> None:
        """HIL answered with a page, which its client took for a result; here the client raises an error."""
        answer = self.send("admin", "PATCH", f"{self.url}/v0/projects")
        self.assertEqual((405, "GET"), (answer.status_code, str(answer.headers["Allow"])))
        self.assertEqual("BadArgumentError", answer.json()["type"])

    def test_without_a_user(self) -> None:
        for path in ("/nodes/all", "/v0/nodes/all"):
            answer = requests.get(self.url + path, timeout=60)
            self.assertEqual((401, "AuthorizationError"), (answer.status_code, answer.json()["type"]))
            self.assertIn("Basic", answer.headers["WWW-Authenticate"])


class TestScripts(ClientCase):
    """What programs around HIL wait for, and by which words."""

    def setUp(self) -> None:
        super().setUp()
        for sent in (*USERS, *RACK, PROJECT[0], NETWORKS[0]):
            self.send(sent.user, sent.verb, urljoin(self.url, sent.path), sent.body)
        self.settle()
        self.switch = self.service.admin.get("switches/sw")["uuid"]

    def hold(self) -> None:
        """Nothing on the switch gets done."""
        fake_switch.set_faults(self.service.state_dir, self.switch, hold=["configure", "park"])

    def go_on(self) -> None:
        fake_switch.set_faults(self.service.state_dir, self.switch)

    def _post(self, path: str, **body: str) -> tuple[int, str]:
        answer = self.send("alice", "POST", f"{self.url}/{path}", body)
        return answer.status_code, answer.json().get("msg", "") if answer.content else ""

    def test_attach_until_it_is(self) -> None:
        """M2 asks for the same again until the text says that it is so."""
        self.hold()
        wanted = {"network": "red-net", "channel": "vlan/native"}
        self.assertEqual(202, self._post(f"{NIC}/connect_network", **wanted)[0])
        status, text = self._post(f"{NIC}/connect_network", **wanted)
        self.assertEqual(409, status)
        self.assertNotIn("already attached", text)
        self.go_on()
        self._until(409, "already attached", f"{NIC}/connect_network", **wanted)
        self.hold()
        self.assertEqual(202, self._post(f"{NIC}/detach_network", network="red-net")[0])
        self.assertEqual(409, self._post(f"{NIC}/detach_network", network="red-net")[0])
        self.go_on()
        self._until(400, "not on this NIC", f"{NIC}/detach_network", network="red-net")

    def test_what_comes_off_just_now(self) -> None:
        """It was there when it was looked for, and is not when it is to be taken off."""
        delete = attachments.delete

        def late(call: Call, node: str, nic: str, network: str) -> Operation:
            self.service.admin.wait({"uuid": delete(call, node, nic, network).uuid})
            return delete(call, node, nic, network)

        wanted = {"network": "red-net", "channel": "vlan/native"}
        self.assertEqual(202, self._post(f"{NIC}/connect_network", **wanted)[0])
        self._until(409, "already attached", f"{NIC}/connect_network", **wanted)
        self.useFixture(fixtures.MonkeyPatch("mogan_hil.verbs.attachments.delete", late))
        self.assertEqual(
            (400, "Network 'red-net' is not on this NIC."), self._post(f"{NIC}/detach_network", network="red-net")
        )

    def test_give_back_after_reverting(self) -> None:
        """The leasing script of HIL's examples reverts each port, and gives the node back when that is done."""
        self.hold()
        nics = self.send("admin", "GET", f"{self.url}/node/n1").json()["nics"]
        for nic in nics:
            if nic["port"] and nic["switch"]:
                self.send("admin", "POST", f"{self.url}/switch/{nic['switch']}/port/{nic['port']}/revert")
        status, text = self._post("project/red/detach_node", node="n1")
        self.assertEqual((409, "Node has pending network actions"), (status, text))
        self.go_on()
        self._until(200, "", "project/red/detach_node", node="n1")

    def _until(self, status: int, text: str, path: str, **body: str) -> None:
        end = time.monotonic() + service.WAIT
        while (found := self._post(path, **body))[0] != status or text not in found[1]:
            self.assertEqual(409, found[0], found)
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_networks_of_one_name(self) -> None:
        """Each network is in the list, under what shows it."""
        self.send("admin", "PUT", f"{self.url}/project/green")
        for owner, net_id in (("green", ""), ("admin", "201")):
            self.service.admin.post(
                "networks",
                {"name": "red-net", "segment_id": net_id or "300"}
                | ({"project_id": owner} if owner == "green" else {"project_id": None}),
            )
        listed = self.send("admin", "GET", f"{self.url}/networks").json()
        self.assertEqual({"100", "201", "300"}, {one["network_id"] for one in listed.values()})
        self.assertEqual("201", listed["red-net"]["network_id"])
        for name, one in listed.items():
            found = self.send("admin", "GET", f"{self.url}/network/{name}").json()
            self.assertIn(f"vlan/{one['network_id']}", found["channels"])
