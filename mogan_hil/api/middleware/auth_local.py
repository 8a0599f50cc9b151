# SPDX-License-Identifier: Apache-2.0
"""Auth `local`: users, passwords and roles in the database, HTTP Basic (RFC 7617).

bcrypt takes its time on purpose. A password that was verified is remembered for a while as a keyed hash, which costs
nothing to compare, together with the hash in the user's row that it was verified against. The row, with the user's
roles, is read at each request: so a password, a role or a user that is changed counts at once, whichever process was
told. A user who does not exist and a password that is wrong take the same time and look alike. That time is the one of
the dearest hash that there is: what was hashed before `[auth] hash_cost` was changed has its cost until its user logs
in again.
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
from oslo_db import exception as db_exception
from oslo_log import log

from mogan_hil.api.middleware import identity
from mogan_hil.common import exception, passwords
from mogan_hil.objects.user import ROLES, Account, Grant, User
from mogan_hil.verbs.base import Services

LOG = log.getLogger(__name__)

CHALLENGE = 'Basic realm="mogan_hil", charset="UTF-8"'

#: Proofs kept at a time; the oldest goes first.
MAX_PROOFS = 10000

#: Seconds after which it is looked again which cost is the highest.
LOOK_AGAIN = 60.0


@dataclass(frozen=True, slots=True)
class Proof:
    """A password was right.

    :param password_hash: what it was verified against
    """

    expires: float
    password_hash: str


class LocalAuth:
    """See the module. `X-Project-Id`, an id or a name, chooses one of the user's projects."""

    def __init__(self, app: Callable[..., Any], services: Services) -> None:
        self._app = app
        self._database = services.database
        self._settings = services.conf.auth
        self._key = secrets.token_bytes(32)
        self._nobody = passwords.hashed(secrets.token_urlsafe(16), self._settings.hash_cost)
        self._highest = 0
        self._look = 0.0
        self._proofs: dict[bytes, Proof] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["mogan_hil.challenge"] = CHALLENGE
        wanted = environ.get("HTTP_X_PROJECT_ID")
        authorization = environ.get("HTTP_AUTHORIZATION")
        identity.strip(environ)
        if authorization is not None:
            user, password = credentials(authorization)
            account = self._login(user, password)
            # HIL's users act for all their projects at once.
            for_all = wanted is None and environ.get("PATH_INFO", "").startswith("/v0/")
            environ["mogan_hil.grants"] = account.grants if for_all else None
            grant = next(iter(account.grants), None) if for_all else _scope(account.grants, wanted)
            identity.confirm(
                environ,
                user_id=account.uuid,
                user_name=account.name,
                project_id=grant.project_id if grant else None,
                project_name=grant.project_name if grant else None,
                roles=ROLES[ROLES.index(grant.role) :] if grant else (),
            )
        return self._app(environ, start_response)

    def _login(self, name: str, password: str) -> Account:
        with self._database.reader() as session:
            account = User.account(session, name)
        known = account.password_hash if account else self._nobody
        if self._right(name, password, known) and account is not None:
            return account
        cost = passwords.cost_of(known)
        passwords.spend(password, cost, self._dearest(cost))
        raise exception.Unauthorized()

    def _dearest(self, cost: int) -> int:
        """The highest cost that a try may have, this one's included."""
        if time.monotonic() >= self._look:
            with self._database.reader() as session:
                self._highest = User.highest_cost(session)
            self._look = time.monotonic() + LOOK_AGAIN
        self._highest = max(self._highest, cost)
        return max(self._highest, passwords.cost_of(self._nobody))

    def _right(self, name: str, password: str, known: str) -> bool:
        key = hmac.digest(self._key, f"{name}\0{password}".encode(), hashlib.sha256)
        proof = self._proofs.get(key)
        if proof is not None and proof.password_hash == known and proof.expires > time.monotonic():
            return True
        right = passwords.matches(password, known)
        if right:
            known = self._renewed(name, password, known)
            with self._lock:
                if len(self._proofs) >= MAX_PROOFS:
                    self._proofs.pop(next(iter(self._proofs)))
                self._proofs[key] = Proof(time.monotonic() + self._settings.proof_ttl, known)
        return right

    def _renewed(self, name: str, password: str, known: str) -> str:
        """The hash to keep of a password that is right: another one if it has not the cost of today."""
        cost = self._settings.hash_cost
        if passwords.cost_of(known) == cost:
            return known
        fresh = passwords.hashed(password, cost)
        try:
            with self._database.writer() as session:
                return fresh if User.renew(session, name, known, fresh) else known
        except db_exception.DBError as error:  # the user is let in, and it is tried again at another login
            LOG.warning("The hash of a password could not be renewed: %s", error)
            return known


def credentials(authorization: str) -> tuple[str, str]:
    """The name and the password in a header.

    :raises exception.Unauthorized: there are none in it
    """
    try:
        name, password = auth_basic.parse_token(auth_basic.parse_header({"HTTP_AUTHORIZATION": authorization}))
        if not name or "\0" in name or b"\0" in password:
            raise exception.Unauthorized()
        return name, password.decode("utf-8")
    except (ironic_exception.IronicException, UnicodeDecodeError):
        raise exception.Unauthorized() from None


def _scope(grants: Sequence[Grant], wanted: str | None) -> Grant | None:
    """The project that the request is for: the one that is named, else the only one, else the one as administrator."""
    if wanted is not None:
        for grant in grants:
            if wanted in (grant.project_id, grant.project_name):
                return grant
        raise exception.Forbidden(f"You have no role in project {wanted[:100]!r}.")
    if len(grants) > 1:
        admin = [grant for grant in grants if grant.role == "admin"]
        if len(admin) == 1:
            return admin[0]
        raise exception.BadRequest(reason="you have roles in several projects; choose one with the header X-Project-Id")
    return grants[0] if grants else None
