# SPDX-License-Identifier: Apache-2.0
"""A private libvirt daemon, and a machine of it: qemu, without KVM, with a boot sector for a system."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import fixtures

from tests import bmc

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
mkdir /run/lock
{program} -f {directory}/libvirtd.conf -p {directory}/pid
exit  # the shell stays, as the process that buries machines which libvirtd has let go
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


def missing() -> str | None:
    """Why it cannot be run here; None if it can."""
    if libvirt is None:
        return "libvirt-python is not installed"
    for program in ("libvirtd", "qemu-system-x86_64", "unshare"):
        if bmc.find_program(program) is None:
            return f"{program} is not installed"
    if os.geteuid():
        return "not root"
    if subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, check=False).returncode:
        return "no mount and process namespaces"
    return None


class Libvirtd(fixtures.Fixture):
    """The daemon. The first start on a machine takes ten seconds, in which it looks at its qemu; the next ones 0.3.

    :ivar uri: where it is
    """

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
        script = SCRIPT.format(directory=self.directory, program=bmc.find_program("libvirtd"))
        log = self.directory / "libvirtd.log"
        self.process = bmc.start(self, [*UNSHARE, "sh", "-c", script], log)
        self.uri = f"qemu:///system?socket={self.directory}/run/libvirt-sock"
        bmc.wait_for("libvirtd", log, self._answers)

    def _answers(self) -> bool:
        try:
            libvirt.open(self.uri).close()
        except libvirt.libvirtError:
            return False
        return True


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
        if self._serial is not None:
            self._serial.close()
        with contextlib.suppress(libvirt.libvirtError):
            self.domain.destroy()
        self.domain.undefine()

    @property
    def options(self) -> dict[str, Any]:
        """Options of the driver."""
        return {"uri": self._daemon.uri, "domain": self.name}

    def write_console(self, text: str) -> None:
        """Let the machine write to its serial port; it must be on."""
        if self._serial is None:
            self._serial = socket.socket(socket.AF_UNIX)
            self._serial.connect(str(self._directory / "serial"))
        self._serial.sendall(text.encode())
