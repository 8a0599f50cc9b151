# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-manage import-hil, from databases of both of HIL's eras and from its API."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
import unittest
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import fixtures
import sqlalchemy as sa
import testtools
import yaml

from mogan_hil.cmd import import_hil
from mogan_hil.common import exception, hil_types
from mogan_hil.conductor.service import Conductor
from mogan_hil.db.api import when_committed
from mogan_hil.drivers.loader import Drivers
from mogan_hil.drivers.switch import fake as fake_switch
from mogan_hil.imports import api, database
from mogan_hil.imports.drivers import Translate
from mogan_hil.imports.site import Headnode, Network, Site, SourceError
from mogan_hil.objects.project import Project
from tests import forks, service
from tests.functional.base import HEADNODES
from tests.functional.racks import broken, drain, wrong_ports

SCHEMA = "http://schema.massopencloud.org/haas/v0"
PROGRAM = Path(sys.executable).with_name("mogan-hil-manage")

#: What both eras have.
TABLES = """
CREATE TABLE project (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL UNIQUE);
CREATE TABLE switch (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, type VARCHAR NOT NULL);
CREATE TABLE port (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, owner_id INTEGER REFERENCES switch(id));
CREATE TABLE nic (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, owner_id INTEGER, mac_addr VARCHAR, port_id INTEGER);
CREATE TABLE metadata (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, value VARCHAR, owner_id INTEGER);
CREATE TABLE network (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, owner_id INTEGER, allocated BOOLEAN,
    network_id VARCHAR NOT NULL);
CREATE TABLE network_projects (project_id INTEGER, network_id INTEGER);
CREATE TABLE network_attachment (id INTEGER PRIMARY KEY, nic_id INTEGER, network_id INTEGER, channel VARCHAR);
CREATE TABLE headnode (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, project_id INTEGER, dirty BOOLEAN,
    base_img VARCHAR, uuid VARCHAR);
CREATE TABLE hnic (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, owner_id INTEGER, network_id INTEGER);
CREATE TABLE "user" (id INTEGER PRIMARY KEY, label VARCHAR, is_admin BOOLEAN, hashed_password VARCHAR);
CREATE TABLE user_projects (user_id INTEGER, project_id INTEGER);
CREATE TABLE mock_switch (id INTEGER PRIMARY KEY REFERENCES switch(id), hostname VARCHAR, username VARCHAR,
    password VARCHAR);
CREATE TABLE nexus (id INTEGER PRIMARY KEY REFERENCES switch(id), hostname VARCHAR, username VARCHAR, password VARCHAR,
    dummy_vlan VARCHAR);
"""
#: Controllers and networking actions as the first HIL had them, and as the last one has.
OBM = """
CREATE TABLE networking_action (id INTEGER PRIMARY KEY, type VARCHAR, nic_id INTEGER, new_network_id INTEGER,
    channel VARCHAR);
CREATE TABLE obm (id INTEGER PRIMARY KEY, type VARCHAR NOT NULL);
CREATE TABLE ipmi (id INTEGER PRIMARY KEY REFERENCES obm(id), host VARCHAR, "user" VARCHAR, password VARCHAR);
CREATE TABLE mock_obm (id INTEGER PRIMARY KEY REFERENCES obm(id), host VARCHAR, "user" VARCHAR, password VARCHAR);
CREATE TABLE node (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, project_id INTEGER, obm_id INTEGER);
"""
OBMD = """
CREATE TABLE networking_action (id INTEGER PRIMARY KEY, type VARCHAR, nic_id INTEGER, new_network_id INTEGER,
    channel VARCHAR, uuid VARCHAR, status VARCHAR);
CREATE TABLE node (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, project_id INTEGER, obmd_uri VARCHAR NOT NULL,
    obmd_admin_token VARCHAR NOT NULL, obmd_node_token VARCHAR);
"""
ROWS = f"""
INSERT INTO project VALUES (1, 'red'), (2, 'green');
INSERT INTO switch VALUES (1, 'sw', '{SCHEMA}/switches/mock');
INSERT INTO mock_switch VALUES (1, 'sw.example', 'root', 'switch-secret');
INSERT INTO port VALUES (1, 'gi1/0/1', 1), (2, 'gi1/0/2', 1), (3, 'gi1/0/3', 1);
INSERT INTO nic VALUES (1, 'eth0', 1, '52:54:00:00:00:01', 1), (2, 'eth0', 2, '52-54-00-00-00-02', 2),
    (3, 'eth1', 2, '52:54:00:00:00:03', NULL);
INSERT INTO metadata VALUES (1, 'rack', '{{"row": 1}}', 1), (2, 'old', 'no json', 1);
INSERT INTO network VALUES (1, 'red-net', 1, true, '110'), (2, 'public', NULL, false, '2000'),
    (3, 'prov', NULL, true, '111');
INSERT INTO network_projects VALUES (1, 1), (2, 1), (1, 3);
INSERT INTO network_attachment VALUES (1, 1, 1, 'vlan/native'), (2, 1, 3, 'vlan/111');
INSERT INTO headnode VALUES (1, 'boss', 1, false, 'base', 'u1'), (2, 'boss', 2, true, 'ubuntu', 'u2'),
    (3, 'gone', 1, true, 'centos', 'u3');
INSERT INTO hnic VALUES (1, 'eth0', 1, 1), (2, 'eth1', 1, NULL);
INSERT INTO "user" VALUES (1, 'alice', false, 'x'), (2, 'root', true, 'x');
INSERT INTO user_projects VALUES (1, 1), (1, 2);
"""
OBM_ROWS = f"""
INSERT INTO obm VALUES (1, '{SCHEMA}/obm/ipmi'), (2, '{SCHEMA}/obm/mock');
INSERT INTO ipmi VALUES (1, '192.0.2.1', 'root', 'bmc-secret');
INSERT INTO mock_obm VALUES (2, 'x', 'y', 'z');
INSERT INTO node VALUES (1, 'n1', 1, 1), (2, 'n2', NULL, 2);
INSERT INTO networking_action VALUES (77, 'modify_port', 1, 1, 'vlan/native');
"""
OBMD_ROWS = """
INSERT INTO node VALUES (1, 'n1', 1, 'http://obmd/1', 't', NULL), (2, 'n2', NULL, 'http://obmd/2', 't', 'u');
INSERT INTO networking_action VALUES (1, 'modify_port', 1, 1, 'vlan/native', 'aaaa', 'PENDING'),
    (2, 'modify_port', 1, 1, 'vlan/native', 'bbbb', 'DONE');
"""
#: As it was until May 2016: a network was of one project or of everybody, and tables were called otherwise until March.
OLD_TABLES = """
CREATE TABLE project (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL UNIQUE);
CREATE TABLE switch (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, type VARCHAR NOT NULL);
CREATE TABLE port (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, owner_id INTEGER);
CREATE TABLE nic (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, owner_id INTEGER, mac_addr VARCHAR, port_id INTEGER);
CREATE TABLE network (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, creator_id INTEGER, access_id INTEGER,
    allocated BOOLEAN, network_id VARCHAR NOT NULL);
CREATE TABLE networkattachment (id INTEGER PRIMARY KEY, nic_id INTEGER, network_id INTEGER, channel VARCHAR);
CREATE TABLE networkingaction (id INTEGER PRIMARY KEY, nic_id INTEGER, new_network_id INTEGER, channel VARCHAR);
CREATE TABLE mockswitch (id INTEGER PRIMARY KEY REFERENCES switch(id), hostname VARCHAR, username VARCHAR,
    password VARCHAR);
CREATE TABLE obm (id INTEGER PRIMARY KEY, type VARCHAR NOT NULL);
CREATE TABLE mockobm (id INTEGER PRIMARY KEY REFERENCES obm(id), host VARCHAR, "user" VARCHAR, password VARCHAR);
CREATE TABLE node (id INTEGER PRIMARY KEY, label VARCHAR NOT NULL, project_id INTEGER, obm_id INTEGER)
"""
OLD_ROWS = f"""
INSERT INTO project VALUES (1, 'red'), (2, 'green');
INSERT INTO switch VALUES (1, 'sw', '{SCHEMA}/switches/mock');
INSERT INTO mockswitch VALUES (1, 'sw.example', 'root', 'switch-secret');
INSERT INTO port VALUES (1, 'gi1/0/1', 1);
INSERT INTO nic VALUES (1, 'eth0', 1, '52:54:00:00:00:01', 1);
INSERT INTO obm VALUES (1, '{SCHEMA}/obm/mock');
INSERT INTO mockobm VALUES (1, 'x', 'y', 'z');
INSERT INTO node VALUES (1, 'n1', 1, 1);
INSERT INTO network VALUES (1, 'red-net', 1, 1, true, '110'), (2, 'all', NULL, NULL, true, '111'),
    (3, 'lent', NULL, 2, false, '2000');
INSERT INTO networkattachment VALUES (1, 1, 1, 'vlan/native');
INSERT INTO networkingaction VALUES (77, 1, 1, 'vlan/native')
"""

