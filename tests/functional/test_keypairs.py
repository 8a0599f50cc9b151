# SPDX-License-Identifier: Apache-2.0
"""Keypairs: what is taken, who sees them, and that private keys are nowhere."""

from __future__ import annotations

import io
import logging
import shutil
import subprocess
from pathlib import Path

import fixtures
import testtools
from cryptography.hazmat.primitives import serialization

from mogan_hil.common import ssh_keys
from tests.functional import base

#: Type, what `ssh-keygen -l` shows, and what `ssh-keygen` made.
KEYS = (
    (
        "ed25519",
        "SHA256:aa/ot4fgf7M1CRJBsUirwSCoC7z+/pUNuu3Q+shsEgI",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOolyAAm65pS+fBWTZxlj7mF8S/DmOErbj2562cV7AhH a@b",
    ),
    (
        "ecdsa",
        "SHA256:kK/5bxjVFFkkPmKsAS9HybjVwS1aHUgmX9pUSWPNjEg",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFFjrxtKlv95Q96v88oKRwjK"
        "pbG+mAcZQJlF9VAT4OUwZVyeeb1YQENY4ziFBOs5GKEDtGyKxudObjQwxU2CQcg= a@b",
    ),
    (
        "ecdsa",
        "SHA256:q3hZGR61gnmhFTAvBLWiDZyxTfD/GNIyqGnpUgNZqTw",
        "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBEr6SwISMORc6SwVufBQ2i2A"
        "+Yha4VsMHMwez4ZJY6/vbhBntkxU+d88n5OjGkPnMUnB7nsZaTwzvI04N+5bXFiW5GPihEwuNyj32bviA2IBl/Bqvq7SbrSm"
        "rf4GphLo+Q== a@b",
    ),
    (
        "ecdsa",
        "SHA256:s4bc2G2N1708zriTg2JNPZ9czvG92P4bpFVVHvfgki8",
        "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAFb3FAgfneo82/ny+A0rVDC"
        "xf5DCMFoexZzXXeJRJpaCIV3IBCibFn0dsVfJ3JuTydIzoAIY1ztyMEluXNfUDYlsAGybvEaLx7lFihidD8rcpTrU5xOI5Z8"
        "FoUd9k0qSLv5ha/28k1IIFUCm6lm9QKab9ZgtbCoNEKWSsIjSt8ToPVQcg== a@b",
    ),
    (
        "rsa",
        "SHA256:FyPfL0vRStiWFbbtP6KAAnS4F1fYGaHZJcXcU4P0yZk",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDJ9TxfYO7JKrDz/4VCyeZhE2bL98Yhhh4SU1Uac0x45k1Lz7JNvBPnQ1fV"
        "zuhzEPscgUeVIjSYEILnkUurpc55MgblMXcvHcjhR3BMmn1s0JSGrE7ReNrSjgy+pNq741/kJEkRWGkoIrNutuuNhNP5Bc5d"
        "Ek7nI9p8FrLsAfNyoth1JITPApBwxVYrgj5YZ4nqvPdQsDFDLjV2/tz3YjWBnhmggfE93gX8nbvhUjM3bxGl5rLGJ25mkJgo"
        "GVSnC7hhu9cl+91eaSd0dIecyaaTV34WvEKmusEmO2FUalb0qg6GEzPHYS9twH+iFOC5ujARvFl2S0fqznkIXq4RnjQx a@b",
    ),
)
#: An RSA key of 1024 bits.
SHORT = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDQ9OCvtyXD7WVYA4zrvEkbHfO5378l+GtRFVp73Is86kPGLqmCHMGRRMCu"
    "YsLP9xeHMRCgEx2KVM0oTyAT7OlGrSHakNlWC4EzLxPP7Fx5Me1a2RypulRsodUhetn5NyY46QZ3hXPUCjsZ5v/us9qTxY15"
    "doumKvC8iVH75n0fYQ== a@b"
)
#: A certificate, which is no key.
CERTIFICATE = (
    "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIGW/A7ZdQUy"
    "QKImVVskuRyXDS4THlDIjRdA7GlBS/0ybAAAAIKOgROudJCyq1EVfSkg2PmMUmd4p9A91jT7ALx8b+vBeAAAAAAAAAAAAAAA"
    "BAAAAAmlkAAAABQAAAAF1AAAAAAAAAAD//////////wAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAA"
    "XcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHk"
    "AAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIGCoH10zlJOWJT0EDUnjaAP1ChA"
    "5G+b4+d6/DU3bUVcWAAAAUwAAAAtzc2gtZWQyNTUxOQAAAECVLu0o0n0RHCNZk+SYwV+9HNJzZ9PGrvx3wm32SNo378j/6QB"
    "EHaLqmWMZ1KqLAtY8VLEWlo3xKA0PpgyuF2UF someone@example"
)


