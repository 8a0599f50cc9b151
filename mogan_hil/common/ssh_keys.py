# SPDX-License-Identifier: Apache-2.0
"""Keys for SSH: what a public key is, and how a pair is made."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

#: NIST SP 800-131A rev. 2, section 3: shorter RSA keys must not sign.
MIN_RSA = 2048
#: The longest modulus that OpenSSL, and so sshd, takes (OPENSSL_RSA_MAX_MODULUS_BITS).
MAX_RSA = 16384
#: What ssh-keygen(1) makes if it is not told.
NEW_RSA = 3072
#: The longest RSA key takes 2.8 KB in base64; a comment may follow.
MAX_LENGTH = 4096

TYPES = {
    "ssh-ed25519": "ed25519",
    "ecdsa-sha2-nistp256": "ecdsa",
    "ecdsa-sha2-nistp384": "ecdsa",
    "ecdsa-sha2-nistp521": "ecdsa",
    "ssh-rsa": "rsa",
}
#: Those that can be made here.
GENERATED = ("ed25519", "rsa")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key.

    :param type: one of the values of `TYPES`
    :param text: a line of authorized_keys(5) without options
    :param fingerprint: as `ssh-keygen -l` shows it: `SHA256:` and base64 without padding
    """

    type: str
    text: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A new pair; the private key in OpenSSH's own format, without a passphrase."""

    public: PublicKey
    private: str = field(repr=False)


def parse(text: str) -> PublicKey:
    """Check a public key, and write it as OpenSSH would. A comment is kept.

    :param text: one line: type, base64 and perhaps a comment
    :raises ValueError: it is none, or of a type or a length that is not taken; the reason does not repeat it
    """
    parts = text.strip().split(None, 2)
    if len(parts) < 2 or parts[0] not in TYPES or len(text) > MAX_LENGTH or not text.isprintable():
        raise ValueError(f"it must be one line of at most {MAX_LENGTH} characters that begins with {', '.join(TYPES)}")
    try:
        base64.b64decode(parts[1], validate=True)  # what follows passes over what is not base64
        key = serialization.load_ssh_public_key(" ".join(parts[:2]).encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no public key as OpenSSH writes it") from None
    if isinstance(key, rsa.RSAPublicKey) and not MIN_RSA <= key.key_size <= MAX_RSA:
        raise ValueError(f"an RSA key must have {MIN_RSA} to {MAX_RSA} bits")
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise ValueError(f"it must be one of {', '.join(TYPES)}")
    return _public(key, *parts[2:])


def _public(
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey, comment: str = ""
) -> PublicKey:
    line = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    kind, blob = line.split(" ")
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
    return PublicKey(TYPES[kind], f"{line} {comment}".strip(), f"SHA256:{digest}")


def generate(kind: str, comment: str) -> Pair:
    """Make a new pair.

    :param kind: one of `GENERATED`
    :param comment: follows the public key; one word
    """
    key = (
        rsa.generate_private_key(public_exponent=65537, key_size=NEW_RSA)
        if kind == "rsa"
        else ed25519.Ed25519PrivateKey.generate()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return Pair(_public(key.public_key(), comment), private.decode())