#: An image here for one of HIL's.
IMAGES = "headnode_images: {ubuntu: large}\n"


TROUBLES = (
    "INSERT INTO project VALUES (9, 'two words')",
    "INSERT INTO \"user\" VALUES (9, 'm\u00fcller', false, 'x')",
    "INSERT INTO user_projects VALUES (1, 9)",
    "INSERT INTO port VALUES (8, 'gi 1', 1), (9, 'gi1/0/1', 1)",
    "INSERT INTO node VALUES (3, 'n3', NULL, 2), (4, 'n4', NULL, 2)",
    "INSERT INTO metadata VALUES (8, 'a b', '1', 3), (9, 'big', '1e999', 4)",
    "INSERT INTO nic VALUES (4, 'eth1', 1, '52:54:00:00:00:04', NULL), (7, 'eth7', 2, '52:54:00:00:00:07', 1),"
    " (8, 'eth8', 2, '52:54:00:00:00:01', NULL), (9, 'eth9', 2, 'nomacaddr', NULL),"
    " (10, 'eth0', 2, '52:54:00:00:00:10', NULL)",
    "INSERT INTO network VALUES (7, 'same', NULL, false, '110'), (8, 'far', NULL, false, '4096'),"
    " (9, 'lost', NULL, false, '2001')",
    "INSERT INTO network_projects VALUES (9, 9)",
    "INSERT INTO network_attachment VALUES (6, 1, 2, 'vlan/native'), (7, 1, 2, 'vlan/7'), (8, 4, 2, 'vlan/native'),"
    " (9, 2, 2, 'vlan/native')",
    "INSERT INTO hnic VALUES (9, 'eth 0', 1, NULL)",
)


