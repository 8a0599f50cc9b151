# SPDX-License-Identifier: Apache-2.0
"""A virtual machine as a node, through libvirt: for laboratories, demonstrations and tests.

Without libvirt-python (the extra `libvirt`) this module cannot be imported, and the driver is left out of the list.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import libvirt

from mogan_hil.drivers import libvirt_session
from mogan_hil.drivers.base import DriverError, Environment, Options
from mogan_hil.drivers.obm import base

#: libvirt's words for boot devices, and how a device shows in the XML of a domain.
_DEVICES: Mapping[str, tuple[str, str]] = {
    "disk": ("hd", "./devices/disk[@device='disk']"),
    "cdrom": ("cdrom", "./devices/disk[@device='cdrom']"),
    "floppy": ("fd", "./devices/disk[@device='floppy']"),
    "pxe": ("network", "./devices/interface"),
}
_NAMES: Mapping[str, str] = {word: name for name, (word, _) in _DEVICES.items()}

#: Where the XML keeps the order of before a boot from another device.
_MARK = "{urn:mogan-hil:boot}once"
#: Seconds between two looks of a console whether the machine runs.
CONSOLE_INTERVAL = 0.1
#: Pieces of a console's output that wait for a reader; libvirt keeps what comes then.
CONSOLE_PIECES = 1000
#: Seconds that a machine which is being started may be without a console.
START = 5.0

ET.register_namespace("hil", "urn:mogan-hil:boot")
ET.register_namespace("qemu", "http://libvirt.org/schemas/domain/qemu/1.0")


class _Console(base.Console):
    """What the machine writes, from one start to the next. A thread listens, from the beginning and while it is off."""

    def __init__(self, driver: LibvirtObm, connection: Any) -> None:
        self._driver = driver
        self._connection = connection
        self._stream: Any = None
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._heard: queue.Queue[bytes | DriverError] = queue.Queue(CONSOLE_PIECES)
        threading.Thread(target=self._listen, name="console", daemon=True).start()

    def _open(self) -> Any:
        """The stream, opened if need be; None while the machine is off.

        :raises libvirt.libvirtError: the machine is on and its console is not to be had
        """
        with self._lock:
            if self._stream is None and not self._end.is_set():
                domain = self._driver.domain(self._connection)
                if domain.isActive():
                    stream = self._connection.newStream(0)
                    domain.openConsole(None, stream, 0)
                    self._stream = stream
            return self._stream

    def _drop(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(libvirt.libvirtError):
                stream.abort()

    def _listen(self) -> None:
        failing_since: float | None = None
        while not self._end.is_set():
            data = b""
            try:
                if stream := self._open():
                    data = self._received(stream)
                failing_since = None
            except libvirt.libvirtError as error:
                failing_since = failing_since or time.monotonic()
                if time.monotonic() - failing_since > START or not self._connection.isAlive():
                    self._put(self._driver.explain(error))
                    break
            if data:
                self._put(data)
            else:
                self._drop()
                self._end.wait(CONSOLE_INTERVAL)
        self._drop()
        with contextlib.suppress(libvirt.libvirtError):
            self._connection.close()

    def _received(self, stream: Any) -> bytes:
        """What came; nothing where the stream has ended, as it does when the machine goes off or `close` is called."""
        try:
            return bytes(stream.recv(65536))
        except libvirt.libvirtError:
            if self._end.is_set() or self._connection.isAlive():
                return b""
            raise

    def _put(self, item: bytes | DriverError) -> None:
        while not self._end.is_set():
            with contextlib.suppress(queue.Full):
                self._heard.put(item, timeout=CONSOLE_INTERVAL)
                return

    def __next__(self) -> bytes:
        while not self._end.is_set():
            with contextlib.suppress(queue.Empty):
                item = self._heard.get(timeout=CONSOLE_INTERVAL)
                if isinstance(item, DriverError):
                    raise item
                return item
        raise StopIteration

    def write(self, data: bytes) -> None:
        """See the base class. What is typed while the machine is off is thrown away."""
        while data and not self._end.is_set():
            with self._lock:
                stream = self._stream
            if stream is None:
                return
            try:
                data = data[max(0, stream.send(data)) :]
            except libvirt.libvirtError:  # it went off; that it cannot be reached, whoever reads it is told
                return

    def close(self) -> None:
        self._end.set()
        self._drop()


class LibvirtObm(base.ObmDriver):
    """A virtual machine of libvirt, with power, boot device and console (its first serial port).

    Options: `uri`, where libvirt is; `domain`, the name of the machine. A boot device for one boot is used up when this
    driver starts the machine; a machine that is started in another way, or reboots itself, boots from it again. The
    order is that of `<boot dev=...>` in the machine's XML; machines that have an order for each device are refused.
    """

    capabilities = frozenset({base.BOOT_DEVICE, base.CONSOLE, base.SOFT_OFF})
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "uri": {"type": "string", "pattern": libvirt_session.URI, "maxLength": 300},
            "domain": {"type": "string", "minLength": 1, "maxLength": 255},
        },
        "required": ["uri", "domain"],
        "additionalProperties": False,
    }

    def __init__(self, options: Options, environment: Environment) -> None:
        super().__init__(options, environment)
        self._connection: Any = None
        self._told = False  # whether a call has come so far that it may have changed something
        self._lock = threading.Lock()  # for close(), which may come while a call goes on

    # Talking to libvirt.

    def connect(self) -> Any:
        """A connection, which ends when the other end is silent for about a call's time."""
        try:
            return libvirt_session.connect(self.options["uri"], self.environment.timeout)
        except libvirt.libvirtError as error:
            raise self.explain(error, undone=True) from error

    def domain(self, connection: Any) -> Any:
        """The machine."""
        return connection.lookupByName(self.options["domain"])

    @contextlib.contextmanager
    def _domain(self) -> Iterator[Any]:
        """The machine. Every error of libvirt within is a DriverError."""
        self._told = False
        try:
            if self._connection is None or not self._connection.isAlive():
                self._connection = self.connect()
            yield self.domain(self._connection)
        except libvirt.libvirtError as error:
            raise self.explain(error, undone=not self._told) from error

    def explain(self, error: Exception, *, undone: bool = False) -> DriverError:
        """What the tenant and the operator are told."""
        code = libvirt_session.code_of(error)
        user, transient = "The node's virtual machine could not be changed.", False
        if code == libvirt.VIR_ERR_NO_DOMAIN:
            user = "The node's virtual machine does not exist."
        elif code in libvirt_session.REFUSED_LOGIN:
            user = "The node's host does not accept the login."
        elif code in libvirt_session.UNREACHABLE:
            user, transient = "The node's host does not answer, or could not do this.", True
        where = f"{self.environment.name} ({self.options['domain']} at {self.options['uri']})"
        return DriverError(user, f"{where}: {error}", transient=transient, undone=undone)

    # Power.

    def power(self) -> base.Power:
        """See the base class. A machine that is paused or has crashed, and still has its process, is on."""
        with self._domain() as domain:
            libvirt_session.wait_begun(domain, self.environment)
            return base.Power.ON if domain.isActive() else base.Power.OFF

    def set_power(self, target: base.Power) -> None:
        """See the base class. `RESET` stops and starts a machine whose boot order has changed since it was started."""
        with self._domain() as domain:
            libvirt_session.wait_begun(domain, self.environment)
            on = bool(domain.isActive())
            resets = target == base.Power.RESET and on and _order(_xml(domain, 0)) == _order(_xml(domain))
            self._told = True
            if target == base.Power.SOFT_OFF:
                if on:
                    domain.shutdown()
            elif resets:
                domain.reset(0)
            else:
                if on and target != base.Power.ON:
                    domain.destroy()
                    on = False
                if not on and target != base.Power.OFF:
                    self._start(domain)

    def _start(self, domain: Any) -> None:
        domain.create()
        root = _xml(domain)
        if (before := _once(root)) is not None:
            _set_order(root, before, once=None)
            self._define(root)

    # The boot device.

    def boot_devices(self) -> frozenset[str]:
        """See the base class. What the machine has."""
        with self._domain() as domain:
            return _devices(_xml(domain))

    def boot_device(self) -> tuple[str | None, bool]:
        with self._domain() as domain:
            root = _xml(domain)
        order = _order(root)
        return (_NAMES.get(order[0], order[0]), _once(root) is None) if order else (None, False)

    def set_boot_device(self, device: str, persistent: bool) -> None:
        with self._domain() as domain:
            root = _xml(domain)
            if device not in _devices(root):
                raise DriverError(f"The node cannot boot from {device}.")
            if root.find("./devices/*/boot") is not None:
                raise DriverError(
                    "The boot device of this node cannot be set.",
                    f"{self.environment.name}: its XML has <boot order=...> in its devices instead of <boot dev=...>",
                )
            before = _once(root) or _order(root)
            first = _DEVICES[device][0]
            order = [first, *(word for word in before if word != first)]
            _set_order(root, order, once=None if persistent else before)
            self._define(root)

    def _define(self, root: ET.Element) -> None:
        self._told = True
        self._connection.defineXML(ET.tostring(root, encoding="unicode"))

    def console(self) -> base.Console:
        """See the base class. A machine that is off is waited for; what it first writes may be missed."""
        with self._domain():
            return _Console(self, self.connect())

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(libvirt.libvirtError):
                connection.close()


