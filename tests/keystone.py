# SPDX-License-Identifier: Apache-2.0
"""What tests need in Keystone: two projects, somebody with every role, and the service's account."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import server
from pathlib import Path
from typing import Any

import fixtures
import requests
from keystoneauth1 import adapter, plugin
from keystoneauth1 import session as ksa_session
from keystoneauth1.identity import v3

from tests.service import Api

SERVICE_TYPE = "baremetal-isolation"
PASSWORD = "secret"

#: Who has which role in which project. Keystone adds the lesser ones: a manager is a member, a member is a reader.
ROLES = {
    "red-admin": ("red", "admin"),
    "red-manager": ("red", "manager"),
    "red-member": ("red", "member"),
    "red-colleague": ("red", "member"),
    "red-reader": ("red", "reader"),
    "red-service": ("red", "service"),
    "blue-admin": ("blue", "admin"),
    "blue-member": ("blue", "member"),
    "hil": ("service", "service"),
}
SYSTEM_ROLES = {"system-admin": "admin", "system-member": "member", "system-reader": "reader", "hil": "service"}


class Directory(fixtures.Fixture):
    """Everything of it is gone at the end.

    :ivar projects: name to id of `red`, `blue` and `service`; their names in Keystone are longer
    :ivar region: where :meth:`register` puts the service, apart from what other tests put there
    """

    def _setUp(self) -> None:
        self.url = os.environ["MOGAN_HIL_TEST_KEYSTONE_URL"]
        self._suffix = uuid.uuid4().hex[:8]
        password = os.environ["MOGAN_HIL_TEST_KEYSTONE_PASSWORD"]
        self._root = self._client(
            self._password_of("admin", password, project_name="admin", project_domain_id="default")
        )
        roles = {role["name"]: role["id"] for role in self._root.get("/roles").json()["roles"]}
        self.projects = {
            name: self._make("project", name=self.name(name), domain_id="default")["id"]
            for name in ("red", "blue", "service")
        }
        self.users: dict[str, str] = {}
        for name in {*ROLES, *SYSTEM_ROLES, "domain-admin", "nobody"}:
            made = self._make("user", name=self.name(name), password=PASSWORD, domain_id="default")
            self.users[name] = made["id"]
        for name, (project, role) in ROLES.items():
            self._root.put(f"/projects/{self.projects[project]}/users/{self.users[name]}/roles/{roles[role]}")
        for name, role in SYSTEM_ROLES.items():
            self._root.put(f"/system/users/{self.users[name]}/roles/{roles[role]}")
        self._root.put(f"/domains/default/users/{self.users['domain-admin']}/roles/{roles['admin']}")
        self.region = str(self._make("region", id=self.name("region"))["id"])
        self._sessions: dict[str, ksa_session.Session] = {}

    def name(self, name: str) -> str:
        """What a project or user of ours is called in Keystone."""
        return f"{name}-{self._suffix}"

    def _make(self, kind: str, **values: Any) -> Any:
        made = self._root.post(f"/{kind}s", json={kind: values}).json()[kind]
        self.addCleanup(self._root.delete, f"/{kind}s/{made['id']}", raise_exc=False)
        return made

    def register(self, url: str, region: str | None = None) -> str:
        """Put the service into the catalog; returns the id of its entry.

        :param region: an existing one; None for one of its own
        """
        made = self._make("service", type=SERVICE_TYPE, name="mogan_hil")
        for interface in ("public", "internal", "admin"):
            values = {"service_id": made["id"], "interface": interface, "url": url, "region_id": region or self.region}
            self._make("endpoint", **values)
        return str(made["id"])

    def service_user(self, name: str) -> None:
        """A further account for the service, which is called this and nothing more."""
        user = self._make("user", name=name, password=PASSWORD, domain_id="default")["id"]
        roles = {role["name"]: role["id"] for role in self._root.get("/roles").json()["roles"]}
        self._root.put(f"/projects/{self.projects['service']}/users/{user}/roles/{roles['service']}")

    def be_in_region(self) -> None:
        """Let Keystone itself be in the region, too, as it is in a cloud of one."""
        service = self._root.get("/services", params={"type": "identity"}).json()["services"][0]["id"]
        self._make("endpoint", service_id=service, interface="public", url=self.url, region_id=self.region)

    def unregister(self, service_id: str) -> None:
        """Take the service out of the catalog."""
        self._root.delete(f"/services/{service_id}")

    def new_project(self) -> str:
        """A further project; returns its id."""
        return str(self._make("project", name=self.name(uuid.uuid4().hex[:8]), domain_id="default")["id"])

    def _password_of(self, user: str, password: str, **scope: Any) -> plugin.BaseAuthPlugin:
        return v3.Password(self.url, username=user, password=password, user_domain_id="default", **scope)

    def _scope_of(self, name: str) -> dict[str, str]:
        if name in ROLES:
            return {"project_id": self.projects[ROLES[name][0]]}
        if name in SYSTEM_ROLES:
            return {"system_scope": "all"}
        return {"domain_id": "default"} if name == "domain-admin" else {"unscoped": "true"}

    def _client(self, auth: plugin.BaseAuthPlugin) -> adapter.Adapter:
        return adapter.Adapter(ksa_session.Session(auth), endpoint_override=self.url)

    def session(self, name: str) -> ksa_session.Session:
        """Somebody's session, with one token as long as it is good."""
        if name not in self._sessions:
            auth = self._password_of(self.name(name), PASSWORD, **self._scope_of(name))
            self._sessions[name] = ksa_session.Session(auth)
        return self._sessions[name]

    def token(self, name: str) -> str:
        """Somebody's token."""
        return str(self.session(name).get_token())

    def new_token(self, name: str, **scope: str) -> str:
        """A token that nobody else has.

        :param scope: another one than the usual, as keystoneauth has it
        """
        auth = self._password_of(self.name(name), PASSWORD, **(scope or self._scope_of(name)))
        return str(ksa_session.Session(auth).get_token())

    def revoke(self, token: str) -> None:
        """Have Keystone take a token for none."""
        self._root.delete("/auth/tokens", headers={"X-Subject-Token": token})

    def application_credential(self, name: str, *, seconds: int = 3600, rules: Any = None) -> plugin.BaseAuthPlugin:
        """An application credential of somebody.

        :param seconds: how long it is good, and with it its tokens
        :param rules: the access rules, if not everything is allowed
        """
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        values = {"name": uuid.uuid4().hex, "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%S.%f")}
        if rules is not None:
            values["access_rules"] = rules
        own = adapter.Adapter(self.session(name), endpoint_override=self.url)
        path = f"/users/{self.users[name]}/application_credentials"
        made = own.post(path, json={"application_credential": values}).json()["application_credential"]
        # Before its user goes: SQLite gives the number of its row out again, and Keystone leaves the roles of that.
        self.addCleanup(self._root.delete, f"{path}/{made['id']}", raise_exc=False)
        return v3.ApplicationCredential(
            self.url, application_credential_id=made["id"], application_credential_secret=made["secret"]
        )

    def config(self, path: Path, url: str | None = None, **options: object) -> Path:
        """Write the part of the service's configuration that is about Keystone.

        :param url: where Keystone is said to be, if not where it is
        :param options: further ones of [keystone_authtoken]; None leaves one out
        """
        values: dict[str, object] = {
            "auth_type": "password",
            "auth_url": url or self.url,
            "username": self.name("hil"),
            "password": PASSWORD,
            "user_domain_id": "default",
            "project_id": self.projects["service"],
            **options,
        }
        lines = [f"{name} = {value}" for name, value in values.items() if value is not None]
        path.write_text("\n".join(["[auth]", "strategy = keystone", "[keystone_authtoken]", *lines, ""]))
        return path


