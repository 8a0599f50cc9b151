# SPDX-License-Identifier: Apache-2.0
"""Switches with a command line over SSH, with the templates of networking-generic-switch.

Comes with the extra `generic`. What this driver adds to the templates: every value is checked before it is in a line; a
template that is missing is an error, and never silence; a whole batch is one session; each line waits for the answer to
the one before, and the first error ends the batch; the device is known by its host key; and the device types that are
proven (see :mod:`.dialects`) are read back, freed of what others left behind, and closed when they are parked.
"""

from __future__ import annotations

import importlib.util
import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, TypeVar

from mogan_hil.drivers.base import Options
from mogan_hil.drivers.switch import base, dialects, ngs
from mogan_hil.drivers.switch.cli import Session

T = TypeVar("T")

if importlib.util.find_spec("networking_generic_switch") is None:
    raise ModuleNotFoundError("networking-generic-switch is not installed: pip install mogan-hil[generic]")

#: Seconds without use after which a session is not used again: a switch has few of them, and ends idle ones itself.
IDLE = 30.0
#: Ports up to which each is asked for alone.
MANY = 4
#: Seconds within which a session that is used again must answer; otherwise another is opened.
PROBE = 2.0

#: The login may not look, which says nothing of the port.
_FORBIDDEN = re.compile(r"authori[sz]|permission|privilege", re.IGNORECASE)

_LINE = r"^[^\x00-\x1f\x7f]{1,255}$(?!\n)"
_FILE = r"^/[^\x00-\x1f\x7f]{1,254}$(?!\n)"


