# SPDX-License-Identifier: Apache-2.0
"""Images: who sees and changes them, and what is refused."""

from __future__ import annotations

import testtools

from mogan_hil.common import images
from tests.functional import base

SUM = "0123456789abcdef" * 4


class TestParts(testtools.TestCase):
    """Addresses and arguments."""

    def test_addresses(self) -> None:
        for url in (
            "http://x/y",
            "https://images.example:8443/a/b?c=d&e=%20",
            "HTTP://[2001:db8::1]:80/x",
            "http://10.0.0.1",
        ):
            images.check_url(url)

    def test_no_addresses(self) -> None:
        for url in (
            "",
            "x",
            "/x",
            "//x/y",
            "ftp://x/y",
            "file:///etc/shadow",
            "http:",
            "http://",
            "http:///x",
            "http://:80/x",
            "http://x:99999/",
            "http://x:y/",
            "http://x:0/",
            "http://[::1/",
            "http://user@x/",
            "http://user:hush@x/",
            "http://x/#y",
            "http://x/#",
            "http://x/ y",
            "http://x/\n",
            "http://x/\x00",
            "http://x/\x7f",
            "http://\u00e9/",
            "javascript:alert(1)",
            " http://x/",
            f"http://x/{'y' * 2048}",
        ):
            error = self.assertRaises(ValueError, images.check_url, url)
            self.assertNotIn("hush", str(error))

    def test_arguments(self) -> None:
        for text in ("", "console=ttyS0,115200n8 ip=dhcp", "ds=nocloud;h={name};i={uuid} {name}"):
            images.check_arguments(text)
        for text in ("{", "}", "{}", "{x}", "{{name}}", "{uuid", "{0.__class__}", "{name!r}", "{name} }", "${UUID}"):
            self.assertRaises(ValueError, images.check_arguments, text)

    def test_filled(self) -> None:
        self.assertEqual("a web b 1 web", images.fill("a {name} b {uuid} {name}", "1", "web"))
        self.assertEqual("%s x", images.fill("%s {name}", "{name}", "x"))


class TestImages(base.WorldTestCase):
    """Through the API; red and blue have an image each, and one is public."""

    def _names(self, caller: object, query: str = "") -> list[str]:
        return sorted(image["name"] for image in caller.get(f"images{query}")["images"])  # type: ignore[attr-defined]

    def test_who_sees_what(self) -> None:
        red, blue, admin = self.world.red, self.world.blue, self.world.admin
        self.assertEqual(["red-image", "site-image"], self._names(red))
        self.assertEqual(["blue-image", "site-image"], self._names(blue))
        self.assertEqual(["blue-image", "red-image", "site-image"], self._names(admin))
        self.assertEqual(["site-image"], self._names(red, "?public=true"))
        self.assertEqual(["red-image"], self._names(red, "?public=false"))
        self.assertEqual(["blue-image"], self._names(admin, f"?project={self.world.projects['blue']}"))
        uuid = blue.get("images/blue-image")["uuid"]
        for method, body in (("GET", None), ("PATCH", {"disabled": True}), ("DELETE", None)):
            self.assert_error(red.call(method, f"images/{uuid}", body), 404)

    def test_a_public_one_is_administrators(self) -> None:
        red = self.world.red
        self.assertTrue(red.get("images/site-image")["public"])
        self.assert_error(red.call("PATCH", "images/site-image", {"disabled": True}), 403)
        self.assert_error(red.call("DELETE", "images/site-image"), 403)
        self.assert_error(red.call("POST", "images", {"name": "x", "public": True, **base.KERNEL}), 403)
        self.assertFalse(self.world.changed())
        self.world.admin.patch("images/site-image", {"disabled": True})
        self.world.admin.delete("images/site-image")

    def test_a_private_one_is_its_projects(self) -> None:
        reader = self.world.admin.as_user("red-reader")
        self.assertEqual(["red-image", "site-image"], self._names(reader))
        for method, body in (("PATCH", {"disabled": True}), ("DELETE", None)):
            self.assert_error(reader.call(method, "images/red-image", body), 403)
        self.assert_error(reader.call("POST", "images", {"name": "x", **base.KERNEL}), 403)
        self.assertFalse(self.world.changed())

    def test_the_own_before_the_public(self) -> None:
        """Nobody takes a name from another, nor from the site."""
        made = self.world.red.post("images", {"name": "site-image", **base.KERNEL})
        self.assertEqual(made, self.world.red.get("images/site-image"))
        self.assertTrue(self.world.blue.get("images/site-image")["public"])
        self.assertTrue(self.world.admin.get("images/site-image")["public"])

    def test_a_name_that_two_have(self) -> None:
        for caller in (self.world.red, self.world.blue):
            caller.post("images", {"name": "same", **base.KERNEL})
        self.assertEqual("name.ambiguous", self.world.admin.get("images/same", 409)["errors"][0]["code"])

    def test_change(self) -> None:
        other = {"url": "http://x/y", "sha256": "f" * 64}
        changed = self.world.red.patch("images/red-image", {"disk": other, "kernel": other, "arguments": "a=1"})
        self.assertEqual((other, other, base.SOURCE), (changed["disk"], changed["kernel"], changed["initrd"]))
        self.assertEqual(changed, self.world.red.get("images/red-image"))
        self.assertIsNone(self.world.red.patch("images/red-image", {"disk": None})["disk"])
        self.world.red.post("images", {"name": "second", **base.KERNEL})
        self.assert_error(self.world.red.call("PATCH", "images/second", {"name": "red-image"}), 409)

    def test_refused(self) -> None:
        source = base.SOURCE
        for changes in (
            {"kernel": None},
            {"kernel": "http://x/y"},
            {"kernel": {"url": "http://x/y"}},
            {"kernel": {"sha256": SUM}},
            {"kernel": {**source, "x": 1}},
            {"kernel": {**source, "sha256": SUM[1:]}},
            {"kernel": {**source, "sha256": SUM.upper()}},
            {"kernel": {**source, "sha256": "g" * 64}},
            {"initrd": {**source, "url": "file:///etc/shadow"}},
            {"initrd": {**source, "url": "http://a:b@x/y"}},
            {"disk": {**source, "url": "http://x/\ny"}},
            {"disk": {**source, "url": 7}},
            {"arguments": "a\nb"},
            {"arguments": "{x}"},
            {"arguments": "x" * 1025},
            {"arguments": None},
            {"disabled": "yes"},
            {"uuid": "x"},
            {"owner": ""},
        ):
            new = {"name": "x", **base.KERNEL, **changes}
            self.assert_error(self.world.red.call("POST", "images", new), 400)
            self.assert_error(self.world.red.call("PATCH", "images/red-image", changes), 400)
        for changes in ({"public": True}, {"public": False}, {"project_id": "blue"}):  # an owner stays
            self.assert_error(self.world.admin.call("PATCH", "images/red-image", changes), 400)
        new = {"name": "x", "public": True, "project_id": "red", **base.KERNEL}
        self.assert_error(self.world.admin.call("POST", "images", new), 400)
        self.assertFalse(self.world.changed())

    def test_a_project_with_an_image_stays(self) -> None:
        self.world.admin.post("images", {"name": "x", "project_id": "void", **base.KERNEL})
        answer = self.world.admin.call("DELETE", "projects/void")
        self.assert_error(answer, 409)
        self.assertEqual("conflict.in_use", answer.json["errors"][0]["code"])
