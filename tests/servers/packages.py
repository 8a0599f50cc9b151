# SPDX-License-Identifier: Apache-2.0
"""Installs what is missing, on Debian and its relatives."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.servers import base

#: Programs that the tests on real switches, controllers and locks use, and the packages that bring them.
TOOLS = {
    "ovs-vswitchd": "openvswitch-switch",
    "ip": "iproute2",
    "ping": "iputils-ping",
    "ethtool": "ethtool",
    "ipmi_sim": "openipmi",
    "etcd": "etcd-server",
    "libvirtd": "libvirt-daemon",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "/usr/lib/ipxe/qemu/pxe-virtio.rom": "ipxe-qemu",
}
#: What the tests on libvirt need beside it.
BINDINGS = ("libvirt-python", "virtualbmc")
#: libvirt-python comes as source alone, and is made from these.
COMPILER = ("libvirt-dev", "pkg-config", "gcc", "libc6-dev")
_INSTALL = ("-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5", "--no-install-recommends", "install")
#: Seconds before something is tried again that may fail because of a network: a mirror, or the way to it.
PAUSES = (5, 15, 45, 90)
_POLICY = Path("/usr/sbin/policy-rc.d")


def install_missing(servers: Sequence[type[base.Server]], say: Callable[[str], None]) -> None:
    """Install the servers and tools that are not there; what cannot be had is said and left out."""
    with ThreadPoolExecutor() as pool:  # beside the packages, which take longer
        for server in servers:
            if server.missing() and not server.packages:
                pool.submit(_install, server, say)
        _install_packages(servers, say)


def _install(server: type[base.Server], say: Callable[[str], None]) -> None:
    def install() -> bool:
        try:
            server.install(say)
        except (base.NotAvailableError, OSError) as error:
            say(f"could not be installed: {server.name}: {error}")
            return False
        return True

    again(install)


def _install_packages(servers: Sequence[type[base.Server]], say: Callable[[str], None]) -> None:
    wanted = [package for server in servers if server.missing() for package in server.packages]
    wanted += [package for program, package in TOOLS.items() if not base.find_program(program)]
    if not _has_libvirt():
        wanted += COMPILER
        if sys.prefix != sys.base_prefix and Path(sys.base_prefix) == Path("/usr"):
            wanted.append("python3-dev")  # another Python has its headers with it
    if not wanted:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        why = "only root can" if os.geteuid() else "this is not a Debian-like system"
        say(f"not installed ({why}): {', '.join(wanted)}")
        return
    say(f"Installing {', '.join(wanted)} (about a minute) ...")
    with _daemons_kept_off():
        if not again(lambda: _apt("update", "-o", "Acquire::Retries=5") and _apt(*_INSTALL, *wanted)):
            # One package that cannot be had must not keep the others away.
            failed = [package for package in wanted if not _apt(*_INSTALL, package)]
            say(f"could not be installed: {', '.join(failed)}" if failed else "installed one by one")
    if not _has_libvirt():
        _make_libvirt(say)


def again(attempt: Callable[[], bool]) -> bool:
    """Do something, several times if need be. Returns whether it succeeded."""
    for pause in PAUSES:
        if attempt():
            return True
        time.sleep(pause)
    return attempt()


def _has_libvirt() -> bool:
    return all(importlib.util.find_spec(module) is not None for module in ("libvirt", "virtualbmc"))


def _make_libvirt(say: Callable[[str], None]) -> None:
    """Put them into this environment; it takes some seconds."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *BINDINGS]

    def install() -> bool:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            print(*done.stderr.splitlines()[-15:], sep="\n    ")
        return done.returncode == 0

    if not again(install):
        say(f"could not be installed: {', '.join(BINDINGS)}")
    importlib.invalidate_caches()


def _apt(*arguments: str) -> bool:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-q", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        print(f"apt-get {arguments[0]} failed:", *done.stdout.splitlines()[-15:], sep="\n    ")
    return done.returncode == 0


@contextlib.contextmanager
def _daemons_kept_off() -> Iterator[None]:
    """Keep the packages from starting their machine-wide daemons, which no test uses and which may fail to start."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
