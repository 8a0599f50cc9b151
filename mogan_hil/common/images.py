# SPDX-License-Identifier: Apache-2.0
"""What may be said of an image: where its files are, and what its kernel is told."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

#: Half of what a kernel for x86 reads (COMMAND_LINE_SIZE): the rest is for the placeholders, and for who deploys it.
MAX_ARGUMENTS = 1024
MAX_URL = 2048
SHA256 = re.compile(r"[0-9a-f]{64}")

#: What `arguments` may name in braces: an instance's uuid and name. Neither has anything that would need quoting.
PLACEHOLDERS = ("uuid", "name")
_BRACED = re.compile(r"\{([^{}]*)\}")


def check_url(url: str) -> None:
    """Refuse what is no address of a file.

    :raises ValueError: it is not http or https, names no host, or has a user, a fragment or a character that an address
        cannot have (RFC 3986); the reason does not repeat it
    """
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > MAX_URL:
        raise ValueError(f"it must be printable ASCII without blanks, of at most {MAX_URL} characters")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("it must be an address that begins with http:// or https://")
    if "@" in parts.netloc or "#" in url:
        raise ValueError("it must have neither credentials nor a fragment")


def check_arguments(text: str) -> None:
    """Refuse arguments that could not be filled in.

    :raises ValueError: something else than a placeholder stands in braces, or a brace stands alone
    """
    if set(_BRACED.findall(text)) - set(PLACEHOLDERS) or set("{}") & set(_BRACED.sub("", text)):
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"in braces there may only be {known}")


def fill(arguments: str, uuid: str, name: str) -> str:
    """The arguments for one instance."""
    return arguments.replace("{uuid}", uuid).replace("{name}", name)
