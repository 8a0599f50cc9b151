# SPDX-License-Identifier: Apache-2.0
"""A controller that speaks Redfish, through sushy.

The words are those of the DMTF's "Redfish Specification" (DSP0266) and of the ComputerSystem schema.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import requests
import sushy
from sushy import auth, connector, exceptions

from mogan_hil.drivers.base import DriverError, Environment, Options
from mogan_hil.drivers.obm import base

#: Seconds between two looks at a node that must be off before it is switched on.
LOOK = 0.2
#: Seconds that ending a session may take.
LOGOUT = 3.0

_AUTH: Mapping[str, type[auth.AuthBase]] = {
    "basic": auth.BasicAuth,
    "session": auth.SessionAuth,
    "auto": auth.SessionOrBasicAuth,
}
_DEVICES: Mapping[sushy.BootSource, str] = {
    sushy.BootSource.PXE: "pxe",
    sushy.BootSource.HDD: "disk",
    sushy.BootSource.CD: "cdrom",
    sushy.BootSource.USB: "usb",
    sushy.BootSource.BIOS_SETUP: "bios",
    sushy.BootSource.UEFI_HTTP: "http",
}
#: What a device is called when it is read. Of its virtual CD drive Supermicro's controller has a name of its own, which
#: sushy uses there instead of `Cd`.
_NAMES: Mapping[sushy.BootSource, str] = {**_DEVICES, sushy.BootSource.USB_CD: "cdrom"}
_SOURCES: Mapping[str, sushy.BootSource] = {name: source for source, name in _DEVICES.items()}


class _Connector(connector.Connector):
    """Requests that keep to one deadline together. sushy alone has a limit for each, and tries again and again."""

    def __init__(self, url: str, verify: bool | str) -> None:
        # One try and no pause: whether to try again is the conductor's to say.
        super().__init__(url, verify=verify, server_side_retries=1, server_side_retries_delay=0)
        # Neither proxies nor a .netrc of the conductor's machine are for its controllers.
        self._session.trust_env = False
        self.deadline = 0.0
        self.resets = 0  # that were sent, or tried to

    def _op(self, method: str, path: str = "", data: Any = None, *args: Any, **kwargs: Any) -> Any:
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise exceptions.ConnectionError(url=self._url, error="out of time")
        if data and "ResetType" in data:
            self.resets += 1
        return super()._op(method, path, data, *args, **{**kwargs, "timeout": seconds})


class _Session:
    """A login."""

    def __init__(self, options: Options, deadline: float) -> None:
        self.connector = _Connector(options["address"], options.get("verify_ca", True))
        self.connector.deadline = deadline
        self.login = _AUTH[options.get("auth_type", "auto")](options["username"], options["password"])
        self.root = sushy.Sushy(options["address"], auth=self.login, connector=self.connector)

    def close(self, seconds: float) -> None:
        """Log out."""
        self.connector.deadline = time.monotonic() + seconds
        with contextlib.suppress(Exception):  # a session that cannot be ended runs out by itself
            self.login.close()
        self.connector.close()


class Redfish(base.ObmDriver):
    """A controller that speaks Redfish, with power and boot device.

    Options: `address`, its URL without a path; `system_id`, the path of the system, needed where the controller has
    several; `username`, `password`; `verify_ca`, whether to check its certificate, or the path of the authorities that
    it is checked against; `auth_type`, `session`, `basic`, or `auto`, a session where that works.
    """

    capabilities = frozenset({base.BOOT_DEVICE, base.CLEAR_BOOT_DEVICE, base.SOFT_OFF})
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "address": {"type": "string", "pattern": r"^https?://(?![^/]*@)[^/?#\s]+/?$", "maxLength": 300},
            "system_id": {"type": "string", "pattern": r"^/[!-~]+$", "maxLength": 300},
            "username": {"type": "string", "minLength": 1, "maxLength": 255},
            "password": {"type": "string", "maxLength": 255, "writeOnly": True},
            "verify_ca": {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^/"}], "default": True},
            "auth_type": {"enum": sorted(_AUTH), "default": "auto"},
        },
        "required": ["address", "username", "password"],
        "additionalProperties": False,
    }
    harmless_options = frozenset({"username", "system_id", "auth_type"})

    def __init__(self, options: Options, environment: Environment) -> None:
        super().__init__(options, environment)
        self._session: _Session | None = None
        self._path = options.get("system_id")
        self._lock = threading.Lock()  # for close(), which may come while a call goes on

    # Talking to the controller.

    @contextlib.contextmanager
    def _system(self) -> Iterator[tuple[Any, float]]:
        """The system as it is now, and until when it may be talked to. Every error within is a DriverError."""
        deadline = time.monotonic() + self.environment.timeout
        session: _Session | None = None
        try:
            session = self._session = self._session or _Session(self.options, deadline)
            session.connector.deadline, session.connector.resets = deadline, 0
            system = session.root.get_system(self._path)
            self._path = system.path  # a controller without several systems need not be asked which again
            yield system, deadline
        except DriverError as error:
            error.undone = session is None or session.connector.resets == 0
            raise
        except Exception as error:
            self._path = self.options.get("system_id")
            raise self._explain(error, session.connector.resets if session else 0) from error

    def _explain(self, error: Exception, resets: int) -> DriverError:
        user, transient = "The node's controller answers nonsense.", False
        if isinstance(error, exceptions.AccessError | exceptions.MissingXAuthToken):
            user = "The node's controller does not accept the login."
        elif isinstance(error, exceptions.ServerSideError):
            user, transient = "The node's controller is in trouble.", True
        elif isinstance(error, exceptions.HTTPError):
            user = "The node's controller refused."
            transient = error.status_code in (409, 429)
        elif isinstance(error, exceptions.InvalidParameterValueError | exceptions.MissingActionError):
            user = "The node's controller cannot do this."
        elif isinstance(error.__context__, requests.exceptions.SSLError):
            user = "The node's controller is not who it should be."
        elif isinstance(error, exceptions.ConnectionError | OSError) and not isinstance(error, ValueError):
            # An answer that is no JSON is a ValueError too.
            user, transient = "The node's controller does not answer.", True
        where = f"{self.environment.name} ({self.options['address']} as {self.options['username']})"
        refused = isinstance(error, exceptions.HTTPError) and 400 <= error.status_code < 500
        undone = resets == 0 or (resets == 1 and refused)
        return DriverError(user, f"{where}: {type(error).__name__}: {error}", transient=transient, undone=undone)

    # What the contract asks for.

    def _power(self, system: Any) -> base.Power | base.Turning:
        if system.power_state in _STATES:
            return _STATES[system.power_state]
        raise DriverError(
            "The node's controller does not tell whether it is on.",
            f"{self.environment.name}: PowerState is {system.json.get('PowerState')!r}",
            transient=True,
        )

    def power(self) -> base.Power | base.Turning:
        with self._system() as (system, _):
            return self._power(system)

    def set_power(self, target: base.Power) -> None:
        """See the base class. A node that is off is switched on by `CYCLE` and `RESET`.

        A controller that does not know `PowerCycle` is told `ForceOff` and, when the node is off, `On`. A node on its
        way is told where to go, as nobody knows how far it has come.
        """
        with self._system() as (system, deadline):
            seen = self._power(system)
            if target == base.Power.ON:
                if seen != base.Power.ON:
                    system.reset_system(sushy.ResetType.ON)
            elif target in (base.Power.OFF, base.Power.SOFT_OFF):
                if seen != base.Power.OFF:
                    system.reset_system(_RESETS[target])
            elif seen in (base.Power.OFF, base.Turning.POWERING_ON):
                system.reset_system(sushy.ResetType.ON)
            elif target == base.Power.CYCLE:
                self._cycle(system, deadline)
            else:
                system.reset_system(_RESETS[target])

    def _cycle(self, system: Any, deadline: float) -> None:
        if sushy.ResetType.POWER_CYCLE in system.get_allowed_reset_system_values():
            system.reset_system(sushy.ResetType.POWER_CYCLE)
            return
        system.reset_system(sushy.ResetType.FORCE_OFF)
        self._wait(lambda: self._power(system) == base.Power.OFF, system, deadline)
        system.reset_system(sushy.ResetType.ON)

    def _wait(self, done: Callable[[], bool], system: Any, deadline: float) -> None:
        while not done():
            if time.monotonic() + LOOK > deadline:
                raise DriverError("The node was switched off to be cycled, and is not off yet.", transient=True)
            time.sleep(LOOK)
            system.refresh(force=True)

    def boot_devices(self) -> frozenset[str]:
        """See the base class. What the controller allows, as far as it has a name here."""
        with self._system() as (system, _):
            return frozenset(_DEVICES[source] for source in self._allowed(system))

    @staticmethod
    def _allowed(system: Any) -> list[sushy.BootSource]:
        return [source for source in system.get_allowed_system_boot_source_values() if source in _DEVICES]

    def boot_device(self) -> tuple[str | None, bool]:
        """See the base class. A device that has no name here is told in the controller's word."""
        with self._system() as (system, _):
            boot = system.boot or {}
            source, enabled = boot.get("target"), boot.get("enabled")
            if enabled in (None, sushy.BootSourceOverrideEnabled.DISABLED) or source in (None, sushy.BootSource.NONE):
                return None, False
            return _NAMES.get(source, source.value), enabled == sushy.BootSourceOverrideEnabled.CONTINUOUS

    def set_boot_device(self, device: str, persistent: bool) -> None:
        with self._system() as (system, _):
            if _SOURCES.get(device) not in self._allowed(system):
                raise DriverError(f"The node cannot boot from {device}.")
            enabled = sushy.BootSourceOverrideEnabled
            system.set_system_boot_options(
                target=_SOURCES[device], enabled=enabled.CONTINUOUS if persistent else enabled.ONCE
            )

    def clear_boot_device(self) -> None:
        with self._system() as (system, _):
            system.set_system_boot_options(enabled=sushy.BootSourceOverrideEnabled.DISABLED)

    def close(self) -> None:
        """See the base class. Ends the controller's session, if there is one."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close(min(LOGOUT, self.environment.timeout))


_STATES: Mapping[sushy.PowerState, base.Power | base.Turning] = {
    sushy.PowerState.ON: base.Power.ON,
    sushy.PowerState.OFF: base.Power.OFF,
    sushy.PowerState.POWERING_ON: base.Turning.POWERING_ON,
    sushy.PowerState.POWERING_OFF: base.Turning.POWERING_OFF,
}
_RESETS: Mapping[base.Power, sushy.ResetType] = {
    base.Power.OFF: sushy.ResetType.FORCE_OFF,
    base.Power.SOFT_OFF: sushy.ResetType.GRACEFUL_SHUTDOWN,
    base.Power.RESET: sushy.ResetType.FORCE_RESTART,
}
