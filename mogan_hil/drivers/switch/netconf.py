# SPDX-License-Identifier: Apache-2.0
"""Switches that speak NETCONF (RFC 6241) and OpenConfig.

Comes with the extra `netconf`. A batch is one transaction: it is edited in the candidate, validated, committed for a
while, read back, and only then confirmed. A change that the switch takes otherwise than it was meant is never
confirmed, and undone by the switch itself, as is one whose session is lost.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

from ncclient import NCClientError, manager, operations
from ncclient.transport import errors, ssh
from paramiko import hostkeys

from mogan_hil.drivers.base import Options
from mogan_hil.drivers.switch import base, openconfig

T = TypeVar("T")

#: Seconds without use after which a session is not used again.
IDLE = 30.0
#: Seconds that a change has to be confirmed in, at the least. The default of RFC 6241 (8.4) is 600.
CONFIRM = 30

#: What is worth another try (RFC 6241, appendix A).
_LATER = frozenset({"in-use", "lock-denied", "resource-denied", "too-big"})

_LINE = r"^[^\x00-\x1f\x7f]{1,255}$(?!\n)"
_FILE = r"^/[^\x00-\x1f\x7f]{1,254}$(?!\n)"


class _Session(ssh.SSHSession):
    """Knows the switch by what the options say, and by no file of the account that it runs under."""

    def __init__(self, options: Options) -> None:
        super().__init__(manager.make_device_handler({"name": "default"}))
        self._options = options

    def load_known_hosts(self, filename: str | None = None) -> None:
        """See ncclient."""
        if "known_hosts" in self._options:
            try:
                super().load_known_hosts(self._options["known_hosts"])
            except FileNotFoundError:
                return  # nobody is known then
            except hostkeys.InvalidHostKey:  # which has the line: the file may be another than it should be
                user = "The switch cannot be managed by this conductor."
                raise base.DriverError(user, base.NOT_KNOWN_HOSTS) from None

    def knows(self, _host: str, _fingerprint: str) -> bool:
        """Whether a host that is in no file has one of the keys that are registered."""
        digest = hashlib.sha256(self.transport.get_remote_server_key().asbytes()).digest()
        printed = f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
        return printed in self._options.get("host_keys", ())


class Netconf(base.SwitchDriver):
    """A switch that speaks NETCONF, with the OpenConfig models."""

    capabilities = frozenset({base.READ, base.ADMIN_STATE, base.TAGGED, base.LAG})
    port_name_pattern = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]{0,62}")
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "host": {
                "type": "string",
                "pattern": r"^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$(?!\n)",
                "description": "name or address of the switch",
            },
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 830},
            "username": {"type": "string", "pattern": _LINE},
            "password": {"type": "string", "pattern": _LINE, "writeOnly": True},
            "key_file": {"type": "string", "pattern": _FILE, "description": "an SSH key on the conductor"},
            "host_keys": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^SHA256:[A-Za-z0-9+/]{43}$(?!\n)"},
                "minItems": 1,
                "maxItems": 8,
                "description": "fingerprints of the switch's SSH host keys, as ssh-keygen -l prints them",
            },
            "known_hosts": {"type": "string", "pattern": _FILE, "description": "such a file on the conductor"},
            "network_instance": {
                "type": "string",
                "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$(?!\n)",
                "default": "default",
                "description": "where the VLANs are",
            },
            "manage_vlans": {"type": "boolean", "default": True, "description": "make the VLANs that ports need"},
        },
        "required": ["host", "username"],
        "additionalProperties": False,
        "allOf": [
            {"anyOf": [{"required": ["password"]}, {"required": ["key_file"]}]},
            {"anyOf": [{"required": ["host_keys"]}, {"required": ["known_hosts"]}]},
        ],
    }
    harmless_options = frozenset({"username", "manage_vlans"})

    def __init__(self, options: Options, environment: base.Environment) -> None:
        super().__init__(options, environment)
        self._where = f"{options['host']}:{options.get('port', 830)}"
        self._client: Any = None
        self._used = 0.0

    @classmethod
    def identity(cls, options: Options) -> str | None:
        """The address of its NETCONF server."""
        return f"netconf {str(options['host']).lower()}:{options.get('port', 830)}"[:255]

    def configure(self, ports: Mapping[str, base.PortConfig]) -> None:
        """See the base class. All ports or none: an error undoes the batch."""
        if not ports:
            return
        for port, config in ports.items():
            self.check_port_name(port)
            if config.tagged and config.native is None:
                raise base.Unsupported(
                    "This switch cannot carry tagged networks without an untagged one.",
                    f"port {port}: OpenConfig does not say what becomes of untagged frames then",
                )
        self._call(lambda client: self._transaction(client, ports))

    def _transaction(self, client: Any, ports: Mapping[str, base.PortConfig]) -> None:
        if ":candidate" not in client.server_capabilities:
            raise base.DriverError("The switch cannot be managed.", f"{self._where} has no candidate configuration")
        seen = self._look(client, ports)
        self._check(ports, seen)
        vlans = set()
        if self.options.get("manage_vlans", True):
            vlans = {vlan for config in ports.values() for vlan in (config.tagged | {config.native}) if vlan}
        change = openconfig.change(
            ((port, ports[port], seen[port].is_group) for port in sorted(ports)),
            vlans,
            self.options.get("network_instance", "default"),
        )
        client.lock("candidate")
        try:
            client.edit_config(change, target="candidate")
            if ":validate" in client.server_capabilities:
                client.validate("candidate")
            self._commit(client, ports)
        except BaseException:
            with contextlib.suppress(NCClientError):
                client.discard_changes()
            raise
        finally:
            with contextlib.suppress(NCClientError):  # the end of the session unlocks it, too
                client.unlock("candidate")

    def _check(self, ports: Mapping[str, base.PortConfig], seen: Mapping[str, openconfig.Seen]) -> None:
        if missing := sorted(set(ports) - set(seen)):
            raise base.DriverError(
                "The switch has no such port.", f"switch {self.environment.name} has no port {', '.join(missing)}"
            )
        for port in ports:
            if seen[port].group is not None:
                raise base.DriverError(
                    "The port is a member of a link aggregation group: the group is to be wired in its place.",
                    f"port {port} is in {seen[port].group}",
                )

    def _commit(self, client: Any, ports: Mapping[str, base.PortConfig]) -> None:
        """Commit, and take it back unless it is what was asked for."""
        if ":confirmed-commit" not in client.server_capabilities:
            client.commit()
            return
        client.commit(confirmed=True, timeout=str(max(CONFIRM, int(2 * self.environment.timeout))))
        seen = self._look(client, ports)
        wrong = sorted(port for port in ports if port not in seen or not seen[port].state.matches(ports[port]))
        if not wrong:
            client.commit()
            return
        with contextlib.suppress(NCClientError):
            client.cancel_commit()
        found = "; ".join(f"{port} became {seen[port].state if port in seen else 'no port'}" for port in wrong)
        raise base.DriverError(
            "The switch accepted the change, but the port is not as it was asked to be.", f"{self._where}: {found}"
        )

    @staticmethod
    def _look(client: Any, ports: Collection[str]) -> dict[str, openconfig.Seen]:
        # Configuration and state: a port that nobody configured is in the latter only, and one that somebody
        # configured and that is not there is in the former.
        data = client.get(filter=("subtree", openconfig.asking(sorted(ports)))).data
        found = openconfig.parse(data)
        return {port: found[port] for port in ports if port in found}

    def read(self, ports: Collection[str]) -> Mapping[str, base.PortState | None]:
        """See the base class. All ports in one request."""
        for port in ports:
            self.check_port_name(port)
        seen = self._call(lambda client: self._look(client, ports))
        return {port: seen[port].state if port in seen and seen[port].group is None else None for port in ports}

    def save(self) -> None:
        """See the base class: a switch with a start-up configuration of its own is told to keep it."""

        def copy(client: Any) -> None:
            if ":startup" in client.server_capabilities:
                client.copy_config(source="running", target="startup")

        self._call(copy)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.session.close()

    def _call(self, work: Callable[[Any], T]) -> T:
        end = time.monotonic() + self.environment.timeout
        if self._client is not None and (not self._client.connected or time.monotonic() - self._used > IDLE):
            self.close()
        try:
            with self._explained():
                if self._client is None:
                    self._client = self._connect()
                self._client.timeout = max(0.1, end - time.monotonic())
                return work(self._client)
        except BaseException:
            self.close()  # which also undoes what is not confirmed
            raise
        finally:
            self._used = time.monotonic()

    def _connect(self) -> Any:
        session = _Session(self.options)
        session.connect(
            self.options["host"],
            port=self.options.get("port", 830),
            timeout=self.environment.timeout,
            unknown_host_cb=session.knows,
            username=self.options["username"],
            password=self.options.get("password"),
            key_filename=self.options.get("key_file"),
            allow_agent=False,
            look_for_keys=False,
        )
        client = manager.Manager(session, session._device_handler, timeout=self.environment.timeout)
        client.raise_mode = operations.RaiseMode.ERRORS
        return client

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Make every failure of the session a `DriverError`."""
        try:
            yield
        except errors.SSHUnknownHostError as error:
            raise base.DriverError(
                "The switch is not the one that is registered.", f"{self._where} has another host key than registered"
            ) from error
        except errors.AuthenticationError as error:
            raise base.DriverError(
                "The switch refused the login.", f"{self._where} refused {self.options['username']!r}"
            ) from error
        except operations.RPCError as error:
            raise base.DriverError(
                "The switch refused the change.",
                f"{self._where}: {error.tag}: {str(error.message or error)[:500]}",
                transient=error.tag in _LATER,
            ) from error
        except (NCClientError, OSError, EOFError) as error:
            detail = str(error).strip() or type(error).__name__
            raise base.DriverError("The switch does not answer.", f"{self._where}: {detail}", transient=True) from error
