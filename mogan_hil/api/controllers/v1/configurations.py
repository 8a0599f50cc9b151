# SPDX-License-Identifier: Apache-2.0
"""/v1/instances/{instance}/config, and what of a new instance's body is its configuration."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mogan_hil.api.expose import route
from mogan_hil.api.types import Base, Flag, Object, Ref, Secret, Text, attribute
from mogan_hil.common import configs
from mogan_hil.verbs import configurations
from mogan_hil.verbs.base import Call

METADATA = Object(maxProperties=configs.METADATA)
WISHES = ("image", "keypair", "metadata", "user_data", "files", "admin_password", "generate_admin_password")


class File(Base):
    path = attribute(Text(configs.PATH, 1), required=True)
    contents = attribute(Text(configs.FILE_ENCODED), required=True)


class Configuration(Base):
    image = attribute(Ref())
    keypair = attribute(Ref())
    metadata = attribute(METADATA)
    user_data = attribute(Text(configs.USER_DATA, 1))
    files = attribute([File])
    admin_password = attribute(Secret())
    generate_admin_password = attribute(Flag())


def wish(body: dict[str, Any]) -> configurations.Wish:
    """What of a body is the configuration."""
    return configurations.Wish(**{name: body[name] for name in WISHES if name in body})


@route("GET", "/v1/instances/{instance}/config")
def get(call: Call, instance: str) -> dict[str, Any]:
    """Show what an instance was given: keys, metadata, user data and files."""
    found = configurations.get(call, instance)
    return {
        "uuid": found.uuid,
        "name": found.name,
        "hostname": found.hostname,
        "project_id": found.project,
        "public_keys": found.public_keys,
        "metadata": found.metadata,
        "user_data": found.user_data,
        "files": [asdict(file) for file in found.files],
        "has_admin_password": found.password_hash is not None,
    }