def _xml(domain: Any, flags: int = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE) -> ET.Element:
    """The XML of what will be started next, complete enough to be defined again; with flags 0, of what runs."""
    return ET.fromstring(domain.XMLDesc(flags))  # noqa: S314 (libvirt wrote it)


def _devices(root: ET.Element) -> frozenset[str]:
    return frozenset(name for name, (_, path) in _DEVICES.items() if root.find(path) is not None)


def _order(root: ET.Element) -> list[str]:
    return [boot.get("dev", "") for boot in root.findall("./os/boot")]


def _once(root: ET.Element) -> list[str] | None:
    """The order to go back to, if the present one is for one boot."""
    mark = root.find(f"./metadata/{_MARK}")
    return None if mark is None else mark.get("before", "").split()


def _set_order(root: ET.Element, order: list[str], once: list[str] | None) -> None:
    system = root.find("./os")
    if system is None:
        system = ET.SubElement(root, "os")
    for boot in system.findall("boot"):
        system.remove(boot)
    system.extend(ET.Element("boot", dev=word) for word in order)
    metadata = root.find("./metadata")
    if metadata is None:
        metadata = ET.SubElement(root, "metadata")
    for mark in metadata.findall(_MARK):
        metadata.remove(mark)
    if once is not None:
        ET.SubElement(metadata, _MARK, before=" ".join(once))
