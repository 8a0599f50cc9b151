# SPDX-License-Identifier: Apache-2.0
"""Sealed secrets: who writes them cannot read them, and who reads them uses them for nothing else.

A secret is sealed with a public key (libsodium's sealed boxes, X25519 and XSalsa20-Poly1305:
https://doc.libsodium.org/public-key_cryptography/sealed_boxes) and opened with the private one, which conductors have
alone. With it is sealed what it is for: the device, the option, the driver and the options beside it. So a sealed
secret is worth nothing beside another address, or in another row, whoever may write to the database.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nacl import encoding, exceptions, public

#: The columns of a sealed secret.
KEY, BOX = "key", "sealed"


class SealingError(Exception):
    """A key is missing or cannot be read, or a secret does not open. The text has no secret in it."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a secret is for.

    :param driver: the name of its driver
    :param options: its options that are not secret
    """

    uuid: str
    driver: str
    options: Mapping[str, Any]


def is_sealed(value: Any) -> bool:
    """Whether a value of a column of secrets is sealed; those of before there were keys are not."""
    return isinstance(value, dict) and value.keys() == {KEY, BOX}


def differ(one: Mapping[str, Any], other: Mapping[str, Any], harmless: Collection[str]) -> list[str]:
    """The options, harmless ones aside, that are not the same."""
    return sorted(
        name for name in one.keys() | other.keys() if name not in harmless and one.get(name) != other.get(name)
    )


class Sealer:
    """Seals.

    :param path: the file of the public key; read at each use, so that a new key counts at once
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    @property
    def key_id(self) -> str:
        """The key that is sealed with now.

        :raises SealingError: there is none
        """
        return _id(self._key())

    def seal(self, secrets: Mapping[str, Any], purpose: Purpose) -> dict[str, Any]:
        """Seal each of a device's secrets, for it and for nothing else.

        :raises SealingError: there is no public key
        """
        if not secrets:
            return {}
        key = self._key()
        return {name: self._sealed(key, _content(name, value, purpose)) for name, value in secrets.items()}

    def again(self, content: bytes) -> dict[str, str]:
        """Seal what :meth:`Opener.content` gave, under the key of now."""
        return self._sealed(self._key(), content)

    @staticmethod
    def _sealed(key: public.PublicKey, content: bytes) -> dict[str, str]:
        box = public.SealedBox(key).encrypt(content, encoder=encoding.Base64Encoder)
        return {KEY: _id(key), BOX: box.decode()}

    def _key(self) -> public.PublicKey:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))["public"]
            return public.PublicKey(found.encode(), encoding.Base64Encoder)
        except OSError as error:
            raise SealingError(f"The public key {self._path} cannot be read: {error.strerror}.") from None
        except (ValueError, KeyError, TypeError, AttributeError, exceptions.CryptoError):
            raise SealingError(f"{self._path} is not the file of a public key.") from None


