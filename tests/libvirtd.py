# SPDX-License-Identifier: Apache-2.0
"""A private libvirt daemon, and a machine of it: qemu, without KVM, with a boot sector for a system."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fixtures

from tests import bmc, openvswitch

try:
    import libvirt
except ImportError:
    libvirt = None

#: Without a real systemd installation there are no users for qemu, no DBus and no cgroups to manage.
QEMU_CONF = """user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = [ ]
namespaces = [ ]
security_driver = "none"
stdio_handler = "file"
"""
#: libvirt insists that its user for qemu exists, and on its own directories: it gets them in a mount namespace.
SCRIPT = """set -e
mkdir -p /etc/libvirt /var/lib/libvirt /var/log/libvirt
mount --bind {directory}/passwd /etc/passwd
mount --bind {directory}/group /etc/group
mount --bind {directory}/etc /etc/libvirt
mount --bind {directory}/lib /var/lib/libvirt
mount --bind {directory}/log /var/log/libvirt
mount -t tmpfs tmpfs /run
mkdir /run/lock /run/openvswitch
ln -s {ovsdb} /run/openvswitch/db.sock
# The shell stays, as the process that buries machines which libvirtd has let go.
while :; do
    {program} -f {directory}/libvirtd.conf -p {directory}/pid || :
    until [ -e {directory}/again ]; do sleep 0.05; done
    rm {directory}/again
done
"""
#: The process namespace takes the machines along when the daemon ends.
UNSHARE = ("unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "--propagation", "private")
#: A boot sector that writes "NODE UP" and what comes in on the second serial port to the first one, and switches the
#: machine off when its power button is pressed (ACPI registers of QEMU's `pc`: PM1 status and enable at 0x600, control
#: at 0x604). The assembler source:
#:
#:     xor ax,ax; mov ds,ax; sti; mov dx,0x602; mov ax,0x100; out dx,ax; mov si,0x7c00+text
#:     next: lodsb; test al,al; jz loop; call put; jmp next
#:     loop: mov dx,0x2fd; in al,dx; test al,1; jz quiet; mov dx,0x2f8; in al,dx; call put; jmp loop
#:     quiet: mov dx,0x600; in ax,dx; test ah,1; jz rest; mov dx,0x604; mov ax,0x2000; out dx,ax
#:     rest: hlt; jmp loop
#:     put: push ax; full: mov dx,0x3fd; in al,dx; test al,0x20; jz full; pop ax; mov dx,0x3f8; out dx,al; ret
#:     text: db "NODE UP", 13, 10, 0
BOOT_SECTOR = bytes.fromhex(
    "31c08ed8fbba0206b80001efbe4c7cac84c07405e82600ebf6bafd02eca8017409baf802ece81500ebefba0006edf6c4017407ba0406b80020"
    "eff4ebdc50bafd03eca82074f858baf803eec34e4f44452055500d0a00"
)
#: `type='qemu'` always: that there is a /dev/kvm says nothing about whether it works.
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><features><acpi/></features><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{directory}/disk'/>
<target dev='hda' bus='ide'/></disk>
<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='hdc' bus='ide'/><readonly/></disk>
<interface type='user'><model type='e1000'/></interface>
<serial type='pty'><target port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>
<serial type='unix'><source mode='bind' path='{directory}/serial'/><target port='1'/></serial>
<video><model type='none'/></video><memballoon model='none'/></devices></domain>
"""

POOL = "<pool type='dir'><name>{name}</name><target><path>{directory}</path></target></pool>"
IMAGE = (
    "<volume><name>base.qcow2</name><capacity unit='MiB'>8</capacity><target><format type='qcow2'/></target></volume>"
)


def missing() -> str | None:
    """Why it cannot be run here; None if it can."""
    if libvirt is None:
        return "libvirt-python is not installed"
    for program in ("libvirtd", "qemu-system-x86_64", "qemu-img", "unshare"):
        if bmc.find_program(program) is None:
            return f"{program} is not installed"
    if os.geteuid():
        return "not root"
    if subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, check=False).returncode:
        return "no mount and process namespaces"
    return None