#: What the checks of HIL's did not exclude, and what it called legal.
TOLD = (
    "! project 'two words': ",
    "! user 'm\u00fcller': ",
    "! port 'gi 1' of switch sw: ",
    "! create port gi1/0/1 of switch sw: ",
    "! label 'a b' of node n3: ",
    "! label 'big' of node n4: ",
    "! NIC eth9 of node n2: it must be a MAC address",
    "! create NIC eth8 of node n2: ",
    "! create NIC eth0 of node n2: ",
    "! cable NIC eth7 of node n2 to sw/gi1/0/1: ",
    "! create network same of the site on segment 110, public: ",
    "! create network far of the site on segment 4096, public: ",
    "! attach network public to NIC eth0 of node n1 as vlan/native: ",
    "! attach network public to NIC eth0 of node n1 as vlan/7: ",
    "! attach network public to NIC eth1 of node n1 as vlan/native: ",
    "! attach network public to NIC eth0 of node n2 as vlan/native: ",
    "! NIC 'eth 0' of headnode boss: ",
)


def tables(embedded: service.Embedded) -> dict[str, int]:
    """How many rows each table has."""
    known = sa.MetaData()
    with embedded.database.engine.connect() as connection:
        known.reflect(connection)
        count = sa.func.count()
        return {
            name: connection.execute(sa.select(count).select_from(table)).scalar_one()
            for name, table in known.tables.items()
        }


