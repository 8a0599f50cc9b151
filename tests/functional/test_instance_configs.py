# SPDX-License-Identifier: Apache-2.0
"""What instances are given, what they are rebuilt from, and that secrets are where they belong and nowhere else."""

from __future__ import annotations

import base64
import io
import json
import logging
from typing import Any

import fixtures
import sqlalchemy as sa
from oslo_db import exception as db_exception
from passlib.hash import sha512_crypt

from mogan_hil.common import ssh_keys
from mogan_hil.conductor.steps import Step, Steps
from mogan_hil.db import models
from mogan_hil.drivers.deploy import fake as fake_deploy
from mogan_hil.drivers.obm import fake as fake_obm
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.node import Node
from tests.functional.base import KERNEL, SOURCE
from tests.functional.racks import drain
from tests.functional.test_instances import InstanceCase

USER_DATA = base64.b64encode(b"#!/bin/sh\necho user-data-is-secret\n").decode()
FILE = {"path": "/etc/token", "contents": base64.b64encode(b"contents are secret").decode()}
PASSWORD = "administrators-hush"


class ConfigCase(InstanceCase):
    """With images, a keypair, a pretend boot service and an ear at the log."""

    nodes = 2
    settings = {("conductor", "deploy_driver"): "fake"}

    def setUp(self) -> None:
        super().setUp()
        self.log = io.StringIO()
        handler = logging.StreamHandler(self.log)
        root = logging.getLogger()
        root.addHandler(handler)
        self.addCleanup(root.removeHandler, handler)
        self.public_key = ssh_keys.generate("ed25519", "mine").public.text
        self.red.post("keypairs", {"name": "mine", "public_key": self.public_key})
        for name in ("first", "second"):
            self.red.post("images", {"name": name, **KERNEL})
        self.blue.post("images", {"name": "theirs", **KERNEL})
        self.blue.post("keypairs", {"name": "theirs"})

    def dump(self) -> str:
        with self.service.database.reader() as session:
            return "\n".join(
                str(row)
                for table in models.Base.metadata.sorted_tables
                for row in session.execute(table.select()).mappings()
            )

    def refused(self, status: int, **fields: Any) -> Any:
        """A creation that leaves nothing. Returns the error."""
        before = self.dump()
        body = {"name": "new", "flavor": "metal", **fields}
        error = self.red.call("POST", "instances", body, status=status).json["errors"][0]
        self.assertTrue(before == self.dump(), "it left something")
        return error


