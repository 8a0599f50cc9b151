# SPDX-License-Identifier: Apache-2.0
"""Secrets of devices: sealed, kept, changed and dropped one by one, bound to what they are for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fixtures
import sqlalchemy as sa
import testtools

from mogan_hil.common import masking, sealing
from mogan_hil.conductor.controllers import Controllers
from mogan_hil.conductor.devices import Switches
from mogan_hil.db import migration, models
from mogan_hil.drivers.base import MASK, DriverError
from mogan_hil.objects import sealed
from mogan_hil.objects.node import Node
from mogan_hil.objects.switch import Switch
from tests import service

IPMI = {"host": "192.0.2.1", "username": "hil", "password": "first-one", "kg": "second-one"}


class SecretsCase(testtools.TestCase):
    """A service without a conductor; what one would read is read here."""

    def setUp(self) -> None:
        super().setUp()
        self.site = self.useFixture(service.Embedded(conductor=False))
        self.admin = self.site.admin

    def controllers(self) -> Controllers:
        found = Controllers(self.site.conf, self.site.drivers, 1.0)
        self.addCleanup(found.close)
        return found

    def node(self, name: str = "n1") -> Node:
        with self.site.database.reader() as session:
            return Node.get(session, name)

    def options(self, name: str = "n1") -> dict[str, Any]:
        """What the driver of a node is given."""
        return dict(self.controllers().get(self.node(name)).driver.options)

    def refused(self, name: str = "n1") -> str:
        """Why a node has no driver."""
        error = self.assertRaises(DriverError, self.controllers().get, self.node(name))
        self.assertNotIn("-one", error.user + error.operator)
        self.assertNotIn("sealed", error.user)
        return error.operator

    def add(self, **options: Any) -> Any:
        return self.admin.post("nodes", {"name": "n1", "obm": {"driver": "ipmi", "options": {**IPMI, **options}}})

    def change(self, status: int = 200, driver: str = "ipmi", **options: Any) -> Any:
        return self.admin.patch("nodes/n1", {"obm": {"driver": driver, "options": options}}, status)


class TestMerge(SecretsCase):
    """Each secret is by itself."""

    def setUp(self) -> None:
        super().setUp()
        self.add()
        self.public = {"host": "192.0.2.1", "username": "hil"}

    def test_what_is_written_is_sealed(self) -> None:
        found = self.node().obm_secrets
        self.assertEqual({"password", "kg"}, set(found))
        self.assertTrue(all(sealing.is_sealed(value) for value in found.values()))
        self.assertEqual(IPMI, self.options())

    def test_left_out_or_masked_stays(self) -> None:
        before = self.node().obm_secrets
        self.assertEqual(MASK, self.change(**self.public)["obm"]["options"]["kg"])
        self.change(**self.public, password=MASK, kg=MASK)
        self.assertEqual(before, self.node().obm_secrets)

    def test_one_is_changed(self) -> None:
        self.change(**self.public, password="third-one")
        self.assertEqual({**IPMI, "password": "third-one"}, self.options())

    def test_one_is_dropped(self) -> None:
        shown = self.change(**self.public, kg=None)["obm"]["options"]
        self.assertEqual({**self.public, "password": MASK}, shown)
        self.assertNotIn("kg", self.options())

    def test_one_that_is_needed_is_not(self) -> None:
        answer = self.admin.call(
            "PATCH", "nodes/n1", {"obm": {"driver": "ipmi", "options": {**self.public, "password": None}}}
        )
        self.assertEqual(400, answer.status)
        self.assertIn("'password' is a required property", answer.text)

    def test_what_does_not_fit_changes_nothing(self) -> None:
        before = self.node().obm_secrets
        for options in (
            {**self.public, "password": "x" * 21},
            {**self.public, "password": 7},
            {**self.public, "password": {"key": "0" * 16, "sealed": "AAAA"}},
            {**self.public, "no_such": "x"},
            {"host": "192.0.2.1"},
            {},
        ):
            self.change(400, **options)
        self.assertEqual(before, self.node().obm_secrets)

    def test_another_driver_gets_none(self) -> None:
        self.change(400, "redfish", address="https://192.0.2.1", username="hil")
        self.change(200, "fake")
        self.assertEqual({}, self.node().obm_secrets)

    def test_not_to_another_address(self) -> None:
        for moved in ({"host": "198.51.100.1"}, {"port": 6230}):
            answer = self.change(400, **{**self.public, **moved})
            self.assertIn("obm.options.kg: give it again", answer["errors"][0]["detail"])
            self.change(400, **{**self.public, **moved}, password="third-one")  # the other one stays
        self.change(200, **{**self.public, "host": "198.51.100.1"}, password="third-one", kg="fourth-one")
        self.assertEqual("198.51.100.1", self.options()["host"])

    def test_harmless_options_may_change(self) -> None:
        self.change(200, host="192.0.2.1", username="other", privilege="operator", efi=True)
        self.assertEqual(("first-one", "other"), (self.options()["password"], self.options()["username"]))


class TestDatabaseAttack(SecretsCase):
    """Who may write to the database, as a process of the API, has the conductor send no secret elsewhere."""

    def setUp(self) -> None:
        super().setUp()
        self.add()
        self.options()
        self.admin.post("nodes", {"name": "n2", "obm": {"driver": "ipmi", "options": IPMI}})

    def write(self, name: str, **values: Any) -> None:
        with self.site.database.writer() as session:
            session.execute(sa.update(models.Node).where(models.Node.name == name).values(**values))

    def test_another_address(self) -> None:
        self.write("n1", obm_options={"host": "198.51.100.1", "username": "hil"})
        self.assertIn("other options: host", self.refused())

    def test_another_row(self) -> None:
        self.write("n2", obm_secrets=self.node().obm_secrets)
        self.assertIn("for something else", self.refused("n2"))

    def test_another_driver(self) -> None:
        self.write("n1", obm_driver="redfish", obm_options={"address": "http://198.51.100.1", "username": "hil"})
        self.assertIn("for something else", self.refused())

    def test_another_option(self) -> None:
        found = self.node().obm_secrets
        self.write("n1", obm_secrets={"password": found["kg"], "kg": found["password"]})
        self.assertIn("for something else", self.refused())

    def test_damage(self) -> None:
        good = self.node().obm_secrets["password"]
        for key, box in (
            (good["key"], ""),
            (good["key"], good["sealed"][:-8]),
            (good["key"], "\u00e4"),
            (good["key"], 7),
            ("0" * 16, good["sealed"]),
            (7, good["sealed"]),
        ):
            self.write("n1", obm_secrets={"password": {"key": key, "sealed": box}})
            self.refused()

    def test_options_that_do_not_fit(self) -> None:
        """They are for the conductor to refuse, too: a driver counts on its schema."""
        fitting = self.node().obm_options
        for options, said in (({**fitting, "port": "sh"}, "options.port"), ({**fitting, "no_such": 1}, "no_such")):
            self.write("n1", obm_options=options, obm_secrets={"password": "clear-one"})
            self.assertIn(said, self.refused())
        self.write("n1", obm_options={"host": "192.0.2.1", "username": "hil"}, obm_secrets={"password": "x" * 21})
        self.assertIn("options.password", self.refused())
        self.assertNotIn("xxx", self.refused())
        self.assertEqual(IPMI, self.options("n2"))

    def test_options_of_a_switch_that_do_not_fit(self) -> None:
        self.admin.add_switch("sw")
        self.admin.add_switch("other")
        with self.site.database.writer() as session:
            session.execute(sa.update(models.Switch).where(models.Switch.name == "sw").values(options={"delay": "x"}))
        switches = Switches(self.site.conf, self.site.drivers, 1.0)
        self.addCleanup(switches.close)
        with self.site.database.reader() as session:
            found = Switch.get(session, "sw"), Switch.get(session, "other")
        error = self.assertRaises(DriverError, switches.get, found[0])
        self.assertIn("options.delay", error.operator)
        switches.get(found[1])


class TestSwitchSecrets(SecretsCase):
    """Switches, whose drivers are made anew when their options change."""

    def test_generations(self) -> None:
        for name in ("sw", "other"):
            self.admin.add_switch(name, password="first-one")
        switches = Switches(self.site.conf, self.site.drivers, 1.0)
        self.addCleanup(switches.close)

        def given(name: str = "sw") -> Any:
            with self.site.database.reader() as session:
                return switches.get(Switch.get(session, name)).driver

        self.assertEqual("first-one", given().options["password"])
        before = given()
        keys = sealing.KeyFile(self.site.conf.secrets.key_file)
        keys.add()
        keys.publish(self.site.conf.secrets.public_key_file)
        opener = sealing.Opener(keys.path)
        self.assertEqual(2, sealed.seal_all(self.site.database, self.site.services.sealer, opener))
        self.assertIs(before, given())
        self.admin.patch("switches/sw", {"options": {"password": "third-one"}})
        self.assertEqual("third-one", given().options["password"])
        self.admin.patch("switches/other", {"options": {"password": None}})
        self.assertNotIn("password", given("other").options)

    def test_sealed_anew_is_the_same_controller(self) -> None:
        self.add()
        controllers = self.controllers()
        before = controllers.get(self.node())
        keys = sealing.KeyFile(self.site.conf.secrets.key_file)
        keys.add()
        keys.publish(self.site.conf.secrets.public_key_file)
        sealed.seal_all(self.site.database, self.site.services.sealer, sealing.Opener(keys.path))
        self.assertEqual(before, controllers.get(self.node()))


class TestKeys(SecretsCase):
    """What is said when one is missing."""

    def test_no_public_key(self) -> None:
        os.unlink(self.site.conf.secrets.public_key_file)
        answer = self.admin.call("POST", "nodes", {"name": "n1", "obm": {"driver": "ipmi", "options": IPMI}})
        self.assertEqual((503, "secrets.no_key"), (answer.status, answer.json["errors"][0]["code"]))
        self.assertNotIn(str(self.site.state_dir), answer.text)
        self.admin.get("nodes/n1", 404)
        self.admin.post("nodes", {"name": "n1", "obm": {"driver": "fake"}})
        Path(self.site.conf.secrets.public_key_file).write_text("{}")
        self.change(503, **IPMI)

    def test_no_private_key(self) -> None:
        self.add()
        path = Path(self.site.conf.secrets.key_file)
        for text, mode, said in (("{}", 0o600, "not a file"), (path.read_text(), 0o640, "open to others")):
            path.write_text(text)
            path.chmod(mode)
            self.assertIn(said, self.refused())
        path.unlink()
        self.assertIn("cannot be read", self.refused())
        sealing.KeyFile(path).add()
        self.assertIn("has no key", self.refused())

    def test_a_conductor_goes_on_with_what_is_in_clear(self) -> None:
        self.add()
        with self.site.database.writer() as session:
            session.execute(sa.update(models.Node).values(obm_secrets={"password": "old-one"}))
        self.assertEqual("old-one", self.options()["password"])
        self.change(200, host="192.0.2.1", username="hil")  # sealed by whoever writes it next
        self.assertTrue(sealing.is_sealed(self.node().obm_secrets["password"]))
        self.assertEqual("old-one", self.options()["password"])


class TestErrors(testtools.TestCase):
    """A driver that tells its secret is not believed to be discreet."""

    def test_masked(self) -> None:
        hidden = masking.texts({"a": "longer-secret", "b": "secret", "c": "x", "d": 7})
        self.assertEqual({"longer-secret", "secret"}, hidden)
        self.assertEqual("x ****** and ******.", masking.masked("x longer-secret and secret.", hidden))
        error = DriverError("no secret", "at longer-secret")
        error.mask(hidden)
        self.assertEqual(("no ******", "at ******", "at ******"), (error.user, error.operator, str(error)))


#: Runs commands, each a JSON list of arguments in the environment, one after the other; to start Python takes longest.
BATCH = """
import contextlib, io, json, os, sys
from oslo_config import cfg
from mogan_hil.cmd import manage
found = []
for arguments in json.loads(os.environ["COMMANDS"]):
    cfg.CONF.reset()  # its options are registered anew
    sys.argv, said, status = ["mogan-hil-manage", "--config-file", os.environ["CONFIG"], *arguments], io.StringIO(), 0
    try:
        with contextlib.redirect_stdout(said):
            manage.main()
    except SystemExit as error:
        status = 1
        print(error, file=said)
    found.append((status, said.getvalue()))
