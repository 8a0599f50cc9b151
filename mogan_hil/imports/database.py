# SPDX-License-Identifier: Apache-2.0
"""Reads a HIL from its database, PostgreSQL or SQLite, of any release since 2016.

The tables are looked at and not assumed: drivers had tables of their own, and controllers were described in two ways,
as was who may use a network. What is read and is not there is an error: to guess could make a network everybody's.
Nothing is written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from mogan_hil.imports.site import Headnode, Hnic, Network, Nic, Node, Site, SourceError, Switch, User

T = TypeVar("T")

#: Columns of a driver's table that are not its arguments.
_NO_ARGUMENTS = ("id",)

#: What tables were called until March 2016. Drivers' tables are found by their keys.
_OLD_NAMES = {"network_attachment": "networkattachment", "networking_action": "networkingaction"}


def _missing(what: str) -> SourceError:
    return SourceError(
        f"The database has no {what}, so that it cannot be read. If it is one of HIL's, upgrade it with the last HIL "
        "first: hil-admin db upgrade heads"
    )


class _Row(dict[str, Any]):
    """Of a table. A column that is not there is an error; `get` is for those that not every HIL has."""

    def __init__(self, table: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._table = table

    def __missing__(self, column: str) -> Any:
        raise _missing(f"column {column} in its table {self._table}")


class _Known(dict[int, T]):
    """What the rows of a table stand for, by their ids. Nothing kept SQLite from having an id that leads nowhere."""

    def __init__(self, table: str, values: Mapping[int, T]) -> None:
        super().__init__(values)
        self._table = table

    def __missing__(self, number: int) -> T:
        raise SourceError(
            f"The database is not sound: something belongs to {self._table} {number}, which is not there."
        )

    def or_none(self, number: int | None) -> T | None:
        """The one of an id that may be none at all."""
        return None if number is None else self[number]


class _Reader:
    """Whole tables; a HIL is small."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._tables = sa.MetaData()
        self._tables.reflect(connection)

    def _table(self, name: str) -> sa.Table | None:
        tables = self._tables.tables
        return tables.get(name, tables.get(_OLD_NAMES.get(name, "")))

    def rows(self, name: str) -> list[_Row]:
        """The rows of a table, none if there is no such table."""
        table = self._table(name)
        if table is None:
            return []
        query = sa.select(table)
        if "id" in table.c:
            query = query.order_by(table.c.id)
        return [_Row(table.name, row._asdict()) for row in self._connection.execute(query)]

    def parts(self, parent: str) -> dict[int, dict[str, Any]]:
        """What drivers have in tables of their own, whose key is the parent's."""
        found: dict[int, dict[str, Any]] = {}
        for table in self._tables.tables.values():
            keys = [key for key in table.foreign_keys if key.column.table.name == parent and key.parent.primary_key]
            for row in self.rows(table.name) if keys else ():
                found[row["id"]] = {name: value for name, value in row.items() if name not in _NO_ARGUMENTS}
        return found

    def need(self, *names: str) -> None:
        """:raises SourceError: there is no such table"""
        for name in names:
            if self._table(name) is None:
                raise _missing(f"table {name}")

    def has_column(self, name: str, column: str) -> bool:
        table = self._table(name)
        return table is not None and column in table.c


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
            reader.need("node", "nic", "project", "network", "switch", "port", "network_attachment")
            return _site(reader)
    except sa.exc.NoSuchTableError as error:  # another one refers to it
        raise _missing(f"table {error}") from None
    except ImportError as error:
        raise SourceError(f"The database cannot be read: {error}.") from None
    except sa.exc.SQLAlchemyError as error:
        # The text of the error may have the address, and with it the password.
        raise SourceError(f"The database cannot be read: {type(error).__name__}.") from None


def _names(reader: _Reader, table: str) -> _Known[str]:
    return _Known(table, {row["id"]: row["label"] for row in reader.rows(table)})


def _site(reader: _Reader) -> Site:
    projects = _names(reader, "project")
    networks = _names(reader, "network")
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


def _users(reader: _Reader, projects: _Known[str]) -> list[User]:
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


def _nodes(reader: _Reader, projects: _Known[str], networks: _Known[str]) -> list[Node]:
    switches = _names(reader, "switch")
    ports = _Known("port", {row["id"]: (switches[row["owner_id"]], str(row["label"])) for row in reader.rows("port")})
    attached: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for row in reader.rows("network_attachment"):
        attached[row["nic_id"]].append((row["channel"], networks[row["network_id"]]))
    nics = defaultdict(list)
    for row in reader.rows("nic"):
        port = ports.or_none(row["port_id"])
        nics[row["owner_id"]].append(Nic(row["label"], row["mac_addr"] or "", port, attached[row["id"]]))
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
                project=projects.or_none(row["project_id"]),
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


def _networks(reader: _Reader, projects: _Known[str]) -> list[Network]:
    access = defaultdict(list)
    # Until May 2016 (HIL's migration 89630e3872ec) a network had one project that might use it, or was everybody's.
    owner = "creator_id" if reader.has_column("network", "creator_id") else "owner_id"
    if owner == "creator_id":
        for row in reader.rows("network"):
            if row["access_id"] is not None:
                access[row["id"]].append(projects[row["access_id"]])
    else:
        reader.need("network_projects")  # without it every network would seem to be everybody's
        for row in reader.rows("network_projects"):
            access[row["network_id"]].append(projects[row["project_id"]])
    return [
        Network(row["label"], projects.or_none(row[owner]), access[row["id"]], row["network_id"])
        for row in reader.rows("network")
    ]


def _headnodes(reader: _Reader, projects: _Known[str], networks: _Known[str]) -> list[Headnode]:
    hnics = defaultdict(list)
    for row in reader.rows("hnic"):
        hnics[row["owner_id"]].append(Hnic(row["label"], networks.or_none(row["network_id"])))
    return [
        Headnode(row["label"], projects[row["project_id"]], row["base_img"], hnics[row["id"]])
        for row in reader.rows("headnode")
    ]
