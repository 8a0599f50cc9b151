# SPDX-License-Identifier: Apache-2.0
"""What instances are given: an image, a key, metadata, files, user data and a password for their administrator.

Names are looked up and keys are copied when an instance is created: what becomes of a keypair later does not matter to
it. A password is kept as a hash alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import orm

from mogan_hil.common import configs, exception, passwords
from mogan_hil.drivers.deploy.base import DeployConfiguration
from mogan_hil.objects.configuration import InstanceConfig, configuration
from mogan_hil.objects.image import Image
from mogan_hil.objects.instance import Instance
from mogan_hil.objects.keypair import Keypair
from mogan_hil.policies import instance as rules
from mogan_hil.verbs.base import Call
from mogan_hil.verbs.images import usable_image
from mogan_hil.verbs.instances import visible_instance
from mogan_hil.verbs.keypairs import own_keypair


@dataclass(frozen=True, slots=True)
class Wish:
    """What instances are to be given, as it was asked for.

    :param keypair: one of the caller's
    :param user_data: base64
    :param files: each with `path` and, as base64, `contents`
    :param generate_admin_password: in place of `admin_password`
    """

    image: str | None = None
    keypair: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    user_data: str | None = field(default=None, repr=False)
    files: Sequence[Mapping[str, str]] = field(default=(), repr=False)
    admin_password: str | None = field(default=None, repr=False)
    generate_admin_password: bool = False


@dataclass(frozen=True, slots=True)
class Gift:
    """The same, checked and looked up."""

    image: Image | None
    keypair: Keypair | None
    wish: Wish
    password_hash: str | None = field(repr=False)

    def give(self, session: orm.Session, instance: Instance) -> None:
        """Write it down for a new instance."""
        instance.update(
            session,
            image_id=self.image.id if self.image else None,
            keypair=self.keypair.name if self.keypair else None,
            labels=dict(self.wish.metadata),
        )
        values: dict[str, Any] = {
            "public_key": self.keypair.public_key if self.keypair else None,
            "user_data": self.wish.user_data,
            "files": [dict(file) for file in self.wish.files],
            "password_hash": self.password_hash,
        }
        if any(values.values()):
            InstanceConfig.create(session, instance_id=instance.id, **values)


def check(wish: Wish) -> None:
    """Refuse what cannot be given.

    :raises exception.BadField: something is too long, too much, or not what it has to be
    """
    if wish.admin_password is not None and wish.generate_admin_password:
        reason = "it was given, and is to be generated; one of the two"
        raise exception.BadField(field="admin_password", reason=reason)
    _checked("metadata", configs.check_metadata, wish.metadata)
    if wish.user_data is not None:
        _checked("user_data", configs.check_user_data, wish.user_data)
    _checked("files", configs.check_files, wish.files)


def hashed(wish: Wish) -> tuple[str | None, str | None]:
    """The hash of the administrator's password, and the password itself if it was generated.

    It takes its time on purpose: nobody is to have it made who is refused anyway, and no transaction is to wait for it.
    """
    generated = passwords.generated() if wish.generate_admin_password else None
    password = generated or wish.admin_password
    return None if password is None else passwords.crypted(password), generated


def _checked(name: str, check_value: Callable[[Any], None], value: Any) -> None:
    try:
        check_value(value)
    except ValueError as error:
        raise exception.BadField(field=name, reason=str(error)) from None


def gift(session: orm.Session, call: Call, wish: Wish, owner: str, password_hash: str | None) -> Gift:
    """What the instances of a project are to be given.

    :raises exception.NotFound: the project may use no such image, or the caller has no such keypair
    :raises exception.ImageDisabled: the image is disabled
    """
    image = None if wish.image is None else usable_image(session, wish.image, owner)
    keypair = None if wish.keypair is None else own_keypair(session, call, wish.keypair)
    return Gift(image, keypair, wish, password_hash)


def get(call: Call, ident: str) -> DeployConfiguration:
    """What an instance was given.

    :raises exception.NotFound: there is no such instance, or it is another project's
    """
    with call.reader() as session:
        instance = visible_instance(session, call, ident)
        call.check(rules.GET_CONFIG, instance.project_id)
        return configuration(session, instance)