class TestKeys(testtools.TestCase):
    """Keys of OpenSSH's own making."""

    def test_types(self) -> None:
        for kind, fingerprint, line in KEYS:
            found = ssh_keys.parse(line)
            self.assertEqual((kind, fingerprint, line), (found.type, found.fingerprint, found.text))
            bare = line.rpartition(" ")[0]
            self.assertEqual(bare, ssh_keys.parse(f"  {bare} ").text)
            self.assertEqual(f"{bare} my key", ssh_keys.parse(f"{bare}  my key").text)

    def test_refused(self) -> None:
        kind, body, _ = KEYS[0][2].split()
        for line in (
            "",
            kind,
            f"{kind} ",
            f"{kind} AAAA",
            f"{kind} {body[:-8]}",
            f"{kind} {body}AAAA",
            f"ssh-rsa {body}",
            f"ssh-dss {body}",
            f"sk-ssh-ed25519@openssh.com {body}",
            f'command="reboot" {kind} {body}',
            f"{kind} {body}\n{kind} {body}",
            f"{kind} {body} x\x1b[2J",
            f"{kind} {body} {'x' * 5000}",
            f"{kind} \u00e9{body}",
            f"{kind} {body[:20]}*{body[20:]}",
            SHORT,
            CERTIFICATE,
            "-----BEGIN PUBLIC KEY-----",
        ):
            error = self.assertRaises(ValueError, ssh_keys.parse, line)
            self.assertNotIn(body[-20:], str(error))

    def test_generate(self) -> None:
        directory = Path(self.useFixture(fixtures.TempDir()).path)
        for kind in ssh_keys.GENERATED:
            made = ssh_keys.generate(kind, "mine")
            self.assertNotIn("PRIVATE", repr(made))
            self.assertEqual(made.public, ssh_keys.parse(made.public.text))
            loaded = serialization.load_ssh_private_key(made.private.encode(), None)
            line = loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            self.assertEqual(made.public.text, f"{line.decode()} mine")
            if shutil.which("ssh-keygen"):
                path = directory / kind
                path.write_text(made.private)
                path.chmod(0o600)
                shown = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=True)
                self.assertEqual(made.public.fingerprint, shown.stdout.split()[1])


class TestKeypairs(base.WorldTestCase):
    """Through the API; each caller of the world has a keypair `key`, blue's is `blue-key`."""

    def test_a_users_own(self) -> None:
        red, blue, admin = self.world.red, self.world.blue, self.world.admin
        mine = red.get("keypairs/key")
        self.assertEqual(admin.get("users/red-member")["uuid"], mine["user_id"])
        for ident in ("key", mine["uuid"], "no-key"):
            blue.get(f"keypairs/{ident}", 404)
            blue.get(f"keypairs/{ident}?user_id={mine['user_id']}", 404)
            blue.delete(f"keypairs/{ident}", 404)
        self.assertEqual([], blue.get(f"keypairs?user_id={mine['user_id']}")["keypairs"])
        self.assertEqual(["blue-key"], [key["name"] for key in blue.get("keypairs")["keypairs"]])
        blue.call("GET", f"keypairs?marker={mine['uuid']}", status=400)
        self.assertFalse(self.world.changed())

    def test_an_administrator_looks(self) -> None:
        red, admin = self.world.red, self.world.admin
        mine = red.get("keypairs/key")
        self.assertNotEqual(mine, admin.get("keypairs/key"))
        self.assertEqual(mine, admin.get(f"keypairs/key?user_id={mine['user_id']}"))
        self.assertEqual([mine], admin.get(f"keypairs?user_id={mine['user_id']}")["keypairs"])
        admin.delete(f"keypairs/{mine['uuid']}", 404)
        self.assertFalse(self.world.changed())

    def test_of_a_user_and_no_project(self) -> None:
        self.world.admin.put("users/red-member/projects/blue", {"role": "reader"})
        self.addCleanup(self.world.admin.delete, "users/red-member/projects/blue")
        mine = self.world.admin.as_user("red-member", "red").get("keypairs/key")
        there = self.world.admin.as_user("red-member", "blue")
        self.assertEqual(mine, there.get("keypairs/key"))
        there.delete("keypairs/key", 403)

    def test_import(self) -> None:
        for number, (kind, fingerprint, line) in enumerate(KEYS):
            made = self.world.red.post("keypairs", {"name": f"k{number}", "public_key": f"{line}\r\n"})
            self.assertEqual((kind, fingerprint, line), (made["type"], made["fingerprint"], made["public_key"]))
            self.assertNotIn("private_key", made)
            self.assertEqual(made, self.world.red.get(f"keypairs/{made['uuid']}"))

    def test_refused(self) -> None:
        for body in (
            {"name": "x", "public_key": SHORT},
            {"name": "x", "public_key": f"{KEYS[0][2]}\n{KEYS[1][2]}"},
            {"name": "x", "public_key": None},
            {"name": "x", "public_key": 7},
            {"name": "x", "public_key": KEYS[0][2], "type": "ed25519"},
            {"name": "x", "type": "dsa"},
            {"name": "x", "user_id": "y"},
            {"public_key": KEYS[0][2]},
        ):
            self.assert_error(self.world.red.call("POST", "keypairs", body), 400)
        self.assert_error(self.world.red.call("POST", "keypairs", {"name": "key", "public_key": KEYS[0][2]}), 409)
        self.assertFalse(self.world.changed())

    def test_private_keys_are_shown_once(self) -> None:
        log = io.StringIO()
        handler = logging.StreamHandler(log)
        logger = logging.getLogger()
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.DEBUG)
        for kind in ssh_keys.GENERATED:
            made = self.world.red.post("keypairs", {"name": f"my-{kind}", "type": kind})
            private = made.pop("private_key")
            self.assertEqual(made, self.world.red.get(f"keypairs/my-{kind}"))
            body = private.splitlines()[3]
            self.assertNotIn(body, str(self.world.dump()))
            self.assertNotIn(body, log.getvalue())

    def test_a_user_goes(self) -> None:
        gone = self.world.red.get("keypairs/key")["user_id"]
        self.world.admin.delete("users/red-member")
        owners = {row["user_id"] for row in self.world.dump()["keypairs"]}
        self.assertNotIn(gone, owners)
        self.assertEqual(3, len(owners))
