# SPDX-License-Identifier: Apache-2.0
"""openstack hil keypair ..."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import first_line, plain, text

ONE = "/v1/keypairs/{keypair}"
USER = text("user_id", "Of this user, by UUID (administrators)", flag="--user")


class Create(base.Show):
    """Keep a public key, or make a pair: only this answer has its private key."""

    route = "POST /v1/keypairs"
    arguments = (
        plain("name", "Name of the keypair"),
        text("public_key", "The file with the public key, - for standard input", type=first_line, metavar="<file>"),
        text("type", "The kind of a new pair, for example ed25519"),
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--private-key",
            metavar="<file>",
            type=Path,
            help="Write the private key of a new pair to this file, which must not be there yet, instead of showing it",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        if parsed_args.private_key is None:
            return super().take_action(parsed_args)
        # The file comes first: a key that nobody can keep would be lost.
        with open(os.open(parsed_args.private_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            try:
                names, values = super().take_action(parsed_args)
                shown = dict(zip(names, values, strict=True))
                file.write(str(shown.pop("private_key", "")))
            except BaseException:
                parsed_args.private_key.unlink()
                raise
        return list(shown), list(shown.values())


class List(base.List):
    """List one's own keypairs."""

    route = "GET /v1/keypairs"
    arguments = (USER,)
    columns = ("uuid", "name", "type", "fingerprint")
    long = ("user_id", "public_key", "created_at")
    sort_keys = ("name", "created_at")


class Show(base.Show):
    """Show a keypair."""

    route = f"GET {ONE}"
    arguments = (USER,)


class Delete(base.Do):
    """Delete keypairs; instances keep what they were given."""

    route = f"DELETE {ONE}"
    many = True