class Libvirtd(fixtures.Fixture):
    """The daemon. The first start on a machine takes some seconds, in which it looks at its qemu; the next ones 0.3.

    :param switch: whose bridge its machines may be on
    :ivar uri: where it is
    """

    def __init__(self, switch: openvswitch.OpenVSwitch | None = None) -> None:
        super().__init__()
        self._switch = switch

    def _setUp(self) -> None:
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        for name in ("etc", "lib", "log", "run"):
            (self.directory / name).mkdir()
        users, groups = "libvirt-qemu:x:64055:64055::/:/bin/false\n", "libvirt-qemu:x:64055:\nkvm:x:64056:\n"
        for name, lines in (("passwd", users), ("group", groups)):
            (self.directory / name).write_text(Path("/etc", name).read_text() + lines)
        (self.directory / "etc" / "qemu.conf").write_text(QEMU_CONF)
        (self.directory / "libvirtd.conf").write_text(
            f'listen_tls = 0\nlisten_tcp = 0\nunix_sock_dir = "{self.directory}/run"\n'
            'auth_unix_ro = "none"\nauth_unix_rw = "none"\n'
        )
        self.uri = f"qemu:///system?socket={self.directory}/run/libvirt-sock"
        self.start()

    def start(self) -> None:
        """Start it, again after :meth:`crash`."""
        within: list[str] = []
        if self._switch is not None:  # where the bridge is
            openvswitch.run("ip", "-n", self._switch.namespace, "link", "set", "lo", "up")
            within = ["nsenter", f"--net=/var/run/netns/{self._switch.namespace}"]
        ovsdb = "/nonexistent" if self._switch is None else self._switch.socket
        script = SCRIPT.format(directory=self.directory, program=bmc.find_program("libvirtd"), ovsdb=ovsdb)
        log = self.directory / "libvirtd.log"
        with open(bmc.find_program("libvirtd") or "", "rb") as program:
            fcntl.flock(program, fcntl.LOCK_EX)  # no two look at qemu at a time, and write what they found to one file
            self.process = bmc.start(self, [*within, *UNSHARE, "sh", "-c", script], log)
            bmc.wait_for("libvirtd", log, self._knows_qemu)

    def crash(self) -> None:
        """Kill it, and its machines with it, as a power cut would. They are gone when this returns."""
        (shell,) = _children(self.process.pid)
        first = os.pidfd_open(shell)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            # The first process of a namespace ends when all others have ended, with the files and ports that they hold.
            if not select.select([first], [], [], 180)[0]:
                raise RuntimeError("the machines do not end")
        finally:
            os.close(first)

    def kill(self) -> None:
        """Kill it alone: its machines live on."""
        (shell,) = _children(self.process.pid)
        (daemon,) = (child for child in _children(shell) if _program(child) == "libvirtd")
        os.kill(daemon, signal.SIGKILL)
        while _program(daemon) == "libvirtd":
            time.sleep(0.01)

    def restart(self) -> None:
        """Start it again after :meth:`kill`."""
        (self.directory / "again").touch()
        bmc.wait_for("libvirtd", self.directory / "libvirtd.log", self._answers)

    def cut_off(self, machine: str) -> None:
        """Make of a machine that runs what is left of one whose start was cut off just before it had a process.

        It is rare to hit by killing: once in about a hundred starts.
        """
        self.kill()
        for process in self._processes():
            os.kill(process, signal.SIGKILL)
        begun = "<domstatus state='paused' reason='starting up' pid='0'>\\n<job type='none' async='start'/>"
        self._in_its_place(f"s|<domstatus .*|{begun}|", machine)
        self.restart()

    @contextlib.contextmanager
    def starting(self, machine: str) -> Iterator[Callable[[], None]]:
        """Start a machine that is off, as somebody else, and hold it in the middle of that.

        Yields what lets it go on. It runs at the end of this.
        """
        with contextlib.closing(libvirt.open(self.uri)) as connection, ThreadPoolExecutor() as pool:
            domain = connection.lookupByName(machine)
            while True:
                before = self._processes()
                begun = pool.submit(domain.create)
                while not (new := self._processes() - before):  # without a pause: the moment is short
                    if begun.done():
                        begun.result()
                (process,) = new
                os.kill(process, signal.SIGSTOP)
                if domain.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP]:
                    break
                os.kill(process, signal.SIGCONT)  # too late: it ran already
                begun.result()
                domain.destroy()
            try:
                yield lambda: os.kill(process, signal.SIGCONT)
            finally:
                os.kill(process, signal.SIGCONT)
                begun.result()

    def clean_up(self, machine: str) -> None:
        """What the documents tell the administrator of a host to do then."""
        self.kill()
        self._in_its_place(None, machine)
        self.restart()

    def _in_its_place(self, script: str | None, machine: str) -> None:
        (shell,) = _children(self.process.pid)
        change = ["rm"] if script is None else ["sed", "-i", script]
        openvswitch.run("nsenter", f"--target={shell}", "--mount", *change, f"/run/libvirt/qemu/{machine}.xml")

    def machines(self) -> int:
        """How many of its machines there are, whether it knows of them or not."""
        return len(self._processes())

    def _processes(self) -> set[int]:
        (shell,) = _children(self.process.pid)
        return {child for child in _children(shell) if _program(child).startswith("qemu-system")}

    def add_pool(self, name: str) -> Path:
        """A storage pool, with a base image of eight MiB of nothing. Returns the path of the image."""
        directory = self.directory / name
        directory.mkdir()
        connection = libvirt.open(self.uri)
        try:
            pool = connection.storagePoolDefineXML(POOL.format(name=name, directory=directory))
            pool.create()
            pool.createXML(IMAGE)
        finally:
            connection.close()
        return directory / "base.qcow2"

    def _knows_qemu(self) -> bool:
        try:
            with contextlib.closing(libvirt.open(self.uri)) as connection:
                connection.getDomainCapabilities(None, "x86_64", "pc", "qemu")
        except libvirt.libvirtError:
            return False
        return True

    def _answers(self) -> bool:
        try:
            libvirt.open(self.uri).close()
        except libvirt.libvirtError:
            return False
        return True


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _program(pid: int) -> str:
    """What a process runs; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() if Path(f"/proc/{pid}/exe").exists() else ""
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Machine(fixtures.Fixture):
    """A machine that is off."""

    def __init__(self, daemon: Libvirtd, name: str = "vm-under-test") -> None:
        super().__init__()
        self._daemon = daemon
        self.name = name

    def _setUp(self) -> None:
        self._directory = Path(self.useFixture(fixtures.TempDir()).path)
        (self._directory / "disk").write_bytes(BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa" + bytes(2**20 - 512))
        self._connection = libvirt.open(self._daemon.uri)
        self.addCleanup(self._connection.close)
        self.domain = self._connection.defineXML(DOMAIN.format(name=self.name, directory=self._directory))
        self.addCleanup(self._remove)
        self._serial: socket.socket | None = None  # kept, for what the machine has not read is lost with it

    def _remove(self) -> None:
        self._drop_serial()
        with contextlib.closing(libvirt.open(self._daemon.uri)) as connection:  # the other one's daemon may be gone
            domain = connection.lookupByName(self.name)
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            domain.undefine()

    @property
    def options(self) -> dict[str, Any]:
        """Options of the driver."""
        return {"uri": self._daemon.uri, "domain": self.name}

    def write_console(self, text: str) -> None:
        """Let the machine write to its serial port.

        :raises OSError: it is off, or was since it last wrote
        """
        try:
            if self._serial is None:
                self._serial = socket.socket(socket.AF_UNIX)
                self._serial.connect(str(self._directory / "serial"))
            self._serial.sendall(text.encode())
        except OSError:
            self._drop_serial()
            raise

    def _drop_serial(self) -> None:
        if self._serial is not None:
            self._serial.close()
            self._serial = None
