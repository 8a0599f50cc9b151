# SPDX-License-Identifier: Apache-2.0
"""What a tenant may give an instance, and its bounds.

The bounds are those of Nova's API, which what is inside images was written for:
https://docs.openstack.org/api-ref/compute/#create-server, and the defaults of Nova's quotas for injected files.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

#: Entries of `metadata`, and characters of each key and value.
METADATA = 128
KEY = re.compile(r"[A-Za-z0-9_.: -]{1,255}")
VALUE = 255

#: Characters of `user_data`, encoded.
USER_DATA = 65535

FILES = 5
#: Bytes of a file, decoded.
FILE_BYTES = 10240
#: The same as base64 (RFC 4648, 4).
FILE_ENCODED = (FILE_BYTES + 2) // 3 * 4
PATH = 255

_LABEL = re.compile(r"[^a-z0-9]+")


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Refuse metadata that are not a few short texts.

    :raises ValueError: they are too many, or a key or a value cannot be
    """
    if len(metadata) > METADATA:
        raise ValueError(f"it must not have more than {METADATA} entries")
    for key, value in metadata.items():
        if KEY.fullmatch(key) is None:
            raise ValueError(f"a key must match {KEY.pattern}")
        if not isinstance(value, str) or len(value) > VALUE or not (value.isprintable() or not value):
            raise ValueError(f"a value must be a string of at most {VALUE} printable characters")


def check_user_data(text: str) -> None:
    """Refuse user data that are not base64.

    :raises ValueError: they are not, or are too long
    """
    if len(text) > USER_DATA:
        raise ValueError(f"it must not have more than {USER_DATA} characters of base64")
    _decoded(text)


def check_files(files: Sequence[Mapping[str, str]]) -> None:
    """Refuse files that cannot be written, or not where they say.

    :param files: each has `path` and, as base64, `contents`
    :raises ValueError: they are too many or too long, or a path is not absolute and plain, or comes twice
    """
    paths = [file["path"] for file in files]
    if len(files) > FILES or len(set(paths)) != len(paths):
        raise ValueError(f"there may be {FILES} files, each at another path")
    for file in files:
        path = file["path"]
        plain = path.startswith("/") and not path.startswith("//") and posixpath.normpath(path) == path
        if not plain or path == "/" or len(path) > PATH or not path.isprintable():
            raise ValueError(f"a path must be absolute, without . and .., of at most {PATH} printable characters")
        if len(_decoded(file["contents"])) > FILE_BYTES:
            raise ValueError(f"a file may have {FILE_BYTES} bytes")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it must be base64, without line breaks") from None


def hostname(name: str, uuid: str) -> str:
    """A name for a host (RFC 1123, 2.1) that an instance can have: what of its own name may be in one."""
    return _label(name) or f"instance-{uuid[:8]}"


def domain(project: str) -> str:
    """One label (RFC 1123, 2.1) for a project, which no other has.

    :param project: its id
    """
    label = _label(project)
    return label if label == project else f"{label[:54]}-{sha256(project.encode()).hexdigest()[:8]}".lstrip("-")


def apart(name: str, uuid: str) -> str:
    """A host's name for one whose own is taken."""
    return f"{name[:54].rstrip('-')}-{uuid[:8]}"


def _label(text: str) -> str:
    return _LABEL.sub("-", text.lower()).strip("-")[:63].rstrip("-")
