# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-inventory: register switches, nodes and their cabling from a file.

`apply` compares the file with what the service has, prints what is missing or different, and makes it so. It never
deletes anything, and a second run finds nothing to do.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import yaml

from mogan_hil.client import document, export, plan, rest, world
from mogan_hil.client.progress import Progress
from mogan_hil.cmd.version import add_version

#: Seconds that new ports may take until the conductor has parked them.
PATIENCE = 60.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="mogan-hil-inventory", description=__doc__.partition("\n")[0])
    add_version(found)
    commands = found.add_subparsers(required=True, metavar="COMMAND")
    applying = commands.add_parser("apply", help="make the service know what a file says; nothing is deleted")
    applying.add_argument("file", metavar="FILE", help="an inventory in YAML; - reads it from standard input")
    applying.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    applying.add_argument(
        "--secrets", action="store_true", help="write secret options again, which cannot be compared with the file's"
    )
    applying.add_argument("--no-wait", action="store_true", help="do not wait until new ports are parked")
    applying.set_defaults(run=_apply)
    exporting = commands.add_parser("export", help="print an inventory of what the service has, without secrets")
    exporting.set_defaults(run=_export)
    for command in (applying, exporting):
        where = command.add_argument_group("where the service is (default: the cloud of OS_CLOUD)")
        where.add_argument("--cloud", metavar="NAME", help="a cloud of clouds.yaml")
        where.add_argument("--url", help="a service with auth local, for example http://127.0.0.1:6385")
        where.add_argument("--user", default="admin", help="with --url (default: %(default)s)")
        where.add_argument("--password-file", metavar="FILE", type=Path, help="with --url: its first line")
        where.add_argument(
            "--password-env", metavar="VARIABLE", help="with --url: the environment variable that has it"
        )
        where.add_argument("--project", help="act for this project, where the user has roles in several")
    return found


def connect(given: argparse.Namespace) -> rest.Api:
    """The service that is meant.

    :raises SystemExit: that cannot be known
    """
    if given.url is None:
        if given.cloud is None and "OS_CLOUD" not in os.environ:
            raise SystemExit("Say where the service is: --cloud NAME, OS_CLOUD, or --url with --user and a password.")
        return rest.by_cloud(given.cloud, given.project)
    if given.cloud is not None:
        raise SystemExit("--cloud and --url cannot be given together.")
    try:
        if given.password_file is not None:
            password = (given.password_file.read_text().splitlines() or [""])[0]
        elif given.password_env is not None:
            password = os.environ[given.password_env]
        else:
            raise SystemExit("--url needs --password-file or --password-env.")
    except OSError as error:
        raise SystemExit(f"{given.password_file}: {error.strerror}") from None
    except KeyError:
        raise SystemExit(f"The environment has no {given.password_env}.") from None
    return rest.by_password(given.url, given.user, password, given.project)


def _load(name: str) -> document.Document:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        return document.load(text)
    except OSError as error:
        raise SystemExit(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SystemExit(f"{name}: it is not UTF-8") from None
    except document.DocumentError as error:
        raise SystemExit("\n".join(f"{name}: {line}" for line in str(error).splitlines())) from None


def _apply(api: rest.Api, given: argparse.Namespace, progress: Progress) -> int:
    wanted = _load(given.file)
    todo = plan.make(wanted, world.read(api, wanted, progress), send_secrets=given.secrets)
    progress.end()
    for obstacle in todo.obstacles:
        print(f"! {obstacle}", file=sys.stderr)
    for step in todo.steps:
        print(step.text)
    if todo.obstacles:
        print("Nothing was changed.", file=sys.stderr)
        return 1
    if not todo.steps:
        print("nothing to do")
        return 0
    if given.dry_run:
        print(f"{len(todo.steps)} changes would be made")
        return 0
    started = time.monotonic()
    _make(api, todo.steps, progress)
    failed = [] if given.no_wait else _wait(api, todo.steps, progress)
    for line in failed:
        print(f"! {line}", file=sys.stderr)
    print(f"{len(todo.steps)} changes made in {time.monotonic() - started:.1f} s")
    return 1 if failed else 0


def _make(api: rest.Api, steps: list[plan.Step], progress: Progress) -> None:
    made: dict[int, str] = {}
    for number, step in enumerate(steps, 1):
        progress(number, len(steps), step.text)
        path = [made[id(step.of)] if step.of is not None and part == plan.OF else part for part in step.path]
        try:
            answer = api.call(step.method, *path, body=step.body)
            made[id(step)] = (answer or {}).get("uuid", "")
        except rest.ApiError as error:
            progress.end()
            done = f"{number - 1} of {len(steps)} changes were made; run it again to go on."
            raise rest.ApiError(f"{step.text}: {error}\n{done}", error.status, error.code) from None
    progress.end()


def _wait(api: rest.Api, steps: list[plan.Step], progress: Progress) -> list[str]:
    """Wait until the new ports are parked. Returns a line for each that is not."""
    waiting = {(step.path[1], step.body["name"]) for step in steps if step.path[2:] == ("ports",) and step.body}
    total, failed = len(waiting), []
    end = time.monotonic() + PATIENCE
    while waiting:
        for switch in sorted({switch for switch, _ in waiting}):
            for port in api.pages("ports", "switches", switch, "ports"):
                if (switch, port["name"]) in waiting and port["status"] != "new":
                    waiting.discard((switch, port["name"]))
                    if port["status"] == "error":
                        failed.append(f"port {switch}/{port['name']} could not be parked: {port['status_reason']}")
        progress(total - len(waiting), total, "ports are parked")
        if time.monotonic() > end:
            failed += [f"port {switch}/{port} is not parked after {PATIENCE:g} s" for switch, port in sorted(waiting)]
            break
        if waiting:
            time.sleep(0.1)
    progress.end()
    return failed


def _export(api: rest.Api, _given: argparse.Namespace, progress: Progress) -> int:
    found = export.export(world.read(api, None, progress))
    progress.end()
    yaml.safe_dump(found, sys.stdout, sort_keys=False)
    return 0


def main() -> int:
    """Run the command."""
    given = parser().parse_args()
    progress = Progress()
    try:
        status: int = given.run(connect(given), given, progress)
    except rest.ApiError as error:
        progress.end()
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        progress.end()
        raise SystemExit("Interrupted; run it again to go on.") from None
    return status


if __name__ == "__main__":
    sys.exit(main())