class TokenApi(Api):
    """Calls the API with a token."""

    def __init__(self, send: Any, token: str | None, service_token: str | None = None) -> None:
        super().__init__(send)
        self._tokens = {"X-Auth-Token": token, "X-Service-Token": service_token}

    def credentials(self) -> dict[str, str]:
        return {name: value for name, value in self._tokens.items() if value is not None}


class Relay(fixtures.Fixture):
    """Stands between the service and Keystone, counts what goes through, and can fail as networks and servers do.

    :param target: Keystone's address; what it says of itself is changed to the relay's
    :ivar seen: method and path of each request
    :ivar trouble: called instead of Keystone, if not None
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target
        self.seen: list[tuple[str, str]] = []
        self.trouble: Callable[[server.BaseHTTPRequestHandler], None] | None = None

    def _setUp(self) -> None:
        relay = self

        class Handler(server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                relay._answer(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._closing = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v3"
        threading.Thread(target=self._server.serve_forever, daemon=True, args=(0.05,)).start()
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)
        self.addCleanup(self._closing.set)

    @property
    def validations(self) -> int:
        """How often Keystone was asked about a token."""
        return self.seen.count(("GET", "/v3/auth/tokens"))

    def hang(self, _handler: server.BaseHTTPRequestHandler) -> None:
        """A trouble: never answer."""
        self._closing.wait()

    def fail(self, handler: server.BaseHTTPRequestHandler) -> None:
        """A trouble: an error of Keystone's own."""
        handler.send_response(500)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def refuse(self, handler: server.BaseHTTPRequestHandler) -> None:
        """A trouble: break the connection."""
        handler.close_connection = True

    def _answer(self, handler: server.BaseHTTPRequestHandler) -> None:
        self.seen.append((handler.command, handler.path.partition("?")[0]))
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if self.trouble is not None:
            return self.trouble(handler)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in ("host", "connection")}
        address = self._target.removesuffix("/v3") + handler.path
        answer = requests.request(handler.command, address, data=body, headers=headers, timeout=120)
        data = answer.content.replace(self._target.encode(), self.url.encode())
        handler.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        return None
