# SPDX-License-Identifier: Apache-2.0
"""The rack: a switch and six machines. A real Open vSwitch and real frames, or the service's pretend switch.

Open vSwitch runs with its userspace datapath, so that no kernel module is needed; root is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from demo.house import Failed, House, run
from mogan_hil.common import channels
from mogan_hil.drivers.switch import base, fake

BRIDGE = "rack1"
MACHINES = tuple(f"n{number}" for number in range(1, 7))
PORTS = {machine: f"p{machine[1:]}" for machine in MACHINES}
Pairs = set[tuple[str, str]]
EVERYBODY: Pairs = {(a, b) for a in MACHINES for b in MACHINES if a != b}

PROGRAMS = {
    "ovs-vswitchd": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "ovs-vsctl": "openvswitch-switch",
    "ip": "iproute2",
    "ping": "iputils-ping",
    "ethtool": "ethtool",
}
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Rack(Protocol):
    """What the story needs of a rack."""

    #: What it is made of, for people
    title: str
    #: How one sees who reaches whom
    proof: str

    def switch(self) -> dict[str, Any]:
        """The switch, as the inventory has it."""
        ...

    def reach(self, expected: Pairs) -> Pairs:
        """Which machines reach which, tried now.

        :param expected: those that should; they are given more time
        """
        ...

    def show(self, machine: str) -> str:
        """What the switch has on a machine's port, in its own words."""
        ...

    def tamper(self, machine: str, vlan: int) -> str:
        """Put a machine's port into a VLAN by hand. Returns how that is done."""
        ...


def missing() -> str | None:
    """Why there can be no real rack; None if there can."""
    if os.geteuid():
        return "this is not root"
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if probe.returncode:
        return "no network namespaces can be made here"
    packages = sorted({package for name, package in PROGRAMS.items() if shutil.which(name) is None})
    if not packages:
        return None
    if shutil.which("apt-get") is None:
        return f"{', '.join(packages)} are not installed"
    print(f"Installing {', '.join(packages)} (once) ...", flush=True)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for arguments in (["update"], ["-y", "--no-install-recommends", "install", *packages]):
        command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments]
        subprocess.run(command, env=environment, capture_output=True, check=False)
    left = sorted(name for name in PROGRAMS if shutil.which(name) is None)
    return f"{', '.join(left)} could not be installed" if left else None


