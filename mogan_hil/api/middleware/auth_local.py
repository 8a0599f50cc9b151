# SPDX-License-Identifier: Apache-2.0
"""Auth `local`: users, passwords and roles in the database, HTTP Basic (RFC 7617).

bcrypt takes its time on purpose. A password that was verified is remembered for some seconds as a keyed hash, which
costs nothing to compare; until a user or a project is changed through the same process. A user who does not exist and a
password that is wrong take the same time and look alike.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ironic_lib import auth_basic
from ironic_lib import exception as ironic_exception

from mogan_hil.api.middleware import identity
from mogan_hil.common import exception, passwords
from mogan_hil.db import models
from mogan_hil.objects.user import ROLES, Grant, RoleAssignment, User
from mogan_hil.verbs.base import Services

CHALLENGE = 'Basic realm="mogan_hil", charset="UTF-8"'

#: Proofs kept at a time; the oldest goes first.
MAX_PROOFS = 10000

#: A request that changes something here may make proofs wrong.
MATTERS = ("/v1/users", "/v1/projects")


@dataclass(frozen=True, slots=True)
class Proof:
    """A user whose password was right, and what it may do where."""

    expires: float
    user_id: str
    user_name: str
    projects: Sequence[Grant]


class LocalAuth:
    """See the module. `X-Project-Id`, an id or a name, chooses one of the user's projects."""

    def __init__(self, app: Callable[..., Any], services: Services) -> None:
        self._app = app
        self._database = services.database
        self._settings = services.conf.auth
        self._key = secrets.token_bytes(32)
        self._nobody = passwords.hashed(secrets.token_urlsafe(16), self._settings.hash_cost)
        self._proofs: dict[bytes, Proof] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["mogan_hil.challenge"] = CHALLENGE
        wanted = environ.get("HTTP_X_PROJECT_ID")
        authorization = environ.get("HTTP_AUTHORIZATION")
        identity.strip(environ)
        if authorization is not None:
            user, password = _credentials(authorization)
            proof = self._prove(user, password)
            grant = _scope(proof, wanted)
            identity.confirm(
                environ,
                user_id=proof.user_id,
                user_name=proof.user_name,
                project_id=grant.project_id if grant else None,
                project_name=grant.project_name if grant else None,
                roles=ROLES[ROLES.index(grant.role) :] if grant else (),
            )
        answer = self._app(environ, start_response)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD") and environ.get("mogan_hil.route", "").startswith(MATTERS):
            self._forget()
        return answer

    def _forget(self) -> None:
        with self._lock:
            self._changes += 1
            self._proofs.clear()

    def _prove(self, name: str, password: str) -> Proof:
        key = hmac.digest(self._key, f"{name}\0{password}".encode(), hashlib.sha256)
        proof = self._proofs.get(key)
        if proof is not None and proof.expires > time.monotonic():
            return proof
        changes = self._changes
        proof = self._verify(name, password)
        with self._lock:
            if changes != self._changes:
                return proof  # it may be of before the change: right for this request, and for no other
            if len(self._proofs) >= MAX_PROOFS:
                self._proofs.pop(next(iter(self._proofs)))
            self._proofs[key] = proof
        return proof

    def _verify(self, name: str, password: str) -> Proof:
        with self._database.reader() as session:
            found = User.find(session, models.User.name == name)
            roles = RoleAssignment.of_users(session, [found[0].id]) if found else []
        right = passwords.matches(password, found[0].password_hash if found else self._nobody)
        if not found or not right:
            raise exception.Unauthorized()
        return Proof(time.monotonic() + self._settings.proof_ttl, found[0].uuid, found[0].name, roles)


def _credentials(authorization: str) -> tuple[str, str]:
    try:
        name, password = auth_basic.parse_token(auth_basic.parse_header({"HTTP_AUTHORIZATION": authorization}))
        if not name or "\0" in name or b"\0" in password:
            raise exception.Unauthorized()
        return name, password.decode("utf-8")
    except (ironic_exception.IronicException, UnicodeDecodeError):
        raise exception.Unauthorized() from None


def _scope(proof: Proof, wanted: str | None) -> Grant | None:
    """The project that the request is for: the one that is named, else the only one, else the one as administrator."""
    if wanted is not None:
        for grant in proof.projects:
            if wanted in (grant.project_id, grant.project_name):
                return grant
        raise exception.Forbidden(f"You have no role in project {wanted[:100]!r}.")
    if len(proof.projects) > 1:
        admin = [grant for grant in proof.projects if grant.role == "admin"]
        if len(admin) == 1:
            return admin[0]
        raise exception.BadRequest(reason="you have roles in several projects; choose one with the header X-Project-Id")
    return proof.projects[0] if proof.projects else None
