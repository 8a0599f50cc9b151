# SPDX-License-Identifier: Apache-2.0
"""The catalogue of base images of headnodes, as the configuration has it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oslo_config import cfg

#: MiB and processors that one machine may have: more is a mistake in the configuration.
MAX_MEMORY = 16 * 1024 * 1024
MAX_CPUS = 1024

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,254}")


@dataclass(frozen=True, slots=True)
class HeadnodeImage:
    """A base image.

    :param path: of its qcow2 file, on the host of the headnodes
    :param memory: MiB
    :param cpus: how many
    """

    name: str
    path: str
    memory: int
    cpus: int


def catalogue(entries: Sequence[str]) -> Mapping[str, HeadnodeImage]:
    """The base images by name, in their order.

    :param entries: each `name:path:memory:cpus`
    :raises ValueError: one is not of this form, or a name is there twice
    """
    found: dict[str, HeadnodeImage] = {}
    for entry in entries:
        image = _image(entry)
        if image.name in found:
            raise ValueError(f"there are two images {image.name!r}")
        found[image.name] = image
    return found


def _image(entry: str) -> HeadnodeImage:
    name, _, rest = entry.partition(":")
    path, _, size = rest.partition(":")
    memory, _, cpus = size.partition(":")
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"image {entry!r}: its name has letters, digits and _.@+- only")
    if not path.startswith("/"):
        raise ValueError(f"image {entry!r}: its path must be absolute")
    for what, number, limit in (("memory", memory, MAX_MEMORY), ("cpus", cpus, MAX_CPUS)):
        if re.fullmatch("[0-9]{1,9}", number) is None or not 1 <= int(number) <= limit:
            raise ValueError(f"image {entry!r}: its {what} must be a number from 1 to {limit}")
    return HeadnodeImage(name, path, int(memory), int(cpus))


def images_of(conf: cfg.ConfigOpts) -> Mapping[str, HeadnodeImage]:
    """The catalogue of the configuration.

    :raises ValueError: see :func:`catalogue`
    """
    return catalogue(conf.headnode.images)
