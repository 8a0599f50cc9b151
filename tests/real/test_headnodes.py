# SPDX-License-Identifier: Apache-2.0
"""A headnode of a real libvirt and machines on one Open vSwitch: who is on one network is reached, and nobody else.

The guest is the boot program of its network card: it asks for an address, and is given one by a machine on its network.
"""

from __future__ import annotations

import contextlib
import ipaddress
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import testtools

from tests import libvirtd, openvswitch, service
from tests.functional.racks import until
from tests.real.service_openvswitch import add_machine, register

#: The guest's boot program.
ROM = "/usr/lib/ipxe/qemu/pxe-virtio.rom"
MISSING = openvswitch.missing() or libvirtd.missing() or (None if Path(ROM).exists() else "ipxe-qemu is not installed")

GUEST = "10.77.0.200"
#: Of what the machines hear from a guest: bootstrap requests, RFC 2131, 2.
COOKIE = bytes([99, 130, 83, 99])


def bootp(frame: bytes, mac: bytes) -> bytes | None:
    """The bootstrap message in a frame of this guest's, None if there is none."""
    place = frame.find(COOKIE)
    if frame[6:12] != mac or place < 236:
        return None
    return frame[place - 236 :]


def option(message: bytes, wanted: int) -> bytes:
    """An option of a bootstrap message: RFC 2132, 2."""
    place = 240
    while place < len(message) and message[place] != 255:
        if message[place] == 0:
            place += 1
            continue
        if message[place] == wanted:
            return message[place + 2 : place + 2 + message[place + 1]]
        place += 2 + message[place + 1]
    return b""


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def reply(request: bytes, server: openvswitch.Host, kind: int) -> bytes:
    """The frame that answers a bootstrap request: an offer (2) or an acknowledgement (5)."""
    me = ipaddress.ip_address(server.address).packed
    guest = ipaddress.ip_address(GUEST).packed
    options = COOKIE + bytes([53, 1, kind, 54, 4, *me, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 255])
    head = bytes([2, 1, 6, 0]) + request[4:8] + bytes(8) + guest + me + bytes(4) + request[28:44] + bytes(192)
    udp = struct.pack("!HHHH", 67, 68, 8 + len(head + options), 0) + head + options
    address = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, me, bytes([255] * 4))
    address = address[:10] + struct.pack("!H", checksum(address)) + address[12:]
    return request[28:34] + server.mac + b"\x08\x00" + address + udp


class Listener(threading.Thread):
    """A machine that hears a guest, and gives it an address if it is to.

    :ivar heard: whether any bootstrap message of the guest arrived
    :ivar taken: whether the guest took what it was offered, which it can only if frames pass in both directions
    """

    def __init__(self, host: openvswitch.Host, mac: str, *, serves: bool) -> None:
        super().__init__(daemon=True)
        self._host = host
        self._mac = bytes.fromhex(mac.replace(":", ""))
        self._serves = serves
        self._end = threading.Event()
        self.heard = self.taken = False
        self.start()

    def _frames(self) -> Iterator[bytes]:
        while not self._end.is_set():
            try:
                yield self._host._socket.recv(2048)
            except BlockingIOError:
                time.sleep(0.005)

    def run(self) -> None:
        for frame in self._frames():
            message = bootp(frame, self._mac)
            if message is None:
                continue
            self.heard = True
            kind = option(message, 53)
            if self._serves and kind in (b"\x01", b"\x03"):
                self._host._socket.send(reply(message, self._host, 2 if kind == b"\x01" else 5))
                self.taken = self.taken or kind == b"\x03"

    def stop(self) -> None:
        self._end.set()
        self.join()


