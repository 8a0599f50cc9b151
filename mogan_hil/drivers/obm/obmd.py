# SPDX-License-Identifier: Apache-2.0
"""A node of an obmd, the daemon through which the last HIL managed nodes: https://github.com/CCI-MOC/obmd

What it does is done with a token, which its administrator asks for. It tells whether a node is on, and neither what
that boots from nor takes what is typed on its console: so power is all that is offered here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import requests

from mogan_hil.drivers.base import DriverError, Environment, Options, Unsupported
from mogan_hil.drivers.obm import base

_CALLS: Mapping[base.Power, tuple[str, Mapping[str, bool] | None]] = {
    base.Power.ON: ("power_on", None),
    base.Power.OFF: ("power_off", None),
    base.Power.CYCLE: ("power_cycle", {"force": False}),
    base.Power.RESET: ("power_cycle", {"force": True}),
}


class Obmd(base.ObmDriver):
    """A node of an obmd, as the last HIL had them: power alone."""

    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "uri": {
                "type": "string",
                "pattern": r"^https?://[A-Za-z0-9.:\[\]-]{1,253}(/[A-Za-z0-9._~%-]{1,255}){1,8}$(?!\n)",
                "description": "the node at its obmd, such as https://obmd.example/node/n1",
            },
            "admin_token": {
                "type": "string",
                "pattern": r"^[!-~]{1,255}$(?!\n)",
                "writeOnly": True,
                "description": "what proves the administrator there",
            },
            "verify_ca": {
                "type": ["boolean", "string"],
                "default": True,
                "description": "a PEM file on the conductor with the authorities to trust; false trusts anybody",
            },
        },
        "required": ["uri", "admin_token"],
        "additionalProperties": False,
    }

    def __init__(self, options: Options, environment: Environment) -> None:
        super().__init__(options, environment)
        self._session: requests.Session | None = None
        self._token: str | None = None

    def set_power(self, target: base.Power) -> None:
        """See the base class. There is no soft power-off."""
        if target not in _CALLS:
            raise Unsupported("This node cannot be asked to switch itself off.")
        call, body = _CALLS[target]
        self._act("POST", call, body)

    def power(self) -> base.Power:
        """See the base class. The daemon hands on what the controller says: `on`, or a sentence that ends so."""
        said = str(self._act("GET", "power_status").get("power_status", "")).strip().lower()
        for state in (base.Power.ON, base.Power.OFF):
            if said == state or said.endswith(f" {state}"):
                return state
        raise self._error("The node's controller does not tell whether it is on.", f"power_status is {said[:100]!r}")

    def _act(self, method: str, call: str, body: Any = None) -> dict[str, Any]:
        """Do something with the node's token, and with another one if that has been given to somebody else."""
        deadline = time.monotonic() + self.environment.timeout
        for last in (False, True):
            if self._token is None:
                self._log_in(deadline)
            answer = self._send(method, call, deadline, params={"token": self._token}, json=body)
            if answer.status_code != requests.codes.unauthorized or last:
                break
            self._token = None
        return self._json(answer, call)

    def _log_in(self, deadline: float) -> None:
        try:
            answer = self._send("POST", "token", deadline, auth=("admin", self.options["admin_token"]))
            self._token = str(self._json(answer, "token").get("token", ""))
        except DriverError as error:
            error.undone = True
            raise

    def _send(self, method: str, call: str, deadline: float, **options: Any) -> requests.Response:
        if self._session is None:
            self._session = requests.Session()
            self._session.trust_env = False  # neither proxies nor a .netrc of the conductor's machine are for it
            self._session.verify = self.options.get("verify_ca", True)
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            error = self._error("The node's controller did not answer in time.", f"{call}: out of time", transient=True)
            error.undone = True
            raise error
        try:
            return self._session.request(
                method, f"{self.options['uri']}/{call}", timeout=seconds, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            # The text of the error has the address, and with it the token.
            said = f"{call}: {type(error).__name__}"
            raise self._error("The node's controller does not answer.", said, transient=True) from None

    def _json(self, answer: requests.Response, call: str) -> dict[str, Any]:
        if answer.status_code != requests.codes.ok:
            # An administrator who is not believed is told that there is nothing.
            transient = answer.status_code >= requests.codes.internal_server_error
            said = f"{call}: {answer.status_code}"
            raise self._error("The node's controller refused.", said, transient=transient)
        with contextlib.suppress(ValueError):
            found = answer.json()
            return found if isinstance(found, dict) else {}
        return {}

    def _error(self, user: str, detail: str, *, transient: bool = False) -> DriverError:
        where = f"{self.environment.name} ({self.options['uri']})"
        return DriverError(user, f"{where}: {detail}", transient=transient)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = self._token = None
