# SPDX-License-Identifier: Apache-2.0
"""Two things of one name at once: one is made, whichever process was asked. So with images that are used and go."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import sqlalchemy as sa

from mogan_hil.common import ssh_keys
from mogan_hil.db import models
from tests.functional.base import KERNEL
from tests.functional.racks import OnProcesses, fresh, rack

TRIES = 8


class Names:
    """The races, whatever the database."""

    shape = {"apis": 3, "conductors": 0}
    api: Any
    site: Any

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()  # type: ignore[misc]
        cls.project = cls.site.admin.add_project("red")

    def race(self, path: str, **fields: Any) -> None:
        """Eight times the same, through three processes."""
        for _ in range(TRIES):
            name = fresh("x")
            answers = self.at_once(
                *(partial(self.api(i, "red-member").call, "POST", path, {"name": name, **fields}) for i in range(8))
            )
            self.assertEqual({201: 1, 409: 7}, Counter(answer.status for answer in answers))
            found = self.api(0, "red-member").get(path)[path]
            self.assertEqual(1, sum(item["name"] == name for item in found))

    def test_keypairs(self) -> None:
        self.race("keypairs", public_key=ssh_keys.generate("ed25519", "x").public.text)

    def test_images(self) -> None:
        self.race("images", **KERNEL)

    def instances(self, count: int) -> list[str]:
        """Active instances, by uuid."""
        _, names = rack(self.site, count, project=self.project, obm_driver="fake")
        with self.site.database.writer() as session:
            nodes = session.scalars(sa.select(models.Node).where(models.Node.name.in_(names))).all()
            found = [
                models.Instance(name=fresh("i"), project_id=self.project, node_id=node.id, status="active")
                for node in nodes
            ]
            session.add_all(found)
            session.flush()
            return [instance.uuid for instance in found]

    def test_rebuilds(self) -> None:
        """The image is that of the one that won."""
        for instance in self.instances(TRIES):
            images = [self.api(0, "red-member").post("images", {"name": fresh("x"), **KERNEL}) for _ in range(4)]
            answers = self.at_once(
                *(
                    partial(
                        self.api(i, "red-member").call, "PUT", f"instances/{instance}/rebuild", {"image": image["uuid"]}
                    )
                    for i, image in enumerate(images)
                )
            )
            self.assertEqual({202: 1, 409: 3}, Counter(answer.status for answer in answers))
            won = next(images[number]["uuid"] for number, answer in enumerate(answers) if answer.status == 202)
            query = (
                sa.select(models.Image.uuid)
                .join(models.Instance, models.Instance.next_image_id == models.Image.id)
                .where(models.Instance.uuid == instance)
            )
            with self.site.database.reader() as session:
                self.assertEqual(won, session.scalar(query))

    def test_an_image_that_goes(self) -> None:
        """Either an instance has it, or it is gone."""
        for instance in self.instances(TRIES):
            image = self.api(0, "red-member").post("images", {"name": fresh("x"), **KERNEL})["uuid"]
            rebuilt, gone = self.at_once(
                partial(self.api(0, "red-member").call, "PUT", f"instances/{instance}/rebuild", {"image": image}),
                partial(self.api(1, "red-member").call, "DELETE", f"images/{image}"),
            )
            self.assertIn((rebuilt.status, gone.status), ((202, 409), (404, 204)))


class TestNamesOnSQLite(Names, OnProcesses):
    kind = "sqlite"


class TestNamesOnMariaDB(Names, OnProcesses):
    kind = "mysql"


class TestNamesOnPostgreSQL(Names, OnProcesses):
    kind = "postgresql"