class TestHeadnode(testtools.TestCase):
    """Three machines of red and its headnode on one network, and one of blue on another."""

    def setUp(self) -> None:
        super().setUp()
        if MISSING:
            self.skipTest(MISSING)
        self.switch = self.useFixture(openvswitch.OpenVSwitch())
        self.daemon = self.useFixture(libvirtd.Libvirtd(self.switch))
        self.image = self.daemon.add_pool("disks")
        self.site = self.useFixture(
            service.Embedded(
                {
                    **service.REAL_DEVICES,
                    ("headnode", "driver"): "libvirt",
                    ("headnode", "driver_options"): {"uri": self.daemon.uri, "pool": "disks"},
                    ("headnode", "images"): [f"base:{self.image}:64:1"],
                    ("headnode", "bridges"): {"default": self.switch.bridge},
                    ("conductor", "power_sync_interval"): 0.1,
                }
            )
        )
        self.admin = self.site.admin
        register(self.admin, self.switch)
        self.hosts = [self.useFixture(openvswitch.Host(self.switch, number)) for number in range(1, 5)]
        for project, numbers in (("red", (0, 1, 2)), ("blue", (3,))):
            self.admin.add_project(project)
            api = self.admin.as_user(f"{project}-member")
            api.post("networks", {"name": f"{project}-net"})
            for number in numbers:
                add_machine(self.admin, f"n{number}", self.hosts[number].port)
                api.put(f"nodes/n{number}/project", {})
                api.attach(f"n{number}", f"{project}-net")
        self.red = self.admin.as_user("red-member")

    def ports(self) -> dict[str, str]:
        """The ports of virtual machines, with their tags."""
        found = [name for name in self.switch.vsctl("list-ports", self.switch.bridge).split() if name.startswith("hn")]
        return {name: self.switch.get_port(name)["tag"] for name in found}

    def disks(self) -> list[str]:
        return [path.name for path in self.image.parent.iterdir() if path != self.image]

    def power(self, target: str, state: str = "done") -> Any:
        return self.red.wait(self.red.put("headnodes/head/power", {"target": target}, 202), state, 90)

    def test_headnode(self) -> None:
        self.red.post("headnodes", {"name": "head", "image": "base"})
        mac = self.red.post("headnodes/head/hnics", {"name": "eth0"})["mac"]
        self.red.put("headnodes/head/hnics/eth0/network", {"network": "red-net"})
        vlan = self.red.get("networks/red-net")["segment_id"]
        listeners = [Listener(host, mac, serves=number == 0) for number, host in enumerate(self.hosts)]
        self.power("on")
        self.assertEqual({"hn" + mac.replace(":", ""): vlan}, self.ports())
        self.assertEqual([f"headnode-{self.red.get('headnodes/head')['uuid']}.qcow2"], self.disks())
        end = time.monotonic() + 90
        while not (listeners[0].taken and all(listener.heard for listener in listeners[:3])):
            self.assertLess(time.monotonic(), end, [(listener.heard, listener.taken) for listener in listeners])
            time.sleep(0.05)
        for listener in listeners:
            listener.stop()
        self.assertFalse(listeners[3].heard)
        # Nor is anybody else's machine there: its own network reaches neither the headnode nor red's machines.
        self.assertEqual([set()] * 3, openvswitch.passing(self.hosts[3], [(1, b"")], self.hosts[:3]))
        self.assertTrue(self.admin.get("networks/red-net/isolation")["isolated"])
        self.red.call("DELETE", "networks/red-net", status=409)
        self.power("off")
        self.assertEqual({}, self.ports())
        self.power("on")
        self.red.wait(self.red.delete("headnodes/head", 202), timeout=90)
        self.assertEqual(({}, []), (self.ports(), self.disks()))

    def test_changed_on_its_host(self) -> None:
        """A guest goes off, is started, and is taken away, all without the service."""
        uuid = self.red.post("headnodes", {"name": "head", "image": "base"})["uuid"]
        self.power("on")
        with contextlib.closing(libvirtd.libvirt.open(self.daemon.uri)) as connection:
            domain = connection.lookupByUUIDString(uuid)
            domain.destroy()
            self.until("stopped")
            self.assertIsNone(self.red.get("headnodes/head")["vnc"])
            domain.create()
            self.until("active")
            self.assertIsNotNone(self.red.get("headnodes/head")["vnc"])
            domain.destroy()
            self.until("stopped")
            self.power("on")
            domain.destroy()
            domain.undefine()
        (self.image.parent / f"headnode-{uuid}.qcow2").unlink()
        self.until("error")
        self.red.wait(self.red.delete("headnodes/head", 202), timeout=90)

    def until(self, status: str) -> None:
        """The rounds find it so."""
        until(lambda: self.red.get("headnodes/head")["status"] == status, 90)

    def test_libvirt_dies(self) -> None:
        """In the middle, with all its machines. A start is tried again until it is back; a deletion leaves nothing."""
        self.site.conf.set_override("max_attempts", 100, group="conductor")
        self.site.conf.set_override("max_retry_delay", 2.0, group="conductor")  # minutes for all of them
        self.red.post("headnodes", {"name": "head", "image": "base"})
        self.red.post("headnodes/head/hnics", {"name": "eth0"})
        self.red.put("headnodes/head/hnics/eth0/network", {"network": "red-net"})
        for begin in (
            lambda: self.red.put("headnodes/head/power", {"target": "on"}, 202),
            lambda: self.red.delete("headnodes/head", 202),
        ):
            self.daemon.crash()
            begun = begin()
            time.sleep(0.3)
            self.assertEqual(
                "pending", self.red.get(f"operations/{begun['uuid']}")["state"].replace("running", "pending")
            )
            self.daemon.start()
            self.red.wait(begun, timeout=90)
        self.assertEqual(({}, []), (self.ports(), self.disks()))
        self.red.call("GET", "headnodes/head", status=404)