class Generic(base.SwitchDriver):
    """A switch with a command line over SSH, of any device type of networking-generic-switch."""

    capabilities = frozenset({base.READ, base.ADMIN_STATE, base.TAGGED, base.TAGGED_ONLY, base.LAG})
    port_name_pattern = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]{0,62}")
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "device_type": {
                "type": "string",
                "enum": sorted(dialects.DIALECTS),
                "refused": ngs.REFUSED,
                "description": "see the drivers' table",
            },
            "host": {
                "type": "string",
                "pattern": r"^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$(?!\n)",
                "description": "name or address of the switch",
            },
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 22},
            "username": {"type": "string", "pattern": _LINE},
            "password": {"type": "string", "pattern": _LINE, "writeOnly": True},
            "enable_password": {
                "type": "string",
                "pattern": _LINE,
                "writeOnly": True,
                "description": "if one is asked",
            },
            "key_file": {"type": "string", "pattern": _FILE, "description": "an SSH key on the conductor"},
            "key_passphrase": {"type": "string", "pattern": _LINE, "writeOnly": True},
            "host_keys": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^SHA256:[A-Za-z0-9+/]{43}$(?!\n)"},
                "minItems": 1,
                "maxItems": 8,
                "description": "fingerprints of the switch's SSH host keys, as ssh-keygen -l prints them",
            },
            "known_hosts": {"type": "string", "pattern": _FILE, "description": "such a file on the conductor"},
            "parking_vlan": {
                "type": "integer",
                "minimum": 1,
                "maximum": 4094,
                "description": "a VLAN that nothing else uses, for freed ports of a type that cannot close one",
            },
            "manage_vlans": {"type": "boolean", "default": True, "description": "make the VLANs that ports need"},
            "save": {"type": "boolean", "default": True, "description": "keep changes over a restart of the switch"},
            "delay_factor": {
                "type": "number",
                "minimum": 0.01,
                "maximum": 10,
                "default": 1,
                "description": "more than 1 for a switch that is slow to log in",
            },
        },
        "required": ["device_type", "host", "username"],
        "additionalProperties": False,
        "allOf": [
            {"anyOf": [{"required": ["password"]}, {"required": ["key_file"]}]},
            {"anyOf": [{"required": ["host_keys"]}, {"required": ["known_hosts"]}]},
            {
                "if": {"properties": {"device_type": {"enum": sorted(dialects.PARKING)}}},
                "then": {"required": ["parking_vlan"]},
            },
        ],
    }
    harmless_options = frozenset({"username", "parking_vlan", "manage_vlans", "save", "delay_factor"})

    def __init__(self, options: Options, environment: base.Environment) -> None:
        super().__init__(options, environment)
        self._dialect = dialects.DIALECTS[options["device_type"]]
        self._session: Session | None = None

    @classmethod
    def capabilities_of(cls, options: Options) -> frozenset[str]:
        """Those of the device type; a device type that is only templates has none."""
        return dialects.DIALECTS[options["device_type"]].capabilities

    @classmethod
    def identity(cls, options: Options) -> str | None:
        """The address of its command line."""
        return f"ssh {str(options['host']).lower()}:{options.get('port', 22)}"[:255]

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        """See the base class. A port that is missing stops the batch before anything is changed, if it can be read.

        Ports are closed before others are opened. An error ends the batch: the lines before it stay done.
        """
        if not ports:
            return
        for port in ports:
            self._check(port)
        templates = self._templates()
        self._call(lambda session: self._configure(session, templates, ports))

    def _configure(self, session: Session, templates: ngs.Templates, ports: Mapping[str, base.PortConfig]) -> None:
        seen = self._look(session, ports) if base.READ in self.capabilities else {}
        if missing := sorted(port for port, found in seen.items() if found is None):
            raise base.DriverError(
                "The switch has no such port.", f"switch {self.environment.name} has no port {', '.join(missing)}"
            )
        lines = self._vlans(templates, ports)
        for port in sorted(ports, key=lambda name: (ports[name].enabled, name)):
            lines += self._dialect.lines(templates, port, ports[port], seen.get(port), self.options.get("parking_vlan"))
        dialect = self._dialect
        session.configure([*lines, *dialect.commit], dialect.enter, dialect.discard)

    def _vlans(self, templates: ngs.Templates, ports: Mapping[str, base.PortConfig]) -> list[str]:
        if not self.options.get("manage_vlans", True):
            return []
        wanted = {vlan for config in ports.values() for vlan in config.tagged}
        wanted |= {config.native for config in ports.values() if config.native is not None}
        if self._dialect.parks_in_vlan and not all(config.enabled for config in ports.values()):
            wanted.add(self.options["parking_vlan"])
        return self._dialect.create(templates, wanted)

    def read(self, ports: Collection[str]) -> Mapping[str, base.PortState | None]:
        """See the base class."""
        if base.READ not in self.capabilities:
            return super().read(ports)
        for port in ports:
            self._check(port)

        def look(session: Session) -> Mapping[str, base.PortState | None]:
            found = self._look(session, ports)
            return {
                port: seen.state if seen is not None and seen.group is None else None for port, seen in found.items()
            }

        return self._call(look)

    def _look(self, session: Session, ports: Collection[str]) -> dict[str, dialects.Seen | None]:
        """What ports are. Many are looked up in the whole configuration, which is quicker than to ask for each."""
        whole = dialects.sections(session.ask(self._dialect.whole)) if len(ports) > MANY else {}
        found = {}
        for port in ports:
            seen = self._dialect.parse(whole[port]) if port in whole else None
            found[port] = seen or self._look_at(session, port)  # a short name is not in the configuration
        return found

    def _look_at(self, session: Session, port: str) -> dialects.Seen | None:
        line = self._dialect.show(port)
        answer = session.ask(line)
        # Not before: a description may have any words.
        if (seen := self._dialect.parse(answer)) is not None:
            return seen
        try:
            session.check(line, answer)
        except base.DriverError as error:
            if error.transient or _FORBIDDEN.search(error.operator):
                raise
        return None  # the answer to a name that the switch does not know

    def save(self) -> None:
        """See the base class. Nothing is done if the option `save` is off."""
        if self.options.get("save", True):
            template = self._templates().lines.get("SAVE_CONFIGURATION", ())
            # What is committed is saved with it; to commit now would commit what somebody else has half done.
            lines = [line for line in template if line not in self._dialect.commit]
            self._call(lambda session: session.save(lines))

    def close(self) -> None:
        """See the base class. A call that is under way fails."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _check(self, port: str) -> None:
        """What is in a line must not be able to end it, or to mean something else in it."""
        self.check_port_name(port)
        if self._dialect.port_name.fullmatch(port) is None:
            raise base.DriverError(
                "The switch has no such port.", f"{port!r} is no port of {self.options['device_type']}"
            )

    def _templates(self) -> ngs.Templates:
        try:
            return ngs.load()[self.options["device_type"]]
        except KeyError:
            raise base.DriverError(
                "The switch cannot be managed by this conductor.",
                f"the networking-generic-switch that is installed has no {self.options['device_type']}",
            ) from None

    def _call(self, work: Callable[[Session], T]) -> T:
        end = time.monotonic() + self.environment.timeout
        session = self._session
        if session is not None and (time.monotonic() - session.used > IDLE or not session.answers(PROBE)):
            self.close()
            session = None
        if session is None:
            templates = self._templates()
            session = Session(self.options, templates.platform, templates.errors, end - time.monotonic())
        self._session = session
        try:
            session.allow(max(0.01, end - time.monotonic()))
            return work(session)
        except BaseException:
            self.close()  # it may be in any mode
            raise
