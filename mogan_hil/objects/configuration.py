# SPDX-License-Identifier: Apache-2.0
"""What an instance is given: its keys, its metadata and whatever its owner wants to be there when it boots."""

from __future__ import annotations

from typing import Any

from sqlalchemy import orm

from mogan_hil.common import configs, images
from mogan_hil.db import models
from mogan_hil.drivers.deploy.base import DeployConfiguration, DeployFile, DeployImage, DeploySource
from mogan_hil.objects import base
from mogan_hil.objects.image import Image
from mogan_hil.objects.instance import Instance


class InstanceConfig(base.Stored):
    MODEL = models.InstanceConfig
    KIND = "configuration"

    instance_id: int
    public_key: str | None
    user_data: str | None
    files: Any
    password_hash: str | None


def configuration(session: orm.Session, instance: Instance) -> DeployConfiguration:
    """What an instance is to be told when it boots. It has secrets of its owner."""
    rows = InstanceConfig.find(session, models.InstanceConfig.instance_id == instance.id)
    row = rows[0] if rows else None
    return DeployConfiguration(
        uuid=instance.uuid,
        name=instance.name,
        hostname=configs.hostname(instance.name, instance.uuid),
        project=instance.project_id,
        public_keys={instance.keypair: row.public_key} if row and instance.keypair and row.public_key else {},
        metadata=instance.labels,
        user_data=row.user_data if row else None,
        files=tuple(DeployFile(**file) for file in row.files) if row else (),
        password_hash=row.password_hash if row else None,
    )


def deployed_image(session: orm.Session, instance: Instance) -> DeployImage | None:
    """What an instance is to boot: while it is rebuilt the new image, else the one that it has."""
    ident = instance.next_image_id or instance.image_id
    found = Image.find(session, models.Image.id == ident) if ident is not None else []
    if not found:
        return None
    image = found[0]
    return DeployImage(
        uuid=image.uuid,
        name=image.name,
        kernel=DeploySource(**image.kernel),
        initrd=DeploySource(**image.initrd),
        disk=None if image.disk is None else DeploySource(**image.disk),
        arguments=images.fill(image.arguments, instance.uuid, instance.name),
    )
