# SPDX-License-Identifier: Apache-2.0
"""Headnodes as virtual machines of a libvirt host.

Without libvirt-python (the extra `libvirt`) this module cannot be imported, and the driver is left out of the list.
"""

from __future__ import annotations

import contextlib
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import libvirt

from mogan_hil.drivers import libvirt_session
from mogan_hil.drivers.base import DriverError, Environment, Options
from mogan_hil.drivers.headnode import base

#: Also what is only there while a machine is saved, or has firmware of its own, goes with its definition.
_WHOLLY = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM

_GONE = frozenset({libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_STORAGE_VOL})


class LibvirtHeadnode(base.HeadnodeDriver):
    """A virtual machine of a libvirt host, with a disk over a base image and NICs on bridges.

    Options: `uri`, where libvirt is; `pool`, the storage pool for the disks; `domain_type`, `kvm` or, everywhere and
    slowly, `qemu`; `virtual_port`, `openvswitch` where the bridges are of Open vSwitch, so that each NIC has the
    network's VLAN as its tag, or `none` where they are Linux bridges, each of one VLAN; `vnc_listen`, the address of
    the host at which the screens are shown.
    """

    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "uri": {"type": "string", "pattern": libvirt_session.URI, "maxLength": 300},
            "pool": {"type": "string", "minLength": 1, "maxLength": 255},
            "domain_type": {"enum": ["qemu", "kvm"]},
            "virtual_port": {"enum": ["openvswitch", "none"]},
            "vnc_listen": {"type": "string", "pattern": "^[0-9A-Fa-f.:]{2,45}$"},
        },
        "required": ["pool"],
        "additionalProperties": False,
    }

    def __init__(self, options: Options, environment: Environment) -> None:
        super().__init__(options, environment)
        self._connection: Any = None

    @property
    def _disk(self) -> str:
        return f"headnode-{self.environment.uuid}.qcow2"

    @contextlib.contextmanager
    def _session(self) -> Iterator[Any]:
        """A connection. Every error of libvirt within is a DriverError."""
        try:
            if self._connection is None or not self._connection.isAlive():
                uri = self.options.get("uri", "qemu:///system")
                self._connection = libvirt_session.connect(uri, self.environment.timeout)
            yield self._connection
        except libvirt.libvirtError as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> DriverError:
        code = libvirt_session.code_of(error)
        user, transient = "The headnode's machine could not be changed.", False
        if code == libvirt.VIR_ERR_NO_DOMAIN:
            user = "The headnode's machine does not exist."
        elif code in libvirt_session.REFUSED_LOGIN:
            user = "The headnode's host does not accept the login."
        elif code in libvirt_session.UNREACHABLE:
            user, transient = "The headnode's host does not answer, or could not do this.", True
        return DriverError(user, f"{self.environment.name} ({self.environment.uuid}): {error}", transient=transient)

    def _domain(self, connection: Any) -> Any:
        """The machine; None if there is none."""
        with _nothing():
            return connection.lookupByUUIDString(self.environment.uuid)
        return None

    def _volume(self, connection: Any) -> Any:
        """The disk; None if there is none. What an interrupted call has left is seen only after a look at the pool."""
        pool = connection.storagePoolLookupByName(self.options["pool"])
        if not pool.isActive():
            with _settles(pool, True):
                pool.create()
        self._refresh(pool)
        with _nothing():
            return pool.storageVolLookupByName(self._disk)
        return None

    def _refresh(self, pool: Any) -> None:
        # libvirt refuses it, as an internal error, while a disk is being made in the pool: others' headnodes are.
        end = time.monotonic() + self.environment.timeout / 2
        while True:
            try:
                pool.refresh()
                return
            except libvirt.libvirtError as error:
                if libvirt_session.code_of(error) != libvirt.VIR_ERR_INTERNAL_ERROR or time.monotonic() > end:
                    raise
            time.sleep(libvirt_session.BUSY)

    # The contract.

    def configure(self, spec: base.VmSpec) -> None:
        with self._session() as connection:
            volume = self._volume(connection)
            if volume is None:
                pool = connection.storagePoolLookupByName(self.options["pool"])
                volume = pool.createXML(_text(_volume_xml(self._disk, spec.image)))
            connection.defineXML(_text(_domain_xml(spec, self.options, volume.path())))

    def set_power(self, on: bool) -> None:
        with self._session() as connection:
            domain = connection.lookupByUUIDString(self.environment.uuid)
            # What may have ports is started with its host: the ports of before a host's crash are known to nobody but
            # to a start, which replaces them.
            libvirt_session.wait_begun(domain, self.environment)
            if on:
                domain.setAutostart(True)
                _switch(domain, True)
            else:
                _stop(domain)
                domain.setAutostart(False)

    def keep_off(self) -> None:
        with self._session() as connection:
            domain = self._domain(connection)
            if domain is not None and not domain.isActive():
                domain.setAutostart(False)

    def remove(self) -> None:
        with self._session() as connection:
            domain = self._domain(connection)
            if domain is not None:
                with _nothing():
                    libvirt_session.wait_begun(domain, self.environment)
                    _stop(domain)
                    domain.undefineFlags(_WHOLLY)
            volume = self._volume(connection)
            if volume is not None:
                with _nothing():
                    volume.delete()

    def read(self) -> base.VmState | None:
        with self._session() as connection:
            domain = self._domain(connection)
            if domain is None:
                return None if self._volume(connection) is None else base.VmState(False)
            libvirt_session.wait_begun(domain, self.environment)
            if not domain.isActive():
                return base.VmState(False)
            screen = ET.fromstring(domain.XMLDesc()).find("./devices/graphics")  # noqa: S314 (libvirt wrote it)
            port = -1 if screen is None else int(screen.get("port", "-1"))
            if screen is None or port < 1:  # there is none, or not yet
                return base.VmState(True)
            return base.VmState(True, screen.get("listen"), port)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(libvirt.libvirtError):
                connection.close()


