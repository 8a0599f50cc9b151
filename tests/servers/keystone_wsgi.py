# SPDX-License-Identifier: Apache-2.0
"""Serves Keystone: `python -I keystone_wsgi.py PORT`, in Keystone's environment and its directory."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Answer until killed."""
    port = int(sys.argv.pop())  # Keystone reads the command line itself, and knows nothing of a port
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = os.getcwd()
    from cheroot import wsgi
    from keystone.wsgi.api import application

    # One thread: SQLite refuses two who first read and then write. Connections are kept, however many and long.
    server = wsgi.Server(("127.0.0.1", port), application, numthreads=1, request_queue_size=128, timeout=300)
    server.keep_alive_conn_limit = 1000
    server.start()


if __name__ == "__main__":
    main()
