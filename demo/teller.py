# SPDX-License-Identifier: Apache-2.0
"""How the story is printed, and what did not go as it should."""

from __future__ import annotations

import os
import sys

from demo.rack import MACHINES, Pairs

COLOURS = {"bold": "1", "green": "32", "red": "31", "blue": "34", "dim": "2"}


class Teller:
    """Prints, and counts expectations.

    :ivar broken: those that did not hold
    """

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.held = 0
        self.broken: list[str] = []

    def paint(self, text: str, colour: str) -> str:
        """A text in colour, where there is a terminal."""
        return f"\033[{COLOURS[colour]}m{text}\033[0m" if self._colour else text

    def title(self, text: str) -> None:
        """Begin a chapter."""
        print(self.paint(f"\n{text}", "bold"), flush=True)

    def say(self, text: str) -> None:
        """One or more lines."""
        print("\n".join(f"  {line}".rstrip() for line in text.splitlines()), flush=True)

    def command(self, text: str) -> None:
        """What somebody types."""
        self.say(self.paint(f"$ {text}", "dim"))

    def expect(self, claim: str, holds: bool) -> None:
        """Count an expectation; say so if it does not hold."""
        if holds:
            self.held += 1
        else:
            self.broken.append(claim)
            self.say(self.paint(f"NOT SO: {claim}", "red"))

    def matrix(self, owners: dict[str, str], seen: Pairs, expected: Pairs) -> None:
        """Who reaches whom: + yes, . no; ! marks what should not be so."""
        self.say("          " + " ".join(MACHINES))
        for machine in MACHINES:
            cells = []
            for other in MACHINES:
                mark = " " if machine == other else "+" if (machine, other) in seen else "."
                wrong = ((machine, other) in seen) != ((machine, other) in expected)
                colour = "red" if wrong else "green" if mark == "+" else "dim"
                cells.append(self.paint(f"{mark}{'!' if wrong else ' '}", colour))
            owner = owners.get(machine, "free")
            self.say(f"{owner:>6} {machine} {' '.join(cells)}")

    def end(self) -> int:
        """The last word. Returns the exit code."""
        if self.broken:
            self.title(f"{len(self.broken)} of {self.held + len(self.broken)} expectations did not hold:")
            self.say("\n".join(f"- {claim}" for claim in self.broken))
            return 1
        return 0
