# SPDX-License-Identifier: Apache-2.0
"""A private Open vSwitch, and hosts on it: network namespaces that send and count raw frames.

Open vSwitch runs with its userspace datapath, so no kernel module is needed; root is, and network namespaces.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import fixtures

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"

_numbers = itertools.count()


def unique(suffix: str = "") -> str:
    """A name for a device or a namespace that no other process has; at most 14 characters, of 15 that Linux takes.

    :param suffix: at most two characters
    """
    return f"m{os.getpid():06x}{next(_numbers):x}{suffix}"  # a process has less than 65536 of them


def run(*command: str) -> str:
    """Run a command and return what it printed.

    :raises RuntimeError: it failed
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def missing() -> str | None:
    """Why Open vSwitch cannot be run here; None if it can."""
    for program in ("ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ip", "ethtool"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if os.geteuid():
        return "not root"
    name = unique("x")
    try:
        run("ip", "netns", "add", name)
        run("ip", "netns", "del", name)
    except RuntimeError as error:
        return f"no network namespaces: {error}"
    return None


class OpenVSwitch(fixtures.Fixture):
    """An OVSDB server and ovs-vswitchd in a directory of their own, with one bridge.

    ovs-vswitchd has a network namespace of its own too: the userspace datapath makes a device `ovs-netdev`, so that a
    second one on the same machine would pass no frame.

    :ivar endpoint: where the server listens
    :ivar bridge: the bridge's name
    :ivar namespace: where the ports are
    """

    def _setUp(self) -> None:
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        self.socket = self.directory / "db.sock"
        self.endpoint = f"unix:{self.socket}"
        self.bridge = unique("br")
        self.remotes: list[str] = []
        self.namespace = unique("s")
        run("ip", "netns", "add", self.namespace)
        self.addCleanup(run, "ip", "netns", "del", self.namespace)  # takes the ports with it
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.addCleanup(self._stop_all)
        run("ovsdb-tool", "create", f"{self.directory}/conf.db", SCHEMA)
        self.start_server()
        self.vsctl("--no-wait", "init")
        self._start("ovs-vswitchd", self.endpoint, within=("ip", "netns", "exec", self.namespace))
        self.vsctl("add-br", self.bridge, "--", "set", "bridge", self.bridge, "datapath_type=netdev")

    def _start(self, program: str, *arguments: str, within: tuple[str, ...] = ()) -> None:
        environment = dict(
            os.environ, OVS_RUNDIR=str(self.directory), OVS_DBDIR=str(self.directory), OVS_LOGDIR=str(self.directory)
        )
        with (self.directory / f"{program}.log").open("ab") as log:
            self._processes[program] = subprocess.Popen(
                [
                    *within,
                    program,
                    *arguments,
                    f"--pidfile={self.directory}/{program}.pid",
                    f"--unixctl={self.directory}/{program}.ctl",
                    "-vconsole:warn",
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start_server(self) -> None:
        """Start the OVSDB server and wait until it listens."""
        self.socket.unlink(missing_ok=True)
        self._start("ovsdb-server", f"{self.directory}/conf.db", f"--remote=punix:{self.socket}", *self.remotes)
        end = time.monotonic() + 90
        while not self._listens():
            if time.monotonic() > end:
                raise RuntimeError("ovsdb-server does not start: " + self.log("ovsdb-server"))
            time.sleep(0.005)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(self.socket))
            return True
        return False

    def log(self, program: str) -> str:
        """What a program has written."""
        return (self.directory / f"{program}.log").read_text(errors="replace")

    def stop(self, program: str) -> None:
        """End a program, for good."""
        process = self._processes.pop(program)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _stop_all(self) -> None:
        for program in reversed(list(self._processes)):
            self.stop(program)

    @contextlib.contextmanager
    def hung(self, program: str) -> Iterator[None]:
        """A program that is there and does nothing, as after SIGSTOP."""
        process = self._processes[program]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def vsctl(self, *arguments: str) -> str:
        """Run ovs-vsctl, which waits until ovs-vswitchd has applied the change."""
        return run("ovs-vsctl", "--timeout=90", f"--db={self.endpoint}", *arguments)

    def forward_all(self) -> None:
        """Wait until the datapath has forwarded every frame that was sent to it."""
        waiting = Path(f"/proc/{self._processes['ovs-vswitchd'].pid}/net/packet")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            # It has read what the kernel keeps for it (Rmem), and has gone on to the next thing after that.
            if not any(int(line.split()[6]) for line in waiting.read_text().splitlines()[1:]):
                self._ask_vswitchd("version")
                return
            time.sleep(0.002)

    def forget(self) -> None:
        """Have the datapath forget what it decided, as it does by itself some time after each change."""
        self._ask_vswitchd("revalidator/purge")

    def revalidate(self) -> None:
        """Wait until the datapath has taken back what it decided before the last change. It is slow with thousands."""
        for _ in range(2):  # a look at all of it may have begun before the change
            self._ask_vswitchd("revalidator/wait")

    def _ask_vswitchd(self, method: str) -> None:
        """A round of its main loop, which forwards and answers in turn. The protocol: ovs-appctl(8)."""
        with socket.socket(socket.AF_UNIX) as ctl:
            ctl.settimeout(90)
            ctl.connect(str(self.directory / "ovs-vswitchd.ctl"))
            ctl.sendall(json.dumps({"id": 0, "method": method, "params": []}).encode())
            answer = json.loads(ctl.recv(65536))
        if answer["error"] is not None:
            raise RuntimeError(f"{method}: {answer['error']}")

    def set_port(self, port: str, *settings: str) -> None:
        """Make a port so by hand: only these settings, every other VLAN setting cleared."""
        clear = itertools.chain.from_iterable(
            ("--", "clear", "port", port, column) for column in ("tag", "trunks", "vlan_mode", "cvlans")
        )
        change = ("--", "set", "port", port, *settings) if settings else ()
        self.vsctl(*itertools.islice(clear, 1, None), "--", "set", "port", port, "protected=false", *change)

    def get_port(self, port: str) -> dict[str, str]:
        """The VLAN columns of a port, as ovs-vsctl prints them."""
        return self.get_ports([port])[port]

    def get_ports(self, ports: Collection[str]) -> dict[str, dict[str, str]]:
        """The same for several ports, as they are at one moment."""
        columns = ("vlan_mode", "tag", "trunks", "cvlans", "protected", "other_config")
        found = iter(self.vsctl(*_each("get", "port", ports, *columns)).splitlines())
        return {port: {column: next(found) for column in columns} for port in ports}

    def add_dummy_port(self) -> str:
        """A port without a host behind it."""
        return self.add_dummy_ports(1)[0]

    def add_dummy_ports(self, count: int) -> list[str]:
        """Ports without hosts behind them."""
        ports = [unique("d") for _ in range(count)]
        batch = self.directory / "ports"
        batch.write_text("".join(f"link add {port} type veth peer name {port}x\n" for port in ports))
        run("ip", "-n", self.namespace, "-batch", str(batch))
        self.vsctl(*_each("add-port", self.bridge, ports))
        return ports

    def add_bond(self) -> tuple[str, str]:
        """A link aggregation group of two; its name, and that of one of its members."""
        group, members = unique("g"), [unique("d") for _ in range(2)]
        for member in members:
            run("ip", "-n", self.namespace, "link", "add", member, "type", "veth", "peer", "name", f"{member}x")
        self.vsctl("add-bond", self.bridge, group, *members)
        return group, members[0]


def _each(verb: str, what: str, ports: Collection[str], *rest: str) -> list[str]:
    """One ovs-vsctl command a port, in one transaction."""
    return [word for port in ports for word in ("--", verb, what, port, *rest)]


class Received(NamedTuple):
    """A frame of ours that arrived. `vlan` is the id in its outer tag, None without a tag."""

    number: int
    vlan: int | None


# linux/if_packet.h
_SOL_PACKET, _PACKET_AUXDATA, _PACKET_OUTGOING, _VLAN_VALID = 263, 8, 4, 1 << 4
_AUXDATA = struct.Struct("=IIIHHHH")

#: IEEE 802, Local Experimental Ethertype 1; then our mark and a number.
_PAYLOAD = struct.Struct("!H4sQ")
_MARK = b"MHIL"
BROADCAST = b"\xff" * 6


def tag(vlan: int, ethertype: int = 0x8100) -> bytes:
    """A VLAN tag, with priority 0."""
    return struct.pack("!HH", ethertype, vlan)


class Host(fixtures.Fixture):
    """A network namespace whose `eth0` is cabled to a port of the switch.

    :ivar port: the name of the port
    :param number: 1 to 254, for its MAC address and for 10.77.0.<number>
    """

    def __init__(self, switch: OpenVSwitch, number: int) -> None:
        super().__init__()
        self._switch = switch
        self.mac = bytes([2, 0, 0, 0, 0, number])
        self.address = f"10.77.0.{number}"

    def _setUp(self) -> None:
        self.namespace, self.port = unique("n"), unique("p")
        run("ip", "netns", "add", self.namespace)
        self.addCleanup(run, "ip", "netns", "del", self.namespace)
        # Of IPv6 nothing is tested, and its own frames would only disturb.
        run("ip", "netns", "exec", self.namespace, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
        run(
            "ip",
            "link",
            "add",
            self.port,
            "netns",
            self._switch.namespace,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            self.namespace,
        )
        run("ip", "-n", self._switch.namespace, "link", "set", self.port, "up")
        run("ip", "-n", self.namespace, "link", "set", "eth0", "address", self.mac.hex(":"), "up")
        run("ip", "-n", self.namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        # The userspace datapath forwards what it gets: a checksum that the card was to fill in stays empty.
        run("ip", "netns", "exec", self.namespace, "ethtool", "-K", "eth0", "tx", "off")
        self._switch.vsctl("add-port", self._switch.bridge, self.port)
        self._socket = self._raw_socket()
        self.addCleanup(self._socket.close)

    def _raw_socket(self) -> socket.socket:
        """A packet socket in the namespace. Only a thread of its own goes there; the socket can be used from here."""
        made: list[socket.socket] = []

        def make() -> None:
            with open(f"/var/run/netns/{self.namespace}", "rb") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0x40000000):  # CLONE_NEWNET
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))  # ETH_P_ALL

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        raw = made[0]
        raw.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        raw.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE: room for every frame of a test
        raw.bind(("eth0", 3))
        raw.setblocking(False)
        return raw

    def send(self, frames: Iterable[tuple[int, bytes]], to: bytes = BROADCAST) -> None:
        """Send frames, each a number that tells it from others and its VLAN tags. Paced, so that none is lost."""
        for count, (number, tags) in enumerate(frames, 1):
            frame = to + self.mac + tags + _PAYLOAD.pack(0x88B5, _MARK, number)
            self._socket.send(frame.ljust(64, b"\0"))
            if count % 64 == 0:
                time.sleep(0.003)

    def settle(self) -> None:
        """Wait until what was sent has arrived wherever it does."""
        self._switch.forward_all()
        time.sleep(0.05)  # for the kernel, which hands them over

    def received(self) -> list[Received]:
        """The frames of ours that have arrived since the last time."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, control, _flags, address = self._socket.recvmsg(2048, 256)
                at = frame.find(_MARK)
                if at < 0 or address[2] == _PACKET_OUTGOING:
                    continue
                vlan = None
                for level, kind, data in control:
                    if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
                        status, *_lengths, tci, _tpid = _AUXDATA.unpack(data[: _AUXDATA.size])
                        vlan = tci & 0xFFF if status & _VLAN_VALID else None
                found.append(Received(_PAYLOAD.unpack_from(frame, at - 2)[2], vlan))
        return found

    @contextlib.contextmanager
    def talking(self) -> Iterator[None]:
        """Sends some thousand frames a second meanwhile, each with the time of `time.monotonic_ns` for its number."""
        done = threading.Event()

        def talk() -> None:
            while not done.wait(0.0001):
                self.send([(time.monotonic_ns(), b"")])

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def wait_for_any(self, seconds: float = 30.0) -> bool:
        """Whether a frame arrives in time. It and those with it are gone after this."""
        end = time.monotonic() + seconds
        while not self.received():
            if time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    def pings(self, other: Host, tries: int = 30) -> bool:
        """Whether one of some pings is answered. What ARP learnt before is forgotten first."""
        run("ip", "-n", self.namespace, "neigh", "flush", "dev", "eth0")
        command = ("ip", "netns", "exec", self.namespace, "ping", "-q", "-c1", "-W1", other.address)
        return any(not subprocess.run(command, capture_output=True, check=False).returncode for _ in range(tries))


def passing(
    sender: Host, frames: Collection[tuple[int, bytes]], receivers: Collection[Host], to: bytes = BROADCAST
) -> list[set[int]]:
    """The numbers of the frames of `sender` that arrive at each receiver.

    Open vSwitch may lose some of many thousand frames, and a busy machine is late with them: what did not arrive
    everywhere is sent again, until that has brought nothing more twice in a row.
    """
    arrived: list[set[int]] = [set() for _ in receivers]
    for host in receivers:
        host.received()
    in_vain = 0
    for _ in range(20):
        before = sum(map(len, arrived))
        sender.send([frame for frame in frames if not all(frame[0] in numbers for numbers in arrived)], to)
        sender.settle()
        while _arriving(receivers, arrived):
            pass
        found = sum(map(len, arrived))
        in_vain = in_vain + 1 if found == before else 0
        if found == len(frames) * len(arrived) or in_vain == 2:
            break
    return arrived


def _arriving(receivers: Collection[Host], arrived: Sequence[set[int]]) -> bool:
    """Note what arrives within a tenth of a second; returns whether anything did."""
    time.sleep(0.1)
    found = [host.received() for host in receivers]
    for numbers, frames in zip(arrived, found, strict=True):
        numbers.update(frame.number for frame in frames)
    return any(found)


def every_vlan(vlans: Collection[int] = range(1, 4095)) -> list[tuple[int, bytes]]:
    """Frames for `Host.send`: untagged (number 0), priority-tagged, each VLAN (number = VLAN), and double-tagged."""
    frames = [(0, b""), (10_000, tag(0)), *((vlan, tag(vlan)) for vlan in vlans)]
    outer = [vlan for vlan in (0, 1, 10, 100, 4094) if vlan == 0 or vlan in vlans]
    double = itertools.product(outer, (0, 1, 10, 100, 4094, 4095), (0x8100, 0x88A8))
    frames += [(20_000 + number, tag(a, kind) + tag(b)) for number, (a, b, kind) in enumerate(double)]
    return frames
