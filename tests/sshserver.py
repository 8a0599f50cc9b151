# SPDX-License-Identifier: Apache-2.0
"""What switches that are reached over SSH share: a server with one user, one host key, and sessions to cut."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import socket
import tempfile
import threading
import unittest

import fixtures
import paramiko

from mogan_hil.drivers.base import DriverError
from mogan_hil.drivers.switch.base import SwitchDriver
from mogan_hil.drivers.testing.base import environment

logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)  # it tells of each session that is cut

USER, PASSWORD = "admin", "hunter2-of-the-switch"

#: One key for all: to make one takes longer than most tests.
HOST_KEY = paramiko.ECDSAKey.generate()


def fingerprint(key: paramiko.PKey = HOST_KEY) -> str:
    """As `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


class Login(paramiko.ServerInterface):
    """One connection: the user's password lets in, and any channel may be opened."""

    user = USER

    def check_auth_password(self, username: str, password: str) -> int:
        right = (username, password) == (self.user, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class SshServer(fixtures.Fixture):
    """A server that listens on a port of 127.0.0.1."""

    def login(self) -> Login:
        """What answers a new connection."""
        raise NotImplementedError

    def _setUp(self) -> None:
        self._transports: list[paramiko.Transport] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.addCleanup(self.stop)
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Listen no longer, and end every session."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.drop()

    def drop(self) -> None:
        """End every session."""
        for transport in self._transports:
            transport.close()
        self._transports.clear()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = paramiko.Transport(connection)
            transport.add_server_key(HOST_KEY)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                transport.start_server(server=self.login(), event=threading.Event())
            self._transports.append(transport)

    def options(self, **more: object) -> dict[str, object]:
        """Options of a driver that reach it."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "username": USER,
            "password": PASSWORD,
            "host_keys": [fingerprint()],
            **more,
        }


def assert_file_is_not_told(
    test: unittest.TestCase, driver: type[SwitchDriver], options: dict[str, object], port: str
) -> None:
    """A file that is named as one of known hosts, and is something else, is not in the error."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("connection = mysql://hil:hunter2@db/hil\n")
        file.flush()
        options = {name: value for name, value in options.items() if name != "host_keys"}
        made = driver({**options, "known_hosts": file.name}, environment(None))
        test.addCleanup(made.close)
        with test.assertRaises(DriverError) as caught:
            made.read([port])
        test.assertNotIn("hunter2", caught.exception.user + caught.exception.operator)
        test.assertIn("known_hosts", caught.exception.operator)
