# SPDX-License-Identifier: Apache-2.0
"""Controllers of machines: real protocol stacks on the loopback address, with simulated machines behind them."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import os
import pty
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fixtures
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.bmc_programs import USER
from tests.servers.base import find_program, free_port

#: IPMI 2.0, 22.13: Get Channel Authentication Capabilities, in an RMCP packet without a session.
PROBE = bytes.fromhex("0600ff07 00 00000000 00000000 09 2018c8 8100388e04b5")

#: The types of packets of a login, one of the client and one of the controller.
RAKP_1, RAKP_2 = 0x12, 0x13


def start(
    fixture: fixtures.Fixture, command: Sequence[str], log: Path, secret: str | None = None
) -> subprocess.Popen[bytes]:
    """Run a program until the fixture is cleaned up.

    :param secret: the first line on its standard input
    """
    with log.open("ab") as output:
        # Without `setpriv` a test that is killed leaves its programs behind.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=Path(__file__).parents[1],
            process_group=0,
        )
    fixture.addCleanup(_stop, process)
    assert process.stdin is not None
    with process.stdin as stdin:
        stdin.write(f"{secret or ''}\n".encode())
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # or its number may be another process's by now
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(what: str, log: Path, ready: Any, seconds: float = 180) -> None:
    """Until `ready()` is true."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)


