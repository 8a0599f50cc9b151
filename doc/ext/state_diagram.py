# SPDX-License-Identifier: Apache-2.0
"""Draws the states of an instance: python doc/ext/state_diagram.py, with pydot and Graphviz installed.

The drawing is kept in the repository, so that the documents need neither. A comment in it says which table it
shows, and a test fails when that is not the one of the code any more.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mogan_hil.common import states

FILE = Path(__file__).resolve().parents[1] / "source/_static/instance-states.svg"


def digest() -> str:
    """What the drawing has to show, in short."""
    table = sorted(map(str, states.INSTANCE_NEXT.items()))
    return hashlib.sha256("\n".join(table).encode()).hexdigest()


def _node(state: str) -> dict[str, str]:
    stable = state in states.INSTANCE_STABLE
    return {"shape": "box", "style": "rounded,filled" if stable else "rounded", "fillcolor": "#dce9f5"}


def _edge(_before: str, event: str, _after: str) -> dict[str, str]:
    wrong = event in (states.Event.FAIL, states.Event.ABANDON)
    ended = event in (states.Event.DONE, states.Event.FOUND_ON, states.Event.FOUND_OFF)
    return {"label": event, "fontsize": "10", "color": "#b03030" if wrong else "#308040" if ended else "#404040"}


def main() -> None:
    """Draw it."""
    from automaton.converters import pydot

    graph = pydot.convert(
        states.INSTANCE_MACHINE,
        "instance",
        graph_attrs={"rankdir": "LR", "ranksep": "0.6", "nodesep": "0.35", "fontname": "sans-serif"},
        node_attrs_cb=_node,
        edge_attrs_cb=_edge,
    )
    drawn: str = graph.create_svg().decode()
    FILE.write_text(drawn.rstrip() + f"\n<!-- {digest()} -->\n")


if __name__ == "__main__":
    main()
