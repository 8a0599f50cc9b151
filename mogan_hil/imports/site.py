# SPDX-License-Identifier: Apache-2.0
"""What a HIL has, as it calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class SourceError(Exception):
    """A HIL cannot be read."""


@dataclass(frozen=True)
class Switch:
    """:param arguments: its type and the arguments of its driver; None where they are not told"""

    name: str
    arguments: Mapping[str, Any] | None
    ports: Sequence[str] = ()


@dataclass(frozen=True)
class Nic:
    """
    :param port: the names of its switch and port
    :param networks: pairs of a channel and the name of a network; nothing kept HIL from having two on one channel
    """

    name: str
    mac: str
    port: tuple[str, str] | None = None
    networks: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Node:
    """
    :param obm: the type and the arguments of its controller; None where it has none or they are not told
    :param obmd: its `uri` and `admin_token` at an obmd
    """

    name: str
    project: str | None = None
    obm: Mapping[str, Any] | None = None
    obmd: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    nics: Sequence[Nic] = ()


@dataclass(frozen=True)
class Network:
    """
    :param owner: a project; None is the administrator
    :param access: the projects that may use it; none at all was everybody
    :param segment: the id that carries it
    """

    name: str
    owner: str | None
    access: Sequence[str]
    segment: str


@dataclass(frozen=True)
class Hnic:
    """:param network: None where it is on none, or that is not told"""

    name: str
    network: str | None = None


@dataclass(frozen=True)
class Headnode:
    """:param image: what HIL calls the machine that it was cloned from"""

    name: str
    project: str
    image: str
    hnics: Sequence[Hnic] = ()


@dataclass(frozen=True)
class User:
    """:param admin: whether it is an administrator"""

    name: str
    admin: bool
    projects: Sequence[str] = ()


@dataclass(frozen=True)
class Site:
    """Everything.

    :param left: what is not taken over, in words
    """

    projects: Sequence[str] = ()
    users: Sequence[User] = ()
    switches: Sequence[Switch] = ()
    nodes: Sequence[Node] = ()
    networks: Sequence[Network] = ()
    headnodes: Sequence[Headnode] = ()
    left: Sequence[str] = ()