def _answers_ipmi(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        probe.connect(("127.0.0.1", port))
        try:
            probe.send(PROBE)
            return bool(probe.recv(1000))
        except OSError:
            return False


CHASSIS = """#!/bin/sh
# What ipmi_sim asks and orders: get and names, or set and pairs; an answer is "name:value".
cd {directory}
verb=$1; shift
while [ $# -gt 0 ]; do
    if [ $verb = get ]; then
        [ "$1" = power ] && echo "power:$(cat power)"
        [ "$1" = boot ] && echo "boot:$(cat boot)"
        shift
    else
        echo "$1 $2" >> orders
        case $1 in power|boot) echo "$2" > "$1.new"; mv "$1.new" "$1";; shutdown) echo 0 > power;; esac
        shift 2
    fi
done
"""
LAN = """name "node"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  sol "{terminal}" 115200 history=0
  chassis_control "{directory}/chassis"
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""
EMULATED = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
sol_enable 0x20
"""


class IpmiSim(fixtures.Fixture):
    """OpenIPMI's simulator, with a script for a machine and a pseudo-terminal for its serial port."""

    @staticmethod
    def missing() -> str | None:
        """Why it cannot be run here; None if it can."""
        return None if find_program("ipmi_sim") else "ipmi_sim is not installed"

    def _setUp(self) -> None:
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self._heard = b""
        self._terminal, theirs = pty.openpty()
        tty.setraw(theirs)
        self.addCleanup(os.close, self._terminal)
        self.addCleanup(os.close, theirs)
        values = {"directory": self.directory, "port": self.port, "user": USER, "password": self.password}
        chassis = self.directory / "chassis"
        chassis.write_text(CHASSIS.format(**values))
        chassis.chmod(0o755)
        for name, content in (("power", "0"), ("boot", "none"), ("orders", ""), ("emulated", EMULATED)):
            (self.directory / name).write_text(content)
        (self.directory / "lan").write_text(LAN.format(terminal=os.ttyname(theirs), **values))
        (self.directory / "state").mkdir()
        arguments = [f"-{letter}{self.directory}/{name}" for letter, name in (("c", "lan"), ("f", "emulated"))]
        command = [find_program("ipmi_sim") or "", *arguments, f"-s{self.directory}/state", "-n"]
        log = self.directory / "log"
        start(self, command, log)
        wait_for("ipmi_sim", log, lambda: _answers_ipmi(self.port))

    @property
    def options(self) -> dict[str, Any]:
        """Options of the driver."""
        return {"host": "127.0.0.1", "port": self.port, "username": USER, "password": self.password}

    @property
    def on(self) -> bool:
        """What the machine knows."""
        return (self.directory / "power").read_text().strip() == "1"

    @property
    def orders(self) -> list[str]:
        """What the machine was told."""
        return (self.directory / "orders").read_text().splitlines()

    def write_console(self, text: str) -> None:
        """The machine writes to its serial port."""
        os.write(self._terminal, text.encode())

    def heard_console(self) -> str:
        """What came out of the serial port until now."""
        while select.select([self._terminal], [], [], 0)[0]:
            self._heard += os.read(self._terminal, 65536)
        return self._heard.decode()


class BootFlagsBmc(fixtures.Fixture):
    """pyghmi's server, with the boot flags of the specification."""

    def _setUp(self) -> None:
        self.port = free_port()
        self.password = secrets.token_hex(8)
        log = Path(self.useFixture(fixtures.TempDir()).path) / "log"
        start(self, [sys.executable, "-m", "tests.bmc_programs", "ipmi", str(self.port)], log, self.password)
        wait_for("the IPMI server", log, lambda: _answers_ipmi(self.port))

    options = IpmiSim.options


class Relay(fixtures.Fixture):
    """A controller behind a bad line: passes UDP packets on after `delay` seconds, or answers each with `garbage`.

    With neither it is a black hole: packets are taken, and nothing ever comes back.
    """

    def __init__(self, port: int | None = None, *, delay: float = 0, garbage: bytes = b"") -> None:
        super().__init__()
        self._to = port
        self._delay = delay
        self._garbage = garbage

    def _setUp(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._ahead: dict[Any, socket.socket] = {}
        self._done = threading.Event()
        threading.Thread(target=self._forth, daemon=True).start()
        self.addCleanup(self._end)

    def _end(self) -> None:
        self._done.set()
        for each in (self._socket, *self._ahead.values()):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes its thread
            each.close()

    def _forth(self) -> None:
        with contextlib.suppress(OSError):
            while not self._done.is_set():
                packet, sender = self._socket.recvfrom(65536)
                if self._garbage:
                    self._socket.sendto(self._garbage, sender)
                elif self._to:
                    if sender not in self._ahead:
                        ahead = self._ahead[sender] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                        ahead.connect(("127.0.0.1", self._to))
                        threading.Thread(target=self._back, args=(ahead, sender), daemon=True).start()
                    self._later(self._ahead[sender].send, packet)

    def _back(self, ahead: socket.socket, sender: Any) -> None:
        with contextlib.suppress(OSError):
            while not self._done.is_set():
                self._later(self._socket.sendto, ahead.recv(65536), sender)

    def _later(self, function: Any, *args: Any) -> None:
        def send() -> None:
            with contextlib.suppress(OSError):
                function(*args)

        timer = threading.Timer(self._delay, send)
        timer.daemon = True
        timer.start()


class MuteRelay(Relay):
    """A line on which nothing comes back any more as soon as `mute()` says so."""

    def __init__(self, port: int, mute: Callable[[], bool]) -> None:
        super().__init__(port)
        self._mute = mute

    def _back(self, ahead: socket.socket, sender: Any) -> None:
        with contextlib.suppress(OSError):
            while not self._done.is_set():
                packet = ahead.recv(65536)
                if not self._mute():
                    self._later(self._socket.sendto, packet, sender)


class LateRelay(Relay):
    """A line on which the first answer to a login comes when another try was begun, just before the answer to that.

    The packets are told by their types: IPMI 2.0, table 13-16.
    """

    def _setUp(self) -> None:
        super()._setUp()
        self._held: tuple[Any, tuple[Any, ...]] | None = None
        self.came_late = False

    def _later(self, function: Any, *args: Any) -> None:
        packet = args[0]
        kind = packet[5] & 0x3F if packet[4] == 6 else None
        if kind == RAKP_2 and self._held is None and not self.came_late:
            self._held = function, args
            return
        if kind == RAKP_1 and self._held is not None:
            (late, arguments), self._held = self._held, None
            self.came_late = True
            late(*arguments)
        super()._later(function, *args)


class BlackHole(fixtures.Fixture):
    """A TCP port that accepts connections, and never says a word."""

    def _setUp(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)  # the kernel accepts
        self.addCleanup(self._socket.close)
        self.port = self._socket.getsockname()[1]


class Redfish(fixtures.Fixture):
    """sushy-emulator with its fake machine, over TLS."""

    def _setUp(self) -> None:
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self.authority = self.directory / "cert.pem"
        make_certificate(self.authority, self.directory / "key.pem")
        self.set_faults()
        log = self.directory / "log"
        program = [sys.executable, "-m", "tests.bmc_programs", "redfish", str(self.port), str(self.directory)]
        start(self, program, log, self.password)
        wait_for("sushy-emulator", log, self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def set_faults(self, **faults: Any) -> None:
        """See :mod:`.bmc_programs`."""
        new = self.directory / "faults.new"
        new.write_text(json.dumps(faults))
        new.rename(self.directory / "faults.json")

    @property
    def options(self) -> dict[str, Any]:
        """Options of the driver."""
        return {
            "address": f"https://127.0.0.1:{self.port}",
            "username": USER,
            "password": self.password,
            "verify_ca": str(self.authority),
        }

    @property
    def resets(self) -> list[str]:
        """The resets that arrived, in the words of Redfish."""
        path = self.directory / "resets"
        return path.read_text().split() if path.exists() else []

    @property
    def sessions(self) -> list[str]:
        """The sessions that are open."""
        path = self.directory / "sessions.json"
        return list(json.loads(path.read_text())) if path.exists() else []


def make_certificate(path: Path, key_path: Path) -> None:
    """A certificate for the loopback address, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "controller")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
