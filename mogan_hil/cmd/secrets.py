# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-manage secrets: the keys that credentials of devices are sealed with, and what is sealed with them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

from mogan_hil.common.sealing import KeyFile, Opener, Sealer, SealingError
from mogan_hil.db.api import Database
from mogan_hil.objects import sealed

#: Seconds for which a request may be on its way that has sealed something with the key before.
GRACE = 60.0


def _create(_database: Database, _given: argparse.Namespace) -> None:
    keys = _keys()
    with keys.held():
        if keys.path.exists():
            raise SystemExit(f"{keys.path} is there already; `rotate` makes a new key.")
        keys.add()
        published = keys.publish(_public())
    print(f"Key {published} is in {keys.path}, its public half in {_public()}.")


def _add_key(_database: Database, _given: argparse.Namespace) -> None:
    keys = _keys()
    with keys.held():
        keys.ids()  # it has to be there
        added = keys.add()
    print(f"Key {added} is in {keys.path}. Copy that file to every conductor before you run `rotate`.")


def _rotate(database: Database, _given: argparse.Namespace) -> None:
    keys = _keys()
    with keys.held():
        if keys.ids()[-1] == _published():
            keys.add()
        published = keys.publish(_public())
    print(f"Key {published} is the one to seal with, by {_public()}.")
    _seal(database, _given)


def _seal(database: Database, _given: argparse.Namespace) -> None:
    sealer = Sealer(_public())
    done = sealed.seal_all(database, sealer, Opener(_keys().path))
    print(f"{done} secrets were sealed with key {sealer.key_id}.")


def _show(database: Database, _given: argparse.Namespace) -> None:
    with database.reader() as session:
        found = sealed.count(session)
    now = _published()
    ids = _keys().ids() if _keys().path.exists() else []
    for key_id in [*ids, *sorted(found.keys() - {*ids, sealed.CLEAR})]:
        notes = ["seals now"] * (key_id == now) + ["not here"] * (key_id not in ids)
        print(f"{key_id}  {found[key_id]} secrets  {', '.join(notes)}".rstrip())
    if found[sealed.CLEAR]:
        print(f"in clear text: {found[sealed.CLEAR]} secrets; run `seal`")


def _prune(database: Database, _given: argparse.Namespace) -> None:
    keys = _keys()
    with keys.held():  # from here on nobody adds or publishes a key
        known = keys.ids()
        gone = _unused(database, known)
        keys.keep(set(known) - gone)
    said = ", ".join(key_id for key_id in known if key_id in gone)
    print(f"Removed from {keys.path}: {said or 'nothing'}.")


def _unused(database: Database, known: Sequence[str]) -> set[str]:
    left = GRACE - (time.time() - _public().stat().st_mtime)
    if left > 0:
        raise SystemExit(f"The key to seal with has just changed: run `seal` and `prune` in {left:.0f} seconds.")
    with database.reader() as session:
        return set(known) - {*sealed.count(session), _published(), known[-1]}


_VERBS: dict[str, tuple[Callable[[Database, argparse.Namespace], None], str]] = {
    "create": (_create, "make the first key, on the first conductor"),
    "add-key": (_add_key, "make a further key that is not used yet, to be copied to the other conductors"),
    "rotate": (_rotate, "use the newest key from now on, a new one if it is used already, and seal everything with it"),
    "seal": (_seal, "seal what is in clear text, or under another key than the one of now; safe to run again"),
    "show": (_show, "show the keys, and how many secrets are sealed with each"),
    "prune": (_prune, "remove private keys that nothing is sealed with any more"),
}


def _keys() -> KeyFile:
    return KeyFile(cfg.CONF.secrets.key_file)


def _public() -> Path:
    return Path(cfg.CONF.secrets.public_key_file)


def _published() -> str | None:
    return Sealer(_public()).key_id if _public().exists() else None


def add_parsers(nouns: Any) -> None:
    """Add the command and its verbs."""
    verbs = nouns.add_parser("secrets", help="keys for credentials of devices; see the administrator's guide")
    parsers = verbs.add_subparsers(required=True, metavar="VERB")
    for name, (verb, text) in _VERBS.items():
        parsers.add_parser(name, help=text).set_defaults(run=_told(verb))


def _told(verb: Callable[[Database, argparse.Namespace], None]) -> Callable[[Database, argparse.Namespace], None]:
    def run(database: Database, given: argparse.Namespace) -> None:
        try:
            verb(database, given)
        except SealingError as error:
            raise SystemExit(str(error)) from None
        except OSError as error:
            raise SystemExit(f"{error.filename}: {error.strerror}") from None

    return run
