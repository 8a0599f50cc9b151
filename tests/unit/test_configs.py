# SPDX-License-Identifier: Apache-2.0
"""What instances may be given: the bounds, and names for hosts."""

from __future__ import annotations

import base64
import re

import testtools
from passlib.hash import sha512_crypt

from mogan_hil.common import configs, passwords


class TestMetadata(testtools.TestCase):
    """See :func:`.configs.check_metadata`."""

    def test_taken(self) -> None:
        for found in ({}, {"role": ""}, {"a.b:c-d_e f": "\u00e9 \U0001f600"}, {f"k{n}": "v" * 255 for n in range(128)}):
            configs.check_metadata(found)

    def test_refused(self) -> None:
        for found in (
            {"": "x"},
            {"a/b": "x"},
            {"a\n": "x"},
            {"\u00e9": "x"},
            {"k" * 256: "x"},
            {"k": "v" * 256},
            {"k": "a\nb"},
            {"k": "\x1b"},
            {"k": 1},
            {"k": True},
            {"k": None},
            {"k": {}},
            {"k": ["v"]},
            {f"k{number}": "v" for number in range(129)},
        ):
            self.assertRaises(ValueError, configs.check_metadata, found)


class TestFiles(testtools.TestCase):
    """See :func:`.configs.check_files` and :func:`.configs.check_user_data`."""

    def file(self, path: str = "/etc/motd", size: int = 1) -> dict[str, str]:
        return {"path": path, "contents": base64.b64encode(b"x" * size).decode()}

    def test_taken(self) -> None:
        longest = self.file("/" + "a" * 254, configs.FILE_BYTES)
        self.assertEqual(configs.FILE_ENCODED, len(longest["contents"]))
        configs.check_files([])
        configs.check_files([self.file(size=0), longest, self.file("/a/b c"), self.file("/..a"), self.file("/a..b")])

    def test_refused(self) -> None:
        for files in (
            [self.file(f"/{number}") for number in range(6)],
            [self.file(), self.file()],
            [self.file(size=configs.FILE_BYTES + 1)],
            [{"path": "/x", "contents": "*"}],
            [{"path": "/x", "contents": "YQ"}],
            [{"path": "/x", "contents": "YQ==\n"}],
            [{"path": "/x", "contents": "\u00e9"}],
            *(
                [self.file(path)]
                for path in ("", "x", "/", "//x", "/x/", "/x//y", "/./x", "/x/..", "/../x", "x:/y", "/a\nb", "/a\0b")
            ),
            [self.file("/" + "a" * 255)],
        ):
            self.assertRaises(ValueError, configs.check_files, files)

    def test_user_data(self) -> None:
        configs.check_user_data("A" * 65532)
        for text in ("A" * 65536, "A", "-", "YQ==YQ==", " YQ==", "\u2029"):
            self.assertRaises(ValueError, configs.check_user_data, text)


class TestNames(testtools.TestCase):
    """See :func:`.configs.hostname`."""

    def test_hosts(self) -> None:
        for name, host in (
            ("web", "web"),
            ("Web_1.example", "web-1-example"),
            ("_.@:+-", "instance-01234567"),
            ("a" * 255, "a" * 63),
            ("a" * 62 + "-b", "a" * 62),
        ):
            found = configs.hostname(name, "01234567-89ab")
            self.assertEqual(host, found)
            self.assertIsNotNone(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", found))


class TestPasswords(testtools.TestCase):
    """Hashes that /etc/shadow takes."""

    def test_hash(self) -> None:
        found = passwords.crypted("hush\u00e9")
        self.assertRegex(found, r"^\$6\$rounds=100000\$[./A-Za-z0-9]{16}\$[./A-Za-z0-9]{86}$")
        self.assertTrue(sha512_crypt.verify("hush\u00e9", found))
        self.assertNotEqual(found, passwords.crypted("hush\u00e9"))

    def test_generated(self) -> None:
        self.assertEqual(1000, len(found := {passwords.generated() for _ in range(1000)}))
        for password in found:  # a dash at the head of one is an option to the program that it is handed to
            self.assertRegex(password, r"^[A-Za-z0-9]{24}$")