class TestGiven(ConfigCase):
    """At the creation."""

    given = {
        "image": "first",
        "keypair": "mine",
        "metadata": {"role": "web"},
        "user_data": USER_DATA,
        "files": [FILE],
        "admin_password": PASSWORD,
    }

    def test_everything(self) -> None:
        made = self.create("Web.1", **self.given)
        self.assertEqual("first", made["image"]["name"])
        self.assertEqual(("mine", {"role": "web"}), (made["keypair"], made["metadata"]))
        found = self.red.get("instances/Web.1/config")
        self.assertEqual(
            {
                "uuid": made["uuid"],
                "name": "Web.1",
                "hostname": "web-1",
                "project_id": made["project_id"],
                "public_keys": {"mine": self.public_key},
                "metadata": {"role": "web"},
                "user_data": USER_DATA,
                "files": [FILE],
                "has_admin_password": True,
            },
            found,
        )
        offered = fake_deploy.offered(self.service.state_dir, made["node"]["uuid"])
        assert offered is not None
        self.assertEqual((made["image"]["uuid"], SOURCE), (offered["image"]["uuid"], offered["image"]["kernel"]))
        self.assertEqual("console=ttyS0 host=Web.1", offered["image"]["arguments"])
        told = offered["configuration"]
        self.assertEqual({"mine": self.public_key}, told["public_keys"])
        self.assertEqual((USER_DATA, [FILE]), (told["user_data"], told["files"]))
        self.assertTrue(sha512_crypt.verify(PASSWORD, told["password_hash"]))

    def test_secrets_are_nowhere_else(self) -> None:
        made = self.create(**self.given)
        secrets = (USER_DATA, FILE["contents"], PASSWORD, "user-data-is-secret", "$6$")
        shown = [
            self.admin.get("operations"),
            self.admin.get("instances"),
            self.admin.get(f"instances/{made['uuid']}"),
            self.log.getvalue(),
        ]
        with self.service.database.reader() as session:
            shown += [str(row) for row in session.execute(models.Operation.__table__.select())]
        for secret in secrets:
            self.assertNotIn(secret, json.dumps(shown, default=str))
        self.assertNotIn(PASSWORD, self.dump())
        self.assertNotIn("$6$", json.dumps(self.red.get("instances/web/config")))

    def test_who_sees_the_configuration(self) -> None:
        self.create(**self.given)
        self.admin.get("instances/web/config")
        self.admin.as_user("red-reader").get("instances/web/config", 403)
        self.blue.get("instances/web/config", 404)
        self.admin.as_user("red-reader").get("instances/web")

    def test_nothing(self) -> None:
        made = self.create()
        self.assertEqual((None, None, {}), (made["image"], made["keypair"], made["metadata"]))
        found = self.red.get("instances/web/config")
        self.assertEqual(({}, None, []), (found["public_keys"], found["user_data"], found["files"]))
        self.assertFalse(found["has_admin_password"])

    def test_generated_password(self) -> None:
        body = {"name": "web", "flavor": "metal", "max_count": 2, "generate_admin_password": True}
        answer = self.red.post("instances", body, 202)
        for begun in answer["instances"]:
            self.red.wait(begun["operation"])
        password = answer["admin_password"]
        with self.service.database.reader() as session:
            hashes = session.scalars(sa.select(models.InstanceConfig.password_hash)).all()
        self.assertEqual([True, True], [sha512_crypt.verify(password, found) for found in hashes])
        shown = [
            self.red.get(path) for path in ("instances", "instances/web-1", "instances/web-1/config", "operations")
        ]
        self.assertNotIn(password, json.dumps(shown) + self.dump() + self.log.getvalue())
        self.assertNotIn("admin_password", self.red.post("instances", {"name": "x", "flavor": "metal"}, 409))

    def test_a_keypair_goes_and_its_key_stays(self) -> None:
        self.create(keypair="mine")
        self.red.delete("keypairs/mine")
        self.assertEqual({"mine": self.public_key}, self.red.get("instances/web/config")["public_keys"])

    def test_the_configuration_goes_with_the_instance(self) -> None:
        self.create(**self.given)
        self.red.wait(self.red.delete("instances/web", 202))
        self.assertNotIn(USER_DATA, self.dump())

    def test_others_things(self) -> None:
        for field in ("image", "keypair"):
            theirs = self.blue.get(f"{field}s/theirs")["uuid"]
            for name in ("theirs", theirs, "nothing"):
                self.refused(404, **{field: name})
        self.refused(404, project_id="red", image="theirs")

    def test_for_another_project(self) -> None:
        """An administrator gives red an image that red may use, and a key of the administrator's."""
        self.admin.post("keypairs", {"name": "boss"})
        body = {"name": "web", "flavor": "metal", "project_id": "red"}
        for fields in ({"image": "theirs"}, {"keypair": "mine"}):
            self.admin.call("POST", "instances", {**body, **fields}, status=404)
        self.admin.post("instances", {**body, "image": "first", "keypair": "boss"}, 202)

    def test_refused(self) -> None:
        for fields in (
            {"metadata": []},
            {"metadata": {"k": 1}},
            {"metadata": {"k\n": "v"}},
            {"user_data": ""},
            {"user_data": "*"},
            {"user_data": "A" * 65536},
            {"files": {}},
            {"files": [FILE, FILE]},
            {"files": [{"path": "/x"}]},
            {"files": [{**FILE, "path": "../x"}]},
            {"files": [{**FILE, "mode": 7}]},
            {"admin_password": ""},
            {"admin_password": "a\nb"},
            {"admin_password": "x" * 73},
            {"admin_password": None},
            {"admin_password": PASSWORD, "generate_admin_password": True},
            {"generate_admin_password": "yes"},
        ):
            error = self.refused(400, **fields)
            self.assertNotIn(PASSWORD, error["detail"])
            self.assertIn(error["detail"].split(".")[0].split(":")[0], fields)

    def test_a_disabled_image(self) -> None:
        self.red.patch("images/first", {"disabled": True})
        self.assertEqual("image.disabled", self.refused(409, image="first")["code"])

    def test_errors_of_the_database_tell_nothing(self) -> None:
        """They go to the log with their statement; its values stay out."""
        with self.service.database.writer() as session:
            error = self.assertRaises(
                db_exception.DBError, session.execute, sa.text("INSERT INTO nowhere VALUES (:x)"), {"x": PASSWORD}
            )
            session.rollback()
        self.assertIn("nowhere", str(error))
        self.assertNotIn(PASSWORD, str(error))