class Opener:
    """Opens.

    :param path: the file of the private keys; read again when a key is missing, so that one may be added at any time
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._keys: Mapping[str, public.PrivateKey] = {}
        self._lock = threading.Lock()

    def open(self, secrets: Mapping[str, Any], purpose: Purpose, harmless: Collection[str]) -> dict[str, Any]:
        """A device's secrets, for its driver. Those that were never sealed are as they are.

        :param harmless: options that may differ from those that the secret was sealed beside
        :raises SealingError: a key is missing, or a secret was sealed for something else
        """
        return {
            name: self._open(name, value, purpose, harmless) if is_sealed(value) else value
            for name, value in secrets.items()
        }

    def _open(self, name: str, sealed: Mapping[str, str], purpose: Purpose, harmless: Collection[str]) -> Any:
        content = json.loads(self.content(sealed))
        if (content["device"], content["driver"], content["name"]) != (purpose.uuid, purpose.driver, name):
            raise SealingError(f"The secret {name} was sealed for something else and is not used here.")
        changed = differ(content["options"], purpose.options, harmless)
        if changed:
            raise SealingError(f"The secret {name} was sealed beside other options: {', '.join(changed)}.")
        return content["value"]

    def content(self, sealed: Mapping[str, str]) -> bytes:
        """What is in a sealed secret: to be sealed again, and not to be looked at.

        :raises SealingError: the key is missing, or it is damaged
        """
        key = self._key(sealed[KEY])
        try:
            return public.SealedBox(key).decrypt(sealed[BOX].encode(), encoder=encoding.Base64Encoder)
        except (exceptions.CryptoError, ValueError, TypeError, AttributeError):
            raise SealingError("A sealed secret is damaged.") from None

    def _key(self, key_id: str) -> public.PrivateKey:
        with self._lock:
            if key_id not in self._keys:
                self._keys = {_id(key.public_key): key for key in KeyFile(self._path).read()}
            try:
                return self._keys[key_id]
            except KeyError:
                raise SealingError(f"{self._path} has no key {str(key_id)[:64]}.") from None


class KeyFile:
    """The file of the private keys, the oldest first.

    Whoever reads it finds it whole, as it was before a change or after it. Whoever changes it holds it (:meth:`held`)
    from what the change is decided by until it is written: else of two changes at once one would be lost, and with it a
    key that something is sealed with.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Until the block ends no other process on this machine holds it."""
        path = self.path.with_name(self.path.name + ".lock")
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
            _give(file.fileno(), path)
            fcntl.flock(file, fcntl.LOCK_EX)  # it goes with the file, also if this process is killed
            yield

    def read(self) -> list[public.PrivateKey]:
        """Every key.

        :raises SealingError: there is no file, it is open to others, or it is something else
        """
        try:
            with open(self.path, encoding="utf-8") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    raise SealingError(f"{self.path} is open to others: chmod 600 it.")
                entries = json.load(file)["keys"]
            return [public.PrivateKey(entry["private"].encode(), encoding.Base64Encoder) for entry in entries]
        except OSError as error:
            raise SealingError(f"The private keys {self.path} cannot be read: {error.strerror}.") from None
        except (ValueError, KeyError, TypeError, AttributeError, exceptions.CryptoError):
            raise SealingError(f"{self.path} is not a file of private keys.") from None

    def ids(self) -> list[str]:
        """The id of every key."""
        return [_id(key.public_key) for key in self.read()]

    def add(self) -> str:
        """Make a key; the file too, if there is none. Returns the key's id."""
        keys = self.read() if self.path.exists() else []
        keys.append(public.PrivateKey.generate())
        self._write(keys)
        return _id(keys[-1].public_key)

    def keep(self, ids: Collection[str]) -> None:
        """Remove every key but these."""
        self._write([key for key in self.read() if _id(key.public_key) in ids])

    def publish(self, path: str | Path) -> str:
        """Write the newest key's public half where processes of the API read it. Returns the key's id."""
        newest = self.read()[-1].public_key
        _replace(Path(path), {"id": _id(newest), "public": _text(newest)}, 0o644)
        return _id(newest)

    def _write(self, keys: Sequence[public.PrivateKey]) -> None:
        entries = [{"id": _id(key.public_key), "private": _text(key)} for key in keys]
        _replace(self.path, {"keys": entries}, 0o600)


def ensure(key_file: str | Path, public_key_file: str | Path) -> None:
    """Make keys where there are none: for a service that is API and conductor in one."""
    keys = KeyFile(key_file)
    with keys.held():
        if not keys.path.exists():
            keys.add()
        if not Path(public_key_file).exists():
            keys.publish(public_key_file)


def _content(name: str, value: Any, purpose: Purpose) -> bytes:
    what = {"value": value, "name": name, "device": purpose.uuid, "driver": purpose.driver}
    return json.dumps({**what, "options": dict(purpose.options)}).encode()


def _id(key: public.PublicKey) -> str:
    return hashlib.sha256(bytes(key)).hexdigest()[:16]


def _text(key: public.PublicKey | public.PrivateKey) -> str:
    return key.encode(encoding.Base64Encoder).decode()


def _give(file: int, path: Path) -> None:
    """What root writes belongs to whom the directory belongs to."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)


def _replace(path: Path, content: Mapping[str, Any], mode: int) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    text = {**content, "written_at": datetime.now(UTC).isoformat(timespec="seconds")}
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        _give(file.fileno(), path)
        json.dump(text, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