@contextlib.contextmanager
def _settles(thing: Any, active: bool) -> Iterator[None]:
    """It may become so by itself just when it is made so: a guest goes off, a host that starts begins what it has."""
    try:
        yield
    except libvirt.libvirtError:
        if bool(thing.isActive()) != active:
            raise


def _switch(domain: Any, on: bool) -> None:
    if bool(domain.isActive()) != on:
        with _settles(domain, on):
            domain.create() if on else domain.destroy()


def _stop(domain: Any) -> None:
    # A libvirt that dies while it starts a machine leaves the ports that it has made by then. Nobody knows of them but
    # another start, which replaces them.
    if domain.autostart() and not domain.isActive():
        with contextlib.suppress(libvirt.libvirtError):  # one that fails takes its ports away itself
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    _switch(domain, False)


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    """What is looked for may not be there."""
    try:
        yield
    except libvirt.libvirtError as error:
        if libvirt_session.code_of(error) not in _GONE:
            raise


def _text(root: ET.Element) -> str:
    return ET.tostring(root, encoding="unicode")


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child


def _volume_xml(name: str, image: str) -> ET.Element:
    """https://libvirt.org/formatstorage.html; without a capacity it is the base image's."""
    root = ET.Element("volume")
    _add(root, "name", name)
    _add(_add(root, "target"), "format", type="qcow2")
    backing = _add(root, "backingStore")
    _add(backing, "path", image)
    _add(backing, "format", type="qcow2")
    return root


def _domain_xml(spec: base.VmSpec, options: Options, disk: str) -> ET.Element:
    """https://libvirt.org/formatdomain.html"""
    root = ET.Element("domain", type=options.get("domain_type", "qemu"))
    _add(root, "name", f"headnode-{spec.uuid}")
    _add(root, "uuid", spec.uuid)
    _add(root, "title", spec.name)
    _add(root, "memory", str(spec.memory), unit="MiB")
    _add(root, "vcpu", str(spec.cpus))
    system = _add(root, "os")
    _add(system, "type", "hvm")
    for device in ("hd", "network"):  # one whose image has no system may be given one over the network
        _add(system, "boot", dev=device)
    features = _add(root, "features")
    for feature in ("acpi", "apic"):
        _add(features, feature)
    devices = _add(root, "devices")
    storage = _add(devices, "disk", type="file", device="disk")
    _add(storage, "driver", name="qemu", type="qcow2")
    _add(storage, "source", file=disk)
    _add(storage, "target", dev="vda", bus="virtio")
    for nic in spec.nics:
        _add_nic(devices, nic, options)
    _add(_add(devices, "serial", type="pty"), "target", port="0")
    listen = options.get("vnc_listen", "127.0.0.1")
    _add(devices, "graphics", type="vnc", port="-1", autoport="yes", listen=listen)
    return root


def _add_nic(devices: ET.Element, nic: base.VmNic, options: Options) -> None:
    interface = _add(devices, "interface", type="bridge")
    _add(interface, "mac", address=nic.mac)
    _add(interface, "source", bridge=nic.bridge)
    if options.get("virtual_port", "openvswitch") == "openvswitch":
        _add(interface, "virtualport", type="openvswitch")
        _add(_add(interface, "vlan"), "tag", id=nic.segment_id)
    # Called by its address, a port that a host's crash has left is known, and replaced by the next start.
    _add(interface, "target", dev="hn" + nic.mac.replace(":", ""))
    _add(interface, "model", type="virtio")
