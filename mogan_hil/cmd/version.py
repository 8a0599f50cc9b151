# SPDX-License-Identifier: Apache-2.0
"""`--version` of the commands."""

from __future__ import annotations

import argparse

import pbr.version


def add_version(parser: argparse.ArgumentParser) -> None:
    """Let a command tell its version."""
    version = pbr.version.VersionInfo("mogan-hil").release_string()
    parser.add_argument("--version", action="version", version=str(version), help="show the version and exit")