class ImportCase(testtools.TestCase):
    """An empty service, and a HIL."""

    kind = "sqlite"

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        self.service = self.useFixture(service.Embedded(conductor=False))
        self.admin = self.service.admin
        self.config = self.directory / "mogan_hil.conf"
        self.config.write_text(
            f"[DEFAULT]\nstate_path = {self.service.state_dir}\n"
            f"[database]\nconnection = {self.service.conf.database.connection}\n"
            "[auth]\nstrategy = local\nhash_cost = 4\n"
            "[headnode]\nimages = base:/base.qcow2:1024:2\nimages = large:/base.qcow2:4096:8\n"
            "bridges = default:br0\n"
        )

    def hil(self, *statements: str) -> str:
        """Make a database of HIL's. Returns its URL."""
        url = f"sqlite:///{self.directory}/hil.db"
        if self.kind == "postgresql":
            server = dict(service.databases())["postgresql"]
            if server is None:
                raise unittest.SkipTest("postgresql is not there")
            name = f"old_{uuid.uuid4().hex[:12]}"
            root = sa.create_engine(server, isolation_level="AUTOCOMMIT")
            with root.connect() as connection:
                connection.execute(sa.text(f"CREATE DATABASE {name}"))
            self.addCleanup(self._drop, root, name)
            url = sa.engine.make_url(server).set(database=name).render_as_string(hide_password=False)
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            for statement in ";".join(statements).split(";"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
        engine.dispose()
        return url

    def _drop(self, root: sa.Engine, name: str) -> None:
        with root.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        root.dispose()

    def file(self, text: str) -> list[str]:
        """The arguments that name a file of this content."""
        file = self.directory / "drivers.yaml"
        file.write_text(text)
        return ["--drivers", str(file)]

    def tables(self) -> dict[str, int]:
        return tables(self.service)

    def run_import(self, *arguments: str, status: int = 0) -> tuple[list[str], str]:
        """The lines that it printed, and what it said besides."""
        done = forks.run(str(PROGRAM), "--config-file", str(self.config), "import-hil", *arguments)
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        return done.stdout.splitlines(), done.stderr

    def start(self) -> None:
        """Let conductors work, as after an import."""
        conductor = Conductor(self.service.conf, self.service.database, self.service.drivers)
        conductor.start()
        self.addCleanup(conductor.stop)
        drain(self.service.database)


class TestDatabase(ImportCase):
    """From SQLite, with controllers described by their type."""

    def test_all_of_it(self) -> None:
        url = self.hil(TABLES, OBM, ROWS, OBM_ROWS)
        before, images = self.tables(), self.file(IMAGES)
        planned, said = self.run_import(url, "--dry-run", *images)
        self.assertIn("headnode boss is taken over as a definition", said)
        self.assertIn("headnode gone is not taken over: there is no image centos", said)
        self.assertIn("networking action 77", said)
        self.assertEqual(before, self.tables())
        made, _ = self.run_import(url, *images)
        self.assertEqual(planned[:-1], made[:-1])
        self.assertNotIn("secret", "\n".join(made) + said)
        self._check()
        self._check_headnodes()
        again, _ = self.run_import(url, *images)
        self.assertEqual(["nothing to do"], again)

    def test_who_may_use_a_network(self) -> None:
        """It is told before it is done: HIL made a network everybody's as the last project was taken off its list."""
        url = self.hil(TABLES, OBM, ROWS, OBM_ROWS, "INSERT INTO network_projects VALUES (2, 3)")
        for arguments in (("--dry-run",), ()):
            made, said = self.run_import(url, *arguments)
            self.assertIn("create network red-net of red on segment 110, for green", made)
            self.assertIn("create network prov of the site on segment 111, for green, red", made)
            self.assertIn("create network public of the site on segment 2000, public", made)
            self.assertIn("note: network public is public: every project may use it", said)
            self.assertEqual(1, said.count("is public:"))

    def _check_headnodes(self) -> None:
        found = {one["image"]: one for one in self.admin.get("headnodes")["headnodes"]}
        self.assertEqual({"base", "large"}, found.keys())
        base = found["base"]
        self.assertEqual(("boss", "new", False), (base["name"], base["status"], base["frozen"]))
        self.assertEqual(self.admin.get("projects/red")["uuid"], base["project_id"])
        on = {hnic["name"]: hnic["network"] and hnic["network"]["name"] for hnic in base["hnics"]}
        self.assertEqual({"eth0": "red-net", "eth1": None}, on)
        self.assertEqual([], found["large"]["hnics"])

    def _check(self) -> None:
        node = self.admin.get("nodes/n1")
        self.assertEqual({"rack": {"row": 1}, "old": "no json"}, node["metadata"])
        self.assertEqual(("ipmi", "192.0.2.1"), (node["obm"]["driver"], node["obm"]["options"]["host"]))
        self.assertEqual(self.admin.get("projects/red")["uuid"], node["project_id"])
        self.assertEqual("52:54:00:00:00:02", self.admin.get("nodes/n2/nics/eth0")["mac"])
        self.assertEqual("110", self.admin.get("networks/red-net")["segment_id"])
        self.assertTrue(self.admin.get("networks/public")["public"])
        self.assertFalse(self.admin.get("networks/prov")["public"])
        self.assertEqual(2, len(self.admin.get("users/alice")["projects"]))
        # The network went on while HIL was replaced: the port is made as it was, and never closed in between.
        switch = self.admin.get("switches/sw")["uuid"]
        was = fake_switch.base.PortState(native=110, tagged=frozenset({111}))
        fake_switch.set_by_hand(self.service.state_dir, switch, "gi1/0/1", was)
        self.start()
        self.assertEqual([], broken(self.service.database))
        self.assertEqual([], wrong_ports(self.service.database, self.service.state_dir))
        shown = self.admin.get("nodes/n1/nics/eth0/attachments")["attachments"]
        self.assertEqual(
            {("vlan/native", "active"), ("vlan/111", "active")}, {(one["channel"], one["status"]) for one in shown}
        )
        self.assertTrue(self.admin.get("switches/sw/ports/gi1%2F0%2F1")["in_sync"])
        self.assertEqual([], self.admin.get("operations?state=error")["operations"])

    def test_obstacles_change_nothing(self) -> None:
        more = (
            f"INSERT INTO switch VALUES (2, 'brocade', '{SCHEMA}/switches/brocade')",
            "INSERT INTO nic VALUES (9, 'eth9', 2, 'no mac', NULL)",
            "INSERT INTO project VALUES (9, 'two words')",
        )
        _, said = self.run_import(self.hil(TABLES, OBM, ROWS, OBM_ROWS, *more), status=1)
        for word in ("brocade", "eth9", "two words", "Nothing was changed"):
            self.assertIn(word, said)
        self.assertEqual(1, len(self.admin.get("projects")["projects"]))

    def test_somebody_elses(self) -> None:
        """A node of this name is there, and another project has it."""
        self.admin.add_project("blue")
        self.admin.post("nodes", {"name": "n1"})
        self.admin.put("nodes/n1/project", {"project_id": "blue"})
        _, said = self.run_import(self.hil(TABLES, OBM, ROWS, OBM_ROWS), status=1)
        self.assertIn("belongs to project blue", said)

    def test_something_else_of_that_name(self) -> None:
        """A network of another project, and another cable: nodes must not come upon what is not theirs."""
        url = self.hil(TABLES, OBM, ROWS, OBM_ROWS)
        self.admin.add_project("blue")
        self.admin.post("networks", {"name": "red-net", "project_id": "blue"})
        self.start()
        self.admin.add_switch("sw", ["gi1/0/1"])
        self.admin.add_node("other", "sw", "gi1/0/1")
        _, said = self.run_import(url, status=1)
        self.assertIn("network red-net: there is another of this name here", said)
        self.assertIn("port sw/gi1/0/1: NIC eth0 of node other is there", said)

    def test_what_was_interrupted_goes_on(self) -> None:
        """What is there already, whoever made it, is left as it is."""
        url = self.hil(TABLES, OBM, ROWS, OBM_ROWS)
        self.admin.add_project("red")
        self.admin.post("switches", {"name": "sw", "driver": "fake"})
        self.admin.post("networks", {"name": "red-net", "project_id": "red", "segment_id": "110"})
        made, _ = self.run_import(url)
        self.assertNotIn("create switch sw (fake)", made)
        self.assertIn("create node n1", made)
        self.assertEqual(["nothing to do"], self.run_import(url)[0])

    def test_what_is_none(self) -> None:
        unreachable = "postgresql://u:hidden@127.0.0.1:1/x"
        for source in (f"sqlite:///{self.directory}/none.db", "no url", "nosuch://x", unreachable):
            self.assertNotIn("hidden", str(self.assertRaises(SourceError, database.read, source)))
        self.assertFalse((self.directory / "none.db").exists())
        _, said = self.run_import(unreachable, status=1)
        self.assertNotIn("hidden", said)
        self.assertNotIn("Traceback", said)
        bad = self.directory / "bad.yaml"
        for text in (
            "[1]",
            "switches: 7",
            "switches: {sw: {}}",
            "{",
            "switches: {sw: {driver: 7}}",
            "colours: {}",
            "headnode_images: {a: 7}",
            "headnode_images: a",
            "macs: {n2: 7}",
            "macs: {n2: {eth0: 7}}",
            "names: {networks: a}",
            "names: {networks: {a: 7}}",
            "names: {ports: {a: b}}",
        ):
            bad.write_text(text)
            self.assertRaises((ValueError, yaml.YAMLError), import_hil._drivers, bad)


class TestOldDatabase(ImportCase):
    """As HIL's own upgrade reads it; and what is not there is told, and never guessed."""

    def test_before_lists_of_projects(self) -> None:
        url = self.hil(OLD_TABLES, OLD_ROWS)
        site = database.read(url)
        wanted = [Network("red-net", "red", ["red"], "110"), Network("all", None, [], "111")]
        self.assertEqual([*wanted, Network("lent", None, ["green"], "2000")], site.networks)
        self.assertEqual([("vlan/native", "red-net")], site.nodes[0].nics[0].networks)
        self.assertEqual(["networking action 77, which is not done"], site.left)
        self.run_import(url)
        self.assertEqual(
            {"red-net": False, "all": True, "lent": False},
            {one["name"]: one["public"] for one in self.admin.get("networks")["networks"]},
        )

    def test_what_is_missing(self) -> None:
        """Every column and every table that is read, one by one: it is told, or not needed."""
        for create, rows, _ in ERAS:
            for table, columns in self._described(create).items():
                for column in (None, *columns):
                    told = self._without(create, rows, table, column)
                    if told is not None:
                        self.assertIn(table.replace("_", ""), told.replace("_", ""))
                        self.assertIn("hil-admin db upgrade", told)
                        # An old network that has lost its columns is taken for a new one.
                        self.assertTrue(column is None or column in told or "network_projects" in told, told)

    def test_needed(self) -> None:
        """Without these a network would be everybody's."""
        for create, rows, needed in ERAS:
            for table, column in needed:
                self.assertIsNotNone(self._without(create, rows, table, column), (table, column))

    def test_what_is_referred_to_and_not_there(self) -> None:
        for statement in (
            "UPDATE network SET owner_id = 99 WHERE id = 1",
            "INSERT INTO network_projects VALUES (99, 1)",
            "INSERT INTO user_projects VALUES (1, 99)",
            "INSERT INTO network_attachment VALUES (99, 1, 99, 'vlan/native')",
            "UPDATE node SET project_id = 99 WHERE id = 1",
            "UPDATE nic SET port_id = 99 WHERE id = 1",
            "UPDATE port SET owner_id = 99 WHERE id = 1",
            "UPDATE headnode SET project_id = 99 WHERE id = 1",
            "UPDATE hnic SET network_id = 99 WHERE id = 1",
        ):
            file = self.directory / "hil.db"
            file.unlink(missing_ok=True)
            url = self.hil(TABLES, OBM, ROWS, OBM_ROWS, statement)
            self.assertIn("99", str(self.assertRaises(SourceError, database.read, url)), statement)
        _, said = self.run_import(url, status=1)
        self.assertNotIn("Traceback", said)

    def _described(self, create: str) -> dict[str, list[str]]:
        engine = sa.create_engine("sqlite://")
        with engine.begin() as connection:
            for statement in create.split(";"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
            known = sa.MetaData()
            known.reflect(connection)
        engine.dispose()
        return {name: [column.name for column in table.columns] for name, table in known.tables.items()}

    def _without(self, create: str, rows: str, table: str, column: str | None) -> str | None:
        """What is said of a database without this, if it is refused."""
        file = self.directory / "hil.db"
        file.unlink(missing_ok=True)
        engine = sa.create_engine(f"sqlite:///{file}")
        with engine.begin() as connection:
            for statement in f"{create};{rows}".split(";"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
            if column is None:
                connection.exec_driver_sql(f'DROP TABLE "{table}"')
            else:
                connection.exec_driver_sql(f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO other')
        engine.dispose()
        try:
            database.read(f"sqlite:///{file}")
        except SourceError as error:
            return str(error)
        return None


#: The tables and rows of each era, and what its networks cannot be read without.
ERAS = (
    (OLD_TABLES, OLD_ROWS, [("network", "creator_id"), ("network", "access_id")]),
    (
        TABLES + OBM,
        ROWS + OBM_ROWS,
        [
            ("network", "owner_id"),
            ("network_projects", None),
            ("network_projects", "project_id"),
            ("network_projects", "network_id"),
        ],
    ),
    (TABLES + OBMD, ROWS + OBMD_ROWS, [("network", "owner_id"), ("network_projects", None)]),
)


class TestSwitches(ImportCase):
    def test_without_a_driver(self) -> None:
        """Each type that HIL had is known, and it is told why there is no driver for it."""
        kinds = ("powerconnect55xx", "delln3000", "brocade", "dellnos9")
        more = [
            f"INSERT INTO switch VALUES ({number}, 's{number}', '{SCHEMA}/switches/{kind}')"
            for number, kind in enumerate(kinds, 2)
        ]
        _, said = self.run_import(self.hil(TABLES, OBM, ROWS, OBM_ROWS, *more), status=1)
        for number, kind in enumerate(kinds, 2):
            self.assertIn(f"! switch s{number}: there is no driver for switches of HIL's type {kind}: ", said)
            self.assertGreater(len(hil_types.SWITCH_REFUSED[kind]), 20)


class TestObmd(ImportCase):
    """The last HIL's: controllers at an obmd."""

    def test_as_it_is_and_with_a_file(self) -> None:
        url = self.hil(TABLES, OBMD, ROWS, OBMD_ROWS)
        file = self.file("nodes: {n2: {driver: ipmi, options: {host: b, username: u, password: p}}}")
        _, said = self.run_import(url, *file)
        self.assertIn("networking action aaaa", said)
        self.assertNotIn("bbbb", said)
        self.assertIn("headnode boss is not taken over: there is no image ubuntu", said)
        self.assertEqual(["base"], [one["image"] for one in self.admin.get("headnodes")["headnodes"]])
        self.assertEqual("ipmi", self.admin.get("nodes/n2")["obm"]["driver"])
        found = self.admin.get("nodes/n1")["obm"]
        self.assertEqual(("obmd", "http://obmd/1"), (found["driver"], found["options"]["uri"]))


class TestPostgresql(TestDatabase):
    """From PostgreSQL."""

    kind = "postgresql"
    test_obstacles_change_nothing = test_somebody_elses = None  # type: ignore[assignment]
    test_something_else_of_that_name = None  # type: ignore[assignment]
    test_what_was_interrupted_goes_on = test_what_is_none = None  # type: ignore[assignment]


class TestApi(ImportCase):
    """From the API: of this service itself, which answers as HIL does."""

    def test_round(self) -> None:
        images = {("headnode", "images"): "base:/base.qcow2:1024:2", ("headnode", "bridges"): "default:br0"}
        site = service.Processes("sqlite", apis=1, conductors=1, settings=images)
        self.useFixture(site)
        site.admin.add_project("red")
        site.admin.add_switch("sw", ["gi1/0/1"])
        site.admin.add_node("n1", "sw", "gi1/0/1", obm={"driver": "fake"})
        site.admin.put("nodes/n1/metadata/shelf", {"value": [1]}, 201)
        site.admin.put("nodes/n1/project", {"project_id": "red"})
        network = site.admin.post("networks", {"name": "net", "project_id": "red"})
        site.admin.attach("n1", "net")
        site.admin.post("headnodes", {"name": "boss", "project_id": "red", "image": "base"})
        site.admin.post("headnodes/boss/hnics", {"name": "eth0"})
        site.admin.put("headnodes/boss/hnics/eth0/network", {"network": "net"})
        password = self.directory / "password"
        password.write_text(service.PASSWORD + os.linesep)
        password_file = ["--password-file", str(password)]
        _, said = self.run_import(site.urls[0], *password_file, status=1)
        self.assertIn("switch sw: how it is reached is not told", said)
        file = self.file("switches: {sw: {driver: fake}}\nnodes: {n1: {driver: fake}}\n")
        _, said = self.run_import(site.urls[0], *password_file, *file)
        self.assertIn("which networks the NICs of headnode boss are on, which the API does not tell,", said)
        self.assertEqual(
            [("eth0", None)], [(hnic["name"], hnic["network"]) for hnic in self.admin.get("headnodes/boss")["hnics"]]
        )
        self.assertEqual(network["segment_id"], self.admin.get("networks/net")["segment_id"])
        self.assertEqual({"shelf": [1]}, self.admin.get("nodes/n1")["metadata"])
        self.start()
        self.assertEqual([], wrong_ports(self.service.database, self.service.state_dir))
        self.run_import("http://127.0.0.1:1", *password_file, status=1)


#: What a HIL answers; where there is nothing it is a page, as Flask makes it.
ANSWERS: dict[str, Any] = {
    "switches": ["sw"],
    "switch/sw": {"name": "sw", "ports": [{"label": "gi1/0/1"}], "capabilities": []},
    "nodes/all": ["n1"],
    "node/n1": {
        "name": "n1",
        "project": "red",
        "metadata": {"model": '"r720"'},
        "nics": [
            {"label": "a", "macaddr": "nomacaddr", "port": None, "switch": None, "networks": {}},
            {
                "label": "b",
                "macaddr": "52:54:00:00:00:01",
                "port": "gi1/0/1",
                "switch": "sw",
                "networks": {"vlan/7": "all"},
            },
        ],
    },
    "networks": {"all": {"network_id": "7", "projects": None}},
    "network/all": {"owner": "admin", "access": None},
    "projects": ["red"],
    "project/red/headnodes": ["boss", "broken"],
    "headnode/boss": {"project": "red", "base_img": "base", "hnics": []},
}


class _Hil(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = ANSWERS.get(self.path.removeprefix("/v0/"))
        status = 200 if found is not None else 500 if "headnode/" in self.path else 404
        body = json.dumps(found).encode() if found is not None else b"<!DOCTYPE HTML><title>Error</title>"
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class TestHilsApi(testtools.TestCase):
    """From the API as HIL answers it, without users of its own and with a libvirt that fails."""

    def setUp(self) -> None:
        super().setUp()
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Hil)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    def test_what_is_told_otherwise(self) -> None:
        """By another HIL, or by something else."""
        for path, answer in (
            ("networks", {"all": {"network_id": "7"}}),
            ("networks", ["all"]),
            ("network/all", {"creator": "admin", "access": None}),
            ("node/n1", {**ANSWERS["node/n1"], "metadata": {"model": "no json"}}),
            ("switch/sw", []),
            ("nodes/all", 7),
        ):
            with mock.patch.dict(ANSWERS, {path: answer}):
                error = self.assertRaises(SourceError, api.read, self.url, "admin", "x")
            self.assertIn("not as HIL does", str(error))

    def test_what_it_tells(self) -> None:
        site = api.read(self.url, "admin", "x")
        self.assertEqual([], site.users)
        self.assertEqual([Headnode("boss", "red", "base", [])], site.headnodes)
        self.assertIn("headnode broken, which is not told", site.left[0])
        self.assertEqual([Network("all", None, (), "7")], site.networks)
        none, cabled = site.nodes[0].nics
        self.assertEqual((None, ("sw", "gi1/0/1")), (none.port, cabled.port))
        self.assertEqual([("vlan/7", "all")], cabled.networks)
        given = {"macs": {"n1": {"a": "52-54-00-00-00-02"}}}
        self.assertEqual("52:54:00:00:00:02", Translate(Drivers(), given).mac("n1", none))
        self.assertRaises(ValueError, Translate(Drivers(), {}).mac, "n1", none)


class TestEveryDatabase(testtools.TestCase):
    """Into SQLite, MariaDB and PostgreSQL: what fails in the middle of the transaction, and all of it."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        self.targets = [
            self.useFixture(service.Embedded(HEADNODES, database=kind, conductor=False))
            for kind, server in service.databases()
            if server is not None
        ]

    def _site(self, *more: str) -> Site:
        url = f"sqlite:///{self.directory}/hil.db"
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            for statement in ";".join((TABLES, OBM, ROWS, OBM_ROWS, *more)).split(";"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
        engine.dispose()
        return database.read(url)

    def _take_over(self, target: service.Embedded, site: Site, ends: type[BaseException] | None, **options: Any) -> str:
        """Returns what was said."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            try:
                with target.database.together() as whole:
                    import_hil.take_over(target.conf, whole, site, **{"dry_run": False, "described": {}, **options})
                self.assertIsNone(ends)
            except (SystemExit, import_hil.NotMeant) as error:
                self.assertIs(ends, type(error), said.getvalue())
        return said.getvalue()

    def test_every_trouble_at_once(self) -> None:
        site = self._site(*TROUBLES)
        for target in self.targets:
            before = tables(target)
            for dry_run in (True, False):
                said = self._take_over(target, site, SystemExit, dry_run=dry_run)
                self.assertEqual([], [trouble for trouble in TOLD if trouble not in said], said)
                # What needs one of these is not told besides.
                self.assertEqual(len(TOLD), sum(line.startswith("!") for line in said.splitlines()), said)
                self.assertEqual(before, tables(target))

    def test_once_and_again(self) -> None:
        site = self._site()
        for target in self.targets:
            self._take_over(target, site, None)
            attached = target.admin.get("nodes/n1/nics/eth0/attachments")["attachments"]
            self.assertEqual({"vlan/native", "vlan/111"}, {one["channel"] for one in attached})
            self.assertEqual(1, len(target.admin.get("headnodes")["headnodes"]))
            self.assertIn("nothing to do", self._take_over(target, site, import_hil.NotMeant))

    def test_other_names(self) -> None:
        """By a rule, and one by one: wherever a thing is mentioned it has its new name, and two never have one."""
        site = self._site(
            "UPDATE project SET label = 'the red one' WHERE id = 1",
            "UPDATE network SET label = 'red net' WHERE id = 1",
            "UPDATE switch SET label = 'sw (old)'",
            "UPDATE node SET label = '-n1' WHERE id = 1",
            "UPDATE nic SET label = 'eth 0' WHERE id = 1",
            "UPDATE metadata SET label = 'in rack' WHERE id = 1",
            "UPDATE headnode SET label = 'the boss' WHERE id = 1",
            "UPDATE hnic SET label = 'eth 0' WHERE id = 1",
            "UPDATE \"user\" SET label = 'al ice' WHERE id = 1",
        )
        names = {"names": {"switches": {"sw (old)": "sw"}, "networks": {"public": "everybody"}}}
        file = {
            **names,
            "switches": {"sw (old)": {"driver": "fake", "options": {"delay": 0}}},
            "macs": {"-n1": {"x": "y"}},
        }
        for target in self.targets:
            self.assertIn("! network 'red net'", self._take_over(target, site, SystemExit, dry_run=True))
            said = self._take_over(target, site, import_hil.NotMeant, dry_run=True, rename="-", described=file)
            for one in (
                "project 'the red one' is called the-red-one here",
                "switch 'sw (old)' is called sw here",
                "network 'public' is called everybody here",
                "node '-n1' is called _-n1 here",
                "label 'in rack' of node _-n1 is called in-rack here",
                "headnode 'the boss' of project the red one is called the-boss here",
            ):
                self.assertIn(f"note: {one}", said)
            self._take_over(target, site, None, rename="-", described=file)
            admin = target.admin
            node = admin.get("nodes/_-n1")
            (nic,) = node["nics"]
            self.assertEqual({"row": 1}, node["metadata"]["in-rack"])
            self.assertEqual(("eth-0", "sw"), (nic["name"], nic["switch"]["name"]))
            wired = admin.get("nodes/_-n1/nics/eth-0/attachments")["attachments"]
            self.assertEqual({"red-net", "prov"}, {one["network"]["name"] for one in wired})
            self.assertEqual(["al-ice"], [one["name"] for one in admin.get("users")["users"] if "al" in one["name"]])
            head = admin.get("headnodes/the-boss")
            self.assertEqual(admin.get("projects/the-red-one")["uuid"], head["project_id"])
            self.assertEqual(["eth-0", "eth1"], [one["name"] for one in head["hnics"]])
            self.assertEqual({"delay": 0}, admin.get("switches/sw")["options"])
            again = self._take_over(target, site, import_hil.NotMeant, rename="-", described=file)
            self.assertIn("nothing to do", again)

    def test_two_of_one_name(self) -> None:
        site = self._site(
            "UPDATE network SET label = 'a b' WHERE id = 1",
            "UPDATE network SET label = 'a-b' WHERE id = 2",
            "INSERT INTO metadata VALUES (7, 'row 1', '1', 1), (8, 'row/1', '2', 1)",
        )
        for target in self.targets:
            said = self._take_over(target, site, SystemExit, rename="-")
            self.assertIn("! networks 'a b' and 'a-b' would both be called a-b here", said)
            self.assertIn("! labels 'row 1' and 'row/1' of node n1 would both be called row-1 here", said)

    def test_no_room(self) -> None:
        """Quotas hold here, too."""
        site = self._site()
        for target in self.targets:
            target.conf.set_override("networks", 0, group="quota")
            before = tables(target)
            said = self._take_over(target, site, SystemExit)
            self.assertIn("! create network red-net of red on segment 110, for green: The quota of networks is 0", said)
            # What needs the network: an attachment, and a headnode.
            self.assertEqual(1, sum(line.startswith("!") for line in said.splitlines()), said)
            self.assertEqual(before, tables(target))


class TestTogether(testtools.TestCase):
    """One transaction of many readers and writers, in every database."""

    def test_all_or_nothing(self) -> None:
        for kind, server in service.databases():
            if server is not None:
                self._check(self.useFixture(service.Embedded(database=kind, conductor=False)))

    def _check(self, embedded: service.Embedded) -> None:
        done: list[str] = []

        def names() -> list[str]:
            return sorted(one["name"] for one in embedded.admin.get("projects")["projects"])

        def two(stop: type[Exception] | None) -> None:
            with embedded.database.together() as whole:
                with whole.writer() as session:
                    Project.create(session, name="one")
                    when_committed(session, lambda: done.append("one"))
                with self.assertRaisesRegex(exception.Duplicate, "already"), whole.writer() as session:
                    Project.create(session, name="three")
                    when_committed(session, lambda: done.append("three"))
                    Project.create(session, name="one")
                with whole.reader() as session:
                    self.assertEqual(["admin", "one"], sorted(one.name for one in Project.find(session)))
                self.assertEqual((["admin"], []), (names(), done))
                if stop is not None:
                    raise stop

        self.assertRaises(ZeroDivisionError, two, ZeroDivisionError)
        self.assertEqual((["admin"], []), (names(), done))
        two(None)
        self.assertEqual((["admin", "one"], ["one"]), (names(), done))
