# SPDX-License-Identifier: Apache-2.0
"""What `openstack` loads at each start, whatever the command: it imports nothing that takes time.

https://docs.openstack.org/python-openstackclient/latest/contributor/plugins.html
"""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

API_NAME = "baremetal_isolation"
API_VERSION_OPTION = "os_baremetal_isolation_api_version"
DEFAULT_API_VERSION = "1"
API_VERSIONS = ("1",)


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the global options."""
    parser.add_argument(
        "--os-baremetal-isolation-api-version",
        metavar="<baremetal-isolation-api-version>",
        type=_version,
        default=os.environ.get("OS_BAREMETAL_ISOLATION_API_VERSION") or None,
        help="Version of the bare-metal isolation API: 1, 1.N or latest (Env: OS_BAREMETAL_ISOLATION_API_VERSION)",
    )
    parser.add_argument(
        "--os-baremetal-isolation-endpoint-override",
        metavar="<url>",
        default=os.environ.get("OS_BAREMETAL_ISOLATION_ENDPOINT_OVERRIDE") or None,
        help="Where the bare-metal isolation service is, in place of what the catalog says"
        " (Env: OS_BAREMETAL_ISOLATION_ENDPOINT_OVERRIDE)",
    )
    parser.add_argument(
        "--os-baremetal-isolation-project",
        metavar="<project>",
        default=os.environ.get("OS_BAREMETAL_ISOLATION_PROJECT") or None,
        help="With auth local: the project to act for, where the user has several; with Keystone the token says it"
        " (Env: OS_BAREMETAL_ISOLATION_PROJECT)",
    )
    return parser


def _version(text: str) -> str:
    """The commands are found by what stands before the dot."""
    if not check_api_version(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no version: it is 1, 1.N or latest")
    return "1.latest" if text == "latest" else text


def check_api_version(version: str) -> bool:
    """Whether a version can be asked for. Called at each start with what the option, or clouds.yaml, says."""
    return re.fullmatch(r"1(\.[0-9]{1,4}|\.latest)?|latest", version) is not None


def make_client(manager: Any) -> Any:
    """The API as the user of a command sees it.

    :param manager: osc-lib's
    :returns: a `mogan_hil.client.rest.Api`
    """
    from mogan_hil.client import rest  # only a command of ours needs it

    return rest.by_manager(manager, manager._api_version[API_NAME].partition(".")[2])
