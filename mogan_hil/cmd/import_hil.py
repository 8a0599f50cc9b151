# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-manage import-hil: take over projects, users, switches, nodes, networks and headnodes of a HIL.

Nothing of the HIL is changed. Here it is one transaction: everything is taken over, or with any obstacle nothing. Stop
the conductors meanwhile: when they start again they find the ports registered together with what is attached to them,
make each as it was in HIL, and read it back.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from oslo_config import cfg
from oslo_db import exception as db_exception

from mogan_hil.api import process
from mogan_hil.common import headnodes
from mogan_hil.context import system_context
from mogan_hil.db.api import Database, GivenUp
from mogan_hil.drivers.loader import Drivers
from mogan_hil.imports import api, database
from mogan_hil.imports.drivers import Translate
from mogan_hil.imports.names import KINDS, Names
from mogan_hil.imports.plan import Plan
from mogan_hil.imports.present import Present
from mogan_hil.imports.site import Site, SourceError
from mogan_hil.rpc.client import NoClient
from mogan_hil.verbs.base import Call

AS_HELP = "it is not as --help says"


def _driver(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("driver"), str)


def _texts(one: Any) -> bool:
    return isinstance(one, dict) and all(isinstance(text, str) for text in one.values())


#: What a file may describe, and what each one is.
DESCRIBED: Mapping[str, Callable[[Any], bool]] = {
    "switches": _driver,
    "nodes": _driver,
    "headnode_images": lambda one: isinstance(one, str),
    "macs": _texts,
    "names": _texts,
}


class NotMeant(Exception):
    """It was only to be tried: what was done is undone."""


def add_parser(nouns: Any) -> None:
    """Add the command to a command line."""
    text = (__doc__ or "").partition("\n\n")
    found = nouns.add_parser("import-hil", help="take over what a HIL has", description=text[0] + "\n\n" + text[2])
    found.add_argument(
        "source",
        metavar="SOURCE",
        help="postgresql://... or sqlite:///... for HIL's database, http://... or https://... for its API",
    )
    found.add_argument("--dry-run", action="store_true", help="print what would be created, and create nothing")
    found.add_argument(
        "--drivers",
        type=Path,
        metavar="FILE",
        help="YAML: how switches and nodes are reached, where HIL does not tell or has no driver here: "
        "{switches: {NAME: {driver: D, options: {...}}}, nodes: {NAME: {driver: D, options: {...}}}}; "
        "headnode_images: {NAME: IMAGE}, the images here that stand for HIL's; macs: {NODE: {NIC: MAC}}, where HIL's "
        "are none; and names: {KIND: {NAME: NEW}}, what things are to be called here, of the kinds " + ", ".join(KINDS),
    )
    found.add_argument(
        "--rename",
        type=_instead,
        metavar="CHARACTER",
        help="where HIL has names that nothing can have here, such as with blanks, put this in place of each character "
        "that does not go; what is renamed is told",
    )
    found.add_argument("--user", default="admin", help="for HIL's API (default: %(default)s)")
    found.add_argument("--password-file", type=Path, metavar="FILE", help="for HIL's API: its first line")
    found.set_defaults(run=run)


def _instead(text: str) -> str:
    if re.fullmatch("[A-Za-z0-9_.@:+-]", text) is None:
        raise argparse.ArgumentTypeError("one letter, digit, or one of _.@:+-")
    return text


def _read(given: argparse.Namespace) -> Site:
    if not given.source.startswith(("http://", "https://")):
        return database.read(given.source)
    if given.password_file is not None:
        password = given.password_file.read_text(encoding="utf-8").partition("\n")[0]
    else:
        password = getpass.getpass(f"Password of {given.user}: ")
    return api.read(given.source, given.user, password)


def _drivers(file: Path | None) -> dict[str, Any]:
    found = {} if file is None else yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or found.keys() - DESCRIBED.keys():
        raise ValueError(AS_HELP)
    for kind, group in found.items():
        if not isinstance(group, dict) or not all(DESCRIBED[kind](one) for one in group.values()):
            raise ValueError(AS_HELP)
    if found.get("names", {}).keys() - KINDS.keys():
        raise ValueError(AS_HELP)
    return found


def run(opened: Database, given: argparse.Namespace) -> None:
    """Do it.

    :raises SystemExit: the source cannot be read, or something stands in the way
    """
    try:
        site, described = _read(given), _drivers(given.drivers)
    except (SourceError, OSError, ValueError, yaml.YAMLError) as error:
        raise SystemExit(f"{error}") from None
    try:
        with contextlib.suppress(NotMeant):
            with opened.together() as whole:
                steps = take_over(cfg.CONF, whole, site, described, dry_run=given.dry_run, rename=given.rename)
            print(f"{steps} changes made; start the conductors now")
    except (db_exception.DBError, GivenUp) as error:
        raise SystemExit(f"The database gave it up ({type(error).__name__}); nothing was changed.") from None


def take_over(
    conf: cfg.ConfigOpts,
    whole: Database,
    site: Site,
    described: dict[str, Any],
    *,
    dry_run: bool,
    rename: str | None = None,
) -> int:
    """Do it, and tell what was done.

    :param whole: one transaction, which is undone if this raises anything
    :param described: what the file says
    :param rename: see :class:`.Names`
    :returns: how many changes were made
    :raises SystemExit: there are obstacles
    :raises NotMeant: nothing is to be done
    """
    drivers = Drivers()
    call = Call(system_context(), process.services(conf, whole, drivers, NoClient()))
    names = Names(described.get("names", {}), rename)
    translate = Translate(drivers, names.described(described), headnodes.images_of(conf))
    plan = Plan(names.site(site), Present(call), translate, local=conf.auth.strategy == "local")
    plan.carry_out(call)
    obstacles = [*names.obstacles, *plan.obstacles]
    for note in (*names.notes, *plan.notes):
        print(f"note: {note}", file=sys.stderr)
    for obstacle in obstacles:
        print(f"! {obstacle}", file=sys.stderr)
    for step in plan.steps:
        print(step.text)
    if obstacles:
        raise SystemExit("Nothing was changed.")
    if dry_run or not plan.steps:
        print(f"{len(plan.steps)} changes would be made" if plan.steps else "nothing to do")
        raise NotMeant
    return len(plan.steps)