class OpenVSwitchRack:
    """An Open vSwitch of its own, and a network namespace for each machine.

    ovs-vswitchd has a namespace too: its userspace datapath makes a device `ovs-netdev`, which can be there only once.

    :raises Failed: it cannot be set up
    """

    proof = "ping between the machines"

    def __init__(self, house: House, machines: Collection[str] = MACHINES) -> None:
        self._house = house
        self.endpoint = f"unix:{house.path}/db.sock"
        version = run("ovs-vswitchd", "--version").splitlines()[0].rpartition(" ")[2]
        self.title = f"Open vSwitch {version}, real frames"
        self._start()
        self._namespaces = {machine: self._namespace("sleep", "infinity") for machine in machines}
        for machine in machines:
            self._cable(machine)
        ports = [word for machine in machines for word in ("--", "add-port", BRIDGE, PORTS[machine])]
        self.vsctl("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev", *ports)

    def _start(self) -> None:
        directory = str(self._house.path)
        here = dict.fromkeys(("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR"), directory)
        run("ovsdb-tool", "create", f"{directory}/conf.db", SCHEMA)
        files = [f"--unixctl={directory}/ovsdb.ctl", f"--pidfile={directory}/ovsdb.pid", "-vconsole:warn"]
        remote = f"--remote=punix:{directory}/db.sock"
        self._house.start("ovsdb-server", f"{directory}/conf.db", remote, *files, log="ovs.log", **here)
        end = time.monotonic() + 10
        while not (self._house.path / "db.sock").exists():
            if time.monotonic() > end:
                raise Failed(f"ovsdb-server does not start: {self._house.log('ovs.log')}")
            time.sleep(0.01)
        self.vsctl("--no-wait", "init")
        files = [f"--unixctl={directory}/vswitchd.ctl", f"--pidfile={directory}/vswitchd.pid", "-vconsole:warn"]
        self._switch = self._namespace("ovs-vswitchd", self.endpoint, *files, **here)

    def _namespace(self, *command: str, **extra: str) -> str:
        """Start a command in a new network namespace. Returns its process id."""
        pid = str(self._house.start("unshare", "--net", "--", *command, log="ovs.log", **extra).pid)
        end = time.monotonic() + 5
        while os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            if time.monotonic() > end:
                raise Failed("unshare makes no network namespace")
            time.sleep(0.005)
        return pid

    def _cable(self, machine: str) -> None:
        number, port, pid = int(machine[1:]), PORTS[machine], self._namespaces[machine]
        switch_side = f"ip link add {port} type veth peer name eth0 netns {pid} && ip link set {port} up"
        # The userspace datapath forwards what it gets: a checksum that the card was to fill in would stay empty.
        machine_side = (
            "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; "
            f"ip link set eth0 address 02:00:00:00:00:{number:02x} up && ip addr add {address(machine)}/24 dev eth0 "
            "&& ethtool -K eth0 tx off >/dev/null"
        )
        run("nsenter", "-t", self._switch, "-n", "sh", "-c", switch_side)
        run("nsenter", "-t", pid, "-n", "sh", "-c", machine_side)

    def vsctl(self, *arguments: str) -> str:
        """Run ovs-vsctl, which waits until the switch has applied the change."""
        return run("ovs-vsctl", "--timeout=10", f"--db={self.endpoint}", *arguments)

    def switch(self) -> dict[str, Any]:
        return {"driver": "openvswitch", "options": {"endpoint": self.endpoint, "bridge": BRIDGE}}

    def reach(self, expected: Pairs) -> Pairs:
        tries = {pair: self._ping(*pair, seconds=5 if pair in expected else 1) for pair in sorted(EVERYBODY)}
        return {pair for pair, ping in tries.items() if ping.wait() == 0}

    def _ping(self, machine: str, other: str, seconds: int) -> subprocess.Popen[bytes]:
        # What ARP learnt before is forgotten first; ping ends with the first answer, or after all the seconds.
        command = f"ip neigh flush dev eth0; exec ping -nq -c1 -i0.2 -w{seconds} {address(other)}"
        return self._house.start("nsenter", "-t", self._namespaces[machine], "-n", "sh", "-c", command, log="ping.log")

    def show(self, machine: str) -> str:
        port = PORTS[machine]
        mode, tag, trunks = self.vsctl("get", "port", port, "vlan_mode", "tag", "trunks").split("\n")[:3]
        return f"{port}: vlan_mode={mode} tag={tag} trunks={trunks}".replace("=[]", "=none")

    def tamper(self, machine: str, vlan: int) -> str:
        command = ("set", "port", PORTS[machine], f"tag={vlan}")
        self.vsctl(*command)
        return f"$ ovs-vsctl {' '.join(command)}"


def address(machine: str) -> str:
    """The address of a machine."""
    return f"10.77.0.{machine[1:]}"


class PretendRack:
    """The service's `fake` switch. No frame is sent: who reaches whom is worked out from the states of the ports.

    :param state_dir: the service's
    """

    title = "a pretend switch, no frames"
    proof = "worked out from the ports of the pretend switch"

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self.uuid = ""

    def switch(self) -> dict[str, Any]:
        return {"driver": "fake", "options": {}}

    def _states(self) -> Mapping[str, base.PortState]:
        return {machine: fake.by_hand(self._state_dir, self.uuid, PORTS[machine]) for machine in MACHINES}

    def reach(self, expected: Pairs) -> Pairs:
        states = {name: state.native for name, state in self._states().items() if state.enabled}
        return {(a, b) for a, b in EVERYBODY if a in states and states[a] is not None and states[a] == states.get(b)}

    def show(self, machine: str) -> str:
        state = self._states()[machine]
        tagged = f" tagged={channels.ranges(state.tagged)}" if state.enabled and state.tagged else ""
        return f"{PORTS[machine]}: " + (f"native={state.native}{tagged}" if state.enabled else "closed")

    def tamper(self, machine: str, vlan: int) -> str:
        fake.set_by_hand(self._state_dir, self.uuid, PORTS[machine], base.PortState(native=vlan))
        return f"(the pretend switch's port {PORTS[machine]} is put into VLAN {vlan} by hand)"
