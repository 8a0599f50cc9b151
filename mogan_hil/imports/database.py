# SPDX-License-Identifier: Apache-2.0
"""Reads a HIL from its database, PostgreSQL or SQLite, of any release since 2016.

The tables are looked at and not assumed: drivers had tables of their own, and controllers were described in two ways.
Nothing is written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mogan_hil.imports.site import Headnode, Hnic, Network, Nic, Node, Site, SourceError, Switch, User

Row = Mapping[str, Any]

#: Columns of a driver's table that are not its arguments.
_NO_ARGUMENTS = ("id",)


class _Reader:
    """Whole tables; a HIL is small."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._tables = sa.MetaData()
        self._tables.reflect(connection)

    def rows(self, name: str) -> list[Row]:
        """The rows of a table, none if there is no such table."""
        table = self._tables.tables.get(name)
        if table is None:
            return []
        query = sa.select(table)
        if "id" in table.c:
            query = query.order_by(table.c.id)
        return [row._asdict() for row in self._connection.execute(query)]

    def parts(self, parent: str) -> dict[int, dict[str, Any]]:
        """What drivers have in tables of their own, whose key is the parent's."""
        found: dict[int, dict[str, Any]] = {}
        for table in self._tables.tables.values():
            keys = [key for key in table.foreign_keys if key.column.table.name == parent and key.parent.primary_key]
            for row in self.rows(table.name) if keys else ():
                found[row["id"]] = {name: value for name, value in row.items() if name not in _NO_ARGUMENTS}
        return found

    def has(self, *names: str) -> bool:
        return set(names) <= set(self._tables.tables)


def read(url: str) -> Site:
    """Read it.

    :param url: as SQLAlchemy has it, with or without a driver
    :raises SourceError: it cannot be connected to, or is none of HIL's
    """
    try:
        where = sa.make_url(url)
        if where.drivername == "postgresql":  # SQLAlchemy's own choice is another driver than this service comes with
            where = where.set(drivername="postgresql+psycopg2")
        if where.get_backend_name() == "sqlite" and not Path(where.database or "").is_file():
            raise SourceError("There is no such file.")  # SQLite would make it
        engine = sa.create_engine(where)
        with engine.connect() as connection:
            reader = _Reader(connection)
            if not reader.has("node", "nic", "project", "network", "switch", "port", "network_attachment"):
                raise SourceError("This is no database of HIL's: its tables are not there.")
            return _site(reader)
    except ImportError as error:
        raise SourceError(f"The database cannot be read: {error}.") from None
    except sa.exc.SQLAlchemyError as error:
        # The text of the error may have the address, and with it the password.
        raise SourceError(f"The database cannot be read: {type(error).__name__}.") from None


def _names(rows: Sequence[Row]) -> dict[int, str]:
    return {row["id"]: row["label"] for row in rows}


def _site(reader: _Reader) -> Site:
    projects = _names(reader.rows("project"))
    networks = _names(reader.rows("network"))
    left = [
        # The first ones had neither a uuid nor a status, and went when they were done.
        f"networking action {row.get('uuid') or row['id']}, which is not done"
        for row in reader.rows("networking_action")
        if row.get("status", "PENDING") == "PENDING"
    ]
    return Site(
        projects=list(projects.values()),
        users=_users(reader, projects),
        switches=_switches(reader),
        nodes=_nodes(reader, projects, networks),
        networks=_networks(reader, projects),
        headnodes=_headnodes(reader, projects, networks),
        left=left,
    )


def _users(reader: _Reader, projects: Mapping[int, str]) -> list[User]:
    of_user = defaultdict(list)
    for row in reader.rows("user_projects"):
        of_user[row["user_id"]].append(projects[row["project_id"]])
    return [User(row["label"], bool(row.get("is_admin")), of_user[row["id"]]) for row in reader.rows("user")]


def _switches(reader: _Reader) -> list[Switch]:
    ports = defaultdict(list)
    for row in reader.rows("port"):
        ports[row["owner_id"]].append(row["label"])
    arguments = reader.parts("switch")
    return [
        Switch(row["label"], {"type": row["type"], **arguments.get(row["id"], {})}, ports[row["id"]])
        for row in reader.rows("switch")
    ]


def _nodes(reader: _Reader, projects: Mapping[int, str], networks: Mapping[int, str]) -> list[Node]:
    switches = _names(reader.rows("switch"))
    ports = {row["id"]: (switches[row["owner_id"]], row["label"]) for row in reader.rows("port")}
    attached: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for row in reader.rows("network_attachment"):
        attached[row["nic_id"]].append((row["channel"], networks[row["network_id"]]))
    nics = defaultdict(list)
    for row in reader.rows("nic"):
        nics[row["owner_id"]].append(
            Nic(row["label"], row["mac_addr"] or "", ports.get(row["port_id"]), attached[row["id"]])
        )
    labels: dict[int, dict[str, Any]] = defaultdict(dict)
    for row in reader.rows("metadata"):
        labels[row["owner_id"]][row["label"]] = _value(row["value"])
    obms = {row["id"]: row["type"] for row in reader.rows("obm")}
    arguments = reader.parts("obm")
    found = []
    for row in reader.rows("node"):
        obm = row.get("obm_id") or 0
        obmd = {"uri": row.get("obmd_uri"), "admin_token": row.get("obmd_admin_token")}
        found.append(
            Node(
                name=row["label"],
                project=projects.get(row["project_id"]),
                obm={"type": obms[obm], **arguments.get(obm, {})} if obm in obms else None,
                obmd=obmd if all(obmd.values()) else None,
                metadata=labels[row["id"]],
                nics=nics[row["id"]],
            )
        )
    return found


def _value(text: str | None) -> Any:
    """HIL kept labels as JSON."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _networks(reader: _Reader, projects: Mapping[int, str]) -> list[Network]:
    access = defaultdict(list)
    for row in reader.rows("network_projects"):
        access[row["network_id"]].append(projects[row["project_id"]])
    return [
        Network(row["label"], projects.get(row["owner_id"]), access[row["id"]], row["network_id"])
        for row in reader.rows("network")
    ]


def _headnodes(reader: _Reader, projects: Mapping[int, str], networks: Mapping[int, str]) -> list[Headnode]:
    hnics = defaultdict(list)
    for row in reader.rows("hnic"):
        hnics[row["owner_id"]].append(Hnic(row["label"], networks.get(row["network_id"])))
    return [
        Headnode(row["label"], projects[row["project_id"]], row["base_img"], hnics[row["id"]])
        for row in reader.rows("headnode")
    ]