class ChangedCase(ConfigCase):
    """Afterwards."""

    def image(self) -> Any:
        """The image that the instance has, and what it is being rebuilt from."""
        with self.service.database.reader() as session:
            rows = models.Instance
            return (
                self.red.get("instances/web")["image"]["name"],
                session.scalar(sa.select(rows.next_image_id).where(rows.name == "web")),
            )


class TestFailed(ChangedCase):
    """Without a boot service, so that the power is the first thing that can fail."""

    settings = {}

    def test_a_rebuild_that_fails(self) -> None:
        """What is on the machine now is unknown: its last image is the one that was deployed as a whole."""
        made = self.create(image="first")
        fake_obm.set_faults(self.service.state_dir, made["node"]["uuid"], fail=True)
        self.red.wait(self.red.put("instances/web/rebuild", {"image": "second"}, 202), "error")
        found = self.red.get("instances/web")
        self.assertEqual("error", found["status"])
        self.assertEqual(("first", None), self.image())
        self.red.delete("images/second")


class TestChanged(ChangedCase):
    """With a boot service."""

    def test_metadata(self) -> None:
        self.create(metadata={"a": "1", "b": "2"})
        self.assertEqual({"c": "3"}, self.red.patch("instances/web", {"metadata": {"c": "3"}})["metadata"])
        for bad in ({"c": 3}, {"": "x"}, [], None):
            self.red.patch("instances/web", {"metadata": bad}, 400)
        self.red.put("instances/web/lock", {"target": True}, 202)
        self.red.patch("instances/web", {"metadata": {}}, 409)
        self.assertEqual({"c": "3"}, self.red.get("instances/web/config")["metadata"])

    def test_filter(self) -> None:
        self.create("web", image="first")
        self.create("db")
        for image in ("first", self.red.get("images/first")["uuid"]):
            self.assertEqual(["web"], [one["name"] for one in self.red.get(f"instances?image={image}")["instances"]])
            self.assertEqual([], self.blue.get(f"instances?image={image}")["instances"])
        self.assertEqual([], self.red.get("instances?image=second")["instances"])

    def test_an_image_in_use_stays(self) -> None:
        self.create(image="first")
        self.assertEqual("conflict.in_use", self.red.delete("images/first", 409)["errors"][0]["code"])
        self.red.wait(self.red.delete("instances/web", 202))
        self.red.delete("images/first")

    def test_rebuild(self) -> None:
        made = self.create(image="first")
        self.red.wait(self.red.put("instances/web/rebuild", {"image": "second"}, 202))
        self.assertEqual(("second", None), self.image())
        offered = fake_deploy.offered(self.service.state_dir, made["node"]["uuid"])
        assert offered is not None
        self.assertEqual("second", offered["image"]["name"])
        self.red.delete("images/first")
        self.red.wait(self.red.put("instances/web/rebuild", {}, 202))
        self.assertEqual(("second", None), self.image())

    def test_a_refused_rebuild_changes_nothing(self) -> None:
        self.create(image="first")
        self.red.patch("images/second", {"disabled": True})
        before = self.dump()
        for image, status in (("second", 409), ("theirs", 404), ("nothing", 404)):
            self.red.put("instances/web/rebuild", {"image": image}, status)
        self.red.put("instances/web/rebuild", {"image": "first", "x": 1}, 400)
        self.assertTrue(before == self.dump(), "it left something")
        self.red.patch("images/second", {"disabled": False})
        self.red.put("instances/web/lock", {"target": True}, 202)
        before = self.dump()
        self.red.put("instances/web/rebuild", {"image": "second"}, 409)
        self.assertTrue(before == self.dump(), "it left something")

    def test_one_rebuild_at_a_time(self) -> None:
        made = self.create(image="first")
        fake_obm.set_faults(self.service.state_dir, made["node"]["uuid"], hold=["off"])
        begun = self.red.put("instances/web/rebuild", {"image": "second"}, 202)
        self.assertEqual("first", self.red.get("instances/web")["image"]["name"])
        self.red.put("instances/web/rebuild", {"image": "first"}, 409)
        self.red.delete("images/second", 409)
        fake_obm.set_faults(self.service.state_dir, made["node"]["uuid"])
        self.red.wait(begun)
        self.assertEqual(("second", None), self.image())

    def test_a_rebuild_that_does_not_begin(self) -> None:
        """The boot service refuses the new image: the instance runs on, with the old one."""
        made = self.create(image="first")
        fake_deploy.set_faults(self.service.state_dir, made["node"]["uuid"], fail=True)
        self.red.wait(self.red.put("instances/web/rebuild", {"image": "second"}, 202), "error")
        self.assertEqual("active", self.red.get("instances/web")["status"])
        self.assertEqual(("first", None), self.image())
        self.red.delete("images/second")

    def test_a_rebuild_that_fails_after_its_offer(self) -> None:
        """What was offered in vain is not what the machine boots from the network next time."""
        made = self.create(image="first")
        body = {"image": "second", "boot_device": "nothing"}
        failed = self.red.wait(self.red.put("instances/web/rebuild", body, 202), "error")
        self.assertIn("cannot boot from nothing", failed["error"])
        self.assertEqual("active", self.red.get("instances/web")["status"])
        self.assertEqual(("first", None), self.image())
        offered = fake_deploy.offered(self.service.state_dir, made["node"]["uuid"])
        assert offered is not None
        self.assertEqual("first", offered["image"]["name"])

    def test_a_rebuild_that_is_given_up(self) -> None:
        """Nobody can say how far it came: the instance is in error, and its machine is offered what it had."""
        made = self.create(image="first")

        def offered() -> str:
            found = fake_deploy.offered(self.service.state_dir, made["node"]["uuid"]) or {"image": {"name": ""}}
            return str(found["image"]["name"])

        boot = Steps.boot

        def boot_and_crash(steps: Steps, node: Node, device: str | None) -> list[Step]:
            if offered() == "second":
                fake_deploy.set_faults(self.service.state_dir, made["node"]["uuid"], fail_transient=2)
                raise RuntimeError("crash")
            return boot(steps, node, device)

        self.useFixture(fixtures.MonkeyPatch("mogan_hil.conductor.steps.Steps.boot", boot_and_crash))
        failed = self.red.wait(self.red.put("instances/web/rebuild", {"image": "second"}, 202), "error")
        self.assertIn("failed unexpectedly", failed["error"])
        self.assertEqual("error", self.red.get("instances/web")["status"])
        self.assertEqual(("first", None), self.image())
        deleting = self.red.delete("instances/web", 202)  # it waits, and takes away what is offered then
        self.red.wait(deleting)
        drain(self.service.database)
        self.assertEqual("", offered())
        steps = self.admin.get(f"operations?node={made['node']['uuid']}&sort_key=created_at&sort_dir=asc")["operations"]
        steps = [one for one in steps if one["verb"] in ("deploy", "undeploy")]
        self.assertEqual(["deploy", "deploy", "deploy", "undeploy"], [one["verb"] for one in steps])
        self.assertEqual({"done"}, {one["state"] for one in steps})
        self.assertLessEqual(steps[2]["finished_at"], steps[3]["started_at"])

    def test_a_rebuild_that_is_given_up_offers_the_old_image(self) -> None:
        made = self.create(image="first")
        with self.service.database.writer() as session:
            instance = Instance.get(session, "web")
            other = session.scalar(sa.select(models.Image.id).where(models.Image.name == "second"))
            instance.update(session, status="rebuilding", next_image_id=other)
            values = {"verb": "instance_rebuild", "lane": instance.lane, "node": made["node"]["uuid"], "attempts": 100}
            payload = {"instance_uuid": instance.uuid, "before": "active", "image": "second", "boot_device": None}
            held = {"pending_key": instance.pending_key, "project_id": instance.project_id, "overrides_lock": True}
            session.add(models.Operation(state="pending", payload=payload, **values, **held))
        self.service.conductor.wake(instance.lane)
        drain(self.service.database)
        self.assertEqual(("error", ("first", None)), (self.red.get("instances/web")["status"], self.image()))
        self.assertIn("stopped", self.red.get("instances/web")["fault"]["message"])
        offered = fake_deploy.offered(self.service.state_dir, made["node"]["uuid"]) or {}
        self.assertEqual("first", offered["image"]["name"])

    def test_adopted(self) -> None:
        self.red.put("nodes/n0/project", {})
        self.admin.post("instances/adopt", {"name": "old", "node": "n0"})
        self.assertEqual({}, self.red.get("instances/old/config")["public_keys"])
        self.assertIsNone(self.red.get("instances/old")["image"])
