# SPDX-License-Identifier: Apache-2.0
"""What a process that serves the API is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pbr.version
from cheroot import server, wsgi
from oslo_config import cfg
from oslo_db import options as db_options
from oslo_log import log

from mogan_hil import conf as service_conf
from mogan_hil.api.app import make_app
from mogan_hil.api.middleware import pipeline
from mogan_hil.common import headnodes, masking
from mogan_hil.common.sealing import Sealer
from mogan_hil.common.waits import Waits
from mogan_hil.db.api import Database
from mogan_hil.drivers.loader import Drivers
from mogan_hil.objects.release import Releases
from mogan_hil.policy import Policy
from mogan_hil.rpc import notifier
from mogan_hil.rpc.client import Client
from mogan_hil.verbs.base import Services

if TYPE_CHECKING:
    from mogan_hil.common.keystone import Projects

#: Connections that may wait to be taken. With cheroot's own 5, a burst of clients waits a second for TCP to try again.
BACKLOG = 128

#: Bytes of a request before its body; cheroot's own default is any number. Tokens of Keystone take some thousand.
MAX_HEADERS = 64 * 1024


def configure(
    conf: cfg.ConfigOpts, arguments: Sequence[str], files: Sequence[str] | None = None, description: str | None = None
) -> cfg.ConfigOpts:
    """Register every option, read the configuration and begin to log.

    :param arguments: the command line; never the one of a WSGI server that we run in
    :param files: configuration files, None for the usual places
    :param description: what the command is, for its `--help`
    """
    service_conf.register_opts(conf)
    db_options.set_defaults(conf)
    pipeline.set_defaults(conf)
    notifier.register_opts(conf)
    log.register_options(conf)
    conf.set_default("use_stderr", True)  # what a command prints is for the one who started it; the log is not
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), "futurist=WARNING", "ovsdbapp=WARNING"])
    version = pbr.version.VersionInfo("mogan-hil").release_string()
    named = None if files is None else list(files)
    conf(list(arguments), project="mogan_hil", version=version, default_config_files=named, description=description)
    log.setup(conf, "mogan_hil")
    masking.install()
    return conf


def services(conf: cfg.ConfigOpts, database: Database, drivers: Drivers, client: Client) -> Services:
    """What verbs are given."""
    allocator = drivers.allocator(conf.network.allocator)(conf.network.segments)
    ipam = drivers.ipam(conf.network.ipam_driver)()
    headnodes.images_of(conf)  # what is wrong with them is to be told at the start
    sealer, releases, projects = Sealer(conf.secrets.public_key_file), Releases(conf), _projects(conf)
    waits = Waits(max(1, conf.api.threads // 2))
    return Services(conf, database, Policy(conf), drivers, allocator, ipam, client, sealer, releases, waits, projects)


def _projects(conf: cfg.ConfigOpts) -> Projects | None:
    if conf.auth.strategy != "keystone":
        return None
    from mogan_hil.common import keystone  # it takes a while, which the other strategies need not wait for

    return keystone.Projects(conf)


def application(conf: cfg.ConfigOpts, client: Client) -> Callable[..., Any]:
    """The WSGI application of this process."""
    return make_app(services(conf, open_database(conf), Drivers(), client))


def open_database(conf: cfg.ConfigOpts) -> Database:
    """The database of this process, with notifications of what is written to it, if they are configured."""
    database = Database(conf)
    notifier.attach(conf, database)
    return database


class _Request(server.HTTPRequest):
    """A request whose address may be anything: cheroot fails at some that Python cannot take apart, like `//[`."""

    def read_request_line(self) -> bool:
        try:
            return bool(super().read_request_line())  # type: ignore[no-untyped-call]
        except ValueError:
            self.simple_response("400 Bad Request", "Malformed Request-URI")
            return False


class _Connection(server.HTTPConnection):
    RequestHandlerClass = _Request


class Server:
    """The application behind cheroot.

    :param address: host and port; port 0 picks a free one
    :param alone: no other process may listen on the same port
    :raises OSError: it cannot be listened on
    """

    def __init__(self, app: Callable[..., Any], address: tuple[str, int], threads: int, *, alone: bool = False) -> None:
        self._server = wsgi.Server(
            address, app, numthreads=threads, request_queue_size=BACKLOG, server_name="mogan_hil", reuse_port=not alone
        )
        self._server.ConnectionClass = _Connection
        self._server.max_request_header_size = MAX_HEADERS
        self._server.prepare()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.bind_addr[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def serve(self) -> None:
        """Answer requests until another thread calls :meth:`stop`."""
        self._server.serve()

    def stop(self) -> None:
        """Finish the requests that are being answered, and stop."""
        self._server.stop()
