# SPDX-License-Identifier: Apache-2.0
"""A private RabbitMQ."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import ClassVar

from tests.servers import base

#: The first is the server itself; the one on the PATH of a Debian machine is a wrapper that changes to another user.
_SERVER = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")

_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
load_definitions = {definitions}
disk_free_limit.absolute = 10MB
"""

#: For processes of tests: conductors answer whoever asks on their virtual host, also who has another database.
_HOSTS = tuple(f"tests{number}" for number in range(1, max(2, os.cpu_count() or 1) + 1))


class RabbitMQ(base.Server):
    """One broker with a port mapper (epmd) of its own, so that nothing of it is left behind or shared."""

    name: ClassVar[str] = "rabbitmq"
    variable: ClassVar[str] = "MOGAN_HIL_TEST_RABBIT_URL"
    packages: ClassVar[tuple[str, ...]] = ("rabbitmq-server",)

    @classmethod
    def missing(cls) -> str | None:
        if not base.find_program(*_SERVER):
            return "rabbitmq-server"
        return None if base.find_program("epmd") else "epmd"

    @property
    def url(self) -> str:
        return f"rabbit://{self.user}:{self.password}@127.0.0.1:{self.port}/"

    @property
    def variables(self) -> dict[str, str]:
        return {self.variable: self.url, "MOGAN_HIL_TEST_RABBIT_VHOSTS": " ".join(_HOSTS)}

    def _definitions(self) -> str:
        """One user, and the virtual hosts. https://www.rabbitmq.com/docs/passwords"""
        salt = os.urandom(4)
        hashed = base64.b64encode(salt + hashlib.sha256(salt + self.password.encode()).digest()).decode()
        user = {"name": self.user, "password_hash": hashed, "tags": "administrator"}
        all_of_it = dict.fromkeys(("configure", "write", "read"), ".*")
        hosts = ("/", *_HOSTS)
        return json.dumps(
            {
                "users": [{**user, "hashing_algorithm": "rabbit_password_hashing_sha256"}],
                "vhosts": [{"name": host} for host in hosts],
                "permissions": [{"user": self.user, "vhost": host, **all_of_it} for host in hosts],
            }
        )

    def launch(self) -> None:
        self.port, between_nodes, port_mapper = base.free_port(), base.free_port(), base.free_port()
        here = self.directory
        config = here / "rabbitmq.conf"
        config.touch(mode=0o600)
        definitions = here / "definitions.json"
        config.write_text(_CONFIG.format(port=self.port, definitions=definitions))
        definitions.touch(mode=0o600)
        definitions.write_text(self._definitions())
        (here / "plugins").write_text("[].")
        (here / "env.conf").touch()
        env = {
            "HOME": str(here),  # the cookie is made there
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(port_mapper),
            "RABBITMQ_CONF_ENV_FILE": str(here / "env.conf"),  # else the machine's own settings are read
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(here / "mnesia"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_PID_FILE": str(here / "pid"),
            "RABBITMQ_NODENAME": f"mogan-hil-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(between_nodes),
            # The schedulers must not spin while they wait: the tests need the cores.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"
            " +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        self.spawn([str(base.find_program("epmd"))], env)
        base.wait_for_listener(port_mapper)  # else the broker starts another one, as a daemon that stays
        self.spawn([str(base.find_program(*_SERVER))], env)

    def probe(self) -> None:
        from kombu.connection import Connection

        for host in ("", *_HOSTS):  # each is started by itself
            url = f"{self.url}{host}".replace("rabbit:", "amqp:", 1)
            with Connection(url, connect_timeout=5) as connection:
                connection.connect()