print(json.dumps(found))
"""


class TestCommand(testtools.TestCase):
    """mogan-hil-manage secrets, on one machine."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        self.url = f"sqlite:///{self.directory}/mogan_hil.db"
        self.config = self.directory / "mogan_hil.conf"
        self.config.write_text(f"[DEFAULT]\nstate_path = {self.directory}\n[database]\nconnection = {self.url}\n")
        self.engine = sa.create_engine(self.url)
        self.addCleanup(self.engine.dispose)
        migration.upgrade(self.engine)

    def secrets(self, *verbs: str) -> list[list[Any]]:
        """The status and the output of each of these."""
        commands = json.dumps([["secrets", verb] for verb in verbs])
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", BATCH],
            env={**os.environ, "COMMANDS": commands, "CONFIG": str(self.config)},
            capture_output=True,
            text=True,
            check=True,
        )
        found: list[list[Any]] = json.loads(done.stdout)
        return found

    def test_before_there_are_keys(self) -> None:
        for status, text in self.secrets("add-key", "rotate", "seal", "prune"):
            self.assertEqual(1, status)
            self.assertIn("No such file", text)
        self.assertIn("secrets create", self.check(1))

    def test_walk(self) -> None:
        node = {"name": "n", "uuid": "u", "obm_driver": "fake", "obm_secrets": {"password": "clear"}}
        with self.engine.begin() as connection:
            connection.execute(models.Node.__table__.insert().values(**node))
        self.assertIn("1 secrets of devices are in clear text", self.check(1))
        found = self.secrets("create", "create", "show", "seal", "seal", "add-key", "show", "rotate", "show", "prune")
        self.assertEqual([0, 1, 0, 0, 0, 0, 0, 0, 0, 1], [status for status, _ in found], found)
        texts = [text for _, text in found]
        for number, expected in (
            *((1, "there already"), (2, "in clear text: 1"), (3, "1 secrets were sealed")),
            *((4, "0 secrets were sealed"), (7, "1 secrets were sealed"), (9, "just changed")),
        ):
            self.assertIn(expected, texts[number])
        first, second = [line.split()[0] for line in texts[6].splitlines()]
        self.assertEqual(f"{first}  1 secrets  seals now\n{second}  0 secrets\n", texts[6])
        self.assertEqual(f"{first}  0 secrets\n{second}  1 secrets  seals now\n", texts[8])
        for name, mode in (("secrets.keys", 0o600), ("secrets.pub", 0o644)):
            self.assertEqual(mode, (self.directory / name).stat().st_mode & 0o777)
        os.utime(self.directory / "secrets.pub", (0, 0))
        gone, nothing, shown, _ = [text for _, text in self.secrets("prune", "prune", "show", "rotate")]
        self.assertIn(first, gone)
        self.assertIn("nothing", nothing)
        self.assertNotIn(first, shown)
        with self.engine.connect() as connection:
            kept = connection.scalar(sa.select(models.Node.obm_secrets))
        opener = sealing.Opener(self.directory / "secrets.keys")
        self.assertEqual({"password": "clear"}, opener.open(kept, sealing.Purpose("u", "fake", {}), ()))

    def test_at_once(self) -> None:
        """No key is lost but those that are said to be removed."""
        self.secrets("create")
        os.utime(self.directory / "secrets.pub", (0, 0))
        keys = sealing.KeyFile(self.directory / "secrets.keys")
        before = keys.ids()
        with ThreadPoolExecutor(3) as pool:
            batches = pool.map(lambda verb: self.secrets(*[verb] * 6), ("add-key", "add-key", "prune"))
            found = [item for batch in batches for item in batch]
        self.assertEqual({0}, {status for status, _ in found}, found)
        added = [text.split()[1] for _, text in found if text.startswith("Key ")]
        removed = [
            key
            for _, text in found
            if text.startswith("Removed ") and "nothing" not in text
            for key in text.rstrip(".\n").rpartition(": ")[2].split(", ")
        ]
        self.assertEqual(12, len(added))
        self.assertEqual(sorted([*before, *added]), sorted([*keys.ids(), *removed]))

    def check(self, status: int) -> str:
        """What mogan-hil-status says."""
        program = str(Path(sys.executable).parent / "mogan-hil-status")
        done = subprocess.run(
            [program, "--config-file", str(self.config), "upgrade", "check"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        return " ".join(done.stdout.replace("|", " ").split())
