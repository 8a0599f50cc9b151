# SPDX-License-Identifier: Apache-2.0
"""Run the tests with stestr and end with what failed, what was skipped, why, and one line of totals.

python -m tests.run_summary [REGEX ...]            run the tests (all, or those that match) and summarise
python -m tests.run_summary --allowed-skips FILE   say what failed in the last run, or was skipped and is not in FILE

A line of FILE is the id of a test that may be skipped, then ` # ` and the reason.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import subunit
import testtools

STESTR = (sys.executable, "-m", "stestr.cli")
_PASSED = ("success", "xfail")
_NEXT_RUN = Path(".stestr/next-stream")
#: What the service logs while it is tested, much of it by intent.
LOG = Path("tests.log")


@dataclass
class Summary:
    """What became of the tests of one run."""

    passed: int = 0
    #: test id -> the last line of what it said
    failures: dict[str, str] = field(default_factory=dict)
    #: test id -> why
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, test: Mapping[str, Any]) -> None:
        """Count one test, as `testtools.StreamToDict` gives it. One that began and never ended has failed."""
        status = test["status"]
        if status in _PASSED:
            self.passed += 1
        elif status == "skip":
            reason = test["details"].get("reason")
            self.skipped[test["id"]] = " ".join(reason.as_text().split()) if reason else "no reason given"
        elif status != "exists":
            self.failures[test["id"]] = _last_line(test["details"]) or f"ended as {status}"

    def failure_report(self) -> str:
        """The failed tests, one line each."""
        return "".join(f"{test} # {why}\n" for test, why in sorted(self.failures.items()))

    def skip_report(self) -> str:
        """The skipped tests, one line each, in the form of the file of allowed skips."""
        return "".join(f"{test} # {why}\n" for test, why in sorted(self.skipped.items()))

    def totals(self) -> str:
        """The closing line."""
        return f"{self.passed} passed, {len(self.failures)} failed, {len(self.skipped)} skipped"


def _last_line(details: Mapping[str, Any]) -> str:
    """The last line of a test's traceback, which names the error; at most 300 characters."""
    texts = (details[name].as_text().strip() for name in sorted(details) if name.startswith("traceback"))
    lines = [text.splitlines()[-1].strip() for text in texts if text]
    return lines[-1][:300] if lines else ""


def read_stream(stream: bytes) -> Summary:
    """The summary of a subunit stream."""
    summary = Summary()
    tests = testtools.StreamToDict(summary.add)
    tests.startTestRun()
    subunit.ByteStreamToStreamResult(io.BytesIO(stream), non_subunit_name="stdout").run(tests)
    tests.stopTestRun()
    return summary


def last_run() -> Summary:
    """The summary of the last run that stestr kept."""
    return read_stream(subprocess.run([*STESTR, "last", "--subunit"], stdout=subprocess.PIPE, check=False).stdout)


def run(regexes: Sequence[str]) -> int:
    """Run the tests and print the summary; returns the exit code."""
    before = _NEXT_RUN.read_text() if _NEXT_RUN.exists() else None
    # Many tests wait for a server or a switch, so one worker a core leaves none of the cores idle for long.
    workers = max(2, os.cpu_count() or 1)
    command = [*STESTR, "run", f"--concurrency={workers}", *regexes]
    with LOG.open("wb") as log:
        code = subprocess.run(command, stderr=log, check=False).returncode
    if not _NEXT_RUN.exists() or _NEXT_RUN.read_text() == before:
        last = LOG.read_text(errors="replace")[-4000:]
        print(f"{last}\nNo test was run.\n0 passed, 1 failed, 0 skipped", flush=True)
        return code or 1
    summary = last_run()
    if summary.skipped:
        print(f"\nSkipped, and why:\n{summary.skip_report()}", end="")
    if summary.failures:
        print(f"\nFailed:\n{summary.failure_report()}What the service logged meanwhile is in {LOG}.")
    print(f"\n{summary.totals()}", flush=True)
    return code or (1 if summary.failures else 0)


def read_allowed(text: str) -> set[str]:
    """The test ids of a file of allowed skips; empty lines and lines of comment count for nothing."""
    ids = (line.split(" # ")[0].strip() for line in text.splitlines() if not line.startswith("#"))
    return {test for test in ids if test}


def check_skips(path: Path) -> int:
    """Print the failures of the last run, the skips that are not allowed, then the totals.

    :returns: the exit code, 1 also if that run failed or had no test
    """
    summary = last_run()
    new = sorted(set(summary.skipped) - read_allowed(path.read_text()))
    if new:
        print(f"{len(new)} skipped tests are not in {path}:")
        print("".join(f"    {test} # {summary.skipped[test]}\n" for test in new), end="")
    if summary.failures:
        print(f"Failed:\n{summary.failure_report()}", end="")
    print(summary.totals(), flush=True)
    return 1 if new or summary.failures or not summary.passed else 0


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.run_summary", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--allowed-skips", metavar="FILE", type=Path)
    parser.add_argument("regex", nargs="*")
    options = parser.parse_args(arguments)
    try:
        return check_skips(options.allowed_skips) if options.allowed_skips else run(options.regex)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
