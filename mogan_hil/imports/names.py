# SPDX-License-Identifier: Apache-2.0
"""What HIL has and cannot be called so here gets another name: HIL took names with blanks and other characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mogan_hil.api.types import NAME, Name
from mogan_hil.imports.site import Headnode, Nic, Node, Site

#: What is named anew, and what people call one of them. NICs are those of nodes and of headnodes.
KINDS: Mapping[str, str] = {
    "projects": "project",
    "users": "user",
    "switches": "switch",
    "nodes": "node",
    "networks": "network",
    "headnodes": "headnode",
    "nics": "NIC",
    "labels": "label",
}

_OTHERS = re.compile(r"[^A-Za-z0-9_.@:+-]")


class Names:
    """From HIL's names to those here.

    :param given: by kind: HIL's names, and what those things are to be called
    :param instead: what takes the place of each character that no name has here; None renames nothing else
    :ivar notes: what was renamed, for people
    :ivar obstacles: what would have the name of something else
    """

    def __init__(self, given: Mapping[str, Mapping[str, str]], instead: str | None) -> None:
        self._given = given
        self._instead = instead
        self.notes: list[str] = []
        self.obstacles: list[str] = []

    def site(self, site: Site) -> Site:
        """A site in which everything is called as it is to be called here, wherever it is mentioned."""
        projects = self._of("projects", site.projects)
        networks = self._of("networks", (one.name for one in site.networks))
        users = self._of("users", (one.name for one in site.users))
        switches = self._of("switches", (one.name for one in site.switches))
        nodes = self._of("nodes", (one.name for one in site.nodes))
        return replace(
            site,
            projects=[projects[name] for name in site.projects],
            users=[
                replace(one, name=users[one.name], projects=[projects.get(name, name) for name in one.projects])
                for one in site.users
            ],
            switches=[replace(one, name=switches[one.name]) for one in site.switches],
            networks=[
                replace(
                    one,
                    name=networks[one.name],
                    owner=one.owner and projects.get(one.owner, one.owner),
                    access=[projects.get(name, name) for name in one.access],
                )
                for one in site.networks
            ],
            nodes=[self._node(replace(one, name=nodes[one.name]), projects, networks, switches) for one in site.nodes],
            headnodes=self._headnodes(site, projects, networks),
        )

    def described(self, described: Mapping[str, Any]) -> dict[str, Any]:
        """What a file says of HIL's switches, nodes and NICs, by their names here."""
        found = dict(described)
        for kind, named in (("switches", "switches"), ("nodes", "nodes"), ("macs", "nodes")):
            found[kind] = {self._new(named, name): value for name, value in (described.get(kind) or {}).items()}
        found["macs"] = {
            node: {self._new("nics", nic): mac for nic, mac in nics.items()} for node, nics in found["macs"].items()
        }
        return found

    def _of(self, kind: str, olds: Iterable[str], whose: str = "") -> dict[str, str]:
        """The new names by the old ones, which must stay as different as they are.

        :param whose: for people, where names are unique only in something else
        """
        found = {old: self._new(kind, old) for old in olds}
        taken: dict[str, str] = {}
        for old, new in found.items():
            if new != old:
                self.notes.append(f"{KINDS[kind]} {old!r}{whose} is called {new} here")
            if new in taken:
                both = f"{KINDS[kind]}s {taken[new]!r} and {old!r}{whose}"
                self.obstacles.append(f"{both} would both be called {new} here")
            taken[new] = old
        return found

    def _new(self, kind: str, old: str) -> str:
        given = (self._given.get(kind) or {}).get(old)
        if given is not None or self._instead is None:
            return old if given is None else given
        try:
            return str(Name().validate(old))
        except ValueError:
            new = _OTHERS.sub(self._instead, old)
            return new if NAME.match(new) else f"_{new}"

    def _node(
        self, node: Node, projects: Mapping[str, str], networks: Mapping[str, str], switches: Mapping[str, str]
    ) -> Node:
        whose = f" of node {node.name}"
        labels = self._of("labels", node.metadata, whose)
        nics = self._of("nics", (one.name for one in node.nics), whose)

        def nic(one: Nic) -> Nic:
            port = one.port and (switches.get(one.port[0], one.port[0]), one.port[1])
            wired = [(channel, networks.get(network, network)) for channel, network in one.networks]
            return replace(one, name=nics[one.name], port=port, networks=wired)

        return replace(
            node,
            project=node.project and projects.get(node.project, node.project),
            metadata={labels[label]: value for label, value in node.metadata.items()},
            nics=[nic(one) for one in node.nics],
        )

    def _headnodes(self, site: Site, projects: Mapping[str, str], networks: Mapping[str, str]) -> list[Headnode]:
        found = []
        for project in dict.fromkeys(one.project for one in site.headnodes):
            mine = [one for one in site.headnodes if one.project == project]
            named = self._of("headnodes", (one.name for one in mine), f" of project {project}")
            for one in mine:
                nics = self._of("nics", (nic.name for nic in one.hnics), f" of headnode {one.name}")
                hnics = [
                    replace(nic, name=nics[nic.name], network=nic.network and networks.get(nic.network, nic.network))
                    for nic in one.hnics
                ]
                found.append(replace(one, name=named[one.name], project=projects.get(project, project), hnics=hnics))
        return found
