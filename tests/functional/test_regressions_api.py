# SPDX-License-Identifier: Apache-2.0
"""What went wrong once at the API."""

from __future__ import annotations

from mogan_hil.drivers.base import MASK
from mogan_hil.objects.node import Node
from mogan_hil.objects.switch import Switch
from tests.functional import base


class TestSecrets(base.WorldTestCase):
    """Whoever sends back what was shown keeps the secret behind the mask."""

    def _kept(self) -> tuple[str, str]:
        with self.world.service.database.reader() as session:
            return (Switch.get(session, "rack1").secrets["password"], Node.get(session, "n1").obm_secrets["password"])

    def test_a_mask_is_left_out(self) -> None:
        admin = self.world.admin
        options = admin.get("switches/rack1")["options"]
        self.assertEqual(MASK, options["password"])
        admin.patch("switches/rack1", {"options": options})
        admin.patch("nodes/n1", {"obm": admin.get("nodes/n1")["obm"]})
        self.assertEqual(("hush", "hush"), self._kept())
        for obm in ({"driver": "fake"}, {"driver": "fake", "options": {"password": "new"}}):
            admin.patch("nodes/n1", {"obm": obm})
        self.assertEqual(("hush", "new"), self._kept())

    def test_a_mask_of_nothing(self) -> None:
        options = {"password": MASK}
        for method, path, body in (
            ("POST", "switches", {"name": "new", "driver": "fake", "options": options}),
            ("PATCH", "switches/spare", {"options": options}),
            ("POST", "nodes", {"name": "new", "obm": {"driver": "fake", "options": options}}),
            ("PATCH", "nodes/n2", {"obm": {"driver": "fake", "options": options}}),
        ):
            answer = self.world.admin.call(method, path, body)
            self.assert_error(answer, 400)
            self.assertIn("options.password", answer.json["errors"][0]["detail"])
        self.assertFalse(self.world.changed())
