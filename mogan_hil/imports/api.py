# SPDX-License-Identifier: Apache-2.0
"""Reads a HIL through its API. What it does not tell there is missing: how switches and controllers are reached."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import requests

from mogan_hil.imports.site import Headnode, Hnic, Network, Nic, Node, Site, SourceError, Switch, User

#: Seconds for one answer.
TIMEOUT = 60.0


class _Api:
    def __init__(self, url: str, user: str, password: str) -> None:
        base = url.rstrip("/")
        self._base = base if base.endswith("/v0") else f"{base}/v0"
        self._session = requests.Session()
        self._session.auth = (user, password)

    def get(self, *path: str, missing: Any = None) -> Any:
        """The answer to a question.

        :param missing: what it is where there is nothing at this path; None makes that an error
        :raises SourceError: there is none
        """
        where = "/".join([self._base, *(quote(part, safe="") for part in path)])
        try:
            answer = self._session.get(where, timeout=TIMEOUT)
            if answer.status_code == requests.codes.not_found and missing is not None:
                return missing
            answer.raise_for_status()
            return answer.json()
        except (requests.RequestException, ValueError) as error:
            raise SourceError(f"{where}: {error}") from None


def read(url: str, user: str, password: str) -> Site:
    """Read it, as one of its administrators.

    :param url: of the API, with `/v0` or without
    :raises SourceError: it does not answer, or not as HIL does
    """
    try:
        return _site(_Api(url, user, password))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise SourceError(f"{url} answers, but not as HIL does: {error!r}") from None


def _site(api: _Api) -> Site:
    users = api.get("auth", "basic", "users", missing={})  # it may have none of its own
    switches = [(name, api.get("switch", name)) for name in api.get("switches")]
    nodes = [api.get("node", name) for name in api.get("nodes", "all")]
    networks = [(name, api.get("network", name), found) for name, found in api.get("networks").items()]
    projects = api.get("projects")
    names = [name for project in projects for name in api.get("project", project, "headnodes", missing=[])]
    headnodes, left = _headnodes(api, names)
    return Site(
        projects=projects,
        users=[User(name, found["is_admin"], found.get("projects", [])) for name, found in users.items()],
        switches=[Switch(name, None, [port["label"] for port in found["ports"]]) for name, found in switches],
        nodes=[_node(found) for found in nodes],
        networks=[
            Network(
                name,
                None if shown["owner"] == "admin" else shown["owner"],
                found["projects"] or (),
                found["network_id"],
            )
            for name, shown, found in networks
        ],
        headnodes=headnodes,
        left=left,
    )


def _headnodes(api: _Api, names: Sequence[str]) -> tuple[list[Headnode], list[str]]:
    """The headnodes, and what is not told of them. HIL asks libvirt for each, and fails where that does."""
    found, left = [], []
    for name in names:
        try:
            shown = api.get("headnode", name)
        except SourceError as error:
            left.append(f"headnode {name}, which is not told ({error})")
            continue
        found.append(Headnode(name, shown["project"], shown["base_img"], [Hnic(hnic) for hnic in shown["hnics"]]))
        if shown["hnics"]:
            left.append(f"which networks the NICs of headnode {name} are on, which the API does not tell,")
    return found, left


def _node(found: Any) -> Node:
    nics = [
        Nic(
            nic["label"],
            nic["macaddr"],
            (nic["switch"], nic["port"]) if nic.get("port") else None,
            list(nic["networks"].items()),
        )
        for nic in found["nics"]
    ]
    labels = {label: json.loads(value) for label, value in found.get("metadata", {}).items()}
    return Node(name=found["name"], project=found["project"], metadata=labels, nics=nics)
